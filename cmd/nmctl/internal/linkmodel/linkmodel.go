// Package linkmodel says what a link does to the frames that enter it: how long
// one occupies it, how long it is under way, whether it is lost or held back.
// It knows no ports and reads no clock; times are durations since any start.
// The words that describe a link are those of netmap's tlem and nmreplay
// (NC F.5, F.6).
package linkmodel

import (
	"math"
	"math/rand/v2"
	"time"
)

// Rate is the bandwidth of a link; the zero value has no limit.
type Rate struct {
	Bits  float64 // a second, 0 for no limit
	Ether bool    // count preamble, gap and CRC too
}

// framing are preamble, start, gap and CRC: 160 + 32 bits.
const framing = 24

// Busy is how long a frame of so many bytes occupies the link.
func (r Rate) Busy(bytes int) time.Duration {
	if r.Bits == 0 {
		return 0
	}
	if r.Ether {
		bytes += framing
	}
	return time.Duration(math.Round(float64(bytes) * 8 * 1e9 / r.Bits))
}

// Delay is how long frames are under way beside that.
type Delay struct {
	Kind     string        // Constant, Uniform, Exponential; "" is none
	Min, Max time.Duration // Max: of Uniform; the mean of Exponential
}

// Kinds of Delay.
const (
	Constant    = "constant"
	Uniform     = "uniform"
	Exponential = "exp"
)

// Draw is the delay of the next frame.
func (d Delay) Draw(r *rand.Rand) time.Duration {
	switch d.Kind {
	case Uniform:
		return d.Min + time.Duration(r.Float64()*float64(d.Max-d.Min))
	case Exponential:
		return d.Min + time.Duration(r.ExpFloat64()*float64(d.Max-d.Min))
	}
	return d.Min
}

// Loss is the part of frames, or of bits, that arrive wrong.
type Loss struct {
	Rate float64 // 0 to 1
	Bits bool
}

// Lost draws whether a frame of so many bytes is lost.
func (l Loss) Lost(r *rand.Rand, bytes int) bool {
	if l.Rate == 0 {
		return false
	}
	p := l.Rate
	if l.Bits { // one wrong bit spoils the frame
		p = -math.Expm1(float64(bytes) * 8 * math.Log1p(-l.Rate))
	}
	return r.Float64() < p
}

// Hold reorders: a part of the frames is held back for some time, while others
// pass.
type Hold struct {
	Rate float64 // 0 to 1
	Time time.Duration
}

// Link is one direction.
type Link struct {
	Rate  Rate
	Delay Delay
	Loss  Loss
	Hold  Hold
	Queue uint64 // bytes that wait for their turn at most, 0 for no limit
}

// Transparent reports whether frames pass unchanged and at once.
func (l *Link) Transparent() bool {
	return l.Rate.Bits == 0 && l.Delay == Delay{} && l.Loss.Rate == 0 && l.Hold.Rate == 0
}

// Fate is what becomes of a frame.
type Fate int

// Fates.
const (
	Passes Fate = iota
	Held        // reordered: others may come before it
	Lost        // by chance
	Full        // the queue had no room
)

// A Schedule applies a link to one frame after the other.
type Schedule struct {
	link *Link
	rand *rand.Rand
	free time.Duration // when the link is free again
	last time.Duration // when the last frame arrives
	// The frames in the queue: until when, and how many bytes.
	queue  []waiting
	first  int
	queued uint64
}

type waiting struct {
	until time.Duration
	bytes uint64
}

// NewSchedule starts with an empty link. The source of chance is the caller's.
func NewSchedule(l *Link, r *rand.Rand) *Schedule { return &Schedule{link: l, rand: r} }

// Frame takes in a frame and says when it comes out. Frames come out in the
// order they came in, but for those that are held. A frame that is lost
// occupies the link like others; one that finds the queue full does not.
func (s *Schedule) Frame(now time.Duration, bytes int) (at time.Duration, fate Fate) {
	l := s.link
	if l.Queue > 0 && l.Rate.Bits > 0 && !s.enqueue(now, uint64(bytes)) {
		return 0, Full
	}
	s.free = max(s.free, now) + l.Rate.Busy(bytes)
	if n := len(s.queue); n > s.first {
		s.queue[n-1].until = s.free
	}
	if l.Loss.Lost(s.rand, bytes) {
		return 0, Lost
	}
	at = s.free + l.Delay.Draw(s.rand)
	if l.Hold.Rate > 0 && s.rand.Float64() < l.Hold.Rate {
		return at + l.Hold.Time, Held
	}
	s.last = max(s.last, at) // never before the one in front
	return s.last, Passes
}

// enqueue makes sure that there is room, after what has left by now.
func (s *Schedule) enqueue(now time.Duration, bytes uint64) bool {
	for s.first < len(s.queue) && s.queue[s.first].until <= now {
		s.queued -= s.queue[s.first].bytes
		s.first++
	}
	if s.first == len(s.queue) {
		s.queue, s.first = s.queue[:0], 0
	} else if s.first > 1024 && s.first > len(s.queue)/2 {
		s.queue = s.queue[:copy(s.queue, s.queue[s.first:])]
		s.first = 0
	}
	if s.queued+bytes > s.link.Queue {
		return false
	}
	s.queued += bytes
	s.queue = append(s.queue, waiting{bytes: bytes})
	return true
}
