package port

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/ethdev"
)

// This file is what becomes of a port whose device goes, comes back, or has to be
// started again.

// absent is a configured port whose device is not there: it is made when the
// device comes.
type absent struct {
	spec     Spec
	switched string // the switch it was on
}

func (a absent) info() Info {
	address, _ := ethdev.PCIAddress(a.spec.Devargs)
	return Info{
		Name: a.spec.Name, Kind: a.spec.Kind, Switch: a.switched, Index: -1, Lcore: -1,
		NIC: &NIC{Bus: "pci", Address: address, NUMA: -1},
	}
}

// awaited finds what is known of a port that has no device yet, nil if nothing is.
func (g *Registry) awaited(name string) *absent {
	for i := range g.absent {
		if g.absent[i].spec.Name == name {
			return &g.absent[i]
		}
	}
	return nil
}

// Await makes a port as CreatePort does, now or when its device comes. Only the
// absence of a PCI device is waited for; any other error is final.
func (g *Registry) Await(ctx context.Context, s Spec) (Info, error) {
	i, err := g.CreatePort(ctx, s)
	if err == nil || !awaitable(s, err) {
		return i, err
	}
	g.mu.Lock()
	g.forget(s.Name)
	g.absent = append(g.absent, absent{spec: s.normal()})
	g.mu.Unlock()
	return Info{}, &AwaitedError{err}
}

// AwaitedError says that a port will be made when its device comes.
type AwaitedError struct{ Err error }

func (e *AwaitedError) Error() string {
	return e.Err.Error() + " (the port appears when the device does)"
}

// Unwrap is why it is not there.
func (e *AwaitedError) Unwrap() error { return e.Err }

// AttachAwaited notes that a port that is awaited belongs on a switch; false when
// no such port is.
func (g *Registry) AttachAwaited(swName, portName string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.awaited(portName)
	if a == nil {
		return false
	}
	a.switched = swName
	return true
}

// forget stops awaiting a port; false when it is not awaited.
func (g *Registry) forget(name string) bool {
	n := len(g.absent)
	g.absent = slices.DeleteFunc(g.absent, func(a absent) bool { return a.spec.Name == name })
	return len(g.absent) < n
}

func awaitable(s Spec, err error) bool {
	_, pci := ethdev.PCIAddress(s.Devargs)
	return pci && (errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTSUP))
}

// tendDevices looks at what happened to devices since it looked last.
func (g *Registry) tendDevices(ctx context.Context) {
	for _, p := range g.sorted() {
		d, ok := p.be.(*device)
		if !ok {
			continue
		}
		switch {
		case d.ifname != "":
			if d.vanished() {
				d.lose()
			}
		case d.nic == nil:
		default:
			g.tendNIC(ctx, p, d)
		}
		if d.lost && d.ifname == "" && len(p.descs) == 0 && p.sw == nil {
			g.bury(ctx, p, d)
		}
	}
	g.revive(ctx)
}

func (g *Registry) tendNIC(ctx context.Context, p *port, d *device) {
	happened := d.nic.Happened()
	happened.Removed, happened.Reset = happened.Removed || d.pretend.Removed, happened.Reset || d.pretend.Reset
	d.pretend = ethdev.Happened{}
	switch {
	case happened.Removed:
		g.log.Warn("a device was unplugged", "port", p.name, "device", d.address)
		d.pull(ctx)
	case pciGone(d.address):
		g.log.Warn("a device is gone", "port", p.name, "device", d.address)
		d.pull(ctx)
	case d.doubt.Load() != nil:
		d.broken = *d.doubt.Swap(nil)
		g.log.Error("a device does not keep to its buffers: from now on its frames are copied", "port", p.name, "device", d.address, "why", d.broken)
		g.failed(p, "it does not keep to its buffers, so that its frames are copied: "+d.broken)
		d.pull(ctx)
		d.lost = false // it is plugged in again when it is used
	case happened.Reset:
		if err := d.reset(ctx); err != nil {
			g.log.Error("start a device again", "port", p.name, "device", d.address, "err", err)
			g.failed(p, "it does not start again: "+err.Error())
		}
	}
	if d.nic != nil {
		d.tellLink(happened.Link)
	}
	d.host.mirror()
}

// tellLink tells of a link that changed. Some drivers never interrupt for that, so it is looked at as well; what it is like at
// first is no news.
func (d *device) tellLink(interrupted bool) {
	l, err := d.nic.Link()
	if err != nil {
		return
	}
	before := d.link
	d.link = &l.Up
	if !interrupted && (before == nil || *before == l.Up) {
		return
	}
	kind := EventLinkDown
	if l.Up {
		kind = EventLinkUp
	}
	d.g.happened(kind, d.p)
	d.log.Info("link", "port", d.p.name, "up", l.Up, "mbps", l.Speed)
}

