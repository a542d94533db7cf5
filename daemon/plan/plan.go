// Package plan finds the steps from what is to what is wanted, and takes them as
// a transaction: when one fails, those before are undone.
//
// Three states meet in a plan. Running is what is; wanted is a configuration;
// applied is the configuration that was applied last. What is wanted and not
// running is made. What was applied and is no longer wanted is removed. What runs
// and was in neither somebody made by hand, and it stays.
package plan

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/netmapd/netmapd/daemon/config"
)

// Target is what a plan changes. Each method is one change, done or not done.
type Target interface {
	CreatePort(ctx context.Context, p config.Port) error
	DeletePort(ctx context.Context, name string) error
	// CreateSwitch makes a switch without ports, with its ageing time and table.
	CreateSwitch(ctx context.Context, s config.Switch) error
	DeleteSwitch(ctx context.Context, name string) error
	Attach(ctx context.Context, sw, port string) error
	Detach(ctx context.Context, sw, port string) error
	// SetForwarding makes the ageing time, static addresses and options of a
	// switch those of s; from is what they were.
	SetForwarding(ctx context.Context, from, s config.Switch) error
	// Settings puts everything else that can change into force.
	Settings(ctx context.Context, c *config.Config) error
}

// State is what a plan can change of ports and switches.
type State struct {
	Ports    []config.Port
	Switches []config.Switch
}

// StateOf is what a configuration says about ports and switches.
func StateOf(c *config.Config) State { return State{c.Ports, c.Switches} }

// Step is one change.
type Step struct {
	Action string // "create port", "detach", ...
	Object string // what it is done to: a port, a switch, a key
	Detail string // how, for people; may be ""

	do, undo func(context.Context, Target) error
}

// String is the step as people read it.
func (s Step) String() string {
	text := s.Action + " " + s.Object
	if s.Detail != "" {
		text += ": " + s.Detail
	}
	return text
}

// Plan is the way to a wanted state.
type Plan struct {
	Steps []Step
	// Restart are the keys whose change takes a restart of netmapd.
	Restart []string
}

// maker collects steps, those of a kind together: nothing is removed that
// something still stands on.
type maker struct {
	running, applied, wanted State

	detach, deleteSwitches, deletePorts, createPorts, createSwitches, attach, forward []Step

	replaced map[string]bool // ports that are made anew
}

// Make finds the steps. applied is nil when nothing was applied before.
func Make(running State, applied, wanted *config.Config) Plan {
	m := &maker{running: running, wanted: StateOf(wanted), replaced: map[string]bool{}}
	if applied != nil {
		m.applied = StateOf(applied)
	}
	m.ports()
	m.switches()
	slices.Reverse(m.detach) // of a port that ties two switches together, the second attachment goes first
	p := Plan{Steps: slices.Concat(m.detach, m.deleteSwitches, m.deletePorts, m.createPorts, m.createSwitches, m.attach, m.forward)}
	if applied != nil {
		changed := differences(applied, wanted)
		p.Restart = changed.restart
		if len(changed.settings) > 0 {
			p.Steps = append(p.Steps, settings(applied, wanted, changed.settings)...)
		}
	}
	return p
}

