package netmap

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A poll that finds nothing looks for a while before it sleeps: to be woken costs whoever does
// it several microseconds, and more where the wake-up has to reach another CPU of a virtual
// machine. The C library does the same (clib/src/spin.c).
const (
	spinMost  = 100 * time.Microsecond // unless the environment says otherwise
	spinLimit = 10 * time.Millisecond  // that it may say
	spinLeast = 500 * time.Nanosecond
	spinAlone = 5 * time.Microsecond // so long it looks before others are offered the CPU

	spinLooks = 64 // between two looks at the clock
)

// spinEnv is the environment variable that says for how many microseconds a poll may look
// before it sleeps. 0 lets it sleep at once.
const spinEnv = "NETMAPD_SPIN"

var spinAllowed = sync.OnceValue(func() time.Duration { return parseSpin(os.Getenv(spinEnv)) })

func parseSpin(us string) time.Duration {
	n, err := strconv.ParseUint(us, 10, 32)
	if err != nil {
		return spinMost
	}
	return min(time.Duration(n)*time.Microsecond, spinLimit)
}

// A spinner decides for how long to look, by how often that was of use.
type spinner struct {
	most time.Duration
	now  atomic.Int64
}

// limit is for how long to look now.
func (s *spinner) limit() time.Duration { return time.Duration(s.now.Load()) }

func (s *spinner) set(t time.Duration) { s.now.Store(int64(min(t, s.most))) }

// found: there was something before the time was over.
func (s *spinner) found() { s.set(2 * s.limit()) }

// missed: there was not.
func (s *spinner) missed() { s.set(max(s.limit()/2, spinLeast)) }

// slept: after a miss, so long did it take. Would the most have been enough? To be woken takes some time by itself.
func (s *spinner) slept(t time.Duration) {
	if looked := 2 * s.limit(); looked+t < s.most*3/2 {
		s.set(s.most)
	}
}

// spin looks for at most limit whether something happens that is waited for, negative for no limit. While both sides are
// busy neither wakes the other.
func (p *poll) spin(limit time.Duration) (re Events, done bool) {
	d := p.d
	look := d.spin.limit()
	if limit >= 0 {
		look = min(look, limit)
	}
	if look == 0 || !d.pipe && crowd.here() || !d.apart() {
		return 0, false
	}
	for start := time.Now(); ; {
		for range spinLooks {
			if d.news(p.want) {
				d.spin.found()
				return p.pass()
			}
		}
		t := time.Since(start)
		if t >= look {
			d.spin.missed()
			return 0, false
		}
		runtime.Gosched()
		// The other end of a pipe was seen on another CPU, or nowhere. Of what a switch delivers the
		// sender can be anywhere, here too.
		if !d.pipe && t >= spinAlone {
			crowd.yield()
		}
	}
}

// apart reports whether who moves the frames was seen on another CPU than this one, or
// nowhere: at the other end of a pipe the library in C tells, this one does not, since it would cost a system
// call.
func (d *Desc) apart() bool {
	here := currentCPU()
	onIt := func(r *Ring) bool { return r.blk.LcoreCPU() == here }
	return !slices.ContainsFunc(d.tx, onIt) && !slices.ContainsFunc(d.rx, onIt)
}

// news reports whether anything happened to the rings that are waited for.
func (d *Desc) news(want Events) bool {
	return want&PollOut != 0 && slices.ContainsFunc(d.tx, (*Ring).changed) ||
		want&PollIn != 0 && slices.ContainsFunc(d.rx, (*Ring).changed)
}

// changed reports whether slots came to the ring since its last sync.
func (r *Ring) changed() bool {
	_, _, rtail := r.blk.Library()
	_, hwtail := r.blk.LoadDaemon()
	return hwtail != rtail
}

// crowd is what this process knows of others on its CPUs: of a program that computes, which would use all of its time
// slice each time it is offered the CPU. Sleeping is better beside such a one: who is woken has precedence.
var crowd crowding

// A crowding is the time until which no CPU is offered to others, and how long that was when it was set.
type crowding struct {
	until, length atomic.Int64 // nanoseconds
}

const (
	crowdSlice = 300 * time.Microsecond // a peer that sends or receives is through with its batch earlier
	crowdLeast = 10 * time.Millisecond
	crowdMost  = time.Second
)

var processStart = time.Now()

// here says that somebody was seen lately who does not leave the CPU.
func (c *crowding) here() bool {
	until := c.until.Load()
	return until != 0 && int64(time.Since(processStart)) < until
}

// yield offers the CPU to others.
func (c *crowding) yield() {
	before := time.Since(processStart)
	yieldCPU()
	c.took(before, time.Since(processStart))
}

// took notes that others had the CPU between two times. The more often somebody keeps it for long, the rarer it is offered.
func (c *crowding) took(before, after time.Duration) {
	if after-before < crowdSlice {
		return
	}
	length := crowdLeast
	if last := time.Duration(c.length.Load()); before-time.Duration(c.until.Load()) < 10*last {
		length = min(2*last, crowdMost)
	}
	c.length.Store(int64(length))
	c.until.Store(int64(after + length))
}
