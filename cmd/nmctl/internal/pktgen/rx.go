package pktgen

import (
	"context"
	"errors"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// idleTime is how long nothing may come before -W ends the run.
const idleTime = time.Second

func (g *generator) receive(ctx context.Context) error {
	rings := g.d.RxRings()
	for got := uint64(0); g.left(got) > 0; {
		err := g.await(ctx)
		if errors.Is(err, errIdle) {
			if g.o.WhenIdle && got > 0 {
				return nil // end is the time of the last frame
			}
			continue
		}
		if err != nil {
			if ctx.Err() != nil && got == 0 {
				g.end = time.Now()
			}
			return err
		}
		if got == 0 {
			g.start = time.Now() // as pkt-gen: waiting for the first frame does not count
		}
		for _, r := range rings {
			frames, bytes := take(r, min(g.left(got), uint64(g.o.Burst)))
			got += frames
			if frames != 0 {
				g.count.add(frames, bytes, r.NumSlots()-1-r.Space())
			}
		}
		g.end = time.Now()
	}
	return g.release()
}

// release gives the last slots back, so that they do not count as unread.
func (g *generator) release() error { return g.d.RxSync() }

var errIdle = errors.New("idle")

// await waits for frames: errIdle says that none came for a while.
func (g *generator) await(ctx context.Context) error {
	re, err := g.pollUntil(ctx, idleTime, netmap.PollIn)
	if err == nil && re == 0 {
		return errIdle
	}
	return err
}

// pollUntil polls for that long: no event and no error mean that it passed. The
// context is made only when there is something to wait for.
func (g *generator) pollUntil(ctx context.Context, limit time.Duration, ev netmap.Events) (netmap.Events, error) {
	re, err := g.d.PollTimeout(0, ev)
	if re == 0 && err == nil {
		wait, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		re, err = g.d.Poll(wait, ev)
		if errors.Is(err, context.DeadlineExceeded) {
			return 0, ctx.Err() // ended at the same moment: that counts more
		}
	}
	if err == nil && re&netmap.PollErr != 0 {
		err = g.ringError()
	}
	return re, err
}

// take counts up to n frames and gives their slots back at the next sync. The
// last frame is taken only with all its fragments.
func take(r *netmap.RxRing, n uint64) (frames, bytes uint64) {
	slots, i, tail := r.Slots(), r.Head(), r.Tail()
	part, end := uint64(0), i
	for range r.Space() {
		if i == tail || frames == n {
			break
		}
		w := slots.Load(i)
		i = r.Next(i)
		part += uint64(w.Len())
		if w.Flags()&abi.NSMoreFrag == 0 {
			frames++
			bytes += part
			part, end = 0, i
		}
	}
	if end == r.Head() && i == tail && r.Space() == r.NumSlots()-1 {
		end = i // a frame longer than the ring: nobody can see it whole
	}
	r.Advance(end)
	if part != 0 && i == tail {
		r.SetCur(tail) // wake up for the rest, not for what is here
	}
	return frames, bytes
}