func portNamed(ports []config.Port, name string) *config.Port {
	i := slices.IndexFunc(ports, func(p config.Port) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &ports[i]
}

func switchNamed(switches []config.Switch, name string) *config.Switch {
	i := slices.IndexFunc(switches, func(s config.Switch) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &switches[i]
}

// bare is the name of an attached port: PORT* is a port with its host rings.
func bare(port string) string { return strings.TrimSuffix(port, "*") }

func (m *maker) ports() {
	for _, was := range m.applied.Ports {
		if now := portNamed(m.running.Ports, was.Name); now != nil && portNamed(m.wanted.Ports, was.Name) == nil {
			m.deletePorts = append(m.deletePorts, deletePort(*now))
		}
	}
	for _, want := range m.wanted.Ports {
		now := portNamed(m.running.Ports, want.Name)
		switch {
		case now == nil:
			m.createPorts = append(m.createPorts, createPort(want, ""))
		case !reflect.DeepEqual(*now, want):
			m.replaced[want.Name] = true
			m.deletePorts = append(m.deletePorts, deletePort(*now))
			m.createPorts = append(m.createPorts, createPort(want, "with other settings"))
		}
	}
}

func (m *maker) switches() {
	for _, now := range m.running.Switches {
		want, was := switchNamed(m.wanted.Switches, now.Name), switchNamed(m.applied.Switches, now.Name)
		gone := want == nil && was != nil
		for _, port := range now.Ports {
			if gone || m.leaves(port, now, want, was) {
				m.detach = append(m.detach, detach(now, port))
			}
		}
		if gone || want != nil && want.Compat != now.Compat {
			m.deleteSwitches = append(m.deleteSwitches, deleteSwitch(now))
		}
	}
	for _, want := range m.wanted.Switches {
		now := switchNamed(m.running.Switches, want.Name)
		fresh := now == nil || now.Compat != want.Compat
		if fresh {
			m.createSwitches = append(m.createSwitches, createSwitch(want))
			now = &config.Switch{Name: want.Name, Ageing: want.Ageing, Compat: want.Compat}
		}
		for _, port := range want.Ports {
			if fresh || m.replaced[bare(port)] || !slices.Contains(now.Ports, port) {
				m.attach = append(m.attach, attach(want.Name, port))
			}
		}
		if !sameForwarding(*now, want) || m.returns(want) {
			m.forward = append(m.forward, forward(*now, want))
		}
	}
}

// leaves says that a port has to be taken off its switch.
func (m *maker) leaves(port string, now config.Switch, want, was *config.Switch) bool {
	switch {
	case m.replaced[bare(port)] || want != nil && want.Compat != now.Compat:
		return true
	case portNamed(m.applied.Ports, bare(port)) != nil && portNamed(m.wanted.Ports, bare(port)) == nil:
		return true // it is deleted
	case want != nil && slices.Contains(want.Ports, port):
		return false
	case slices.ContainsFunc(m.wanted.Switches, func(s config.Switch) bool {
		return s.Name != now.Name && slices.ContainsFunc(s.Ports, func(p string) bool { return bare(p) == bare(port) })
	}):
		return true // another switch wants it
	}
	return was != nil && slices.Contains(was.Ports, port)
}

// returns says that a port with addresses or options is made or attached anew,
// and came without them.
func (m *maker) returns(s config.Switch) bool {
	return slices.ContainsFunc(s.Static, func(a config.StaticAddress) bool { return m.replaced[a.Port] }) ||
		slices.ContainsFunc(s.Options, func(o config.PortOptions) bool { return m.replaced[o.Port] })
}

func sameForwarding(a, b config.Switch) bool {
	usual := func(o config.PortOptions) bool { return o.Learning && o.FloodLimit == 0 }
	options := func(s config.Switch) map[config.PortOptions]bool {
		set := map[config.PortOptions]bool{}
		for _, o := range s.Options {
			if !usual(o) {
				set[o] = true
			}
		}
		return set
	}
	static := func(s config.Switch) map[config.StaticAddress]bool {
		set := map[config.StaticAddress]bool{}
		for _, a := range s.Static {
			set[a] = true
		}
		return set
	}
	ageing := a.Ageing == b.Ageing || a.Compat && b.Compat
	return ageing && reflect.DeepEqual(options(a), options(b)) && reflect.DeepEqual(static(a), static(b))
}

// Apply takes the steps of a plan. When one fails, those before are undone, last
// first, and the error says so; when the undoing fails too it says what is left.
func (p Plan) Apply(ctx context.Context, t Target) error {
	for i, s := range p.Steps {
		err := s.do(ctx, t)
		if err == nil {
			continue
		}
		// What was asked for may be over; what was done has to be undone.
		undo := context.WithoutCancel(ctx)
		errs := []error{fmt.Errorf("%v: %w", s, err)}
		for j := i - 1; j >= 0; j-- {
			if uerr := p.Steps[j].undo(undo, t); uerr != nil {
				errs = append(errs, fmt.Errorf("undo %v: %w", p.Steps[j], uerr))
			}
		}
		if len(errs) > 1 {
			return fmt.Errorf("the change failed and could not be undone as a whole; nmctl config plan shows what is missing: %w", errors.Join(errs...))
		}
		return fmt.Errorf("the change failed, and what was done of it is undone: %w", err)
	}
	return nil
}
