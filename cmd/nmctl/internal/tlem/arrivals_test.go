package tlem

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/linkmodel"
)

func TestArrivals(t *testing.T) {
	var a arrivals
	take := func(slots uint32, want time.Duration) {
		t.Helper()
		if got := a.take(slots); got != want {
			t.Errorf("a frame came at %v, want %v", got, want)
		}
	}
	a.look(10*ms, 0)
	a.look(20*ms, 1) // one alone came when it was found
	take(1, 20*ms)
	a.look(28*ms, 4) // the others evenly since then
	take(1, 22*ms)
	take(2, 26*ms)
	a.look(30*ms, 4) // of which one is left, and three are new
	take(1, 27*ms)
	take(3, 30*ms)
	a.idle(70 * ms) // a sleep that a frame ended
	a.look(70*ms, 2)
	take(1, 70*ms)
	take(1, 70*ms)
	a.idle(60 * ms) // never back
	a.look(71*ms, 2)
	take(1, 70*ms+ms/2)
	take(9, 71*ms) // of a ring that somebody wrote over
}

// A link that is kept from its CPU for longer than its queue lasts makes up for it, as long as
// frames wait in front of it.
func TestLateLooksCostNoBandwidth(t *testing.T) {
	const ring, size, burst, length = 1023, 60, 128, time.Second
	link := linkmodel.Link{Rate: linkmodel.Rate{Bits: 100e6}, Queue: 50e3}
	for _, pause := range []time.Duration{0, ms, 5 * ms, 8 * ms} {
		s, l := linkmodel.NewSchedule(&link, rand.New(rand.NewPCG(1, 2))), newLine()
		var a arrivals
		waiting, sent := uint32(ring), 0
		for now, n := time.Duration(0), 0; now < length; n++ {
			a.look(now, waiting)
			for range min(burst, waiting) {
				if at, fate := s.Frame(a.take(1), size); fate == linkmodel.Passes {
					l.put(at, false, make([]byte, size))
				}
				waiting--
			}
			for _, ok := l.due(now); ok; _, ok = l.due(now) {
				l.done()
				sent++
			}
			waiting = ring // the sender does not wait
			now += 20 * time.Microsecond
			if n%100 == 99 { // now somebody else has the CPU
				now += pause
			}
		}
		if want := int(length / link.Rate.Busy(size)); sent < want*99/100 || sent > want {
			t.Errorf("with pauses of %v: %d frames, want %d", pause, sent, want)
		}
	}
}
