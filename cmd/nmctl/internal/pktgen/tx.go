package pktgen

import (
	"context"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// flushTime is how long the end of a run waits for the last frames to go.
const flushTime = 10 * time.Second

// A txRing sends the frame over and over. A buffer that was filled once stays
// as it is (NC D.1), so each slot is compared with what was left in it: one load
// for each frame, and no store where nothing changed.
type txRing struct {
	*netmap.TxRing
	slots abi.Slots
	left  []abi.Word
	frame *frame
}

func newTxRing(r *netmap.TxRing, f *frame) *txRing {
	return &txRing{TxRing: r, slots: r.Slots(), left: make([]abi.Word, r.NumSlots()), frame: f}
}

// send fills up to n slots and hands them over at the next sync.
func (r *txRing) send(n uint32) (sent uint32) {
	n = min(n, r.Space())
	i := r.Head()
	for range n {
		if r.slots.Load(i) != r.left[i] || r.frame.varies {
			r.fill(i)
		}
		i = r.Next(i)
	}
	r.Advance(i)
	return n
}

// fill writes the frame into slot i. The core may have put another buffer there
// (BUF_CHANGED); a slot without one sends nothing, which costs a frame of the
// count and cannot be helped.
func (r *txRing) fill(i uint32) {
	s := r.Slot(i)
	if b := r.Buf(s); b != nil {
		copy(b, r.frame.bytes[:r.frame.length])
	}
	s.Len, s.Flags = uint16(r.frame.length), 0
	r.left[i] = r.slots.Load(i)
	if r.frame.varies {
		r.frame.next()
	}
}

func (g *generator) send(ctx context.Context) error {
	rings := make([]*txRing, 0, len(g.d.TxRings()))
	for _, r := range g.d.TxRings() {
		rings = append(rings, newTxRing(r, g.frame))
	}
	g.pace = newPacer(uint64(g.o.Rate), uint64(g.o.Burst))
	err := g.flood(ctx, rings)
	// Whatever was handed over is counted as sent, so it must go out, even
	// after an interrupt.
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if ferr := g.d.Flush(flush); ferr != nil && (err == nil || ctx.Err() != nil) {
		err = ferr
	}
	g.end = time.Now()
	return err
}

func (g *generator) flood(ctx context.Context, rings []*txRing) error {
	for sent := uint64(0); g.left(sent) > 0 && ctx.Err() == nil; {
		budget := min(g.left(sent), g.pace.budget(ctx, sent))
		// The poll also hands over what the last turn filled.
		re, err := g.d.Poll(ctx, netmap.PollOut)
		if err != nil {
			return err
		}
		if re&netmap.PollErr != 0 {
			return g.ringError()
		}
		for _, r := range rings {
			n := uint64(r.send(uint32(min(budget, uint64(g.o.Burst)))))
			if n == 0 {
				continue
			}
			sent += n
			budget -= n
			g.count.add(n, n*uint64(g.o.Length), r.Space())
		}
	}
	return nil
}

// A pacer keeps a rate. It allows whole bursts, and to catch up what a late
// wake-up has cost, but not more than catchUp.
type pacer struct {
	rate, burst uint64
	start       time.Time
	base        uint64 // frames sent at start
}

const catchUp = 10 * time.Millisecond

func newPacer(rate, burst uint64) pacer {
	return pacer{rate: rate, burst: min(burst, max(1, rate/100)), start: time.Now()}
}

// budget waits until a burst is due and says how many frames may go now.
func (p *pacer) budget(ctx context.Context, sent uint64) uint64 {
	if p.rate == 0 {
		return 1 << 32
	}
	for {
		due, wait := p.due(time.Now(), sent)
		if due >= p.burst || !sleep(ctx, wait) {
			return due
		}
	}
}

// due is how many frames may have been sent by now beside those that were, and
// the time until a whole burst may.
func (p *pacer) due(now time.Time, sent uint64) (due uint64, wait time.Duration) {
	elapsed := now.Sub(p.start)
	allowed := uint64(elapsed.Seconds()*float64(p.rate)) + p.base
	if allowed < sent {
		allowed = sent
	}
	due = allowed - sent
	if limit := max(p.burst, uint64(catchUp.Seconds()*float64(p.rate))); due > limit {
		p.start, p.base = now, sent+limit // too late to catch up with all
		due = limit
	}
	if due < p.burst {
		wait = time.Duration(float64(sent+p.burst-p.base)/float64(p.rate)*1e9) - elapsed
		wait = max(wait, time.Microsecond)
	}
	return due, wait
}
