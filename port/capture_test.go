package port_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
)

func (b *bed) capture(spec port.CaptureSpec) *port.Capture {
	b.t.Helper()
	c, err := b.reg.Capture(limited(b.t), spec)
	must(b.t, err)
	b.t.Cleanup(func() { c.Close(limited(b.t)) })
	return c
}

// captured waits for a frame.
func (b *bed) captured(c *port.Capture) (f port.CapturedFrame) {
	b.t.Helper()
	b.eventually("a frame to be captured", func() (ok bool) {
		f, ok = c.Next()
		return ok
	})
	return f
}

func TestCaptureClientPorts(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	from, to := b.open("vale0:a"), b.open("vale0:b")
	c := b.capture(port.CaptureSpec{Ports: []string{"vale0:b", "vale0:a"}})
	onlyOut := b.capture(port.CaptureSpec{Ports: []string{"vale0:b"}, Out: true})
	before := time.Now()
	sent := frame(1, 2, 100, 0)
	send(t, from, 0, sent)
	receive(t, to, 1)
	for _, want := range []struct {
		port int
		out  bool
	}{{0, false}, {1, true}} { // it is delivered before its slot goes back
		f := b.captured(c)
		if f.Port != want.port || f.Out != want.out || f.Length != len(sent) || !bytes.Equal(f.Data, sent) {
			t.Errorf("captured %+v, want %v of %d bytes", f, want, len(sent))
		}
		if f.Time.Before(before.Add(-time.Second)) || f.Time.After(time.Now()) {
			t.Errorf("the time is %v", f.Time)
		}
	}
	if f, ok := onlyOut.Next(); ok {
		t.Errorf("captured %+v, although it came in", f)
	}
	c.Close(limited(t))
	send(t, from, 0, sent)
	receive(t, to, 1)
	if _, ok := c.Next(); ok {
		t.Error("captured a frame after the end")
	}
	select {
	case <-onlyOut.Gone():
		t.Error("the port is not gone")
	default:
	}
	b.close(to)
	<-onlyOut.Gone()
}

// A capture goes on when a client has the port's rings made anew, for it wants another number of host rings.
func TestCaptureRingsMadeAnew(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	_, err := b.reg.CreatePort(limited(t), port.Spec{
		Name: "nic", Kind: port.KindDevice, Host: "nmanew",
		Devargs: fmt.Sprintf("net_pcap_anew,rx_pcap=%s,tx_pcap=%s", capture(t, nil), filepath.Join(t.TempDir(), "out.pcap")),
	})
	if err != nil {
		t.Skipf("no tap here: %v", err)
	}
	c := b.capture(port.CaptureSpec{Ports: []string{"nic"}, Out: true})
	for i, rings := range []int{1, 2} {
		d := b.open(fmt.Sprintf("netmap:nic*@conf:host_rings=%d", rings))
		sent := frame(1, 2, 100, i)
		send(t, d, 0, sent)
		if f := b.captured(c); !bytes.Equal(f.Data, sent) {
			t.Errorf("captured %+v with %d host rings", f, rings)
		}
		b.close(d)
	}
}

// An attached device passes no ring.
func TestCaptureAttachedDevice(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	_, err = b.reg.CreatePort(limited(t), port.Spec{Name: "loop", Kind: port.KindDevice, Devargs: "net_ring0"})
	must(t, err)
	early := b.capture(port.CaptureSpec{Ports: []string{"loop"}})
	_, err = b.reg.Attach(limited(t), "vale0", "loop")
	must(t, err)
	late := b.capture(port.CaptureSpec{Ports: []string{"loop"}})
	client := b.open("vale0:a")
	sent := frame(1, 2, 60, 0)
	send(t, client, 0, sent) // what the device is given comes back
	for _, c := range []*port.Capture{early, late} {
		for _, out := range []bool{true, false} {
			if f := b.captured(c); f.Out != out || !bytes.Equal(f.Data, sent) {
				t.Errorf("captured %+v, want out %v", f, out)
			}
		}
		c.Close(limited(t))
	}
	must(t, b.reg.Detach(limited(t), "vale0", "loop"))
}

// Nobody waits for a capture that is not read.
func TestCaptureUnread(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	from, to := b.open("vale0:a"), b.open("vale0:b")
	c := b.capture(port.CaptureSpec{Ports: []string{"vale0:b"}, In: true})
	const n = 6000
	for range n / 100 {
		for range 100 {
			if !from.TxRings()[0].Send(frame(1, 2, 60, 0)) {
				t.Fatal("no room")
			}
		}
		must(t, from.TxSync())
		receive(t, to, 100)
	}
	got := 0
	for _, ok := c.Next(); ok; _, ok = c.Next() {
		got++
	}
	if missed := c.Missed()[0]; got+int(missed) != n || missed == 0 {
		t.Errorf("%d frames and %d missed, of %d", got, missed, n)
	}
}

func TestCapturePipe(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	if _, err := b.reg.Capture(limited(t), port.CaptureSpec{Ports: []string{"p{1"}}); !errors.Is(err, unix.ENXIO) {
		t.Errorf("capture of no port: %v", err)
	}
	from, to := b.open("netmap:p{1"), b.open("netmap:p}1")
	c := b.capture(port.CaptureSpec{Ports: []string{"p}1"}})
	sent := frame(1, 2, 60, 0)
	if !from.TxRings()[0].Send(sent) {
		t.Fatal("no room")
	}
	must(t, from.TxSync())
	receive(t, to, 1)
	if f := b.captured(c); f.Out || !bytes.Equal(f.Data, sent) {
		t.Errorf("captured %+v", f)
	}
	b.close(to)
	<-c.Gone()
}

// Frames of several slots and with a header come whole and without.
func TestCaptureLongFrames(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	from := b.open("vale0:a")
	b.open("vale0:b")
	must(t, b.reg.SetHeaderLen(limited(t), "vale0:a", 12))
	c := b.capture(port.CaptureSpec{Ports: []string{"vale0:a"}})
	r := from.TxRings()[0]
	head := r.Head()
	var want []byte
	for i := range 3 {
		s := r.Slot(head)
		buf := r.Buf(s)
		n := 2048
		if i == 2 {
			n = 100
		}
		copy(buf, bytes.Repeat([]byte{byte(i + 1)}, n))
		if i == 0 {
			clear(buf[:12])
		}
		want = append(want, buf[:n]...)
		s.Len = uint16(n)
		if i < 2 {
			s.Flags = abi.NSMoreFrag
		}
		head = r.Next(head)
	}
	r.SetHead(head)
	r.SetCur(head)
	must(t, from.Flush(limited(t)))
	if f := b.captured(c); !f.Out || f.Length != len(want)-12 || !bytes.Equal(f.Data, want[12:]) {
		t.Errorf("captured %d bytes of %d, want %d", len(f.Data), f.Length, len(want)-12)
	}
}
