package lcore

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNoWakeUpIsLost(t *testing.T) {
	// Spin at once, so that every round has a chance to meet the lcore between Arm and epoll_wait.
	for name, spin := range map[string]time.Duration{"sleeps at once": -1, "spins a little": 5 * time.Microsecond} {
		t.Run(name, func(t *testing.T) {
			l := start(t, Config{CPU: -1, Spin: spin})
			const boxes, rounds = 3, 4000
			var wg sync.WaitGroup
			var total int64
			all := make([]*mailbox, boxes)
			for i := range all {
				all[i] = newMailbox(t, l)
			}
			for i, m := range all {
				rng := rand.New(rand.NewPCG(1, uint64(i)))
				wg.Go(func() {
					for r := range rounds {
						m.post(t, 1)
						for range rng.IntN(300) { // let the lcore get to another place
							_ = Cycles()
						}
						if r%16 != 0 {
							continue
						}
						// A lost wake-up shows here: nobody else kicks this mailbox.
						for end := time.Now().Add(patience); m.posted.Load() != 0; time.Sleep(time.Microsecond) {
							if time.Now().After(end) {
								t.Errorf("mailbox %d: %d packets lie there, nobody comes", i, m.posted.Load())
								return
							}
						}
					}
				})
			}
			wg.Wait()
			for _, m := range all {
				eventually(t, "rest taken", func() bool { return m.posted.Load() == 0 })
			}
			must(t, l.Do(deadline(t), func() {}))
			for _, m := range all {
				total += m.taken.Load()
			}
			s := stats(t, l)
			if total != boxes*rounds || s.Packets != uint64(total) {
				t.Errorf("taken %d, counted %d, want %d", total, s.Packets, boxes*rounds)
			}
			if s.Sleeps == 0 || s.Wakeups == 0 || s.TimerWakeups != 0 {
				t.Errorf("sleeps %d, wake-ups %d, by timer %d: the test met no sleeping lcore", s.Sleeps, s.Wakeups, s.TimerWakeups)
			}
		})
	}
}

// TestWorkThatArrivesWhileTheLcoreGoesToSleep hits the moments that the stress above meets by chance: a
// neighbour armed before, or after, the mailbox brings the work. After that only silence.
func TestWorkThatArrivesWhileTheLcoreGoesToSleep(t *testing.T) {
	for name, neighbourFirst := range map[string]bool{"just before Arm": true, "between Arm and epoll_wait": false} {
		t.Run(name+": a packet", func(t *testing.T) {
			l := start(t, Config{CPU: -1, Spin: -1})
			var m *mailbox
			rounds := 100
			neighbour := &unit{arm: func() bool {
				if rounds > 0 && m != nil {
					rounds--
					m.post(t, 1)
				}
				return true
			}}
			if neighbourFirst {
				must(t, l.Add(deadline(t), neighbour))
			}
			box := newMailbox(t, l)
			if !neighbourFirst {
				must(t, l.Add(deadline(t), neighbour))
			}
			must(t, l.Do(deadline(t), func() { m = box }))
			eventually(t, "all packets taken", func() bool { return box.taken.Load() == 100 })
		})
	}
	t.Run("a command", func(t *testing.T) {
		l := start(t, Config{CPU: -1, Spin: -1})
		given := make(chan *command, 1)
		first := true
		must(t, l.Add(deadline(t), &unit{arm: func() bool {
			if !first {
				return true
			}
			first = false
			pushed := make(chan struct{})
			go func() {
				defer close(pushed)
				c, err := l.submit(func() {}) // no kick: the lcore is not marked asleep yet
				if err != nil {
					t.Error(err)
				}
				given <- c
			}()
			<-pushed
			return true
		}}))
		must(t, l.await(deadline(t), <-given))
	})
}

func TestNoCommandIsOverslept(t *testing.T) {
	l := start(t, Config{CPU: -1, Spin: -1})
	must(t, l.Add(deadline(t), &unit{}))
	for range 5000 {
		must(t, l.Do(deadline(t), func() {}))
	}
}

func TestSleepingLcoreDoesNotIterate(t *testing.T) {
	for name, units := range map[string][]Unit{
		"no unit": nil, "two units": {&unit{}, &unit{}},
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t, Config{CPU: -1})
			for _, u := range units {
				must(t, l.Add(deadline(t), u))
			}
			sleeping(t, l)
			before, _ := l.Progress()
			time.Sleep(50 * time.Millisecond) // a thousand times Spin
			after, asleep := l.Progress()
			if before != after || !asleep {
				t.Errorf("iterations went from %d to %d, asleep %v; want no iteration", before, after, asleep)
			}
		})
	}
}

func TestPollLcore(t *testing.T) {
	l := start(t, Config{CPU: -1, Mode: Poll})
	sleeping(t, l) // without a unit there is nothing to poll
	u := &unit{arm: func() bool { t.Error("Arm on an lcore that never sleeps"); return true }}
	must(t, l.Add(deadline(t), u))
	sleeps := stats(t, l).Sleeps
	eventually(t, "polls", func() bool { return u.polls.Load() > 100_000 })
	if s := stats(t, l); s.Sleeps != sleeps {
		t.Errorf("slept %d times with a unit", s.Sleeps-sleeps)
	}
}

