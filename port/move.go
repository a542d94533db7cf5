package port

import (
	"context"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
)

// This file says which lcore serves what of a port. All of it is the port's own
// lcore's, but for a device with several queues: those are dealt to all lcores in
// turn, each with the rings of its number, from the port's own on.

// queueLcore is the lcore that takes the frames of receive queue i.
func (p *port) queueLcore(i int) *lcore.Lcore {
	if l := p.polledOn(i); l != nil {
		return l
	}
	if len(p.queues) > 0 {
		return p.queues[i%len(p.queues)]
	}
	return p.lc
}

// ringLcore is the lcore that a ring belongs to.
func (p *port) ringLcore(k *kring) *lcore.Lcore {
	if p.hostRing(k) {
		return p.lc
	}
	return p.queueLcore(k.ID())
}

// seat gives the rings to their lcores, which are not at them.
func (p *port) seat() {
	for _, k := range p.rings() {
		k.sit(p.ringLcore(k))
	}
}

func (k *kring) sit(l *lcore.Lcore) {
	k.lc = l
	k.Block().SetLcoreCPU(l.CPU())
}

// lcores are all that serve the port.
func (p *port) lcores() []*lcore.Lcore {
	out := []*lcore.Lcore{p.lc}
	for i := range p.hwRx {
		if l := p.queueLcore(i); !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

// spread deals the queues.
func (d *device) spread() {
	at := slices.Index(d.g.lcores, d.p.lc)
	d.p.queues = append(slices.Clone(d.g.lcores[at:]), d.g.lcores[:at]...)
}

// MovePort gives a port that is not in use to another lcore: EBUSY while a client
// has it open, a pipe hangs on it, a switch has it, or the host uses its device.
// Where frames flow, lcores share too much to change hands between two of them.
func (g *Registry) MovePort(ctx context.Context, full string, lcore int) error {
	const op = "move port"
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.ports[full]
	switch {
	case p == nil:
		return refuse(op, full, unix.ENXIO, "no port has this name; nmctl port list shows those there are")
	case lcore < 0 || lcore >= len(g.lcores):
		return refuse(op, full, unix.ENXIO, "there is no lcore %d; they are 0 to %d", lcore, len(g.lcores)-1)
	case p.lc == g.lcores[lcore]:
		return nil
	case len(p.descs) > 0:
		return refuse(op, full, unix.EBUSY, "pid %d has it open; ports are moved while nobody uses them", p.anyUser())
	case p.sw != nil:
		return refuse(op, full, unix.EBUSY, "switch %s has it; detach it, move it and attach it again", p.sw.name)
	case len(p.pipes) > 0 || p.kind == KindPipe:
		return refuse(op, full, unix.EBUSY, "pipes hang on it")
	}
	d, _ := p.be.(*device)
	if d != nil && (len(d.wakes) > 0 || len(d.units) > 0 || d.host.tap != nil) {
		return refuse(op, full, unix.EBUSY, "the host uses its device")
	}
	if err := g.quiesce(ctx); err != nil { // the rings were the old lcore's
		return refuseFor(op, full, err)
	}
	p.lc = g.lcores[lcore]
	if d != nil {
		d.spread()
	}
	p.seat()
	return nil
}
