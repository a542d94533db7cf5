package controltest

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/port"
)

var _ control.Plane = (*Plane)(nil)

// Ports returns the ports in the order of their creation.
func (p *Plane) Ports(ctx context.Context) ([]port.Info, error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	defer p.mu.Unlock()
	return slices.Clone(p.state.Ports), nil
}

// Port finds a port.
func (p *Plane) Port(ctx context.Context, name string) (port.Info, error) {
	if err := p.enter(ctx); err != nil {
		return port.Info{}, err
	}
	defer p.mu.Unlock()
	i := p.findPort(name)
	if i < 0 {
		return port.Info{}, refuse("show port", name, unix.ENXIO, "there is no port of this name; nmctl port list shows those there are")
	}
	return p.state.Ports[i], nil
}

// CreatePort makes a port as its spec says.
func (p *Plane) CreatePort(ctx context.Context, spec port.Spec) (port.Info, error) {
	if err := p.enter(ctx); err != nil {
		return port.Info{}, err
	}
	defer p.mu.Unlock()
	if p.findPort(spec.Name) >= 0 {
		return port.Info{}, refuse("create port", spec.Name, unix.EEXIST, "a port of this name exists; delete it first or choose another name")
	}
	rings, slots := max(spec.Rings, 1), spec.Slots
	if slots == 0 {
		slots = 1024
	}
	driver := "net_" + string(spec.Driver)
	if spec.Kind == port.KindPersistent {
		driver = ""
	}
	if spec.Kind == port.KindDevice {
		driver = spec.Devargs
	}
	info := port.Info{
		ID: uint64(len(p.state.Ports) + 1), Name: spec.Name, Kind: spec.Kind, Driver: driver, Index: -1,
		MAC: "02:00:00:00:00:01", LinkUp: true, MTU: 1500,
		TxRings: rings, RxRings: rings, TxSlots: slots, RxSlots: slots, RegionID: 1, Created: Epoch,
	}
	p.state.Ports = append(p.state.Ports, info)
	return info, nil
}

// DeletePort removes a port that is on no switch.
func (p *Plane) DeletePort(ctx context.Context, name string) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.mu.Unlock()
	i := p.findPort(name)
	switch {
	case i < 0:
		return refuse("delete port", name, unix.ENXIO, "there is no port of this name")
	case p.state.Ports[i].Switch != "":
		return refuse("delete port", name, unix.EBUSY, "it is attached to "+p.state.Ports[i].Switch+"; detach it first")
	}
	p.state.Ports = slices.Delete(p.state.Ports, i, i+1)
	return nil
}

// Switches returns the switches in the order of their creation.
func (p *Plane) Switches(ctx context.Context) ([]port.SwitchInfo, error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	defer p.mu.Unlock()
	return slices.Clone(p.state.Switches), nil
}

// CreateSwitch makes an empty switch.
func (p *Plane) CreateSwitch(ctx context.Context, spec port.SwitchSpec) (port.SwitchInfo, error) {
	if err := p.enter(ctx); err != nil {
		return port.SwitchInfo{}, err
	}
	defer p.mu.Unlock()
	info := port.SwitchInfo{Name: spec.Name, Created: Epoch, Compat: spec.Compat}
	if info.Table.Age = 300 * time.Second; spec.Age != nil {
		info.Table.Age = *spec.Age
	}
	if i := p.findSwitch(spec.Name); i >= 0 {
		if now := p.state.Switches[i]; now.Compat != spec.Compat || now.Table.Age != info.Table.Age {
			return port.SwitchInfo{}, refuse("create switch", spec.Name, unix.EEXIST, "another switch of this name exists")
		}
		return p.state.Switches[i], nil
	}
	p.state.Switches = append(p.state.Switches, info)
	return info, nil
}

