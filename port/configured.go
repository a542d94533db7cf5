package port

import (
	"cmp"
	"context"
	"slices"

	vale "github.com/netmapd/netmapd/switch"
)

// normal is the spec with the defaults written out, so that two that ask for the
// same are equal.
func (s Spec) normal() Spec {
	s.Kind = cmp.Or(s.Kind, KindInterface)
	if s.Kind == KindInterface {
		s.Ifname = cmp.Or(s.Ifname, s.Name)
		s.Driver = cmp.Or(s.Driver, DriverAuto)
	} else {
		s.Driver = ""
	}
	return s
}

// ConfiguredSwitch is a switch that an operator made, with what he put on it.
type ConfiguredSwitch struct {
	SwitchSpec
	Ports     []string // attached, by index; not those that clients opened
	Addresses []Address
	Options   map[string]vale.PortOptions // by port, where not the usual ones
}

// Configured returns the ports and switches that operators made, as they are
// now: what it takes to make them again. Ports come by name.
func (g *Registry) Configured(context.Context) (ports []Spec, switches []ConfiguredSwitch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.sorted() {
		if p.spec != nil {
			ports = append(ports, *p.spec)
		}
	}
	slices.SortFunc(ports, func(a, b Spec) int { return cmp.Compare(a.Name, b.Name) })
	for _, a := range g.absent {
		ports = append(ports, a.spec)
	}
	for _, s := range g.bySwitch() {
		if !s.ephemeral {
			switches = append(switches, g.configured(s))
		}
	}
	return ports, switches
}

func (g *Registry) configured(s *valeSwitch) ConfiguredSwitch {
	age := s.Table().Age
	c := ConfiguredSwitch{
		SwitchSpec: SwitchSpec{Name: s.name, Age: &age, Compat: s.compat},
		Options:    map[string]vale.PortOptions{},
	}
	names := map[int]string{}
	for _, vp := range s.Ports() {
		p := g.ports[vp.Name()]
		if p == nil {
			continue
		}
		if _, ok := p.be.(attachable); !ok || p.kind == KindHost {
			continue // it comes and goes with its client, or with the port whose host rings it is
		}
		name := vp.Name()
		if t, ok := p.be.(*patch); ok {
			p = t.inner.p
			name = p.name
		}
		if p.kind == KindPersistent && p.spec == nil {
			continue // a port that cannot be asked for in this way
		}
		plain := name
		if d, ok := p.be.(*device); ok && d.host.port != nil {
			name += "*" // as it was attached
		}
		c.Ports = append(c.Ports, name)
		names[vp.Index()] = plain
		if o := vp.Options(); o != (vale.PortOptions{}) {
			c.Options[plain] = o
		}
	}
	for _, a := range g.absent {
		if a.switched == s.name {
			c.Ports = append(c.Ports, a.spec.Name)
		}
	}
	for _, a := range s.Addresses() {
		if name, ok := names[a.Index]; ok && a.Static {
			c.Addresses = append(c.Addresses, Address{MAC: a.MAC, Port: name, Static: true})
		}
	}
	slices.SortFunc(c.Addresses, func(a, b Address) int { return slices.Compare(a.MAC[:], b.MAC[:]) })
	return c
}
