package netmap

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// TestLegal compares the rule with the three cases of NC D.2, spelled out, for
// every combination of indices of small rings, wrapped and not, and some outside.
func TestLegal(t *testing.T) {
	table := func(head, cur, from, to, n uint32) bool {
		if head >= n || cur >= n { // the second is what NC D.2 recommends
			return false
		}
		switch {
		case to >= from:
			return from <= head && head <= to && head <= cur && cur <= to
		case head <= to:
			return head <= cur && cur <= to
		case head >= from:
			return cur >= head || cur <= to
		}
		return false
	}
	for _, n := range []uint32{2, 3, 5} {
		for from := range n {
			for to := range n {
				for head := range n + 2 {
					for cur := range n + 2 {
						if got, want := legal(head, cur, from, to, n), table(head, cur, from, to, n); got != want {
							t.Errorf("n=%d rhead=%d tail=%d head=%d cur=%d: legal is %v, NC D.2 says %v", n, from, to, head, cur, got, want)
						}
					}
				}
			}
		}
	}
	for _, wild := range []uint32{8, 1 << 31, 1<<32 - 1} {
		for _, c := range [][4]uint32{{wild, 0, 0, 7}, {0, wild, 0, 7}, {0, 0, wild, 7}, {0, 0, 0, wild}} {
			if legal(c[0], c[1], c[2], c[3], 8) {
				t.Errorf("head=%d cur=%d from=%d to=%d of 8 slots is legal", c[0], c[1], c[2], c[3])
			}
		}
	}
}

// lap moves all indices of ring 0 of a direction forward by k slots, so that
// cases run across the wrap too.
func (b *bench) lap(k uint32) {
	if len(b.tx) > 0 {
		b.txRings[0].Advance((b.txRings[0].Head() + k) % b.tx[0].n)
		b.tx[0].sync()
		b.consume(0)
		b.tx[0].sync()
	}
	if len(b.rx) > 0 {
		b.deliver(0, k, 60)
		b.rx[0].sync()
		b.rxRings[0].Advance((b.rxRings[0].Head() + k) % b.rx[0].n)
		b.rx[0].sync()
		b.drx[0].Release()
	}
}

func TestTxSync(t *testing.T) {
	const n = 8
	for start := range uint32(n) { // where head stands, so that all cases wrap somewhere
		at := func(i uint32) uint32 { return (start + i) % n }
		for _, c := range []struct {
			id        string
			head, cur uint32 // slots ahead of start; n and above stand for themselves
			bad       bool
			sent      uint32
		}{
			{"SYN-01 some slots", 3, 3, false, 3},
			{"SYN-02 nothing new", 0, 0, false, 0},
			{"SYN-04 all slots", 7, 7, false, 7},
			{"cur ahead of head", 2, 7, false, 2},
			{"cur at tail, nothing sent", 0, 7, false, 0},
			{"SYN-06 cur behind head", 3, 2, true, 0},
			{"SYN-07 head outside", n, 3, true, 0},
			{"SYN-07 head far outside", 1<<32 - 1, 0, true, 0},
			{"cur outside", 3, n, true, 0},
		} {
			t.Run(fmt.Sprintf("%s from %d", c.id, start), func(t *testing.T) {
				b := newBench(t, 1, 0, n)
				b.lap(start)
				r := b.txRings[0]
				set := func(v uint32) uint32 {
					if v < n {
						return at(v)
					}
					return v
				}
				r.SetHead(set(c.head))
				r.SetCur(set(c.cur))
				out := r.sync()
				if got := out&bad != 0; got != c.bad {
					t.Fatalf("bad: %v, want %v", got, c.bad)
				}
				if got := b.consume(0); got != c.sent {
					t.Errorf("daemon took %d slots, want %d", got, c.sent)
				}
				r.sync()
				if c.bad {
					if r.Head() != at(0) || r.Cur() != at(0) || r.Tail() != at(7) {
						t.Errorf("after re-initialisation head %d cur %d tail %d, want %d %d %d", r.Head(), r.Cur(), r.Tail(), at(0), at(0), at(7))
					}
				} else if r.Pending() { // SYN-03
					t.Errorf("all was taken, but head %d and tail %d say that some is pending", r.Head(), r.Tail())
				}
				// SYN-05: with legal values traffic resumes.
				r.Advance(at(c.sent + 1))
				if out := r.sync(); out&bad != 0 {
					t.Error("legal indices refused afterwards")
				}
				if got := b.consume(0); got != 1 {
					t.Errorf("daemon took %d slots afterwards, want 1", got)
				}
			})
		}
	}
}

