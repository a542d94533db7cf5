package vale

import (
	"testing"
	"time"
)

// TestStages runs a poller by a clock that advances by one at each look.
func TestStages(t *testing.T) {
	var now uint64
	w := newNet(t, 2, small, Options{Clock: func() uint64 { now++; return now }})
	turn := func() {
		w.send(0, frame(station(1), station(0), 60, 0))
		w.got(1)
	}
	for range sampled - 1 {
		turn()
	}
	if got := w.pl.Stages(); got != [NumStages]uint64{} || now != 0 {
		t.Errorf("before the first batch that is timed: %v, %d looks at the clock", got, now)
	}
	turn()
	if got, want := w.pl.Stages(), [NumStages]uint64{sampled, sampled, sampled, 0}; got != want {
		t.Errorf("after a timed batch: %v, want %v", got, want)
	}

	// A receiver that sleeps is woken, in a batch that is not timed and in one that is; the time goes to notify alone.
	rx := w.c[1].rx[0]
	woken := sleeper(t, rx.Ring)
	for range sampled {
		rx.Block().ArmClient()
		turn()
		if !woken() {
			t.Fatal("the sleeper sleeps on")
		}
	}
	if got, want := w.pl.Stages(), [NumStages]uint64{2 * sampled, 2 * sampled, 2 * sampled, sampled}; got != want {
		t.Errorf("with a sleeping receiver: %v, want %v", got, want)
	}
}

// What is timed by a real clock adds up to no more than the time that passed, but for what samples can tell.
func TestStagesAddUp(t *testing.T) {
	start := time.Now()
	w := newNet(t, 2, small, Options{Clock: func() uint64 { return uint64(time.Since(start)) }})
	for range 100 * sampled {
		w.send(0, frame(station(1), station(0), 60, 0))
		w.got(1)
	}
	if got := w.pl.Stages(); got[stageClassify] == 0 || got[stageForward] == 0 || got[stageCopy] == 0 || got[stageNotify] != 0 {
		t.Errorf("stages %v: want time in all but notify", got)
	}
}
