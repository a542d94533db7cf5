package port_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
)

// seen waits for n frames of testEtherType on any ring of a monitor, and tells
// their direction: "> " before those that the port sent.
func seen(t *testing.T, m *netmap.Desc, n int) (out []string) {
	t.Helper()
	for len(out) < n {
		re, err := m.PollTimeout(patience, netmap.PollIn)
		if err != nil || re != netmap.PollIn {
			t.Fatalf("after %d frames of %d: %#x %v", len(out), n, re, err)
		}
		for _, r := range m.RxRings() {
			for ; r.Space() > 0; r.Advance(r.Next(r.Head())) {
				f, dir := r.Frame(r.Head()), "< "
				if r.Slot(r.Head()).Flags&abi.NSTxMon != 0 {
					dir = "> "
				}
				if len(f) >= 15 && f[12] == testEtherType>>8 && f[13] == testEtherType&0xff {
					out = append(out, fmt.Sprintf("%s%d bytes, %x", dir, len(f), f[14]-frame(0, 0, 15, 0)[14]))
				}
			}
		}
	}
	must(t, m.RxSync())
	return out
}

func wants(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: saw %q, want %q", what, got, want)
	}
}

// An interface on a switch is monitored in both directions although its frames
// pass no rings, by either of its names, by several at once, until it leaves.
func TestMonitorAttachedInterface(t *testing.T) {
	drivers(t, func(t *testing.T, driver port.Driver, c *cable) {
		b := newBed(t, 2, port.Config{Driver: driver})
		_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
		must(t, err)
		_, err = b.reg.Attach(limited(t), "vale0", ours)
		must(t, err)
		for _, spec := range []string{"netmap:" + ours, "vale0:" + ours} {
			_, err = b.tryOpen(spec)
			fails(t, err, unix.EBUSY)
			_, err = b.tryOpen(spec + "/z")
			fails(t, err, unix.EOPNOTSUPP, "copy monitor")
		}
		a := b.open("vale0:a")
		both, in, out := b.open("netmap:"+ours+"/rt"), b.open("vale0:"+ours+"/r"), b.open("netmap:"+ours+"/t")
		there, back := frame(everyone, 1, 61, 5), frame(everyone, 2, 1514, 6)
		pass := func() {
			t.Helper()
			send(t, a, 0, there)
			same(t, [][]byte{c.peer.receive(t, testEtherType)}, [][]byte{there})
			c.peer.send(t, back)
			same(t, receiveTest(t, a, 1), [][]byte{back})
		}
		pass()
		wants(t, "both", seen(t, both, 2), "> 61 bytes, 5", "< 1514 bytes, 6")
		wants(t, "in", seen(t, in, 1), "< 1514 bytes, 6")
		wants(t, "out", seen(t, out, 1), "> 61 bytes, 5")
		b.close(in)
		pass()
		wants(t, "both, without in", seen(t, both, 2), "> 61 bytes, 5", "< 1514 bytes, 6")
		wants(t, "out, without in", seen(t, out, 1), "> 61 bytes, 5")
		nothingSeen(t, out)

		b.close(out)
		late := b.open("netmap:" + ours + "/rt")
		pass()
		wants(t, "late", seen(t, late, 2), "> 61 bytes, 5", "< 1514 bytes, 6")
		must(t, b.reg.Detach(limited(t), "vale0", ours))
		for _, m := range []*netmap.Desc{both, late} {
			if re, _ := m.PollTimeout(patience, netmap.PollIn); re&netmap.PollErr == 0 {
				t.Errorf("poll of a dead monitor says %#x", re)
			}
			b.close(m)
		}
		_, err = b.tryOpen("vale0:" + ours + "/r")
		fails(t, err, unix.EINVAL)
		if got := b.names(); got != "vale0:a" {
			t.Errorf("ports are %s", got)
		}
	})
}