// A head that passes tail is caught although the index itself is in the ring
// (SYN-05): the daemon has not taken anything yet.
func TestTxHeadPastTail(t *testing.T) {
	b := newBench(t, 1, 0, 8)
	r := b.txRings[0]
	r.Advance(5)
	r.sync() // published, not taken: tail stays 7
	r.Advance(0)
	if out := r.sync(); out&bad == 0 {
		t.Fatal("head past tail was accepted")
	}
	if r.Head() != 5 || r.Cur() != 5 || r.Tail() != 7 {
		t.Errorf("head %d cur %d tail %d, want 5 5 7: what was published stays published", r.Head(), r.Cur(), r.Tail())
	}
	if got := b.consume(0); got != 5 {
		t.Errorf("daemon took %d slots, want the 5 published ones", got)
	}
}

func TestRxSync(t *testing.T) {
	const n = 8
	for start := range uint32(n) {
		at := func(i uint32) uint32 { return (start + i) % n }
		for _, c := range []struct {
			id        string
			head, cur uint32
			bad       bool
		}{
			{"release none", 0, 0, false},
			{"release some", 3, 3, false},
			{"release all", 5, 5, false},
			{"SYN-11 cur ahead", 0, 5, false},
			{"SYN-13 head past tail", 6, 6, true},
			{"cur past tail", 3, 6, true},
			{"cur behind head", 3, 2, true},
			{"head outside", n + 1, 0, true},
		} {
			t.Run(fmt.Sprintf("%s from %d", c.id, start), func(t *testing.T) {
				b := newBench(t, 0, 1, n)
				b.lap(start)
				b.deliver(0, 5, 60)
				r := b.rxRings[0]
				r.sync()
				if r.Space() != 5 {
					t.Fatalf("%d frames, want 5", r.Space())
				}
				head := c.head
				if head < n {
					head = at(head)
				}
				r.SetHead(head)
				r.SetCur(at(c.cur))
				if got := r.sync()&bad != 0; got != c.bad {
					t.Fatalf("bad: %v, want %v", got, c.bad)
				}
				free := uint32(n - 1 - 5)
				if !c.bad {
					free += c.head
				}
				if got := b.drx[0].Release(); got != free {
					t.Errorf("daemon sees %d free slots, want %d", got, free)
				}
				if r.Tail() != at(5) {
					t.Errorf("tail %d, want %d", r.Tail(), at(5))
				}
			})
		}
	}
}

// SYN-11: held frames stay readable while new ones appear behind them; SYN-12: a
// ring full of held frames takes no more.
func TestRxHold(t *testing.T) {
	b := newBench(t, 0, 1, 8)
	r := b.rxRings[0]
	b.deliver(0, 3, 60)
	r.sync()
	first := r.Frame(0)
	r.SetCur(r.Tail())
	if got := b.deliver(0, 9, 61); got != 4 {
		t.Fatalf("%d frames went into a ring with 4 free slots", got)
	}
	r.sync()
	if r.Space() != 7 || len(r.Frame(0)) != 60 || &r.Frame(0)[0] != &first[0] || len(r.Frame(3)) != 61 {
		t.Errorf("space %d, slot 0 has %d bytes, slot 3 has %d", r.Space(), len(r.Frame(0)), len(r.Frame(3)))
	}
	tail := r.Tail()
	if got := b.deliver(0, 1, 60); got != 0 {
		t.Errorf("a full ring took %d frames", got)
	}
	r.sync()
	if r.Tail() != tail {
		t.Errorf("tail moved from %d to %d", tail, r.Tail())
	}
}

