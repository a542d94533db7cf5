package lcore

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// faults are the ways in which memory can vanish under a unit.
var faults = map[string]func(t *testing.T) (touch func()){
	"unmapped page": func(t *testing.T) func() {
		page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		must(t, err)
		must(t, unix.Munmap(page))
		return func() { page[0] = 1 }
	},
	"read-only page": func(t *testing.T) func() {
		page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
		must(t, err)
		t.Cleanup(func() { _ = unix.Munmap(page) })
		return func() { page[0] = 1 }
	},
	"truncated memfd (SIGBUS), in a copy": func(t *testing.T) func() {
		fd, err := unix.MemfdCreate("fault", unix.MFD_CLOEXEC)
		must(t, err)
		t.Cleanup(func() { _ = unix.Close(fd) })
		must(t, unix.Ftruncate(fd, int64(unix.Getpagesize())))
		page, err := unix.Mmap(fd, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(t, err)
		t.Cleanup(func() { _ = unix.Munmap(page) })
		must(t, unix.Ftruncate(fd, 0))
		var frame [256]byte
		return func() { copy(frame[:], page) }
	},
	"panic": func(*testing.T) func() { return func() { panic("boom") } },
	"panic(nil)": func(*testing.T) func() {
		return func() { panic(nil) }
	},
}

func TestPanickingUnitFailsAndTheOthersGoOn(t *testing.T) {
	for name, prepare := range faults {
		for _, method := range []string{"Poll", "Arm", "Disarm", "Poll and Fail"} {
			t.Run(name+" in "+method, func(t *testing.T) {
				touch := prepare(t)
				told := make(chan error, 1)
				l := start(t, Config{CPU: -1, OnPanic: func(_ *Lcore, err *PanicError) { told <- err }})
				before, after := newMailbox(t, l), (*mailbox)(nil)
				failed := make(chan error, 8)
				bad := &unit{fail: func(err error) { failed <- err }}
				switch method {
				case "Poll":
					bad.poll = func() int { touch(); return 0 }
				case "Arm":
					bad.arm = func() bool { touch(); return true }
				case "Disarm":
					bad.arm = func() bool { return false }
					bad.disarm = touch
				case "Poll and Fail":
					bad.poll = func() int { touch(); return 0 }
					bad.fail = func(err error) { failed <- err; panic("again") }
				}
				must(t, l.Add(deadline(t), bad))
				after = newMailbox(t, l)

				err := <-failed
				var p *PanicError
				if got := <-told; got != err { //nolint:errorlint // the same one
					t.Errorf("OnPanic got %v, Fail %v", got, err)
				}
				if !errors.As(err, &p) || !strings.Contains(string(p.Stack), "unit_test.go") {
					t.Errorf("Fail got %v, want a PanicError with the unit's stack", err)
				}
				if name != "panic" { // faults, and since Go 1.21 panic(nil)
					var runtimeErr runtime.Error
					if !errors.As(err, &runtimeErr) {
						t.Errorf("Fail got %v, want it to wrap a runtime.Error", err)
					}
				}
				// Asleep means that the neighbours have been armed again: their kicks must work.
				for range 3 {
					sleeping(t, l)
					before.post(t, 5)
					after.post(t, 7)
					eventually(t, "neighbours' packets", func() bool { return before.posted.Load()+after.posted.Load() == 0 })
				}
				s := stats(t, l)
				if s.Units != 2 || s.Panics != 1 || s.Packets != 36 || len(failed) != 0 {
					t.Errorf("units %d, panics %d, packets %d, more failures %d; want 2, 1, 36, 0", s.Units, s.Panics, s.Packets, len(failed))
				}
				if err := l.Remove(deadline(t), bad); !errors.Is(err, ErrNoUnit) {
					t.Errorf("removing the failed unit: %v, want ErrNoUnit", err)
				}
			})
		}
	}
}

func TestMarksAreTakenBackWhenANeighbourPanicsWhileArming(t *testing.T) {
	l := start(t, Config{CPU: -1, Spin: -1})
	var armed atomic.Int64 // Arm minus Disarm
	good := &unit{arm: func() bool { armed.Add(1); return true }, disarm: func() { armed.Add(-1) }}
	must(t, l.Add(deadline(t), good))
	must(t, l.Add(deadline(t), &unit{arm: func() bool { panic("boom") }}))
	eventually(t, "panic", func() bool { return stats(t, l).Panics == 1 })
	must(t, l.Do(deadline(t), func() {
		if n := armed.Load(); n != 0 {
			t.Errorf("unit is armed %d times while the lcore is awake", n)
		}
	}))
}

func TestEveryUnitMayFail(t *testing.T) {
	l := start(t, Config{CPU: -1})
	var failures atomic.Int64
	for range 20 {
		must(t, l.Add(deadline(t), &unit{
			poll: func() int { panic("boom") },
			fail: func(error) { failures.Add(1) },
		}))
	}
	eventually(t, "all units failed", func() bool { return failures.Load() == 20 })
	sleeping(t, l)
	if s := stats(t, l); s.Units != 0 || s.Panics != 20 {
		t.Errorf("units %d, panics %d; want 0, 20", s.Units, s.Panics)
	}
}

func TestAddTwiceAndRemoveUnknown(t *testing.T) {
	l := start(t, Config{CPU: -1})
	u := &unit{}
	must(t, l.Add(deadline(t), u))
	if err := l.Add(deadline(t), u); !errors.Is(err, ErrUnitExists) {
		t.Errorf("second Add: %v, want ErrUnitExists", err)
	}
	must(t, l.Remove(deadline(t), u))
	if err := l.Remove(deadline(t), u); !errors.Is(err, ErrNoUnit) {
		t.Errorf("second Remove: %v, want ErrNoUnit", err)
	}
	if s := stats(t, l); s.Units != 0 {
		t.Errorf("%d units, want 0", s.Units)
	}
}

func TestRemoveDuringTraffic(t *testing.T) {
	l := start(t, Config{CPU: -1})
	steady := &unit{poll: func() int { return 1 }}
	must(t, l.Add(deadline(t), steady))
	for range 50 {
		removed := false // plain: Remove orders it after the last call
		u := &unit{poll: func() int {
			if removed {
				t.Error("polled after Remove returned")
			}
			return 3
		}}
		must(t, l.Add(deadline(t), u))
		eventually(t, "traffic", func() bool { return u.polls.Load() > 10 })
		must(t, l.Remove(deadline(t), u))
		removed = true
		polls := u.polls.Load()
		must(t, l.Do(deadline(t), func() {})) // at least one more iteration
		must(t, l.Do(deadline(t), func() {}))
		if now := u.polls.Load(); now != polls {
			t.Fatalf("polled %d times after Remove returned", now-polls)
		}
	}
	if s := stats(t, l); s.Packets < uint64(steady.polls.Load())-1 || s.Units != 1 {
		t.Errorf("packets %d, units %d; want at least %d, 1", s.Packets, s.Units, steady.polls.Load())
	}
}

// stager is a unit with stages.
type stager struct {
	plainUnit
	cycles [Stages]uint64
}

func (s *stager) Stages() [Stages]uint64 { return s.cycles }

// The stages of a unit that was removed stay counted, and what is in no stage is polling.
func TestStages(t *testing.T) {
	l := start(t, Config{CPU: -1})
	ctx := deadline(t)
	a, b := &stager{cycles: [Stages]uint64{1, 2, 3, 4}}, &stager{cycles: [Stages]uint64{10, 20, 30, 40}}
	must(t, l.Add(ctx, a))
	must(t, l.Add(ctx, b))
	must(t, l.Do(ctx, func() { l.stats.BusyCycles = 1000 }))
	must(t, l.Remove(ctx, a))
	s, err := l.Stats(ctx)
	must(t, err)
	if want := [Stages]uint64{11, 22, 33, 44}; s.Stages != want || s.PollCycles != 890 {
		t.Errorf("stages %v and %d of polling, want %v and 890", s.Stages, s.PollCycles, want)
	}
	// What was said once is not taken back.
	must(t, l.Do(ctx, func() { b.cycles[0] += 100 }))
	if s, err = l.Stats(ctx); err != nil || s.Stages[0] != 111 || s.PollCycles != 890 {
		t.Errorf("after more stages: %v and %d of polling, %v", s.Stages, s.PollCycles, err)
	}
}