// nothingSeen checks that a monitor has no test frame more.
func nothingSeen(t *testing.T, m *netmap.Desc) {
	t.Helper()
	must(t, m.RxSync())
	buf := make([]byte, 2048)
	for _, r := range m.RxRings() {
		for n, ok := r.Recv(buf); ok; n, ok = r.Recv(buf) {
			if n >= 14 && buf[12] == testEtherType>>8 && buf[13] == testEtherType&0xff {
				t.Errorf("a frame too many: % x", buf[:n])
			}
		}
	}
}

// Host rings that are on the switch too are monitored by themselves.
func TestMonitorAttachedHostRings(t *testing.T) {
	hostedPorts(t, 0, 0, func(t *testing.T, h *hosted) {
		_, err := h.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale1"})
		must(t, err)
		_, err = h.reg.Attach(limited(t), "vale1", h.name+"*")
		must(t, err)
		a := h.open("vale1:a")
		host, wire := h.open("netmap:"+h.name+"^/rt"), h.open("netmap:"+h.name+"/rt")
		h.hostSends(t, frame(everyone, 7, 77, 7))
		same(t, receiveTest(t, a, 1), [][]byte{frame(everyone, 7, 77, 7)})
		wants(t, "host, from it", seen(t, host, 1), "< 77 bytes, 7")
		wants(t, "wire, from the host", seen(t, wire, 1), "> 77 bytes, 7")
		send(t, a, 0, frame(everyone, 8, 78, 8))
		wants(t, "host, to it", seen(t, host, 1), "> 78 bytes, 8")
		wants(t, "wire, from a", seen(t, wire, 1), "> 78 bytes, 8")
		h.peer.receive(t, testEtherType)
		must(t, h.reg.Detach(limited(t), "vale1", h.name))
		if re, _ := host.PollTimeout(patience, netmap.PollIn); re&netmap.PollErr == 0 {
			t.Errorf("poll of a dead monitor says %#x", re)
		}
	})
}

// Monitors come, go, write nonsense into their slots and die while two lcores
// carry traffic of the device that they look at; the traffic does not notice.
func TestMonitorsComeAndGo(t *testing.T) {
	const rounds = 32
	b := newBed(t, 2, port.Config{})
	b.device("loop", "net_ring_mon2", 0, 512)
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale0", "loop")
	must(t, err)
	a, z := b.open("vale0:a"), b.open("vale0:z")
	var done atomic.Bool
	var sent uint64
	var wg sync.WaitGroup
	wg.Go(func() { // what a sends to everyone comes back from the device, to z again
		f := frame(everyone, 1, 60, 1)
		for !done.Load() {
			for range 64 {
				if a.TxRings()[0].Send(f) {
					sent++
				}
			}
			if err := errors.Join(a.TxSync(), z.RxSync()); err != nil {
				t.Error(err)
				return
			}
			z.RxRings()[0].Advance(z.RxRings()[0].Tail())
		}
		if err := errors.Join(a.Flush(limited(t)), z.RxSync()); err != nil {
			t.Error(err)
		}
	})
	for round := range rounds {
		spec := []string{"netmap:loop/rt", "vale0:loop/t", "vale0:a/rt", "vale0:z/z"}[round%4]
		m := b.open(spec)
		r := m.RxRings()[0]
		for range 3 {
			if re, err := m.PollTimeout(patience, netmap.PollIn); err != nil || re != netmap.PollIn {
				t.Fatalf("%s: poll says %#x, %v", spec, re, err)
			}
			r.Advance(r.Tail())
			for i := uint32(0); round%3 == 0 && i < r.NumSlots(); i++ {
				r.Slot(i).BufIdx, r.Slot(i).Len = i*0x9e3779b1, 0xffff
			}
		}
		must(t, m.Close())
	}
	done.Store(true)
	wg.Wait()
	if st := b.stats("vale0:a"); st.Tx.Frames != sent {
		t.Errorf("a sent %d frames, the books say %+v", sent, st)
	}
	for _, r := range z.RxRings() {
		r.Advance(r.Tail())
	}
	must(t, z.RxSync())
	send(t, a, 0, frame(everyone, 3, 333, 3))
	for f, err := range z.Frames(limited(t)) {
		must(t, err)
		if bytes.Equal(f, frame(everyone, 3, 333, 3)) {
			break
		}
	}
}
