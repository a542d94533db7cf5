package ring

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

func newRx(tb testing.TB, n uint32, shared bool) *Ring {
	r := newRing(tb, abi.DirRx, n, Indices{})
	if shared {
		r.Share()
	}
	return r
}

// both runs a test on a ring of one lcore and on one of several.
func both(t *testing.T, n uint32, f func(t *testing.T, r *Ring)) {
	t.Run("one lcore", func(t *testing.T) { f(t, newRx(t, n, false)) })
	t.Run("shared", func(t *testing.T) { f(t, newRx(t, n, true)) })
}

func TestReserveAndCommit(t *testing.T) {
	both(t, 8, func(t *testing.T, r *Ring) {
		tail := uint32(0)
		for step := range 40 {
			want := uint32(step)%5 + 1
			start, got := r.Reserve(want)
			if start != tail || got != want {
				t.Fatalf("step %d: %d reserved from %d, want %d from %d", step, got, start, want, tail)
			}
			if d := daemon(r); d[1] != tail {
				t.Fatalf("step %d: hwtail %d before the commit, want %d", step, d[1], tail)
			}
			if !r.Commit(start, got, got) {
				t.Fatalf("step %d: refused", step)
			}
			tail = (tail + want) % 8
			if d := daemon(r); d[1] != tail {
				t.Fatalf("step %d: hwtail %d, want %d", step, d[1], tail)
			}
			head(r, tail)
		}
	})
}

func TestReserveStopsAtTheClientsSlots(t *testing.T) {
	both(t, 8, func(t *testing.T, r *Ring) {
		start, got := r.Reserve(100)
		if got != 7 {
			t.Fatalf("%d slots reserved of an empty ring of 8, want 7", got)
		}
		r.Commit(start, got, got)
		if _, got := r.Reserve(1); got != 0 {
			t.Error("a full ring gave a slot")
		}
		if !r.Commit(7, 0, 0) {
			t.Error("an empty commit was refused")
		}
		if free := r.Release(); free != 0 {
			t.Errorf("%d free slots, want none", free)
		}
		head(r, 3)
		if free := r.Release(); free != 3 {
			t.Errorf("%d free slots after three were read, want 3", free)
		}
		if start, got := r.Reserve(100); start != 7 || got != 3 {
			t.Errorf("%d reserved from %d, want 3 from 7", got, start)
		}
	})
}

// The newest reservation gives back what it did not need.
func TestUnusedSlotsGoBack(t *testing.T) {
	both(t, 8, func(t *testing.T, r *Ring) {
		for _, used := range []uint32{2, 0} {
			before := daemon(r)[1]
			start, got := r.Reserve(5)
			if !r.Commit(start, got, used) {
				t.Fatal("refused")
			}
			if d := daemon(r); d[1] != before+used {
				t.Errorf("hwtail %d, want %d", d[1], before+used)
			}
		}
		if start, got := r.Reserve(10); start != 2 || got != 5 {
			t.Errorf("%d reserved from %d, want 5 from 2", got, start)
		}
	})
}

// Publication is in the order of reservation, whoever is ready first (NC E.5.2).
func TestPublicationOrder(t *testing.T) {
	r := newRx(t, 16, true)
	var start, got [4]uint32
	for i := range start {
		start[i], got[i] = r.Reserve(uint32(i + 1)) // at 0, 1, 3, 6
	}
	for _, step := range []struct{ commit, tail uint32 }{{2, 0}, {1, 0}, {0, 6}, {3, 10}} {
		if !r.Commit(start[step.commit], got[step.commit], got[step.commit]) {
			t.Fatalf("commit %d refused", step.commit)
		}
		if d := daemon(r); d[1] != step.tail {
			t.Errorf("after commit %d: hwtail %d, want %d", step.commit, d[1], step.tail)
		}
	}
}

func TestUnusedSlotsOfAnOlderReservation(t *testing.T) {
	r := newRx(t, 16, true)
	s1, g1 := r.Reserve(4)
	s2, g2 := r.Reserve(2)
	if r.Commit(s1, g1, 1) {
		t.Fatal("slots before a later reservation went back")
	}
	if d := daemon(r); d[1] != 0 {
		t.Fatalf("a refused commit published up to %d", d[1])
	}
	r.Commit(s1, g1, g1)
	r.Commit(s2, g2, g2)
	if d := daemon(r); d[1] != 6 {
		t.Errorf("hwtail %d, want 6", d[1])
	}
}

// Several lcores deliver to one ring while its reader reads: no hole is ever
// seen, no slot is lost or read twice, and each writer's slots are in order.
func TestConcurrentLeases(t *testing.T) {
	const writers, each = 3, 10000
	for _, num := range []uint32{5, 64} {
		r := newRx(t, num, true)
		var wg sync.WaitGroup
		var left atomic.Int32
		left.Store(writers)
		for w := range uint32(writers) {
			wg.Go(func() {
				defer left.Add(-1)
				for seq := uint32(0); seq < each; {
					start, got := r.Reserve(1 + seq%4)
					used := min(got, each-seq)
					if got > 1 && seq%5 == 0 {
						used = min(used, got-1)
					}
					for k := range got {
						word := abi.Word(0) // an empty frame
						if k < used {
							word = abi.MakeWord(w<<24|(seq+k), 1, 0)
						}
						r.Slots().Store(r.Advance(start, k), word)
					}
					if !r.Commit(start, got, used) {
						r.Commit(start, got, got)
					}
					if seq += used; got == 0 {
						runtime.Gosched()
					}
				}
			})
		}
		var next [writers]uint32
		at := uint32(0)
		for {
			last := left.Load() == 0
			_, tail := r.Block().LoadDaemon()
			for ; at != tail; at = r.Advance(at, 1) {
				word := r.Slots().Load(at)
				r.Slots().Store(at, ^abi.Word(0)) // a hole, should anybody see it again
				if word == 0 {
					continue
				}
				if w := word.Idx() >> 24; w >= writers || word.Idx()&0xffffff != next[w] {
					t.Fatalf("%d slots: slot %d holds %#x, expected numbers are %v", num, at, word, next)
				}
				next[word.Idx()>>24]++
			}
			head(r, at)
			if last {
				break
			}
			runtime.Gosched()
		}
		wg.Wait()
		if next != [writers]uint32{each, each, each} {
			t.Errorf("%d slots: received %v of each writer, want %d", num, next, each)
		}
	}
}

// A client that scribbles on its side of the sync block while lcores deliver
// harms nobody: the indices stay in the ring and everything ends.
func TestConcurrentLeasesWithHostileHeads(t *testing.T) {
	r := newRx(t, 64, true)
	stop := make(chan struct{})
	var scribbler, wg sync.WaitGroup
	scribbler.Go(func() {
		for h := uint32(1); ; h = h*1664525 + 1013904223 {
			select {
			case <-stop:
				return
			default:
				r.Block().PublishClient(h>>8%100, h)
				runtime.Gosched()
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			for range 10000 {
				start, got := r.Reserve(3)
				if start >= 64 || got > 3 {
					t.Errorf("%d slots reserved from %d", got, start)
					return
				}
				r.Commit(start, got, got)
			}
		})
	}
	wg.Wait()
	close(stop)
	scribbler.Wait()
	if d := daemon(r); d[0] >= 64 || d[1] >= 64 || d[1] != r.HwTail() {
		t.Errorf("hwcur and hwtail %v", d)
	}
	if free := r.Release(); free > 63 {
		t.Errorf("%d free slots in a ring of 64", free)
	}
}
