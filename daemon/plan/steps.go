package plan

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/netmapd/netmapd/daemon/config"
)

func createPort(p config.Port, detail string) Step {
	return Step{
		Action: "create port", Object: p.Name, Detail: detail,
		do:   func(ctx context.Context, t Target) error { return t.CreatePort(ctx, p) },
		undo: func(ctx context.Context, t Target) error { return t.DeletePort(ctx, p.Name) },
	}
}

func deletePort(p config.Port) Step {
	return Step{
		Action: "delete port", Object: p.Name,
		do:   func(ctx context.Context, t Target) error { return t.DeletePort(ctx, p.Name) },
		undo: func(ctx context.Context, t Target) error { return t.CreatePort(ctx, p) },
	}
}

func createSwitch(s config.Switch) Step {
	return Step{
		Action: "create switch", Object: s.Name,
		do:   func(ctx context.Context, t Target) error { return t.CreateSwitch(ctx, s) },
		undo: func(ctx context.Context, t Target) error { return t.DeleteSwitch(ctx, s.Name) },
	}
}

// deleteSwitch removes a switch; its ports left before, and come back after its
// undoing, which then restores what it knew of them too late: so that is part of
// theirs (see detach).
func deleteSwitch(s config.Switch) Step {
	return Step{
		Action: "delete switch", Object: s.Name,
		do:   func(ctx context.Context, t Target) error { return t.DeleteSwitch(ctx, s.Name) },
		undo: func(ctx context.Context, t Target) error { return t.CreateSwitch(ctx, s) },
	}
}

func attach(sw, port string) Step {
	return Step{
		Action: "attach port", Object: port, Detail: "to " + sw,
		do:   func(ctx context.Context, t Target) error { return t.Attach(ctx, sw, port) },
		undo: func(ctx context.Context, t Target) error { return t.Detach(ctx, sw, port) },
	}
}

func detach(sw config.Switch, port string) Step {
	return Step{
		Action: "detach port", Object: port, Detail: "from " + sw.Name,
		do: func(ctx context.Context, t Target) error { return t.Detach(ctx, sw.Name, port) },
		undo: func(ctx context.Context, t Target) error {
			if err := t.Attach(ctx, sw.Name, port); err != nil {
				return err
			}
			// What the switch knew of the port went with it.
			with, without := config.Switch{Name: sw.Name, Ageing: sw.Ageing, Compat: sw.Compat}, config.Switch{Name: sw.Name, Ageing: sw.Ageing, Compat: sw.Compat}
			for _, a := range sw.Static {
				if a.Port == bare(port) {
					with.Static = append(with.Static, a)
				}
			}
			for _, o := range sw.Options {
				if o.Port == bare(port) {
					with.Options = append(with.Options, o)
				}
			}
			return t.SetForwarding(ctx, without, with)
		},
	}
}

func forward(from, to config.Switch) Step {
	var what []string
	if from.Ageing != to.Ageing {
		what = append(what, fmt.Sprintf("ageing %v", to.Ageing))
	}
	if !reflect.DeepEqual(from.Static, to.Static) {
		what = append(what, "static addresses")
	}
	if !reflect.DeepEqual(from.Options, to.Options) {
		what = append(what, "options of ports")
	}
	return Step{
		Action: "set forwarding", Object: to.Name, Detail: strings.Join(what, ", "),
		do:   func(ctx context.Context, t Target) error { return t.SetForwarding(ctx, from, to) },
		undo: func(ctx context.Context, t Target) error { return t.SetForwarding(ctx, to, from) },
	}
}

// settings change all at once; there is a step for each key, so that people see them.
func settings(from, to *config.Config, keys []string) []Step {
	nothing := func(context.Context, Target) error { return nil }
	var steps []Step
	for i, key := range keys {
		s := Step{Action: "set", Object: key, do: nothing, undo: nothing}
		if i == 0 {
			s.do = func(ctx context.Context, t Target) error { return t.Settings(ctx, to) }
			s.undo = func(ctx context.Context, t Target) error { return t.Settings(ctx, from) }
		}
		steps = append(steps, s)
	}
	return steps
}

// changes are the keys that differ between two configurations.
type changes struct{ settings, restart []string }

// differences compares everything but ports and switches.
func differences(a, b *config.Config) (c changes) {
	for _, key := range config.Changed(a, b) {
		switch top, _, _ := strings.Cut(key, "."); {
		case top == "ports" || top == "switches":
		case top == "access" && key != "access.group", top == "log", top == "interfaces", key == "memory.hugepage-users",
			top == "limits" && key != "limits.control-timeout":
			c.settings = append(c.settings, key)
		default:
			c.restart = append(c.restart, key)
		}
	}
	return c
}