func TestUnitThatRefusesKeepsTheLcoreAwake(t *testing.T) {
	l := start(t, Config{CPU: -1, Spin: -1})
	type count struct{ arms, disarms int }
	var refuser, neighbour count // plain: read in a command
	counting := func(c *count, agree bool) *unit {
		return &unit{arm: func() bool { c.arms++; return agree }, disarm: func() { c.disarms++ }}
	}
	must(t, l.Add(deadline(t), counting(&neighbour, true)))
	must(t, l.Add(deadline(t), counting(&refuser, false)))
	sleeps := stats(t, l).Sleeps
	eventually(t, "refusals", func() (enough bool) {
		must(t, l.Do(deadline(t), func() { enough = refuser.arms > 1000 }))
		return enough
	})
	must(t, l.Do(deadline(t), func() {
		if refuser.arms != refuser.disarms || neighbour.arms != neighbour.disarms {
			t.Errorf("arms and disarms differ while awake: %+v, %+v", refuser, neighbour)
		}
	}))
	if s := stats(t, l); s.Sleeps != sleeps {
		t.Errorf("slept %d times although a unit refused", s.Sleeps-sleeps)
	}
}

func TestSilentUnitIsPolledByTimer(t *testing.T) {
	l := start(t, Config{CPU: -1})
	u := &unit{silent: true}
	must(t, l.Add(deadline(t), u))
	before := u.polls.Load()
	eventually(t, "timed wake-ups", func() bool { return stats(t, l).TimerWakeups > 20 })
	if u.polls.Load() == before {
		t.Error("woke by timer but did not poll")
	}
	if s := stats(t, l); s.Silent != 1 || s.SleepCycles == 0 {
		t.Errorf("silent %d, sleep cycles %d; want 1 and some", s.Silent, s.SleepCycles)
	}
	must(t, l.Remove(deadline(t), u))
	sleeping(t, l)
	// Nothing is left to look at, so at most a timer that was under way still fires.
	now := stats(t, l).TimerWakeups
	time.Sleep(20 * time.Millisecond)
	if s := stats(t, l); s.TimerWakeups > now+1 {
		t.Errorf("%d timed wake-ups without a silent unit", s.TimerWakeups-now)
	}
}

func TestBackoffDoublesUntilItsLimitAndStartsAgain(t *testing.T) {
	l := newLcore(Config{MaxBackoff: 100 * time.Microsecond}.withDefaults())
	openForTest(t, l)
	moved := 0
	l.units = []Unit{&unit{silent: true, poll: func() int { return moved }}}
	var got []time.Duration
	for range 4 {
		got = append(got, time.Duration(l.backoff))
		l.quiet = 0 // long ago
		l.iterate()
	}
	moved = 1
	l.iterate()
	got = append(got, time.Duration(l.backoff))
	for i, want := range []time.Duration{20, 40, 80, 100, 20} {
		if got[i] != want*time.Microsecond {
			t.Errorf("sleep %d: %v, want %v", i, got[i], want*time.Microsecond)
		}
	}
	if l.stats.TimerWakeups != 4 || l.stats.Wakeups != 0 {
		t.Errorf("timed wake-ups %d, others %d; want 4, 0", l.stats.TimerWakeups, l.stats.Wakeups)
	}
}

// openForTest gives an lcore that the test itself drives its descriptors.
func openForTest(tb testing.TB, l *Lcore) {
	tb.Helper()
	fds, err := openFDs()
	must(tb, err)
	l.fds = fds
	tb.Cleanup(fds.close)
}

func TestUnwatchedDescriptorDoesNotWake(t *testing.T) {
	l := start(t, Config{CPU: -1})
	m := newMailbox(t, l)
	must(t, l.Unwatch(m.kickFD))
	sleeping(t, l)
	before, _ := l.Progress()
	m.post(t, 1)
	time.Sleep(20 * time.Millisecond)
	if after, _ := l.Progress(); after != before {
		t.Errorf("%d iterations after a kick on an unwatched descriptor", after-before)
	}
	if err := l.Unwatch(m.kickFD); err == nil {
		t.Error("Unwatch of an unwatched descriptor succeeded")
	}
	must(t, l.Watch(m.kickFD)) // readable already: wakes at once
	eventually(t, "packet taken", func() bool { return m.taken.Load() == 1 })
	if err := l.Watch(m.kickFD); err == nil {
		t.Error("Watch of a watched descriptor succeeded")
	}
}

func TestWatchOfADescriptorThatCannotWake(t *testing.T) {
	l := start(t, Config{CPU: -1})
	fd, err := unix.MemfdCreate("not pollable", unix.MFD_CLOEXEC)
	must(t, err)
	defer func() { _ = unix.Close(fd) }()
	if err := l.Watch(fd); err == nil {
		t.Error("Watch of a memfd succeeded")
	}
}

func TestCyclesOfAnIterationAreBusyOrIdle(t *testing.T) {
	l := start(t, Config{CPU: -1, Mode: Poll})
	busy := false
	u := &unit{poll: func() int {
		if busy {
			return 2
		}
		return 0
	}}
	must(t, l.Add(deadline(t), u))
	run := func(isBusy bool) (gain Stats) {
		before := stats(t, l)
		must(t, l.Do(context.Background(), func() { busy = isBusy }))
		polls := u.polls.Load()
		eventually(t, "polls", func() bool { return u.polls.Load() > polls+1000 })
		must(t, l.Do(context.Background(), func() { busy = false }))
		after := stats(t, l)
		return Stats{
			Packets: after.Packets - before.Packets, BusyCycles: after.BusyCycles - before.BusyCycles,
			IdleCycles: after.IdleCycles - before.IdleCycles,
		}
	}
	if g := run(false); g.Packets != 0 || g.BusyCycles != 0 || g.IdleCycles == 0 {
		t.Errorf("idle: %+v; want idle cycles only", g)
	}
	if g := run(true); g.Packets < 2000 || g.BusyCycles == 0 || g.CyclesPerPacket() == 0 {
		t.Errorf("busy: %+v; want packets and busy cycles", g)
	}
}
