package pktgen

import (
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"
)

// A counter is what the loop counts and the reporter reads. The loop adds once
// for each batch.
type counter struct {
	frames, bytes, events atomic.Uint64
	minSpace              atomic.Uint32 // since the last line; maxSpace: nothing seen
}

const maxSpace = math.MaxUint32

func (c *counter) add(frames, bytes uint64, space uint32) {
	c.frames.Add(frames)
	c.bytes.Add(bytes)
	c.events.Add(1)
	if space < c.minSpace.Load() {
		c.minSpace.Store(space)
	}
}

func (c *counter) load() totals {
	return totals{c.frames.Load(), c.bytes.Load(), c.events.Load()}
}

type totals struct{ frames, bytes, events uint64 }

func (t totals) minus(o totals) totals {
	return totals{t.frames - o.frames, t.bytes - o.bytes, t.events - o.events}
}

// report prints a line for each period until done is closed.
func (c *counter) report(out io.Writer, period time.Duration, done <-chan struct{}) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	last, then := c.load(), time.Now()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		now, t := c.load(), time.Now()
		line(out, now.minus(last), t.Sub(then), c.minSpace.Swap(maxSpace))
		last, then = now, t
	}
}

// line prints what happened in one period.
func line(out io.Writer, d totals, took time.Duration, space uint32) {
	if space == maxSpace {
		space = 0
	}
	s := took.Seconds()
	fmt.Fprintf(out, "%spps (%spkts %sbps in %d usec) %.2f avg_batch %d min_space\n",
		scaled(float64(d.frames)/s), scaled(float64(d.frames)), scaled(float64(d.bytes)*8/s), took.Microseconds(), d.batch(), space)
}

func (t totals) batch() float64 {
	if t.events == 0 {
		return 0
	}
	return float64(t.frames) / float64(t.events)
}

// framing is what each frame costs on a wire beside its bytes: CRC, preamble and gap.
const framing = 24

// summary prints the totals.
func summary(out io.Writer, verb string, t totals, took time.Duration) {
	s := max(took.Seconds(), 1e-9)
	size := uint64(0)
	if t.frames != 0 {
		size = t.bytes / t.frames
	}
	fmt.Fprintf(out, "%s %d packets %d bytes %d events %d bytes each in %.2f seconds.\n", verb, t.frames, t.bytes, t.events, size, s)
	fmt.Fprintf(out, "Speed: %spps Bandwidth: %sbps (raw %sbps). Average batch: %.2f pkts\n",
		scaled(float64(t.frames)/s), scaled(float64(t.bytes)*8/s), scaled(float64(t.bytes+framing*t.frames)*8/s), t.batch())
}

// scaled prints a number with three digits after the point and its decimal prefix.
func scaled(v float64) string {
	unit := ""
	for _, u := range []string{"K", "M", "G", "T"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	return fmt.Sprintf("%.3f %s", v, unit)
}
