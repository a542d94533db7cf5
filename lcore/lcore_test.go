package lcore

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestThreadIsPinnedRegisteredAndDiesPinned(t *testing.T) {
	cpus := allowedCPUs()
	cpu := cpus[len(cpus)-1]
	var registered, unregistered int
	l := start(t, Config{ID: 12, CPU: cpu, Register: func() (func(), error) {
		registered = unix.Gettid()
		return func() { unregistered = unix.Gettid() }, nil
	}})
	var tid int
	var affinity []int
	must(t, l.Do(deadline(t), func() { tid, affinity = unix.Gettid(), allowedCPUs() }))
	if !slices.Equal(affinity, []int{cpu}) {
		t.Errorf("the lcore runs on CPUs %v, want %d only", affinity, cpu)
	}
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/comm", tid)); err == nil && strings.TrimSpace(string(comm)) != "lcore-12" {
		t.Errorf("the thread is named %q, want lcore-12", comm)
	}
	if l.ID() != 12 || l.CPU() != cpu || l.Mode() != Adaptive {
		t.Errorf("ID %d, CPU %d, mode %v", l.ID(), l.CPU(), l.Mode())
	}
	must(t, l.Stop(deadline(t)))
	if registered != tid || unregistered != tid {
		t.Errorf("registered on thread %d, unregistered on %d, want both on %d", registered, unregistered, tid)
	}
	if tid != unix.Getpid() { // Go keeps the main thread, parked
		eventually(t, "the pinned thread is gone", func() bool {
			_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
			return errors.Is(err, os.ErrNotExist)
		})
	}
	if got := allowedCPUs(); !slices.Equal(got, cpus) {
		t.Errorf("the test's own thread may use CPUs %v, want %v as before", got, cpus)
	}
}

func TestStartRefuses(t *testing.T) {
	refused := errors.New("no more DPDK threads")
	for _, tc := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"CPU that does not exist", Config{ID: 3, CPU: 1000}, "lcore 3: pin thread to CPU 1000: invalid argument; this process may use CPUs ["},
		{"CPU beyond the mask", Config{CPU: 1 << 20}, "pin thread to CPU 1048576"},
		{"mode", Config{CPU: -1, Mode: 9}, "mode 9 is unknown"},
		{"negative duration", Config{CPU: -1, MaxBackoff: -1}, "MaxBackoff is -1ns"},
		{"registration", Config{CPU: -1, Register: func() (func(), error) { return nil, refused }}, "register thread: no more DPDK threads"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := openFDCount(t)
			l, err := Start(tc.cfg)
			if err == nil || l != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Start: %v, want an error with %q", err, tc.want)
			}
			if after := openFDCount(t); after != before {
				t.Errorf("%d descriptors open, before %d", after, before)
			}
		})
	}
}

// openFDCount returns the number of open descriptors.
func openFDCount(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("cannot count descriptors: %v", err)
	}
	return len(entries)
}

func TestStartAndStopLeakNothing(t *testing.T) {
	cycle := func() {
		l, err := Start(Config{CPU: -1})
		must(t, err)
		must(t, l.Do(deadline(t), func() {}))
		must(t, l.Stop(deadline(t)))
	}
	cycle()
	fds, goroutines := openFDCount(t), runtime.NumGoroutine()
	for range 100 {
		cycle()
	}
	if now := openFDCount(t); now != fds {
		t.Errorf("%d descriptors open, %d before", now, fds)
	}
	eventually(t, "goroutines ended", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestUnitThatEndsTheGoroutineLeavesNobodyWaiting(t *testing.T) {
	l := start(t, Config{CPU: -1})
	must(t, l.Add(deadline(t), &unit{poll: func() int { runtime.Goexit(); return 0 }}))
	must(t, l.ended(deadline(t)))
	if err := l.Do(deadline(t), func() {}); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
}

// TestTheLoopAllocatesNothing drives the loop itself, because testing.AllocsPerRun counts for one goroutine at a time.
func TestTheLoopAllocatesNothing(t *testing.T) {
	idle := func() int { return 0 }
	for _, tc := range []struct {
		name  string
		cfg   Config
		units []Unit
	}{
		{"idle units", Config{Mode: Poll}, []Unit{&unit{poll: idle}, &unit{poll: idle}}},
		{"busy units", Config{}, []Unit{&unit{poll: func() int { return 32 }}, &unit{poll: idle}}},
		{"refusing unit", Config{Spin: -1}, []Unit{&unit{arm: func() bool { return false }}}},
		{"sleeping by timer", Config{Spin: -1}, []Unit{&unit{silent: true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLcore(tc.cfg.withDefaults())
			openForTest(t, l)
			l.units = tc.units
			if n := testing.AllocsPerRun(200, l.iterate); n != 0 {
				t.Errorf("%v allocations per iteration, want 0", n)
			}
			if l.stats.Polls < 200 {
				t.Errorf("only %d iterations", l.stats.Polls)
			}
		})
	}
}

// TestTheCollectorDoesNotWaitForLcores collects while one lcore polls and another one sleeps.
func TestTheCollectorDoesNotWaitForLcores(t *testing.T) {
	asleep, polling := start(t, Config{CPU: -1}), start(t, Config{CPU: -1, Mode: Poll})
	must(t, polling.Add(deadline(t), &unit{}))
	sleeping(t, asleep)
	for range 5 {
		runtime.GC() // hangs, if an lcore cannot be stopped
	}
	if _, still := asleep.Progress(); !still {
		t.Error("the collector woke a sleeping lcore")
	}
}

func TestModeText(t *testing.T) {
	for _, want := range []Mode{Adaptive, Poll} {
		text, err := want.MarshalText()
		must(t, err)
		var got Mode
		must(t, got.UnmarshalText(text))
		if got != want {
			t.Errorf("%s read back as %v", text, got)
		}
	}
	var m Mode
	if err := m.UnmarshalText([]byte("lazy")); err == nil || !strings.Contains(err.Error(), `"lazy"`) {
		t.Errorf("got %v, want an error that names the word", err)
	}
	if got := Mode(7).String(); got != "Mode(7)" {
		t.Errorf("unknown mode prints as %q", got)
	}
}

func TestCyclesCountAtTSCHz(t *testing.T) {
	hz := TSCHz()
	if hz < 1e6 || hz > 1e11 {
		t.Fatalf("TSCHz %d is no frequency of a cycle counter", hz)
	}
	if again := TSCHz(); again != hz {
		t.Errorf("TSCHz %d, then %d", hz, again)
	}
	a := readTSC()
	time.Sleep(10 * time.Millisecond)
	b := readTSC()
	// Two readings taken together, so that a late wake-up does not matter.
	seconds := float64(b.cycles-a.cycles) / float64(hz)
	if clock := b.at.Sub(a.at).Seconds(); seconds < clock*0.99 || seconds > clock*1.01 {
		t.Errorf("%v s by cycles, %v s by the clock", seconds, clock)
	}
}
