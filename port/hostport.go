package port

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	vale "github.com/netmapd/netmapd/switch"
)

// hostPort is a device's host rings as a port of the switch that the device is
// on (vale-ctl -h, NC B.7): the switch takes from the tap, and delivers to it.
// It comes and goes with the device's own port.
type hostPort struct {
	plain
	h *host
}

// attachHost puts the host rings of an attached port on the same switch.
func (g *Registry) attachHost(ctx context.Context, s *valeSwitch, nic *port) error {
	const op = "attach"
	d, ok := nic.be.(*device)
	if !ok || nic.hostTx+nic.hostRx == 0 {
		return refuse(op, nic.name, unix.EINVAL, "the port has no host rings")
	}
	p, err := g.newPort(nic.name+"^", KindHost, nic.region, shape{})
	if err != nil {
		return refuse(op, nic.name, unix.ENOMEM, "%v", err)
	}
	hp := &hostPort{plain{g, p}, &d.host}
	p.be, p.ephemeral, p.used, p.lc = hp, true, true, nic.lc // the lcore that watches the tap
	if err := g.attach(ctx, s, p, hp); err != nil {
		if p.sw == nil { // else the undoing failed
			p.free(g)
		}
		return refuseFor(op, p.name, err)
	}
	g.enlist(p)
	d.host.port = p
	return nil
}

// dropHostPort takes the host rings off the switch again, before the device goes.
func (g *Registry) dropHostPort(ctx context.Context, nic *port) error {
	d, ok := nic.be.(*device)
	if !ok || d.host.port == nil {
		return nil
	}
	p := d.host.port
	if p.sw != nil {
		if err := g.detach(ctx, p); err != nil {
			return err
		}
	}
	d.host.port = nil
	g.vanish(ctx, p)
	return nil
}

// admit refuses clients: the switch has the rings.
func (hp *hostPort) admit(full string, _ *abi.Register) error {
	return refuse("register", full, unix.EBUSY, "the host rings are attached to switch %s", hp.p.sw.name)
}

// plug gives the tap to the switch.
func (hp *hostPort) plug() ([]vale.Sink, error) {
	h := hp.h
	if err := h.makeTap(); err != nil {
		return nil, err
	}
	if h.kernel() {
		if err := h.take(taken{in: true, out: true, to: h.tap}); err != nil {
			hp.unplug()
			return nil, err
		}
	}
	var out []vale.Sink
	for _, s := range h.sinks {
		out = append(out, s)
	}
	return out, nil
}

// unplug leaves nothing of the device to the host, as it is while only that is
// attached.
func (hp *hostPort) unplug() {
	h := hp.h
	if !h.kernel() {
		return
	}
	if err := h.take(taken{in: true, out: true}); err != nil {
		h.d.log.Warn("take what the host sends", "interface", h.d.ifname, "err", err)
	}
	h.dropTap()
}

// sources are the queues of the tap.
func (hp *hostPort) sources() (out []vale.Source) {
	for _, s := range hp.h.sources {
		out = append(out, s)
	}
	return out
}

func (hp *hostPort) leave(context.Context) bool { return hp.p.sw == nil }
