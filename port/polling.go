package port

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Polling mode (NC E.12): netmap makes a thread for each CPU asked for. Here
// lcores poll anyway, so what is left of the request is which lcore takes the
// frames of which receive queue. A CPU without lcore is as good as any other:
// its queues stay where they are.

// PollingOn answers VALE_POLLING_ENABLE.
func (g *Registry) PollingOn(ctx context.Context, full string, b *abi.ValePolling) error {
	const op = "polling on"
	g.mu.Lock()
	defer g.mu.Unlock()
	p, err := g.pollable(op, full)
	switch {
	case err != nil:
		return err
	case p.polling != nil:
		return refuse(op, full, unix.EFAULT, "it is in polling mode")
	case b.CPUs == 0 || int(b.CPUs) >= runtime.NumCPU():
		return refuse(op, full, unix.EINVAL, "%d CPUs were asked for; between 1 and %d are possible", b.CPUs, runtime.NumCPU()-1)
	case b.Mode == abi.PollingSingleCPU && b.CPUs != 1:
		return refuse(op, full, unix.EINVAL, "%d CPUs were asked for in single-CPU mode", b.CPUs)
	case b.Mode == abi.PollingMultiCPU && uint64(b.FirstCPU)+uint64(b.CPUs) > uint64(p.hwRx):
		return refuse(op, full, unix.EINVAL, "CPUs %d and up poll the rings of their numbers, and the port has %d rings", b.FirstCPU, p.hwRx)
	case b.Mode != abi.PollingSingleCPU && b.Mode != abi.PollingMultiCPU:
		return refuse(op, full, unix.EINVAL, "mode %d is not one of netmap's", b.Mode)
	}
	return g.place(ctx, op, p, b)
}

// PollingOff answers VALE_POLLING_DISABLE.
func (g *Registry) PollingOff(ctx context.Context, full string) error {
	const op = "polling off"
	g.mu.Lock()
	defer g.mu.Unlock()
	p, err := g.pollable(op, full)
	switch {
	case err != nil:
		return err
	case p.polling == nil:
		return refuse(op, full, unix.EFAULT, "it is not in polling mode")
	}
	return g.place(ctx, op, p, nil)
}

// pollable finds the attached device that a request is about.
func (g *Registry) pollable(op, full string) (*port, error) {
	if !strings.HasPrefix(full, "val") {
		return nil, refuse(op, full, unix.EINVAL, "the name is that of a switch, a colon, and an interface")
	}
	p := g.lookup(full)
	if p == nil {
		return nil, refuse(op, full, unix.ENXIO, "no port of this name is on the switch")
	}
	if _, ok := p.be.(*device); !ok {
		return nil, refuse(op, full, unix.EOPNOTSUPP, "only attached interfaces are polled; lcores see what the clients of other ports do")
	}
	return p, nil
}

// place moves the receive queues of an attached device to the lcores that a
// request names; nil is for back to where they were.
func (g *Registry) place(ctx context.Context, op string, p *port, to *abi.ValePolling) error {
	d := p.be.(*device)
	for l, pl := range p.sw.pollers {
		if err := l.Do(ctx, func() { pl.Remove(p.vp) }); err != nil {
			return refuseFor(op, p.name, fmt.Errorf("take it off lcore %d: %w", l.ID(), err))
		}
	}
	p.polling = to
	if err := d.watch(); err != nil {
		return refuseFor(op, p.name, err)
	}
	for _, l := range p.lcores() {
		pl, err := g.poller(ctx, p.sw, l)
		if err == nil {
			err = p.pollSources(ctx, l, pl)
		}
		if err != nil {
			return refuseFor(op, p.name, err)
		}
	}
	return nil
}

// polledOn is the lcore that the request names for receive queue i; nil if none
// does, or it has no lcore.
func (p *port) polledOn(i int) *lcore.Lcore {
	if p.polling == nil {
		return nil
	}
	cpu := int(p.polling.FirstCPU)
	if p.polling.Mode == abi.PollingMultiCPU {
		if i < cpu || i >= cpu+int(p.polling.CPUs) {
			return nil
		}
		cpu = i
	}
	for _, l := range p.be.(*device).g.lcores {
		if l.CPU() == cpu {
			return l
		}
	}
	return nil
}
