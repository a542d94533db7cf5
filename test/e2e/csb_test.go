package e2e

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
)

// openCSB opens a port of one ring each way whose CSB lcores serve.
func (d *daemon) openCSB(t *testing.T, spec string) *netmap.Desc {
	t.Helper()
	f, app, kern, err := netmap.NewCSBFile(2)
	must(t, err)
	defer f.Close()
	return d.open(t, spec, netmap.WithCSB(f, app, kern))
}

// publish sends one frame from a CSB and waits until it is taken.
func publish(t *testing.T, d *netmap.Desc) {
	t.Helper()
	c, r := d.CSB(), d.TxRings()[0]
	at := c.Taken(0)
	s := r.Slot(at)
	for i := range r.Buf(s)[:60] {
		r.Buf(s)[i] = 0xff
	}
	s.Len = 60
	next := r.Next(at)
	c.Publish(0, next)
	for idle := func() bool { return c.Taken(0) != next }; idle(); {
		must(t, c.Wait(limited(t), netmap.PollOut, idle))
	}
}

// A daemon that stops or dies takes a port with it whose CSB it serves: the program is told, and opens it again. Others go on.
func TestCSBEndsWithTheDaemon(t *testing.T) {
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGKILL} {
		s := startService(t)
		a := s.openCSB(t, "vale0:a")
		b := s.open(t, "vale0:b")
		plain := s.open(t, "vale0:both-0@conf:rings=2") // a port of which one ring each way is served so
		both := s.openCSB(t, "vale0:both-1")
		broadcast := bytes.Repeat([]byte{0xff}, 60)
		receives := func(n int) {
			t.Helper()
			buf := make([]byte, 2048)
			for received := 0; received < n; {
				if _, err := b.Poll(limited(t), netmap.PollIn); err != nil {
					t.Fatal(err)
				}
				for {
					if _, ok := b.RxRings()[0].Recv(buf); !ok {
						break
					}
					received++
				}
			}
		}
		sends := func() {
			t.Helper()
			if !plain.TxRings()[0].Send(broadcast) {
				t.Fatal("no room to send in")
			}
			must(t, plain.Flush(limited(t)))
		}
		publish(t, a)
		publish(t, both)
		sends()
		receives(3)
		s.end(sig)
		s.start()
		for _, d := range []*netmap.Desc{a, both} {
			for {
				if err := d.CSB().Wait(limited(t), netmap.PollIn, func() bool { return true }); errors.Is(err, unix.EIO) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			must(t, d.Close())
		}
		sends()
		publish(t, s.openCSB(t, "vale0:a"))
		publish(t, s.openCSB(t, "vale0:both-1"))
		receives(3)
	}
}
