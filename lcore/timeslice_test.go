package lcore

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"
)

// ownThread gives the test its thread for good, and processors as an lcore has them.
func ownThread(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("where Go counts time slices is known for amd64 only")
	}
	runtime.LockOSThread()
	n := runtime.GOMAXPROCS(int(running.Load()) + 3)
	t.Cleanup(func() { runtime.GOMAXPROCS(n) })
	collect := debug.SetGCPercent(-1) // the collector stops everybody
	t.Cleanup(func() { debug.SetGCPercent(collect) })
}

// A new release of Go may have the counter elsewhere. Then lcores are stopped as all goroutines are, and this says so.
func TestSliceIsFound(t *testing.T) {
	ownThread(t)
	if !findSlice() {
		t.Errorf("%s does not have the counter of time slices where lcores look for it: take the offsets in timeslice_amd64.s from its sources; found %+v", runtime.Version(), readSched())
	}
}

func TestSliceKeep(t *testing.T) {
	ownThread(t)
	const ms = 1000
	for _, c := range []struct {
		what  string
		known bool
		until uint64 // when the lcore gives way
		now   uint64 // in a slice that was looked after at 10 ms
		spare int64  // processors beside those of lcores
		want  uint32 // renewals
		next  uint64 // until, afterwards
	}{
		{what: "due", known: true, until: 100 * ms, now: 12 * ms, spare: 2, want: 1, next: 100 * ms},
		{what: "not due yet", known: true, until: 100 * ms, now: 12*ms - 1, spare: 2, next: 100 * ms},
		{what: "counter not found", until: 100 * ms, now: 12 * ms, spare: 2, next: 100 * ms},
		{what: "too few processors", known: true, until: 100 * ms, now: 12 * ms, spare: 1, next: 100 * ms},
		{what: "gives way", known: true, until: 11 * ms, now: 12 * ms, spare: 2, next: 11 * ms},
		{what: "gave way for long enough", known: true, until: 11 * ms, now: 37 * ms, spare: 2, next: 1037 * ms},
	} {
		t.Run(c.what, func(t *testing.T) {
			runtime.LockOSThread()
			s := slice{known: c.known, procs: running.Load() + c.spare, ms: ms, looked: 10 * ms, until: c.until}
			before := readSched()
			s.keep(c.now)
			after := readSched()
			if after.p != before.p {
				t.Skip("the test was moved to another processor meanwhile")
			}
			if n := after.tick - before.tick; n != c.want || s.until != c.next {
				t.Errorf("%d renewals, gives way at %d; want %d and %d", n, s.until, c.want, c.next)
			}
		})
	}
	t.Run("after a command", func(t *testing.T) {
		s := slice{known: true, ms: ms, until: 100 * ms}
		s.giveWay(10 * ms)
		if s.until != 10*ms {
			t.Errorf("gives way at %d", s.until)
		}
	})
}

// An lcore that polls keeps its thread running. Go's scheduler would stop it some fifty times in the second.
func TestPollingLcoreKeepsRunning(t *testing.T) {
	ownThread(t)
	l := start(t, Config{CPU: -1, Mode: Poll})
	must(t, l.Add(deadline(t), &unit{}))
	if !l.slice.known {
		t.Skip("the place of time slices is not known here")
	}
	switches := func() int {
		status, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", l.tid))
		must(t, err)
		n, err := strconv.Atoi(string(regexp.MustCompile(`\nvoluntary_ctxt_switches:\s*(\d+)`).FindSubmatch(status)[1]))
		must(t, err)
		return n
	}
	time.Sleep(2 * givesWayFor * time.Millisecond) // it gives way after a command
	before := switches()
	time.Sleep(givesWayEvery * time.Millisecond)
	// Once because it is time, and as often again as a slow machine may need for the second.
	if n := switches() - before; n > 5 {
		t.Errorf("the lcore's thread was put to sleep %d times", n)
	}
}
