package vale

import (
	"fmt"
	"time"
)

// PortOptions is what an operator decides about a port of a switch. The zero
// value is what netmap does.
type PortOptions struct {
	NoLearning bool // addresses of frames from this port are not learned
	FloodLimit int  // frames a second from this port that may be flooded; 0: any number
}

// Configure changes the options of a port while frames go on.
func (s *Switch) Configure(p *Port, o PortOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.has(p):
		return fmt.Errorf("configure %q on switch %q: %w", p.name, s.name, ErrNoPort)
	case o.FloodLimit < 0:
		return fmt.Errorf("configure %q on switch %q: the flood limit is %d frames a second, expected 0 or more", p.name, s.name, o.FloodLimit)
	}
	p.opt, p.floods = o, nil
	for _, pl := range s.pollers {
		p.limitFloods(pl)
	}
	s.publish()
	return nil
}

// Options of the port.
func (p *Port) Options() PortOptions {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return p.opt
}

// limitFloods gives a poller its bucket, if there is a limit. A port sends from
// one lcore, so the others' stay full.
func (p *Port) limitFloods(pl *Poller) {
	if p.opt.FloodLimit == 0 {
		return
	}
	if p.floods == nil {
		p.floods = make(map[*Poller]*bucket)
	}
	p.floods[pl] = newBucket(p.opt.FloodLimit)
}

// bucket lets so many frames a second pass, and as many at once as in a fifth
// of a second.
type bucket struct {
	rate, room float64 // frames a second; frames
	tokens     float64
	filled     time.Time
	now        func() time.Time
}

func newBucket(rate int) *bucket {
	b := &bucket{rate: float64(rate), room: max(float64(rate)/5, 1), now: time.Now}
	b.tokens, b.filled = b.room, b.now()
	return b
}

// take returns how many of n frames may pass. The clock is asked once a batch,
// and only for ports with a limit.
func (b *bucket) take(n int) int {
	now := b.now()
	b.tokens = min(b.room, b.tokens+b.rate*now.Sub(b.filled).Seconds())
	b.filled = now
	n = min(n, int(b.tokens))
	b.tokens -= float64(n)
	return n
}
