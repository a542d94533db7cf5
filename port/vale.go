package port

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	"github.com/netmapd/netmapd/shm"
	vale "github.com/netmapd/netmapd/switch"
)

// valePort is the ephemeral port of a switch (NC E.4): its rings are on the
// poller of the switch while clients have them open.
type valePort struct {
	plain
	vnetHeader
}

// openVALE finds the attached port that a client opens as valeX:name, or makes
// an ephemeral one, and its switch if there is none (NC E.4).
func (g *Registry) openVALE(ctx context.Context, who Caller, core name.Core, req *abi.Register) (*port, error) {
	const op = "register"
	if p := g.ports[core.Port]; p != nil && p.sw != nil && p.sw.name == core.Switch {
		if p.kind == KindPersistent {
			return p, nil // both names are good (NC E.6)
		}
		return nil, refuse(op, core.Name, unix.EBUSY, "the interface %s is attached to %s and the switch uses its rings", core.Port, core.Switch)
	}
	if g.ports[core.Port] != nil || interfaceExists(core.Port) {
		return nil, refuse(op, core.Name, unix.EINVAL,
			"%q is an interface that is not attached to %s; attach it with nmctl switch attach, or choose another port name", core.Port, core.Switch)
	}
	p, err := g.newVALEPort(who, core.Name, KindVALE, req)
	if err != nil {
		return nil, noRoom(op, core.Name, err)
	}
	p.be, p.ephemeral = &valePort{plain: plain{g, p}}, true
	sw := g.switches[core.Switch]
	if sw == nil {
		sw = g.newSwitch(core.Switch)
	}
	if err := g.joinSwitch(ctx, sw, p, p.rxSinks()); err != nil {
		p.free(g)
		return nil, refuse(op, core.Name, unix.ENOMEM, "%v", err)
	}
	g.enlist(p)
	return p, nil
}

// newVALEPort makes the rings of a VALE port, in a region of its own unless one
// is named.
func (g *Registry) newVALEPort(who Caller, full string, kind Kind, req *abi.Register) (*port, error) {
	s := shape{
		hwTx: wish(req.TxRings, abi.ValeMaxRings, 1), hwRx: wish(req.RxRings, abi.ValeMaxRings, 1),
		txSlots: uint32(wish(req.TxSlots, abi.ValeMaxSlots, abi.DefaultSlots)),
		rxSlots: uint32(wish(req.RxSlots, abi.ValeMaxSlots, abi.DefaultSlots)),
	}
	region, err := g.regionFor(who, "create port", full, req.MemID)
	if err == nil && region == nil {
		region, err = g.privateRegion(who, full, shm.PortShape{
			TxRings: uint32(s.hwTx), RxRings: uint32(s.hwRx), TxSlots: s.txSlots, RxSlots: s.rxSlots,
			ExtraBufs: min(req.ExtraBufs, abi.ExtraBufsMax), Pipes: shm.ValePipes,
		})
	}
	if err != nil {
		return nil, err
	}
	return g.newPort(full, kind, region, s)
}

// wish limits a requested count; 0 means the default.
func wish[T uint16 | uint32](n T, most, def int) int {
	if n == 0 {
		return def
	}
	return min(int(n), most)
}

// rxSinks are the port's RX rings, for a switch.
func (p *port) rxSinks() []vale.Sink {
	sinks := make([]vale.Sink, len(p.rx))
	for i, k := range p.rx {
		sinks[i] = vale.NewRxSink(k.Ring)
	}
	return sinks
}

func (v *valePort) start(ctx context.Context, k *kring) error { return v.g.pollRing(ctx, v.p, k) }

func (v *valePort) stop(ctx context.Context, k *kring, last bool) error {
	return v.g.drainRing(ctx, v.p, k, last)
}

// pollRing puts a TX ring on the poller of the port's switch.
func (g *Registry) pollRing(ctx context.Context, p *port, k *kring) error {
	if k.Dir() != abi.DirTx {
		return nil
	}
	src := vale.NewTxSource(k.Ring)
	left := k.src != nil // a close found the lcore stuck
	k.src = src
	poller, err := g.poller(ctx, p.sw, p.lc)
	if err != nil {
		return err
	}
	return p.lc.Do(ctx, func() {
		if left {
			p.unpoll(poller, k)
		}
		poller.Add(p.vp, k.ID(), src)
	})
}

// drainRing sends what was published on a TX ring that is on the poller, and
// takes a ring that loses its last user off.
func (g *Registry) drainRing(ctx context.Context, p *port, k *kring, last bool) error {
	if k.Dir() != abi.DirTx {
		return nil
	}
	poller, err := g.poller(ctx, p.sw, p.lc)
	if err != nil {
		return err
	}
	return p.lc.Do(ctx, func() {
		poller.Drain(p.vp, k.ID())
		if last {
			p.unpoll(poller, k)
		}
	})
}

// leave takes the port off its switch. Usually nothing is left on the poller,
// but after a close that found the lcore stuck.
func (v *valePort) leave(ctx context.Context) bool {
	if err := v.p.leavePoller(ctx); err != nil {
		v.g.log.Error("a port without users stays", "port", v.p.name, "err", err)
		return false
	}
	_ = v.g.leaveSwitch(ctx, v.p) // destroy asks again whether the memory may go
	return true
}

// clamp16 makes a count one of the control interface.
func clamp16(n int) uint16 { return uint16(min(max(n, 0), 1<<16-1)) }
