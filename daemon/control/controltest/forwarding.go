package controltest

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

// onSwitch calls fn with the switch and the place of a port in it, -1 for "".
func (p *Plane) onSwitch(ctx context.Context, sw, portName string, fn func(s *port.SwitchInfo, at int) error) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.state.Switches, func(s port.SwitchInfo) bool { return s.Name == sw })
	if i < 0 {
		return refuse("find switch", sw, unix.ENXIO, "there is no switch of this name")
	}
	s, at := &p.state.Switches[i], -1
	if portName != "" {
		if at = slices.IndexFunc(s.Ports, func(sp port.SwitchPort) bool { return sp.Name == portName }); at < 0 {
			return refuse("find port", portName, unix.ENXIO, "switch "+sw+" has no port of this name")
		}
	}
	return fn(s, at)
}

// Addresses returns State.Addresses, whatever the switch.
func (p *Plane) Addresses(ctx context.Context, sw, portName string) (list []port.Address, st vale.TableStats, err error) {
	err = p.onSwitch(ctx, sw, portName, func(s *port.SwitchInfo, _ int) error {
		st = s.Table
		for _, a := range p.state.Addresses {
			if portName == "" || a.Port == portName {
				list = append(list, a)
			}
		}
		return nil
	})
	return list, st, err
}

// AddAddress adds to State.Addresses.
func (p *Plane) AddAddress(ctx context.Context, sw, portName string, mac vale.MAC) error {
	return p.onSwitch(ctx, sw, portName, func(*port.SwitchInfo, int) error {
		p.forget(mac)
		p.state.Addresses = append(p.state.Addresses, port.Address{MAC: mac, Port: portName, Static: true})
		slices.SortFunc(p.state.Addresses, func(a, b port.Address) int { return slices.Compare(a.MAC[:], b.MAC[:]) })
		return nil
	})
}

func (p *Plane) forget(mac vale.MAC) bool {
	n := len(p.state.Addresses)
	p.state.Addresses = slices.DeleteFunc(p.state.Addresses, func(a port.Address) bool { return a.MAC == mac })
	return len(p.state.Addresses) < n
}

// DeleteAddress takes from State.Addresses.
func (p *Plane) DeleteAddress(ctx context.Context, sw string, mac vale.MAC) error {
	return p.onSwitch(ctx, sw, "", func(*port.SwitchInfo, int) error {
		if !p.forget(mac) {
			return refuse("delete address", mac.String(), unix.ENOENT, "the table of switch "+sw+" does not have it")
		}
		return nil
	})
}

// FlushAddresses takes what is not static from State.Addresses.
func (p *Plane) FlushAddresses(ctx context.Context, sw, portName string) (n int, err error) {
	err = p.onSwitch(ctx, sw, portName, func(*port.SwitchInfo, int) error {
		before := len(p.state.Addresses)
		p.state.Addresses = slices.DeleteFunc(p.state.Addresses, func(a port.Address) bool {
			return !a.Static && (portName == "" || a.Port == portName)
		})
		n = before - len(p.state.Addresses)
		return nil
	})
	return n, err
}

// SetAgeing changes the switch's table.
func (p *Plane) SetAgeing(ctx context.Context, sw string, age time.Duration) error {
	return p.onSwitch(ctx, sw, "", func(s *port.SwitchInfo, _ int) error {
		s.Table.Age = age
		return nil
	})
}

// ConfigureSwitchPort changes the switch's port.
func (p *Plane) ConfigureSwitchPort(ctx context.Context, sw, portName string, change func(*vale.PortOptions)) (o vale.PortOptions, err error) {
	err = p.onSwitch(ctx, sw, portName, func(s *port.SwitchInfo, at int) error {
		change(&s.Ports[at].Options)
		o = s.Ports[at].Options
		return nil
	})
	return o, err
}

// TraceFrame returns State.Trace.
func (p *Plane) TraceFrame(ctx context.Context, _ string, _ []byte) (port.Trace, error) {
	if err := p.enter(ctx); err != nil {
		return port.Trace{}, err
	}
	defer p.mu.Unlock()
	return p.state.Trace, nil
}
