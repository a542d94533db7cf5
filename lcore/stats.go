package lcore

import "context"

// Stats are an lcore's counters since it was started, all taken between the same two polls. Cycles
// are those of [Cycles]; [TSCHz] turns them into seconds.
type Stats struct {
	Packets      uint64 // moved by the units
	Polls        uint64 // iterations of the loop
	BusyCycles   uint64 // of iterations that moved packets
	IdleCycles   uint64 // of those that did not, sleep excluded
	SleepCycles  uint64 // blocked in epoll
	Sleeps       uint64 // times it blocked
	Wakeups      uint64 // sleeps ended by a kick, a device or a command
	TimerWakeups uint64 // sleeps ended by the timer, on behalf of silent units
	Commands     uint64 // executed
	Panics       uint64 // units lost to a panic
	Units        int    // on the lcore now
	Silent       int    // of these, the ones that nothing wakes the lcore for

	Stages     [Stages]uint64 // cycles of each stage, of units that are Stagers, gone ones included; by samples
	PollCycles uint64         // the busy ones that are in no stage
}

// Stages is how many stages of a packet units tell apart, beside the polling itself.
const Stages = 4

// Stager is a Unit that says how many cycles each stage of its packets took so far: reading headers, finding destinations,
// copying, waking clients.
type Stager interface{ Stages() [Stages]uint64 }

// fold adds what a unit says of its stages.
func (s *Stats) fold(u Unit) {
	if st, ok := u.(Stager); ok {
		for i, n := range st.Stages() {
			s.Stages[i] += n
		}
	}
}

// rest is the busy cycles that are in no stage.
func (s *Stats) rest() uint64 {
	rest := s.BusyCycles
	for _, n := range s.Stages {
		rest -= min(rest, n)
	}
	return rest
}

// CyclesPerPacket returns the busy cycles per packet moved; 0 before the first packet.
func (s Stats) CyclesPerPacket() float64 {
	if s.Packets == 0 {
		return 0
	}
	return float64(s.BusyCycles) / float64(s.Packets)
}

// Stats returns the counters, taken by a command; its errors are those of Do.
func (l *Lcore) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := l.Do(ctx, func() {
		s = l.stats
		s.Units = len(l.units)
		for _, u := range l.units {
			if u.Silent() {
				s.Silent++
			}
			s.fold(u)
		}
		// A sample can make the rest smaller; what was reported once stays.
		l.stats.PollCycles = max(l.stats.PollCycles, s.rest())
		s.PollCycles = l.stats.PollCycles
	})
	if err != nil {
		return Stats{}, err
	}
	return s, nil
}
