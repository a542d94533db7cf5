package vale

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

func TestArm(t *testing.T) {
	w := newNet(t, 2, small, Options{})
	if w.pl.Silent() {
		t.Error("client rings wake the lcore; the poller says they do not")
	}
	if !w.pl.Arm() {
		t.Fatal("nothing is published, but Arm refuses to sleep")
	}
	tx := w.c[1].tx[0]
	if !tx.Block().DaemonSleeps() {
		t.Error("no kick is asked for after Arm")
	}
	tx.frame(frame(broadcast, station(1), 60, 1))
	tx.publish()
	if w.pl.Arm() {
		t.Error("Arm would sleep over a published frame")
	}
	w.pl.Disarm()
	if tx.Block().DaemonSleeps() {
		t.Error("a kick is still asked for after Disarm")
	}
	if n := w.pl.Poll(); n != 1 {
		t.Errorf("%d frames moved, want 1", n)
	}
}

// deaf is a source without a wake-up.
type deaf struct{}

func (deaf) Next(*Batch) int { return 0 }
func (deaf) Done(*Batch)     {}

func TestSilent(t *testing.T) {
	w := newNet(t, 1, small, Options{})
	w.pl.Add(w.p[0], 1, deaf{})
	if !w.pl.Silent() {
		t.Error("a source without wake-up needs a timer")
	}
	if !w.pl.Arm() {
		t.Error("it does not keep the lcore from sleeping till then")
	}
	w.pl.Disarm()
}

func TestFail(t *testing.T) {
	w := newNet(t, 2, small, Options{})
	why := errors.New("broken")
	w.pl.Fail(why)
	for _, c := range w.c {
		if c.tx[0].Block().State() != abi.RingStopped || c.rx[0].Block().State() != abi.RingStopped {
			t.Error("a client is not told that its rings stopped")
		}
	}
	w.send(0, frame(broadcast, station(1), 60, 1))
	if got := w.got(1); len(got) != 0 || !errors.Is(w.pl.Err(), why) {
		t.Errorf("after Fail: %d frames moved, error %v", len(got), w.pl.Err())
	}
}

// faulty panics in the middle of a delivery, as a fault in mapped memory does.
type faulty struct{ *RxSink }

func (faulty) Deliver(*Batch, []uint16, *Drops) (frames, bytes uint64) { panic("fault") }

// A port that is polled by nobody here, but was being delivered to when the
// poller broke, is told as well. One that had got its frames by then, and slept, is woken for them.
func TestFailDuringDelivery(t *testing.T) {
	w := newNet(t, 1, small, Options{})
	before := newClient(t, small)
	before.join(w.s, w.s.NewPoller(), "before")
	woken := sleeper(t, before.rx[0].Ring)
	b := newClient(t, small)
	if _, err := w.s.Attach("b", []Sink{faulty{NewRxSink(b.rx[0].Ring)}}); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { w.pl.Fail(fmt.Errorf("panic: %v", recover())) }()
		w.send(0, frame(broadcast, station(1), 60, 1))
	}()
	if b.rx[0].Block().State() != abi.RingStopped {
		t.Error("the receiver is not told that its ring stopped")
	}
	if got := before.rx[0].readAll(); len(got) != 1 || !woken() {
		t.Errorf("who had got %d frames before sleeps on", len(got))
	}
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct{ batch, want int }{{0, DefaultBatch}, {1, MaxFrags}, {100, 100}, {5000, MaxBatch}} {
		if pl := New("vale0", Options{Batch: tc.batch}).NewPoller(); pl.batch.Limit() != tc.want {
			t.Errorf("Batch %d: %d slots at a time, want %d", tc.batch, pl.batch.Limit(), tc.want)
		}
	}
}

// A detached port whose sources were forgotten on a poller moves nothing, and
// teaches nothing to who has its index now.
func TestDetachedSourceIsDead(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	if err := w.s.Detach(w.p[0]); err != nil {
		t.Fatal(err)
	}
	w.send(0, frame(broadcast, station(1), 60, 1))
	if n := len(w.got(1)) + len(w.s.Addresses()); n != 0 {
		t.Error("a detached port still sends")
	}
}

// Counters survive their poller, and the shares of pollers add up.
func TestSharesOfPollers(t *testing.T) {
	w := newNet(t, 1, small, Options{})
	other := w.s.NewPoller()
	b := newClient(t, small)
	p := b.join(w.s, other, "b")
	f := frame(broadcast, station(1), 60, 1)
	w.send(0, f)
	b.tx[0].frame(f)
	b.tx[0].publish()
	other.Poll()
	sum := p.Settled()
	for _, pl := range w.s.Pollers() {
		pl.Share(p, &sum)
	}
	if want := (Counters{Tx: Count{1, 60}, Rx: Count{1, 60}}); sum != want || p.Counters() != want {
		t.Errorf("shares add up to %+v, Counters %+v, want %+v", sum, p.Counters(), want)
	}
	other.Remove(p)
	w.s.ClosePoller(other)
	if c := p.Settled(); c.Tx.Frames != 1 {
		t.Errorf("settled after the poller closed: %+v, want its frame", c)
	}
	if c := p.Counters(); c.Tx.Frames != 1 || c.Rx.Frames != 1 {
		t.Errorf("counters after the poller closed: %+v", c)
	}
	w.send(0, f)
	if c := p.Counters(); c.Rx.Frames != 2 {
		t.Errorf("the remaining poller does not count: %+v", c)
	}
}

