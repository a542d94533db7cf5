package plan_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netmapd/netmapd/daemon/config"
	"github.com/netmapd/netmapd/daemon/plan"
)

var errBroken = errors.New("broken")

// world is a target that refuses what the registry refuses, and can be told to
// break at a step.
type world struct {
	ports    map[string]config.Port
	switches map[string]config.Switch
	level    string
	steps    int
	breakAt  int // 0: never
}

func newWorld(s plan.State) *world {
	w := &world{ports: map[string]config.Port{}, switches: map[string]config.Switch{}}
	for _, p := range s.Ports {
		w.ports[p.Name] = p
	}
	for _, sw := range s.Switches {
		w.switches[sw.Name] = sw
	}
	return w
}

// state is the world as the daemon reports it, in no particular order.
func (w *world) state() plan.State {
	s := plan.State{Ports: slices.Collect(maps.Values(w.ports)), Switches: slices.Collect(maps.Values(w.switches))}
	slices.SortFunc(s.Ports, func(a, b config.Port) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Switches, func(a, b config.Switch) int { return strings.Compare(a.Name, b.Name) })
	return s
}

func (w *world) step(ok bool, format string, args ...any) error {
	if w.steps++; w.steps == w.breakAt {
		return errBroken
	}
	if !ok {
		return fmt.Errorf(format, args...)
	}
	return nil
}

func (w *world) on(port string) string {
	for _, s := range w.switches {
		if slices.Contains(s.Ports, port) {
			return s.Name
		}
	}
	return ""
}

func (w *world) CreatePort(_ context.Context, p config.Port) error {
	_, there := w.ports[p.Name]
	err := w.step(!there, "port %s exists", p.Name)
	if err == nil {
		w.ports[p.Name] = p
	}
	return err
}

func (w *world) DeletePort(_ context.Context, name string) error {
	_, there := w.ports[name]
	err := w.step(there && w.on(name) == "", "port %s is not there, or on %q", name, w.on(name))
	if err == nil {
		delete(w.ports, name)
	}
	return err
}

func (w *world) CreateSwitch(_ context.Context, s config.Switch) error {
	_, there := w.switches[s.Name]
	err := w.step(!there, "switch %s exists", s.Name)
	if err == nil {
		w.switches[s.Name] = config.Switch{Name: s.Name, Ageing: s.Ageing, Compat: s.Compat}
	}
	return err
}

func (w *world) DeleteSwitch(_ context.Context, name string) error {
	s, there := w.switches[name]
	err := w.step(there && len(s.Ports) == 0, "switch %s is not there, or has ports %v", name, s.Ports)
	if err == nil {
		delete(w.switches, name)
	}
	return err
}

func (w *world) Attach(_ context.Context, sw, port string) error {
	s, there := w.switches[sw]
	_, isPort := w.ports[port]
	err := w.step(there && isPort && w.on(port) == "", "attach %s to %s: there is none, or it is on %q", port, sw, w.on(port))
	if err == nil {
		s.Ports = append(slices.Clone(s.Ports), port)
		w.switches[sw] = s
	}
	return err
}

func (w *world) Detach(_ context.Context, sw, port string) error {
	s := w.switches[sw]
	err := w.step(slices.Contains(s.Ports, port), "%s is not on %s", port, sw)
	if err == nil {
		s.Ports = slices.DeleteFunc(slices.Clone(s.Ports), func(p string) bool { return p == port })
		s.Static = slices.DeleteFunc(slices.Clone(s.Static), func(a config.StaticAddress) bool { return a.Port == port })
		s.Options = slices.DeleteFunc(slices.Clone(s.Options), func(o config.PortOptions) bool { return o.Port == port })
		w.switches[sw] = s
	}
	return err
}

func (w *world) SetForwarding(_ context.Context, from, to config.Switch) error {
	s := w.switches[to.Name]
	err := w.step(true, "")
	if err != nil {
		return err
	}
	s.Ageing = to.Ageing
	static := map[string]config.StaticAddress{}
	for _, a := range s.Static {
		static[a.MAC] = a
	}
	for _, a := range from.Static {
		delete(static, a.MAC)
	}
	options := map[string]config.PortOptions{}
	for _, o := range s.Options {
		options[o.Port] = o
	}
	for _, o := range from.Options {
		delete(options, o.Port)
	}
	for _, a := range to.Static {
		static[a.MAC] = a
	}
	for _, o := range to.Options {
		options[o.Port] = o
	}
	s.Static, s.Options = slices.Collect(maps.Values(static)), slices.Collect(maps.Values(options))
	w.switches[to.Name] = s
	return nil
}

func (w *world) Settings(_ context.Context, c *config.Config) error {
	err := w.step(true, "")
	if err == nil {
		w.level = c.Log.Level
	}
	return err
}