// SYN-08 and the tail of NC D.4: whatever the program writes there is repaired.
func TestTailRepair(t *testing.T) {
	for _, wrong := range []uint32{0, 3, 8, 1<<32 - 1} {
		b := newBench(t, 1, 1, 8)
		b.deliver(0, 2, 60)
		for i, r := range []*Ring{b.tx[0], b.rx[0]} {
			r.sync()
			want := r.Tail()
			r.ring.SetTail(wrong)
			if out := r.sync(); out != 0 || r.Tail() != want {
				t.Errorf("ring %d: tail %d was left %d, want %d; outcome %d", i, wrong, r.Tail(), want, out)
			}
		}
	}
}

// SYN-09, SYN-10: re-initialisation empties wrong slots and no others.
func TestReinitSlots(t *testing.T) {
	b := newBench(t, 1, 0, 8)
	r := b.txRings[0]
	last := b.region.bufs.Num()
	for i, w := range []abi.Word{
		abi.MakeWord(0, 60, 0), abi.MakeWord(1, 60, 0), abi.MakeWord(last, 60, 0), abi.MakeWord(1<<32-1, 60, 0x20),
		abi.MakeWord(last-1, benchBufSize+1, 0), abi.MakeWord(last-1, benchBufSize, 1),
	} {
		r.Slots().Store(uint32(i), w)
	}
	r.SetHead(99)
	if out := r.sync(); out&bad == 0 {
		t.Fatal("head 99 was accepted")
	}
	for i, want := range []abi.Word{
		0, 0, 0, abi.MakeWord(0, 0, 0x20),
		abi.MakeWord(last-1, 0, 0), abi.MakeWord(last-1, benchBufSize, 1),
	} {
		if got := r.Slots().Load(uint32(i)); got != want {
			t.Errorf("slot %d is %#x, want %#x", i, uint64(got), uint64(want))
		}
	}
}

// SYN-14: bad rings do not keep others from being synced, and the calls succeed.
func TestBadAmongOthers(t *testing.T) {
	b := newBench(t, 3, 3, 8)
	for i := range 3 {
		b.txRings[i].Advance(2)
		b.deliver(i, 2, 60)
	}
	b.txRings[1].SetHead(77)
	b.rxRings[1].SetHead(77)
	b.lcore(func() {
		for i := range 3 {
			b.consume(i)
		}
	})
	must(t, b.Flush(t.Context())) // one TxSync, unless the machine is busy for 10 ms
	must(t, b.RxSync())
	for i, want := range []uint32{2, 0, 2} {
		if got := b.txRings[i].Head(); got != want {
			t.Errorf("TX ring %d: head %d, want %d", i, got, want)
		}
		if b.txRings[i].Pending() {
			t.Errorf("TX ring %d is pending after TxSync", i)
		}
		if got := b.rxRings[i].Space(); got != 2 { // the RX sync is still done (NC D.4)
			t.Errorf("RX ring %d has %d frames, want 2", i, got)
		}
	}
	s := b.Stats()
	if s.Rings[1].Bad != 1 || s.Rings[4].Bad != 1 || s.Rings[0].Bad != 0 {
		t.Errorf("bad rings counted %+v", s.Rings)
	}
}

// SYN-16: every RX sync stamps, TX syncs do not.
func TestTimestamp(t *testing.T) {
	b := newBench(t, 1, 1, 8)
	before := time.Now().UnixMicro()
	must(t, b.RxSync())
	must(t, b.TxSync())
	sec, usec := b.rxRings[0].Timestamp()
	if ts := sec*1e6 + usec; ts < before || ts > time.Now().UnixMicro() || usec >= 1e6 {
		t.Errorf("RX stamp %d.%06d is not between %d and now", sec, usec, before)
	}
	if sec, usec := b.txRings[0].Timestamp(); sec != 0 || usec != 0 {
		t.Errorf("TX stamp %d.%06d, want none", sec, usec)
	}
}

// A sync that finds another one running leaves the ring alone (NC D.1).
func TestBusy(t *testing.T) {
	b := newBench(t, 1, 0, 8)
	r := b.txRings[0]
	r.Advance(2)
	r.blk.Enter(42)
	if out := r.sync(); out != skipped {
		t.Errorf("outcome %d, want skipped", out)
	}
	if r.blk.LoadHead() != 0 {
		t.Error("a skipped sync published")
	}
	r.blk.Leave()
	if out := r.sync(); out != 0 || r.blk.LoadHead() != 2 {
		t.Errorf("outcome %d, published %d, want 0 and 2", out, r.blk.LoadHead())
	}
}