// DeleteSwitch removes a switch without ports.
func (p *Plane) DeleteSwitch(ctx context.Context, name string) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.mu.Unlock()
	i := p.findSwitch(name)
	switch {
	case i < 0:
		return refuse("delete switch", name, unix.ENXIO, "there is no switch of this name")
	case len(p.state.Switches[i].Ports) > 0:
		return refuse("delete switch", name, unix.EBUSY, "it has ports; detach them first")
	}
	p.state.Switches = slices.Delete(p.state.Switches, i, i+1)
	return nil
}

// Attach puts a port on a switch.
func (p *Plane) Attach(ctx context.Context, sw, portName string) (port.SwitchPort, error) {
	if err := p.enter(ctx); err != nil {
		return port.SwitchPort{}, err
	}
	defer p.mu.Unlock()
	s, i := p.findSwitch(sw), p.findPort(portName)
	switch {
	case s < 0:
		return port.SwitchPort{}, refuse("attach to switch", sw, unix.ENXIO, "there is no switch of this name")
	case i < 0:
		return port.SwitchPort{}, refuse("attach port", portName, unix.ENXIO, "there is no port of this name")
	case p.state.Ports[i].Switch != "":
		return port.SwitchPort{}, refuse("attach port", portName, unix.EBUSY, "it is attached to "+p.state.Ports[i].Switch)
	}
	at := port.SwitchPort{Index: len(p.state.Switches[s].Ports), Name: portName}
	p.state.Switches[s].Ports = append(p.state.Switches[s].Ports, at)
	p.state.Ports[i].Switch, p.state.Ports[i].Index = sw, at.Index
	return at, nil
}

// Detach takes a port off a switch.
func (p *Plane) Detach(ctx context.Context, sw, portName string) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.mu.Unlock()
	s, i := p.findSwitch(sw), p.findPort(portName)
	if s < 0 || i < 0 || p.state.Ports[i].Switch != sw {
		return refuse("detach port", portName, unix.ENXIO, "it is not attached to "+sw)
	}
	p.state.Switches[s].Ports = slices.DeleteFunc(p.state.Switches[s].Ports, func(at port.SwitchPort) bool { return at.Name == portName })
	p.state.Ports[i].Switch, p.state.Ports[i].Index = "", -1
	return nil
}

// Snapshot returns the snapshot of the state.
func (p *Plane) Snapshot(ctx context.Context) (port.Snapshot, error) {
	if err := p.enter(ctx); err != nil {
		return port.Snapshot{}, err
	}
	defer p.mu.Unlock()
	return p.state.Snapshot, nil
}

// Ticket remembers the request; its token is the bytes 0 to 15.
func (p *Plane) Ticket(ctx context.Context, uid uint32, req control.TicketRequest) (token [16]byte, expires time.Time, err error) {
	if err := p.enter(ctx); err != nil {
		return token, expires, err
	}
	defer p.mu.Unlock()
	p.state.Tickets = append(p.state.Tickets, Ticket{UID: uid, Request: req})
	for i := range token {
		token[i] = byte(i)
	}
	return token, Epoch.Add(10 * time.Second), nil
}

// Info returns the info of the state.
func (p *Plane) Info() control.Info { return p.Get().Info }

// MovePort changes the port's lcore.
func (p *Plane) MovePort(ctx context.Context, name string, lcore int) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.mu.Unlock()
	i := p.findPort(name)
	switch {
	case i < 0:
		return refuse("move port", name, unix.ENXIO, "there is no port of this name")
	case len(p.state.Ports[i].Users) > 0:
		return refuse("move port", name, unix.EBUSY, "somebody has it open")
	}
	p.state.Ports[i].Lcore = lcore
	return nil
}

// Watch subscribes to State.Events, which are told at once.
func (p *Plane) Watch() *port.Events {
	g := port.NewRegistry(port.Config{}, nil, nil)
	e := g.Watch()
	for _, event := range p.Get().Events {
		g.Announce(event)
	}
	return e
}
