package tooltest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/tap"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/test/netns"
)

// startTap runs nmctl tap in a namespace until stop is called, which returns what it says.
func (b *bed) startTap(ns *netns.NS, o tap.Options) (stop func() (tap.Result, error)) {
	b.t.Helper()
	type end struct {
		res tap.Result
		err error
	}
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan end, 1)
	go func() {
		var e end
		if err := ns.Try(func() (err error) {
			e.res, err = tap.Run(ctx, o, io.Discard, netmap.WithRuntimeDir(b.dir))
			return err
		}); err != nil {
			e.err = err
		}
		done <- e
	}()
	for !isUp(ns, o.Ifname) {
		select {
		case e := <-done:
			b.t.Fatalf("nmctl tap ends: %v", e.err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return func() (tap.Result, error) {
		cancel()
		e := <-done
		return e.res, e.err
	}
}

func isUp(ns *netns.NS, ifname string) (up bool) {
	_ = ns.Try(func() error {
		l, err := netlink.LinkByName(ifname)
		up = err == nil && l.Attrs().Flags&net.FlagUp != 0
		return err
	})
	return up
}

// sniffer is what programs of libpcap do: a packet socket on an interface.
func sniffer(t *testing.T, ns *netns.NS, ifname string) int {
	t.Helper()
	var fd int
	ns.Do(t, func() error {
		l, err := netlink.LinkByName(ifname)
		if err != nil {
			return err
		}
		all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		limit := unix.NsecToTimeval(int64(patience))
		return errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Attrs().Index}))
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func numbered(n, size int) []byte {
	f := append([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x09\x88\xb5"), make([]byte, size-14)...)
	binary.BigEndian.PutUint32(f[14:], uint32(n))
	return f
}

// A program that knows nothing of netmap captures what a port receives and sends what it transmits, in order.
func TestTap(t *testing.T) {
	ns, b := netns.New(t), newBed(t)
	stop := b.startTap(ns, tap.Options{Port: "vale0:tap", Ifname: "watch0", MAC: "02:00:00:00:00:aa"})
	d, err := netmap.Open(b.ctx, "vale0:peer", netmap.WithRuntimeDir(b.dir))
	must(t, err)
	defer d.Close()
	fd := sniffer(t, ns, "watch0")

	const frames = 300
	buf := make([]byte, 4096)
	for i := range frames {
		want := numbered(i, 60+i*4)
		if !d.TxRings()[0].Send(want) {
			t.Fatal("no room")
		}
		must(t, d.TxSync())
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil || !bytes.Equal(buf[:n], want) {
			t.Fatalf("frame %d: %v, %d bytes % x, want %d bytes", i, err, n, buf[:min(n, 20)], len(want))
		}
	}
	for i := range frames {
		if _, err := unix.Write(fd, numbered(i, 60+i*4)); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < frames; i++ {
		n, ok := d.RxRings()[0].Recv(buf)
		for ; !ok; n, ok = d.RxRings()[0].Recv(buf) {
			if ev, err := d.PollTimeout(patience, netmap.PollIn); err != nil || ev == 0 {
				t.Fatalf("frame %d: %v %v", i, ev, err)
			}
		}
		if want := numbered(i, 60+i*4); !bytes.Equal(buf[:n], want) {
			t.Fatalf("frame %d: %d bytes % x", i, n, buf[:min(n, 20)])
		}
	}
	if res, err := stop(); err != nil || res != (tap.Result{ToHost: frames, FromHost: frames}) {
		t.Errorf("%+v, %v", res, err)
	}
	if isUp(ns, "watch0") {
		t.Error("the interface stays")
	}
}

// Two namespaces reach each other through a switch, by taps alone.
func TestTapsOnASwitch(t *testing.T) {
	b := newBed(t)
	a, c := netns.New(t), netns.New(t)
	stopA := b.startTap(a, tap.Options{Port: "vale0:a", Ifname: "nm0"})
	stopC := b.startTap(c, tap.Options{Port: "vale0:c", Ifname: "nm0", MTU: 9000})
	a.Addr(t, "nm0", "10.9.0.1/24")
	c.Addr(t, "nm0", "10.9.0.2/24")
	if out, err := a.Run("ping", "-c", "3", "-i", "0.1", "-s", "1400", "10.9.0.2"); err != nil {
		if strings.Contains(err.Error(), "not found") {
			t.Skip(err)
		}
		t.Errorf("%v\n%s", err, out)
	}
	for _, stop := range []func() (tap.Result, error){stopA, stopC} {
		if res, err := stop(); err != nil || res.Dropped != 0 || res.ToHost < 2 { // who asked, and an answer; ping does not wait for all
			t.Errorf("%+v, %v", res, err)
		}
	}
}

// What cannot be is said, and nothing stays behind.
func TestTapRefusals(t *testing.T) {
	ns, b := netns.New(t), newBed(t)
	for _, c := range []struct {
		o    tap.Options
		want string
	}{
		{tap.Options{Port: "vale0", Ifname: "x"}, "expected"},
		{tap.Options{Port: "vale0:a", Ifname: "an-interface-name-too-long"}, "tap interface"},
		{tap.Options{Port: "vale0:a", Ifname: "lo"}, "lo"},
		{tap.Options{Port: "vale0:a", Ifname: "x", MAC: "1"}, "--mac"},
	} {
		err := ns.Try(func() error {
			_, err := tap.Run(b.ctx, c.o, io.Discard, netmap.WithRuntimeDir(b.dir))
			return err
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want something about %q", c.o, err, c.want)
		}
	}
}
