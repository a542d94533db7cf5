package port

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	vale "github.com/netmapd/netmapd/switch"
)

// This file is what an operator does with the forwarding of a switch. The
// switch's control plane has a lock of its own and publishes each change to the
// lcores, so nothing here waits for one but Trace.

// Address is an entry of a forwarding table.
type Address struct {
	MAC    vale.MAC
	Port   string // "" for a port that left
	Static bool
	Age    time.Duration // 0: not known
}

// switchNamed finds a switch. g.mu is held.
func (g *Registry) switchNamed(op, swName string) (*valeSwitch, error) {
	if s := g.switches[swName]; s != nil {
		return s, nil
	}
	return nil, refuse(op, swName, unix.ENXIO, "there is no switch of this name; nmctl switch list shows those there are")
}

// portNamed finds a port of a switch.
func (s *valeSwitch) portNamed(op, portName string) (*vale.Port, error) {
	for _, vp := range s.Ports() {
		if n := vp.Name(); n == portName || s.listName(n) == portName || n == s.name+":"+portName {
			return vp, nil
		}
	}
	return nil, refuse(op, portName, unix.ENXIO, "switch %s has no port of this name; nmctl switch show %s lists those it has", s.name, s.name)
}

// onSwitch calls fn with a switch and, unless portName is "", a port of it.
func (g *Registry) onSwitch(op, swName, portName string, fn func(*valeSwitch, *vale.Port) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, err := g.switchNamed(op, swName)
	if err != nil {
		return err
	}
	var vp *vale.Port
	if portName != "" {
		if vp, err = s.portNamed(op, portName); err != nil {
			return err
		}
	}
	return fn(s, vp)
}

// Addresses lists the forwarding table of a switch by address, that of one port
// if portName is not "", and describes the table.
func (g *Registry) Addresses(_ context.Context, swName, portName string) (list []Address, st vale.TableStats, err error) {
	err = g.onSwitch("list addresses", swName, portName, func(s *valeSwitch, vp *vale.Port) error {
		names := map[int]string{}
		for _, p := range s.Ports() {
			names[p.Index()] = p.Name()
		}
		for _, a := range s.Switch.Addresses() {
			if vp == nil || a.Index == vp.Index() {
				list = append(list, Address{MAC: a.MAC, Port: names[a.Index], Static: a.Static, Age: a.Age})
			}
		}
		st = s.Table()
		return nil
	})
	return list, st, err
}

// AddAddress pins an address to a port of a switch.
func (g *Registry) AddAddress(_ context.Context, swName, portName string, mac vale.MAC) error {
	const op = "add address"
	return g.onSwitch(op, swName, portName, func(s *valeSwitch, vp *vale.Port) error {
		if err := s.SetStatic(mac, vp); err != nil {
			return refuse(op, mac.String(), unix.EINVAL, "%v", err)
		}
		return nil
	})
}

// DeleteAddress forgets an address of a switch.
func (g *Registry) DeleteAddress(_ context.Context, swName string, mac vale.MAC) error {
	const op = "delete address"
	return g.onSwitch(op, swName, "", func(s *valeSwitch, _ *vale.Port) error {
		if !s.Forget(mac) {
			return refuse(op, mac.String(), unix.ENOENT, "the table of switch %s does not have it", s.name)
		}
		return nil
	})
}

// FlushAddresses forgets what a switch learned, or what it learned on one port,
// and returns how many addresses that were.
func (g *Registry) FlushAddresses(_ context.Context, swName, portName string) (n int, err error) {
	err = g.onSwitch("flush addresses", swName, portName, func(s *valeSwitch, vp *vale.Port) error {
		n = s.Flush(vp)
		return nil
	})
	return n, err
}

// SetAgeing changes how long a switch remembers a silent address; 0 is for ever.
func (g *Registry) SetAgeing(_ context.Context, swName string, age time.Duration) error {
	return g.onSwitch("set ageing", swName, "", func(s *valeSwitch, _ *vale.Port) error {
		s.SetAge(age)
		return nil
	})
}

// ConfigureSwitchPort changes options of a port of a switch, and returns what
// holds then.
func (g *Registry) ConfigureSwitchPort(_ context.Context, swName, portName string, change func(*vale.PortOptions)) (o vale.PortOptions, err error) {
	const op = "configure port"
	err = g.onSwitch(op, swName, portName, func(s *valeSwitch, vp *vale.Port) error {
		o = vp.Options()
		change(&o)
		if err := s.Configure(vp, o); err != nil {
			return refuse(op, portName, unix.EINVAL, "%v", err)
		}
		return nil
	})
	return o, err
}

// Trace is what would become of a frame.
type Trace struct {
	vale.Verdict
	Switch string
	Port   string   // of Verdict.Entry
	Drops  []string // by port of Verdict.To: why it would be dropped there, or ""
}

// TraceFrame says what would become of a frame that a port of a switch sends.
func (g *Registry) TraceFrame(ctx context.Context, portName string, frame []byte) (Trace, error) {
	const op = "trace"
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.lookup(portName)
	if p == nil {
		return Trace{}, refuse(op, portName, unix.ENXIO, "no port has this name; nmctl port list shows those there are")
	}
	if p.sw == nil {
		return Trace{}, refuse(op, portName, unix.EINVAL, "the port is on no switch, so nothing decides where its frames go")
	}
	v, err := p.sw.Trace(p.vp, frame)
	if err != nil {
		return Trace{}, refuse(op, portName, unix.EINVAL, "%v", err)
	}
	t := Trace{Verdict: v, Switch: p.sw.name}
	if v.Entry != nil {
		for _, q := range p.sw.Ports() {
			if q.Index() == v.Entry.Index {
				t.Port = q.Name()
			}
		}
	}
	for _, to := range v.To {
		why, err := g.obstacle(ctx, to)
		if err != nil {
			return Trace{}, err
		}
		t.Drops = append(t.Drops, why)
	}
	return t, nil
}

// obstacle says why ring 0 of a port would not take a frame now; "" if it would.
func (g *Registry) obstacle(ctx context.Context, to *vale.Port) (why string, err error) {
	p := g.ports[to.Name()]
	if p == nil || p.be == nil {
		return "", nil
	}
	if _, dev := p.be.(*device); dev || len(p.rx) == 0 {
		return "", nil // what the device has room for, only it knows
	}
	k := p.rx[0]
	err = p.lc.Do(ctx, func() {
		switch {
		case !k.Bound():
			why = vale.NotBound.String()
		case k.Release() == 0:
			why = vale.RingFull.String()
		}
	})
	return why, err
}
