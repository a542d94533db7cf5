package port

import (
	"context"

	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/lcore"
	vale "github.com/netmapd/netmapd/switch"
)

// SwitchParts are what the tests break: the poller of a switch on an lcore, and
// one of its ports.
func (g *Registry) SwitchParts(swName, portName string, l *lcore.Lcore) (*vale.Poller, *vale.Port) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.switches[swName].pollers[l], g.ports[portName].vp
}

// limitProbe is a source that looks how much it may give.
type limitProbe int

func (p *limitProbe) Next(b *vale.Batch) int {
	*p = limitProbe(b.Limit())
	return 0
}

func (*limitProbe) Done(*vale.Batch) {}

// NewSwitchBatch makes a switch and says how many slots it takes at a time.
func (g *Registry) NewSwitchBatch() (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.newSwitch("vale-probe")
	delete(g.switches, s.name) // never polled by an lcore
	p, err := s.Attach("probe", nil)
	if err != nil {
		return 0, err
	}
	var probe limitProbe
	pl := s.NewPoller()
	defer s.ClosePoller(pl)
	pl.Add(p, 0, &probe)
	pl.Poll()
	return int(probe), nil
}

// CarryPipe puts an lcore on the path of a pipe, named by one of its ends, or takes
// it off again.
func (g *Registry) CarryPipe(ctx context.Context, end string, on bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.ports[end].be.(*pipeEnd).pipe
	if on {
		return q.carry(ctx)
	}
	return q.release(ctx)
}

// Happen has something happen to a device as if DPDK had said so.
func (g *Registry) Happen(name string, what ethdev.Happened) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ports[name].be.(*device).pretend = what
}

// WaitersLeft is how many wake descriptors wait for a stuck lcore to be closed.
func (g *Registry) WaitersLeft() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.gone)
}
