package netmap

import (
	"context"
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
)

// newBenches makes descriptors of one process.
func newBenches(tb testing.TB, n int) []*bench {
	tb.Helper()
	all := make([]*bench, n)
	for i := range all {
		all[i] = newBench(tb, 1, 1, 8)
		if i > 0 {
			all[i].session = all[0].session
			all[i].session.enlist(all[i].wake)
		}
	}
	return all
}

// asleep polls for a frame in the background, and returns once that sleeps.
func (b *bench) asleep(ctx context.Context) (result <-chan Events) {
	b.tb.Helper()
	out := make(chan Events, 1)
	before := b.waits.Load()
	go func() {
		re, _ := b.Poll(ctx, PollIn)
		out <- re
	}()
	for b.waits.Load() == before {
		time.Sleep(100 * time.Microsecond)
	}
	time.Sleep(time.Millisecond) // it counts first
	return out
}

// deliverQuietly delivers a frame and wakes nobody, as an lcore does that wakes the process by another descriptor.
func (b *bench) deliverQuietly() (ask uint32) {
	r := b.drx[0]
	start, got := r.Reserve(1)
	r.Publish(start, got, got)
	abi.Fence()
	return r.Block().ClientMark()
}

// Who sleeps is woken by what wakes the process, in each of the ways in which nobody may have waited for that.
func TestSleepersOfOneProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, c := range []struct {
		what string
		wake func(t *testing.T, a *bench) // a also sleeps, or did
	}{
		{"an event of another descriptor", func(t *testing.T, a *bench) {
			re := a.asleep(ctx)
			a.deliver(0, 1, 60)
			if got := <-re; got != PollIn {
				t.Errorf("poll with a frame: %#x", got)
			}
		}},
		{"somebody leaves whose mark was taken", func(t *testing.T, a *bench) {
			ctx, cancel := context.WithCancel(ctx)
			re := a.asleep(ctx)
			if ask := a.drx[0].Block().TakeClientMark(); ask != abi.AskProcess {
				t.Errorf("asked for %d", ask)
			}
			cancel()
			<-re
		}},
		{"a descriptor is closed", func(_ *testing.T, a *bench) { a.session.dismiss(a.wake) }},
		{"the event of a wait for TxSync", func(t *testing.T, a *bench) {
			a.txRings[0].Advance(2)
			time.AfterFunc(time.Millisecond, func() { a.consume(0) })
			if err := a.TxSync(); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			all := newBenches(t, 3)
			first, second := all[1].asleep(ctx), all[2].asleep(ctx)
			if ask := all[1].deliverQuietly(); ask != abi.AskProcess {
				t.Errorf("the first asked for %d, want %d", ask, abi.AskProcess)
			}
			c.wake(t, all[0])
			if re := <-first; re != PollIn {
				t.Errorf("poll: %#x, want %#x", re, PollIn)
			}
			select {
			case re := <-second:
				t.Errorf("who has no frame woke, with %#x", re)
			default:
			}
			all[2].deliver(0, 1, 60)
			<-second
		})
	}
}

// Who left is not to be woken, unless others of its descriptor sleep; and a process with a single descriptor does without all that.
func TestMarksOfSleepers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	alone := newBench(t, 0, 1, 8)
	alone.asleep(ctx)
	if ask := alone.drx[0].Block().ClientMark(); ask != abi.AskDescriptor {
		t.Errorf("alone in its process it asks for %d", ask)
	}
	b := newBenches(t, 2)[0]
	var sleep [2]<-chan Events
	var leave [2]func()
	for i := range sleep {
		var ctx context.Context
		ctx, leave[i] = context.WithCancel(t.Context())
		sleep[i] = b.asleep(ctx)
	}
	for i := range sleep { // lowered by the first: the second has nothing to add
		leave[i]()
		<-sleep[i]
		if ask := b.drx[0].Block().ClientMark(); ask != abi.AskDescriptor {
			t.Errorf("after %d of 2 left, the mark is %d, want %d", i+1, ask, abi.AskDescriptor)
		}
	}
	ctx, cancel = context.WithCancel(t.Context())
	re := b.asleep(ctx)
	cancel()
	<-re
	if ask := b.drx[0].Block().ClientMark(); ask != abi.AskOthers {
		t.Errorf("after the only one left, the mark is %d, want %d", ask, abi.AskOthers)
	}
	if n := len(b.session.sleepers); n != 0 {
		t.Errorf("%d are still listed", n)
	}
}

// A poll that slept before the process had a second descriptor is still woken after another poll of its descriptor came and went.
func TestSleeperFromBefore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := newBench(t, 0, 1, 8)
	first := b.asleep(ctx)
	w, _ := newTestWake(t)
	b.session.enlist(w)
	second, leave := context.WithCancel(ctx)
	re := b.asleep(second)
	leave()
	<-re
	b.deliver(0, 1, 60)
	if re := <-first; re != PollIn {
		t.Errorf("poll: %#x, want %#x", re, PollIn)
	}
}
