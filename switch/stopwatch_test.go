package vale

import (
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
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
		rx.Block().ArmClient(abi.AskDescriptor)
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

// One frame to many who sleep: a process that looks at all its rings when it is woken is woken once.
func TestWakesOfOneProcess(t *testing.T) {
	const own, all = abi.AskDescriptor, abi.AskProcess
	type waiter struct{ process, ask uint32 }
	many := []waiter{}
	for i := range 16 { // twice what an lcore remembers
		many = append(many, waiter{uint32(i + 1), all})
	}
	for _, c := range []struct {
		what  string
		sleep []waiter
		want  int
	}{
		{"one process", []waiter{{7, all}, {7, all}, {7, all}}, 1},
		{"it did not say so", []waiter{{7, own}, {7, own}, {7, own}}, 3},
		{"not of one ring", []waiter{{7, own}, {7, all}, {7, all}}, 2},
		{"two processes", []waiter{{7, all}, {8, all}, {7, all}, {8, all}}, 2},
		{"several may wait for each ring", []waiter{{0, all}, {0, all}}, 2},
		{"who left", []waiter{{7, abi.AskOthers}, {7, all}}, 1},
		{"who left, and others may wait", []waiter{{0, abi.AskOthers}, {7, all}}, 2},
		{"something else", []waiter{{7, 4}, {7, 1 << 31}}, 2},
		{"more processes than are remembered", append(many, many...), 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newNet(t, 1+len(c.sleep), small, Options{})
			woken := 0
			first := map[uint32]bool{}
			var ask []func() bool
			for i, s := range c.sleep {
				ask = append(ask, sleeperOf(t, w.c[1+i].rx[0].Ring, s.process, s.ask))
			}
			w.send(0, frame(broadcast, station(0), 60, 0))
			for i, a := range ask {
				wasWoken := a()
				if wasWoken {
					woken++
					first[c.sleep[i].process] = true
				}
				if marked := w.c[1+i].rx[0].Block().ClientMark() != 0; marked == wasWoken {
					t.Errorf("receiver %d was woken: %v, and has its mark: %v", i, wasWoken, marked)
				}
			}
			for _, s := range c.sleep {
				if !first[s.process] {
					t.Errorf("nobody of process %d was woken", s.process)
				}
			}
			if c.want != 0 && woken != c.want {
				t.Errorf("%d were woken, want %d", woken, c.want)
			}
		})
	}
}
