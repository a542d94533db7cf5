package port

import (
	"context"

	"golang.org/x/sys/unix"
)

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
	if d, ok := p.be.(*device); ok && (len(d.wakes) > 0 || d.unit != nil || d.host.tap != nil) {
		return refuse(op, full, unix.EBUSY, "the host uses its device")
	}
	if err := g.quiesce(ctx); err != nil { // the books are the old lcore's
		return refuseFor(op, full, err)
	}
	p.lc = g.lcores[lcore]
	for _, k := range p.rings() {
		k.Block().SetLcoreCPU(p.lc.CPU())
	}
	return nil
}
