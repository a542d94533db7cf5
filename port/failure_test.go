package port_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

// broken is a source that panics when it is asked.
type broken struct{}

func (broken) Next(*vale.Batch) int { panic("a bug for the test") }
func (broken) Done(*vale.Batch)     {}

// breakSwitch makes the poller of a switch fail.
func (b *bed) breakSwitch(sw, portName string) {
	b.t.Helper()
	l := b.lcores[0]
	pl, p := b.reg.SwitchParts(sw, portName, l)
	must(b.t, l.Do(limited(b.t), func() { pl.Add(p, 0, broken{}) }))
	b.eventually("the failure", func() bool {
		var err error
		must(b.t, l.Do(limited(b.t), func() { err = pl.Err() }))
		return err != nil
	})
}

// A panic on the packet path fails the ports of its switch, leaves the others
// alone, and the switch works again for whoever opens a port next.
func TestSwitchFailsAndStartsAgain(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.expected = []string{"a unit panicked"}
	_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "loop", Kind: port.KindDevice, Devargs: "net_ring_again"})
	must(t, err)
	_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale0", "loop")
	must(t, err)
	one, two := b.open("vale0:a"), b.open("vale0:b")
	other, peer := b.open("vale1:a"), b.open("vale1:b")
	send(t, one, 0, frame(everyone, 1, 60, 1))
	receive(t, two, 1)
	sent := b.stats("vale0:a").Tx.Frames

	b.breakSwitch("vale0", "vale0:a")
	for _, d := range []*netmap.Desc{one, two} {
		if re, err := d.PollTimeout(patience, netmap.PollIn); re&netmap.PollErr == 0 || !errors.Is(err, unix.EIO) {
			t.Errorf("%s: poll says %#x, %v; want POLLERR and EIO", d.PortName(), re, err)
		}
	}
	send(t, other, 0, frame(everyone, 1, 60, 2))
	receive(t, peer, 1)
	if now := b.stats("vale0:a").Tx.Frames; now != sent {
		t.Errorf("%d frames sent, %d before the failure", now, sent)
	}

	b.close(one)
	one = b.open("vale0:a")
	three := b.open("vale0:c")
	before := b.stats("loop").Tx.Frames
	want := [][]byte{frame(everyone, 3, 60, 3)}
	send(t, one, 0, want...)
	same(t, receive(t, three, 1), want)
	b.eventually("the device to be polled again", func() bool { return b.stats("loop").Tx.Frames > before })
	must(t, b.reg.Detach(limited(t), "vale0", "loop"))
}

// hanging is a unit that does not come back from a poll while it is told to hang.
type hanging struct {
	hang    atomic.Bool
	reached chan struct{}
	free    chan struct{}
}

func (h *hanging) Poll() int {
	if h.hang.CompareAndSwap(true, false) {
		close(h.reached)
		<-h.free
	}
	return 0
}
func (h *hanging) Arm() bool    { return !h.hang.Load() }
func (h *hanging) Disarm()      {}
func (h *hanging) Fail(error)   {}
func (h *hanging) Silent() bool { return true }

var leaked atomic.Int32 // devices

// An lcore that hangs makes operations fail, with words, and nothing worse; when
// it goes on, so does everything else.
func TestStuckLcore(t *testing.T) {
	b := newBedTimeout(t, 1, 300*time.Millisecond, port.Config{})
	b.expected = []string{"makes no progress", "left allocated", "left open", "unbind port"}
	// What the stuck lcore could still use is never given back, the device's name included.
	b.device("loop", fmt.Sprintf("net_ring_stuck%d", leaked.Add(1)), 0, 0)
	gen, sink, loop := b.open("vale0:gen"), b.open("vale0:sink"), b.open("netmap:loop")
	closing, err := b.reg.Register(limited(t), us, "vale0:closing", allNIC())
	must(t, err)
	h := &hanging{reached: make(chan struct{}), free: make(chan struct{})}
	must(t, b.lcores[0].Add(limited(t), h))
	h.hang.Store(true)
	go func() { _ = b.lcores[0].Do(limited(t), func() {}) }() // it may sleep
	<-h.reached
	release := sync.OnceFunc(func() { close(h.free) })
	defer release()

	_, err = b.register("vale0:new", allNIC())
	if !errors.Is(err, lcore.ErrStuck) {
		t.Errorf("register says %v, want %v", err, lcore.ErrStuck)
	}
	if _, err := b.tryOpen("vale0:new"); err == nil {
		t.Error("a port could be opened")
	}
	if err := closing.Close(limited(t)); !errors.Is(err, lcore.ErrStuck) {
		t.Errorf("close says %v, want %v", err, lcore.ErrStuck)
	}
	must(t, loop.Close())
	b.eventually("the close to be tried", func() bool { return b.snapshotWhenStuck().Descriptors == 2 })
	if b.reg.WaitersLeft() == 0 {
		t.Error("the wake descriptor is closed, which the stuck lcore may be about to use")
	}
	if err := b.reg.DeletePort(limited(t), "loop"); err != nil {
		t.Errorf("delete says %v; the port should go, and its memory be leaked", err)
	}
	if snap := b.snapshotWhenStuck(); len(snap.Lcores) != 1 || !snap.Lcores[0].Stuck {
		t.Errorf("lcores %+v, want one that is stuck", snap.Lcores)
	}

	release()
	b.eventually("the lcore to go on", func() bool { return !b.lcores[0].Stuck() })
	must(t, b.lcores[0].Remove(limited(t), h))
	b.reg.Tend(time.Now())
	if n := b.reg.WaitersLeft(); n > 0 {
		t.Errorf("%d wake descriptors are still open", n)
	}
	want := [][]byte{frame(everyone, 1, 60, 1)}
	send(t, gen, 0, want...)
	same(t, receive(t, sink, 1), want)
	again := b.open("vale0:again")
	send(t, gen, 0, want...)
	same(t, receive(t, again, 1), want)
}

// snapshotWhenStuck waits until the lcore is known to be stuck: until then a
// snapshot may fail.
func (b *bed) snapshotWhenStuck() port.Snapshot {
	b.t.Helper()
	b.eventually("the lcore to be seen stuck", b.lcores[0].Stuck)
	return b.snapshot()
}
