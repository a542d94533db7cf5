package lcore

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Go's scheduler has a goroutine give way after 10 ms, whoever else there is. An lcore keeps its thread; so another one is
// woken to take over the lcore's processor, finds that only the lcore's may run what stands there, and wakes that one: 100 us
// and more in a virtual machine, 50 times a second, in which no packet moves (docs/performance.md).
//
// What the scheduler goes by is a counter in the processor (schedtick in runtime.p), which counts the goroutines that it
// started there: as long as that stands still, the same one is running. An lcore counts it on for itself,
// and has a time slice before it again. The collector still stops it, and a panic is still one.
//
// The counter is not part of Go's interface. Its place comes from the sources of one release, and is checked on the lcore's thread by what
// stands around it and by what the scheduler does to it. Where the check fails, lcores give way as before.

// In milliseconds.
const (
	sliceRenewal = 2
	// A goroutine that the lcore made ready to run, as that which gave a command, waits in the lcore's processor until another has
	// time for it or the lcore gives way. So it does that for a moment after commands, and now and then.
	givesWayEvery = 1000
	givesWayFor   = 25 // twice what the scheduler takes to notice
)

// running is how many lcores there are: each keeps one of Go's processors.
var running atomic.Int64

// slice is the lcore's share of its processor. It belongs to the lcore; times are cycles.
type slice struct {
	known  bool   // where the counter is
	procs  int64  // Go's processors
	ms     uint64 // a millisecond
	looked uint64 // when it was last looked after
	until  uint64 // from when on the lcore gives way
}

// newSlice is that of the calling goroutine, which keeps its thread.
func newSlice() slice {
	return slice{known: findSlice(), procs: int64(runtime.GOMAXPROCS(0)), ms: cyclesIn(time.Millisecond)}
}

// giveWay lets the scheduler stop the lcore soon.
func (s *slice) giveWay(now uint64) { s.until = now }

// keep renews the slice when that is due.
func (s *slice) keep(now uint64) {
	if now-s.looked < sliceRenewal*s.ms {
		return
	}
	s.looked = now
	switch {
	case !s.known || running.Load()+2 > s.procs:
	case int64(now-s.until) < 0:
		renewSlice()
	case now-s.until > givesWayFor*s.ms:
		s.until = now + givesWayEvery*s.ms
	}
}

// sched is what findSlice reads of the scheduler: addresses and counters of the calling thread.
type sched struct {
	g, m, curg, p, pm uint64 // the goroutine, its thread and what that runs, its processor and whose that is
	status, tick      uint32 // of the processor
}

// prunning is _Prunning in Go's runtime2.go.
const prunning = 1

// consistent says that the structures refer to each other as they should.
func (s *sched) consistent() bool {
	return s.g != 0 && s.curg == s.g && s.p != 0 && s.pm == s.m && s.status == prunning
}

// findSlice reports whether the counter of the calling thread's processor is where renewSlice looks for it.
func findSlice() (known bool) {
	defer func() {
		if recover() != nil { // SetPanicOnFault: what was taken for an address was none
			known = false
		}
	}()
	const enough = 3
	for seen, tries := 0, 0; seen < enough; tries++ {
		before, still, after := readSched(), readSched(), sched{}
		if !before.consistent() || still != before || tries == 10*enough {
			return false
		}
		runtime.Gosched()
		if after = readSched(); !after.consistent() {
			return false
		}
		if after.p != before.p {
			continue // another processor, whose counter is another
		}
		// Once for this goroutine, and for few others that were waiting there.
		if n := after.tick - before.tick; n == 0 || n > 1000 {
			return false
		}
		seen++
	}
	return true
}