// pciGone says that the kernel does not know a PCI device any more.
func pciGone(devargs string) bool {
	addr, ok := ethdev.PCIAddress(devargs)
	if !ok {
		return false
	}
	_, err := os.Stat(filepath.Join("/sys/bus/pci/devices", addr))
	return errors.Is(err, os.ErrNotExist)
}

// pull closes a device that is gone. Its clients see POLLERR; a switch loses the
// port.
func (d *device) pull(ctx context.Context) {
	p := d.p
	if p.sw != nil {
		d.switched = p.sw.name
		if err := d.g.detach(ctx, p); err != nil {
			d.log.Error("take a port without device off its switch", "port", p.name, "err", err)
			return
		}
	}
	if err := d.host.pause(ctx); err != nil {
		d.log.Error("stop the host's use of a device", "port", p.name, "err", err)
		return
	}
	if err := d.units.stop(ctx); err != nil {
		d.log.Error("stop a port without device", "port", p.name, "err", err)
		return
	}
	d.units.fail(unix.ENODEV)
	d.units, p.polling = nil, nil
	d.unwatch()
	d.pullOut()
	d.lost = true
	d.g.happened(EventDeviceLost, p)
}

// bury removes the port of a device that is gone, once nobody has it open. One
// that an operator made is awaited.
func (g *Registry) bury(ctx context.Context, p *port, d *device) {
	if p.spec != nil {
		g.absent = append(g.absent, absent{*p.spec, d.switched})
	}
	d.host.down(ctx)
	g.destroy(ctx, p)
}

// revive makes the ports whose devices came.
func (g *Registry) revive(ctx context.Context) {
	waiting := g.absent
	g.absent = nil
	for _, a := range waiting {
		if addr, pci := ethdev.PCIAddress(a.spec.Devargs); pci && !ethdev.PCIPresent(addr) {
			g.absent = append(g.absent, a)
			continue
		}
		p, err := g.createPort(ctx, a.spec)
		if err != nil {
			if awaitable(a.spec, err) {
				g.absent = append(g.absent, a)
			}
			g.log.Warn("a device came, but its port cannot be made", "port", a.spec.Name, "err", err)
			continue
		}
		g.log.Info("a device came", "port", p.name, "device", a.spec.Devargs)
		at, ok := p.be.(attachable)
		if s := g.switches[a.switched]; s != nil && ok {
			if err := g.attach(ctx, s, p, at); err != nil {
				g.log.Error("put a port back on its switch", "port", p.name, "switch", s.name, "err", err)
			}
		}
	}
}

// reset stops a device and starts it again. Clients notice nothing in their
// indices; what was on its way counts as sent (NC E.1). A switch, and the host, do
// without it meanwhile.
func (d *device) reset(ctx context.Context) error {
	s, hostToo := d.p.sw, d.host.port != nil
	if s != nil {
		if s.ephemeral { // it waits, although this may be its last port
			s.ephemeral = false
			defer d.g.unhold(ctx, s)
		}
		if err := d.g.detach(ctx, d.p); err != nil {
			return err
		}
	}
	if err := d.host.pause(ctx); err != nil {
		return err
	}
	if err := d.units.stop(ctx); err != nil {
		return err
	}
	if err := d.restart(); err != nil {
		d.units.fail(err)
		return err
	}
	err := errors.Join(d.units.start(ctx), d.host.serve(ctx))
	if s == nil || err != nil {
		return err
	}
	if err = d.g.attach(ctx, s, d.p, d); err == nil && d.p.polling != nil {
		err = d.g.place(ctx, "reset", d.p, d.p.polling)
	}
	if err == nil && hostToo {
		err = d.g.attachHost(ctx, s, d.p)
	}
	return err
}

// unhold lets a switch go with its last port again.
func (g *Registry) unhold(ctx context.Context, s *valeSwitch) {
	if s.ephemeral = true; len(s.Ports()) == 0 {
		g.dropSwitch(ctx, s)
	}
}

// restart is the part of reset for which no lcore uses the device.
func (d *device) restart() error {
	z := d.zero
	if z != nil {
		for _, q := range z.rx {
			q.Flush()
		}
	}
	for _, q := range d.rx {
		q.batch.Reset()
	}
	if err := d.nic.Restart(); err != nil {
		return err
	}
	if z != nil && len(d.units) > 0 {
		for _, t := range z.tx {
			t.land(t.q.GiveUp())
			t.ring.Progress(t.ring.HwCur(), t.done)
		}
	}
	return nil
}