// What an lcore reserved and did not need, while another one reserved after it,
// arrives as empty frames, and the other's frames behind them (NC E.5.2).
func TestUnusedReservation(t *testing.T) {
	c := newClient(t, small)
	r := c.rx[0]
	r.Share()
	s := NewRxSink(r.Ring)
	start, got := r.Reserve(4)
	later, n := r.Reserve(2)
	r.Slots().Store(later, abi.MakeWord(r.first+later, 60, oneSlot))
	r.Slots().Store(later+1, abi.MakeWord(r.first+later+1, 61, oneSlot))
	if !r.Commit(later, n, n) || r.free() != 0 {
		t.Fatal("a later reservation was published before an earlier one")
	}
	r.Slots().Store(start, abi.MakeWord(r.first+start, 59, oneSlot))
	s.commit(start, got, 1)
	want := []int{59, 0, 0, 0, 60, 61}
	for i, x := range r.readAll() {
		if len(x.data) != want[i] || x.flags != oneSlot {
			t.Errorf("slot %d: %d bytes, flags %#x; want %d bytes of a whole frame", i, len(x.data), x.flags, want[i])
		}
	}
	if r.head != 6 {
		t.Errorf("%d slots received, want 6", r.head)
	}
}

// Two senders on two lcores, one receiver on a ring of few slots: each flow
// arrives in order and unharmed, and every frame is accounted for (VAL-18).
func TestVAL18TwoPollersOneReceiver(t *testing.T) {
	const frames = 20000
	s := New("vale0", Options{Batch: 64})
	sh := shape{tx: 1, rx: 1, slots: 128, buf: 256}
	sink := newClient(t, shape{tx: 1, rx: 1, slots: 24, buf: 256})
	sink.rx[0].Share()
	sinkPort, err := s.Attach("sink", sink.sinks())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetStatic(station(99), sinkPort); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var left atomic.Int32
	var ports [2]*Port
	left.Store(2)
	for flow := range 2 {
		pl := s.NewPoller()
		c := newClient(t, sh)
		c.rx[0].Share()
		ports[flow] = c.join(s, pl, string(rune('a'+flow)))
		wg.Go(func() {
			defer left.Add(-1)
			r := c.tx[0]
			for seq := 0; seq < frames; {
				for r.free() >= 3 && seq < frames {
					// One to three slots; the flow, the number and the slot in each.
					n := 1 + seq%3
					f := frame(station(99), station(flow), 200, uint32(flow)<<24|uint32(seq))
					for k := range n {
						part := f[k*60:]
						if part = part[:60]; k > 0 {
							part = append([]byte{byte(k)}, part...)
						}
						r.put(part, moreFlag(k < n-1))
					}
					seq++
					if seq%17 == 0 {
						break
					}
				}
				r.publish()
				pl.Poll()
				runtime.Gosched()
			}
		})
	}
	next := [2]int{-1, -1}
	received, empty := 0, 0
	for {
		last := left.Load() == 0
		got := sink.rx[0].readAll()
		for len(got) > 0 {
			if got[0] == (slot{"", oneSlot}) {
				empty++ // reserved and not needed
				got = got[1:]
				continue
			}
			n := int(got[0].flags >> abi.NSFragShift)
			tag := binary.BigEndian.Uint32([]byte(got[0].data[14:]))
			flow, seq := int(tag>>24), int(tag&0xffffff)
			if n != 1+seq%3 || n > len(got) {
				t.Fatalf("flow %d, frame %d: %d slots, want %d", flow, seq, n, 1+seq%3)
			}
			f := frame(station(99), station(flow), 200, tag)
			for k := range n {
				want := string(f[k*60 : k*60+60])
				if k > 0 {
					want = string(rune(k)) + want
				}
				if got[k].data != want {
					t.Fatalf("flow %d, frame %d, slot %d is corrupt: %x", flow, seq, k, got[k].data)
				}
			}
			if seq <= next[flow] {
				t.Fatalf("flow %d: frame %d after %d", flow, seq, next[flow])
			}
			next[flow] = seq
			received++
			got = got[n:]
		}
		if last {
			break
		}
		runtime.Gosched()
	}
	wg.Wait()
	c := sinkPort.Counters()
	if c.Rx.Frames != uint64(received) {
		t.Errorf("%d frames counted, %d received", c.Rx.Frames, received)
	}
	sent := ports[0].Counters().Tx.Frames + ports[1].Counters().Tx.Frames
	if sent != 2*frames || sent != c.Rx.Frames+c.Drops[RingFull] {
		t.Errorf("sent %d, want %d = %d received + %d dropped", sent, 2*frames, c.Rx.Frames, c.Drops[RingFull])
	}
	t.Logf("%d received, %d dropped, %d empty slots", received, c.Drops[RingFull], empty)
}