// Whatever is written over the sync block, syncs stay inside the ring, and the
// ring works again when the daemon's line is as it was.
func TestScribbledBlock(t *testing.T) {
	wild := []uint32{0, 7, 8, 1 << 31, 1<<32 - 1}
	for _, w := range wild {
		t.Run(fmt.Sprint(w), func(t *testing.T) {
			b := newBench(t, 1, 0, 8)
			r := b.txRings[0]
			r.Advance(3)
			r.sync()
			b.consume(0)

			r.blk.SetLibrary(w, w, w)
			r.sync()
			r.blk.PublishDaemon(w, w)
			r.sync()
			if tail := r.Tail(); tail >= 8 {
				t.Errorf("tail %d of 8 slots", tail)
			}
			r.blk.PublishDaemon(b.dtx[0].HwCur(), b.dtx[0].HwTail())
			for range 3 {
				r.sync()
				b.consume(0) // the daemon's own check takes what is legal
			}
			h := r.Next(r.Head())
			r.Advance(h)
			r.sync()
			if b.consume(0) == 0 {
				t.Errorf("ring does not move any more: head %d, hwcur %d, state %d", r.Head(), b.dtx[0].HwCur(), r.blk.State())
			}
		})
	}
}

// A head that the daemon refused, published past the library, freezes the ring
// until a sync puts it right.
func TestFrozen(t *testing.T) {
	b := newBench(t, 1, 0, 8)
	r := b.txRings[0]
	r.blk.PublishClient(99, 99)
	b.consume(0)
	if r.blk.State() != abi.RingFrozen {
		t.Fatalf("state %d, want frozen", r.blk.State())
	}
	if re, err := b.PollTimeout(0, PollOut); re != PollErr || err != nil {
		t.Errorf("poll of a frozen ring: %v, %v; want POLLERR", re, err)
	}
	b.consume(0) // sees the legal head
	if re, err := b.PollTimeout(0, PollOut); re != PollOut || err != nil {
		t.Errorf("poll afterwards: %v, %v; want POLLOUT", re, err)
	}
	if s := b.Stats().Rings[0]; s.Refused != 1 || s.RefusedHead != 99 || s.RefusedCur != 99 {
		t.Errorf("reported %+v, want one refused head 99, cur 99", s)
	}
}

// Kicks are made only for a daemon that sleeps, once for all rings, and not by
// a sync that has nothing new for it.
func TestKick(t *testing.T) {
	b := newBench(t, 2, 1, 8)
	b.deliver(0, 4, 60)
	must(t, b.RxSync())
	b.txRings[0].Advance(1)
	b.tx[0].sync()
	if b.kicked() {
		t.Error("kick although the daemon is awake")
	}
	for _, r := range append(b.dtx, b.drx...) {
		r.Arm()
	}
	re, err := b.PollTimeout(0, PollOut)
	if b.kicked() || re != PollOut || err != nil {
		t.Errorf("nothing new: kicked, or %v, %v", re, err)
	}
	b.txRings[0].Advance(2)
	b.txRings[1].Advance(2)
	b.rxRings[0].Advance(2)
	if _, err := b.PollTimeout(0, PollIn|PollOut); err != nil || !b.kicked() || b.Stats().Kicks != 1 {
		t.Errorf("want one kick, had %d, error %v", b.Stats().Kicks, err)
	}
}

