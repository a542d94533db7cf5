package port

import (
	"context"
	"fmt"
	"time"

	"github.com/netmapd/netmapd/lcore"
	vale "github.com/netmapd/netmapd/switch"
)

// departedMax is how many ports that went are remembered with their counters.
const departedMax = 256

// departed are the last counters of ports that went, the oldest first. A port
// that comes again under its name has new counters; the old ones stay here, as
// long as there is room, under its old id.
type departed struct{ stats []Stats }

func (d *departed) add(s Stats) {
	if len(d.stats) == departedMax {
		d.stats = append(d.stats[:0], d.stats[1:]...)
	}
	d.stats = append(d.stats, s)
}

// Snapshot takes all statistics. The counters of each lcore are read by a
// command on that lcore, so they agree with each other to the last frame.
func (g *Registry) Snapshot(ctx context.Context) (Snapshot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	snap := Snapshot{
		Time: time.Now(), TSCHz: lcore.TSCHz(),
		Sessions: len(g.sessions), Descriptors: g.descs,
	}
	books := map[*port]*vale.Counters{}
	live := g.sorted()
	for _, p := range live {
		c := &vale.Counters{}
		*c = p.past
		if p.vp != nil {
			settled := p.vp.Settled()
			c.Add(&settled)
		}
		books[p] = c
	}
	for _, l := range g.lcores {
		st, err := g.readLcore(ctx, l, books)
		if err != nil {
			return snap, fmt.Errorf("read the counters of lcore %d: %w", l.ID(), err)
		}
		snap.Lcores = append(snap.Lcores, st)
	}
	for _, p := range live {
		s := p.stats(books[p])
		s.Device = p.be.counters()
		snap.Ports = append(snap.Ports, s)
	}
	snap.Ports = append(snap.Ports, g.departed.stats...)
	for _, r := range g.regions {
		st := r.Stats()
		owner := -1
		if c := g.claims[r.ID()]; c.owned {
			owner = c.uid
		}
		snap.Regions = append(snap.Regions, RegionStats{
			ID: r.ID(), Owner: owner, Name: r.Name(), Size: r.Geometry().Size(),
			If: PoolStats(st.If), Ring: PoolStats(st.Ring), Buf: PoolStats(st.Buf), Orphans: st.Orphans, Lent: st.Lent, Users: st.Users,
		})
	}
	return snap, nil
}

// readLcore adds what an lcore counted to the books of its ports. One that is
// stuck cannot be asked, and is not in need of it: what it wrote stands still.
func (g *Registry) readLcore(ctx context.Context, l *lcore.Lcore, books map[*port]*vale.Counters) (LcoreStats, error) {
	out := LcoreStats{ID: l.ID(), CPU: l.CPU(), Mode: l.Mode().String(), Stuck: l.Stuck()}
	read := func() {
		for p, b := range books {
			if p.sw != nil && p.sw.pollers[l] != nil {
				p.sw.pollers[l].Share(p.vp, b)
			}
			p.books.add(l, b)
		}
	}
	if out.Stuck {
		read()
		return out, nil
	}
	if err := l.Do(ctx, read); err != nil {
		return out, err
	}
	st, err := l.Stats(ctx)
	out.Units, out.Packets, out.BusyCycles, out.IdleCycles = st.Units, st.Packets, st.BusyCycles, st.IdleCycles
	out.Sleeps, out.Wakeups = st.Sleeps, st.Wakeups
	out.SilentUnits, out.SleepCycles, out.TimerWakeups = st.Silent, st.SleepCycles, st.TimerWakeups
	out.Stages = StageCycles{Poll: st.PollCycles, Classify: st.Stages[0], Forward: st.Stages[1], Copy: st.Stages[2], Notify: st.Stages[3]}
	return out, err
}

// stats turns a port's books into its statistics.
func (p *port) stats(c *vale.Counters) Stats {
	if m, ok := p.be.(*monitor); ok {
		m.books.add(c)
	}
	s := Stats{
		ID: p.id, Name: p.name,
		Tx: Count(c.Tx), Rx: Count(c.Rx), Drops: c.Drops.ByName(),
	}
	if p.sw != nil {
		s.Switch = p.sw.name
	}
	for _, k := range p.rings() {
		s.BadRings += uint64(k.Bad())
	}
	return s
}

// portStats are the final counters of a port that no lcore polls any more.
func (g *Registry) portStats(p *port) Stats {
	c := p.past
	if p.vp != nil {
		live := p.vp.Counters()
		c.Add(&live)
	}
	for _, b := range p.books {
		c.Add(b)
	}
	return p.stats(&c)
}