// normal makes states comparable.
func normal(s plan.State) string {
	var lines []string
	for _, p := range s.Ports {
		lines = append(lines, fmt.Sprintf("%+v", p))
	}
	for _, sw := range s.Switches {
		lines = append(lines, fmt.Sprintf("%s ageing %v compat %v", sw.Name, sw.Ageing, sw.Compat))
		for _, p := range sw.Ports {
			lines = append(lines, sw.Name+" has "+p)
		}
		for _, a := range sw.Static {
			lines = append(lines, fmt.Sprintf("%s pins %+v", sw.Name, a))
		}
		for _, o := range sw.Options {
			lines = append(lines, fmt.Sprintf("%s lets %+v", sw.Name, o))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// drawConfig makes a configuration that is right by itself.
func drawConfig(t *rapid.T, label string) *config.Config {
	c := &config.Config{Version: 1, Log: config.Log{Level: rapid.SampledFrom([]string{"info", "debug"}).Draw(t, label+" level")}}
	free := []string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		if rapid.Bool().Draw(t, label+" port "+name) {
			c.Ports = append(c.Ports, config.Port{Name: name, Kind: "device", Rings: rapid.IntRange(1, 2).Draw(t, label+" rings")})
			free = append(free, name)
		}
	}
	for _, name := range []string{"vale1", "vale2"} {
		if !rapid.Bool().Draw(t, label+" switch "+name) {
			continue
		}
		s := config.Switch{Name: name, Compat: rapid.Bool().Draw(t, label+" compat")}
		if !s.Compat {
			s.Ageing = time.Duration(rapid.IntRange(1, 2).Draw(t, label+" ageing")) * time.Minute
		}
		var rest []string
		for _, p := range free {
			if !rapid.Bool().Draw(t, label+" on") {
				rest = append(rest, p)
				continue
			}
			s.Ports = append(s.Ports, p)
			if rapid.Bool().Draw(t, label+" static") {
				s.Static = append(s.Static, config.StaticAddress{MAC: "02:00:00:00:00:0" + rapid.SampledFrom([]string{"1", "2"}).Draw(t, label+" mac") + p, Port: p})
			}
			if rapid.Bool().Draw(t, label+" options") {
				s.Options = append(s.Options, config.PortOptions{Port: p, Learning: false, FloodLimit: 5})
			}
		}
		free = rest
		c.Switches = append(c.Switches, s)
	}
	return c
}

// From any configuration to any other, and with a failure at any step back again.
func TestApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		applied, wanted := drawConfig(t, "applied"), drawConfig(t, "wanted")
		w := newWorld(plan.StateOf(applied))
		w.level = applied.Log.Level
		p := plan.Make(w.state(), applied, wanted)
		if err := p.Apply(t.Context(), w); err != nil {
			t.Fatalf("%v\nsteps %v", err, p.Steps)
		}
		if got, want := normal(w.state()), normal(plan.StateOf(wanted)); got != want || w.level != wanted.Log.Level {
			t.Fatalf("after %v\n%s\nwant\n%s", p.Steps, got, want)
		}
		if again := plan.Make(w.state(), wanted, wanted); len(again.Steps) != 0 {
			t.Fatalf("what was applied takes more steps: %v", again.Steps)
		}
		before := newWorld(plan.StateOf(applied))
		for at := 1; at <= w.steps; at++ {
			v := newWorld(plan.StateOf(applied))
			v.level, v.breakAt = applied.Log.Level, at
			if err := p.Apply(t.Context(), v); !errors.Is(err, errBroken) {
				t.Fatalf("broken at step %d: %v", at, err)
			}
			if got, want := normal(v.state()), normal(before.state()); got != want || v.level != applied.Log.Level {
				t.Fatalf("after a failure at step %d of %v\n%s\nwant\n%s", at, p.Steps, got, want)
			}
		}
	})
}

// What somebody made by hand stays, unless the configuration says otherwise.
func TestHandmadeStays(t *testing.T) {
	running := plan.State{
		Ports:    []config.Port{{Name: "a", Rings: 1}, {Name: "hand", Rings: 1}},
		Switches: []config.Switch{{Name: "vale1", Ports: []string{"a", "hand"}, Ageing: time.Minute}, {Name: "vale9", Ageing: time.Minute}},
	}
	applied := &config.Config{Ports: []config.Port{{Name: "a", Rings: 1}}, Switches: []config.Switch{{Name: "vale1", Ports: []string{"a"}, Ageing: time.Minute}}}
	wanted := &config.Config{Switches: []config.Switch{{Name: "vale1", Ageing: time.Minute}}}
	var got []string
	for _, s := range plan.Make(running, applied, wanted).Steps {
		got = append(got, s.String())
	}
	if want := []string{"detach port a: from vale1", "delete port a"}; !reflect.DeepEqual(got, want) {
		t.Errorf("steps %q, want %q", got, want)
	}
}

func TestWhatTakesARestart(t *testing.T) {
	a := &config.Config{}
	b := &config.Config{
		RuntimeDir: "/x", Log: config.Log{Level: "debug"}, Lcores: []config.Lcore{{CPU: 1}},
		Access: config.Access{Group: "g", Rules: []config.Rule{{Who: []string{"x"}}}},
		Limits: config.Limits{Sessions: 5, MemoryMBPerUID: 6, ControlTimeout: time.Second},
		Memory: config.Memory{Regions: []config.NamedRegion{{Name: "r"}}},
	}
	p := plan.Make(plan.State{}, a, b)
	var got []string
	for _, s := range p.Steps {
		got = append(got, s.Object)
	}
	if want := []string{"log.level", "limits.memory-mb-per-uid", "limits.sessions", "access.rules"}; !reflect.DeepEqual(got, want) {
		t.Errorf("settings %q, want %q", got, want)
	}
	if want := []string{"runtime-dir", "lcores", "memory.regions", "limits.control-timeout", "access.group"}; !reflect.DeepEqual(p.Restart, want) {
		t.Errorf("restart for %q, want %q", p.Restart, want)
	}
}

// A failure to undo is told.
func TestUndoFails(t *testing.T) {
	w := newWorld(plan.State{})
	p := plan.Make(plan.State{}, &config.Config{}, &config.Config{Ports: []config.Port{{Name: "a"}, {Name: "b"}}})
	w.breakAt = 2
	w.ports["b"] = config.Port{}
	broken := &stubborn{world: w}
	if err := p.Apply(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "could not be undone") {
		t.Errorf("got %v", err)
	}
}

// stubborn deletes nothing.
type stubborn struct{ *world }

func (s *stubborn) DeletePort(context.Context, string) error { return errBroken }