// TxSync returns when the core has taken what was published, whether it looks
// or sleeps, and gives up after a while when nobody takes anything.
func TestTxSyncWaits(t *testing.T) {
	t.Run("asleep", func(t *testing.T) {
		b := newBench(t, 1, 0, 8)
		r := b.txRings[0]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stop := b.lcore(func() { time.Sleep(200 * time.Microsecond); b.consume(0) })
		defer stop()
		for i := range uint32(100) {
			r.Advance(r.Next(r.Head()))
			must(t, b.Flush(ctx)) // one TxSync, unless the machine is busy for 10 ms
			if r.Pending() || r.Space() != 7 {
				t.Fatalf("round %d: head %d, tail %d after all was sent", i, r.Head(), r.Tail())
			}
		}
		if b.Stats().Waits == 0 {
			t.Error("never slept, though the lcore is idle for longer than TxSync looks")
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		b := newBench(t, 1, 0, 8)
		b.txRings[0].Advance(3)
		must(t, b.TxSync())
		if !b.txRings[0].Pending() {
			t.Error("sent without anybody taking it")
		}
	})
}

// EIO is sticky: a stopped ring does not keep the others from being synced.
func TestStoppedRing(t *testing.T) {
	b := newBench(t, 2, 2, 8)
	b.dtx[0].Stop()
	b.drx[0].Stop()
	b.lcore(func() { b.consume(1) })
	b.txRings[1].Advance(2)
	b.deliver(1, 2, 60)
	for again := true; again; again = b.txRings[1].Pending() { // once, unless the machine is busy for 10 ms
		if err := b.TxSync(); !errors.Is(err, unix.EIO) {
			t.Fatalf("TxSync: %v; want EIO and the other ring sent", err)
		}
	}
	if err := b.RxSync(); !errors.Is(err, unix.EIO) || b.rxRings[1].Space() != 2 {
		t.Errorf("RxSync: %v, %d frames; want EIO and 2", err, b.rxRings[1].Space())
	}
	if re, err := b.PollTimeout(0, PollIn); re != PollErr|PollIn || !errors.Is(err, unix.EIO) {
		t.Errorf("Poll: %v, %v", re, err)
	}
}

func TestClosedDesc(t *testing.T) {
	b := newBench(t, 1, 1, 8)
	b.closed.Store(true)
	for what, err := range map[string]error{"TxSync": b.TxSync(), "RxSync": b.RxSync()} {
		if !errors.Is(err, unix.ENXIO) {
			t.Errorf("%s of a closed descriptor: %v, want ENXIO", what, err)
		}
	}
}

// What the documentation promises: no allocation in syncs and in a poll that
// finds something ready.
func TestAllocations(t *testing.T) {
	b := newBench(t, 1, 1, 64)
	b.deliver(0, 1, 60)
	tx, rx := b.txRings[0], b.rxRings[0]
	for _, c := range []struct {
		what string
		f    func()
	}{
		{"sync", func() { tx.sync(); rx.sync() }},
		{"TxSync", func() { _ = b.TxSync() }},
		{"RxSync", func() { _ = b.RxSync() }},
		{"Poll", func() { _, _ = b.Poll(t.Context(), PollIn|PollOut) }},
		{"PollTimeout", func() { _, _ = b.PollTimeout(0, PollIn) }},
		{"Send and Recv", func() {
			tx.Send(make([]byte, 60))
			tx.sync()
			b.consume(0)
			b.deliver(0, 1, 60)
			rx.sync()
			rx.Recv(nil)
		}},
	} {
		if n := testing.AllocsPerRun(100, c.f); n != 0 {
			t.Errorf("%s allocates %v times", c.what, n)
		}
	}
}

// BenchmarkSync is the fixed cost of a sync when the daemon is awake: the goal is
// below 100 ns, of which this leaves out only the transfer of cache lines from
// another CPU.
func BenchmarkSync(bm *testing.B) {
	bm.Run("tx idle", func(bm *testing.B) {
		b := newBench(bm, 1, 0, 1024)
		for bm.Loop() {
			b.tx[0].sync()
		}
	})
	bm.Run("tx one slot", func(bm *testing.B) {
		b := newBench(bm, 1, 0, 1024)
		r := b.txRings[0]
		for bm.Loop() {
			r.Advance(r.Next(r.Head()))
			r.sync()
			b.consume(0)
		}
	})
	bm.Run("rx idle", func(bm *testing.B) {
		b := newBench(bm, 0, 1, 1024)
		for bm.Loop() {
			b.rx[0].sync()
		}
	})
	bm.Run("poll ready", func(bm *testing.B) {
		b := newBench(bm, 1, 1, 1024)
		b.deliver(0, 1, 60)
		for bm.Loop() {
			_, _ = b.PollTimeout(0, PollIn)
		}
	})
}
