package tlem

import "time"

// arrivals says when frames came of which only looks are known. What a look finds
// came between the time up to which all had been taken and now: evenly, the last one
// right now. So a look that comes late, since somebody else had the CPU, does
// not make the link one that was idle meanwhile: its bandwidth is caught up, as far as
// the ring before it holds frames. One frame alone came when it was found.
type arrivals struct {
	seen, now time.Duration // up to seen all that came was taken
	waiting   uint32        // slots that the look found and nobody has taken
}

// look begins a look that finds a number of slots, those that the last one left included.
func (a *arrivals) look(now time.Duration, waiting uint32) {
	a.now, a.waiting = now, waiting
	if waiting == 0 {
		a.seen = now
	}
}

// take is when the frame in the next slots came.
func (a *arrivals) take(slots uint32) time.Duration {
	if slots >= a.waiting {
		a.seen, a.waiting = a.now, 0
		return a.now
	}
	a.seen += (a.now - a.seen) * time.Duration(slots) / time.Duration(a.waiting)
	a.waiting -= slots
	return a.seen
}

// idle says that nothing had come until then.
func (a *arrivals) idle(until time.Duration) { a.seen = max(a.seen, until) }
