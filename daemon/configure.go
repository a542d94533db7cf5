package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/config"
	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/daemon/logs"
	"github.com/netmapd/netmapd/daemon/plan"
	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

// Source is where the configuration comes from, for a reload to read it again.
type Source struct {
	File   string         // "" for none
	Flags  *pflag.FlagSet // they hold over every file; may be nil
	Level  *slog.LevelVar // of the log; nil: it cannot be changed
	Format *logs.Format   // of the log; nil: it cannot be changed
}

// configuration is what was applied, and how that went. One change is made at a
// time.
type configuration struct {
	mu      sync.Mutex
	src     Source
	applied *config.Config
	when    time.Time
	err     error
}

// startConfiguration makes the configured ports and switches.
func (d *Daemon) startConfiguration(ctx context.Context) error {
	p := plan.Make(plan.State{}, nil, d.cfg)
	if err := p.Apply(ctx, &target{d, d.cfg}); err != nil {
		return err
	}
	d.conf.applied = d.cfg
	return nil
}

// reload applies the configuration file anew.
func (d *Daemon) reload() {
	notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", sd.SdNotifyReloading, monotonic().Microseconds()))
	c, err := d.apply(context.Background(), "")
	if err != nil {
		d.log.Error("reload: the configuration stays as it was", "err", err)
	} else {
		d.log.Info("reload: done", "changes", len(c.Steps))
		for _, key := range c.Restart {
			d.log.Warn("reload: a key changed that takes a restart", "key", key)
		}
	}
	notify(sd.SdNotifyReady)
}

// monotonic is the clock that systemd wants to know the time by.
func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
	return time.Duration(ts.Nano())
}

// read returns the configuration that yaml says, the file's when it is "".
func (c *configuration) read(yaml string) (*config.Config, error) {
	if yaml != "" {
		return config.LoadData("the configuration given", []byte(yaml), c.src.Flags)
	}
	if c.src.File == "" {
		return nil, &port.Error{
			Op: "read the configuration", Errno: unix.EBUSY,
			Why: "netmapd was started without a file; give the configuration itself, or start it with --config FILE",
		}
	}
	return config.Load(c.src.File, c.src.Flags)
}

// plan reads a configuration and plans the way to it. d.conf.mu is held.
func (d *Daemon) plan(ctx context.Context, yaml string) (*config.Config, plan.Plan, error) {
	wanted, err := d.conf.read(yaml)
	if err != nil {
		return nil, plan.Plan{}, wrongConfig(err)
	}
	if _, err := policy(wanted); err != nil { // names of users that nobody has
		return nil, plan.Plan{}, &control.ConfigError{Problems: []string{err.Error()}}
	}
	return wanted, plan.Make(d.state(ctx), d.conf.applied, wanted), nil
}

// apply makes a configuration hold.
func (d *Daemon) apply(ctx context.Context, yaml string) (control.Changes, error) {
	c := &d.conf
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted, p, err := d.plan(ctx, yaml)
	if err == nil {
		err = p.Apply(ctx, &target{d, wanted})
	}
	c.when, c.err = time.Now(), err
	if err != nil {
		d.announce(port.EventConfigRefused, err.Error())
		return control.Changes{}, err
	}
	d.announce(port.EventConfigApplied, "")
	c.applied = wanted
	return changes(p), nil
}

func changes(p plan.Plan) control.Changes {
	c := control.Changes{Restart: p.Restart}
	for _, s := range p.Steps {
		c.Steps = append(c.Steps, control.Change{Action: s.Action, Object: s.Object, Detail: s.Detail})
	}
	return c
}

// wrongConfig tells the API what is wrong with a configuration.
func wrongConfig(err error) error {
	var bad *config.Error
	if !errors.As(err, &bad) {
		return err
	}
	out := &control.ConfigError{}
	for _, p := range bad.Problems {
		out.Problems = append(out.Problems, p.String())
	}
	return out
}

// state is what runs of ports and switches.
func (d *Daemon) state(ctx context.Context) (s plan.State) {
	ports, switches := d.reg.Configured(ctx)
	for _, p := range ports {
		s.Ports = append(s.Ports, configPort(p))
	}
	for _, sw := range switches {
		s.Switches = append(s.Switches, configSwitch(sw))
	}
	return s
}

// running is the configuration as it is now.
func (d *Daemon) running(ctx context.Context) *config.Config {
	c := *d.conf.applied
	s := d.state(ctx)
	c.Ports, c.Switches = s.Ports, s.Switches
	c.Log.Level = d.logLevel()
	return &c
}

// save writes the configuration file. The file before is kept beside it.
func (d *Daemon) save(ctx context.Context) (file, backup string, err error) {
	c := &d.conf
	c.mu.Lock()
	defer c.mu.Unlock()
	if file = c.src.File; file == "" {
		return "", "", &port.Error{
			Op: "save the configuration", Errno: unix.EBUSY,
			Why: "netmapd was started without a file; write what nmctl config show prints to one, and start it with --config FILE",
		}
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("save the configuration: %w", err)
	}
	text, err := config.Update(file, old, d.running(ctx))
	if err != nil {
		return "", "", fmt.Errorf("save the configuration: %w", err)
	}
	if _, err := config.LoadData(file, text, c.src.Flags); err != nil { // nothing that could not be read again
		return "", "", fmt.Errorf("save the configuration: what was made by hand does not fit into a file: %w", err)
	}
	backup = file + ".bak"
	if err := errors.Join(replace(backup, old), replace(file, text)); err != nil {
		return "", "", fmt.Errorf("save the configuration: %w", err)
	}
	return file, backup, nil
}

// replace writes a file so that it is there as a whole, the old or the new one,
// with the mode of the old one.
func replace(path string, data []byte) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".netmapd-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is not there when all went well
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// target carries the steps of a plan out.
type target struct {
	d   *Daemon
	cfg *config.Config // for messages: where things are written
}

// where puts the place of a key before an error.
func (t *target) where(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", t.cfg.Where(key), err)
}

func (t *target) portKey(name string) string {
	return fmt.Sprintf("ports[%d].name", slices.IndexFunc(t.cfg.Ports, func(p config.Port) bool { return p.Name == name }))
}

func (t *target) switchKey(name string) string {
	return fmt.Sprintf("switches[%d].name", slices.IndexFunc(t.cfg.Switches, func(s config.Switch) bool { return s.Name == name }))
}

func (t *target) CreatePort(ctx context.Context, p config.Port) error {
	_, err := t.d.reg.Await(ctx, portSpec(p))
	if awaited, ok := errors.AsType[*port.AwaitedError](err); ok {
		t.d.log.Error("a configured port is missing; the others go on", "port", p.Name, "err", awaited)
		return nil
	}
	return t.where(t.portKey(p.Name), err)
}

func (t *target) DeletePort(ctx context.Context, name string) error {
	return t.d.reg.DeletePort(ctx, name)
}

func (t *target) CreateSwitch(ctx context.Context, s config.Switch) error {
	age := s.Ageing
	if s.Compat {
		age = 0
	}
	_, err := t.d.reg.CreateSwitch(ctx, port.SwitchSpec{Name: s.Name, Age: &age, Compat: s.Compat})
	return t.where(t.switchKey(s.Name), err)
}

func (t *target) DeleteSwitch(ctx context.Context, name string) error {
	return t.d.reg.DeleteSwitch(ctx, name)
}

func (t *target) Attach(ctx context.Context, sw, portName string) error {
	if t.d.reg.AttachAwaited(sw, portName) {
		return nil
	}
	_, err := t.d.reg.Attach(ctx, sw, portName)
	return t.where(t.switchKey(sw), err)
}

func (t *target) Detach(ctx context.Context, sw, portName string) error {
	return t.d.reg.Detach(ctx, sw, portName)
}

func (t *target) SetForwarding(ctx context.Context, from, to config.Switch) error {
	reg := t.d.reg
	var errs []error
	if !to.Compat {
		errs = append(errs, reg.SetAgeing(ctx, to.Name, to.Ageing))
	}
	for _, a := range from.Static {
		if !slices.ContainsFunc(to.Static, func(b config.StaticAddress) bool { return sameMAC(a.MAC, b.MAC) }) {
			if err := reg.DeleteAddress(ctx, to.Name, macOf(a.MAC)); !errors.Is(err, unix.ENOENT) { // it may have gone with its port
				errs = append(errs, err)
			}
		}
	}
	for _, a := range to.Static {
		errs = append(errs, reg.AddAddress(ctx, to.Name, a.Port, macOf(a.MAC)))
	}
	set := func(portName string, want vale.PortOptions) error {
		_, err := reg.ConfigureSwitchPort(ctx, to.Name, portName, func(o *vale.PortOptions) { *o = want })
		return err
	}
	for _, o := range from.Options {
		if !slices.ContainsFunc(to.Options, func(p config.PortOptions) bool { return p.Port == o.Port }) {
			if err := set(o.Port, vale.PortOptions{}); !errors.Is(err, unix.ENXIO) { // it may have left
				errs = append(errs, err)
			}
		}
	}
	for _, o := range to.Options {
		errs = append(errs, set(o.Port, vale.PortOptions{NoLearning: !o.Learning, FloodLimit: o.FloodLimit}))
	}
	return t.where(t.switchKey(to.Name), errors.Join(errs...))
}

func (t *target) Settings(_ context.Context, c *config.Config) error {
	p, err := policy(c)
	if err != nil {
		return err
	}
	trusted, err := uids(c.Memory.HugepageUsers)
	if err != nil {
		return t.where("memory.hugepage-users", err)
	}
	d := t.d
	d.guard.Set(p)
	d.limits.Store(&c.Limits)
	d.attach.SetLimits(attachLimits(c.Limits))
	d.reg.SetInterfaces(port.Interfaces{
		Open: c.Interfaces.Open == config.Auto, Allow: c.Interfaces.Allow, Driver: port.Driver(c.Interfaces.Driver),
	})
	d.reg.SetUserLimits(trusted, c.Limits.ExtraBufsPerUID, userBytes(c.Limits))
	d.reg.SetSeparateUsers(c.Access.SeparateUsers)
	d.setLogLevel(c.Log.Level)
	if f := d.conf.src.Format; f != nil {
		f.Set(c.Log.Format)
	}
	return nil
}

func (d *Daemon) setLogLevel(name string) {
	if level := d.conf.src.Level; level != nil {
		var l slog.Level
		_ = l.UnmarshalText([]byte(name)) // one of those that the schema knows
		level.Set(l)
	}
}

func (d *Daemon) logLevel() string {
	if level := d.conf.src.Level; level != nil {
		return levelName(level.Level())
	}
	return d.cfg.Log.Level
}

func levelName(l slog.Level) string {
	return map[slog.Level]string{slog.LevelDebug: "debug", slog.LevelInfo: "info", slog.LevelWarn: "warn", slog.LevelError: "error"}[l]
}

// portSpec is what the registry is asked for.
func portSpec(p config.Port) port.Spec {
	s := port.Spec{
		Name: p.Name, Kind: port.Kind(p.Kind), Ifname: p.Ifname, Driver: port.Driver(p.Driver),
		Devargs: p.Devargs, Rings: p.Rings, Slots: p.Slots, MTU: p.MTU, Fill: p.FillBytes(), Host: p.Host, DropUnbound: p.Unbound == "drop",
	}
	if s.Kind != port.KindInterface {
		s.Driver = ""
	}
	return s
}

// configPort is portSpec the other way round.
func configPort(s port.Spec) config.Port {
	p := config.Port{
		Name: s.Name, Kind: string(s.Kind), Ifname: s.Ifname, Driver: string(s.Driver),
		Devargs: s.Devargs, Rings: s.Rings, Slots: s.Slots, MTU: s.MTU, Host: s.Host, Unbound: "host",
		Fill: hex.EncodeToString([]byte(s.Fill)),
	}
	if p.Driver == "" {
		p.Driver = config.Auto
	}
	if s.DropUnbound {
		p.Unbound = "drop"
	}
	return p
}

func configSwitch(s port.ConfiguredSwitch) config.Switch {
	out := config.Switch{Name: s.Name, Ports: s.Ports, Ageing: *s.Age, Compat: s.Compat}
	for _, a := range s.Addresses {
		out.Static = append(out.Static, config.StaticAddress{MAC: a.MAC.String(), Port: a.Port})
	}
	for _, name := range s.Ports {
		name = strings.TrimSuffix(name, "*")
		if o, ok := s.Options[name]; ok {
			out.Options = append(out.Options, config.PortOptions{Port: name, Learning: !o.NoLearning, FloodLimit: o.FloodLimit})
		}
	}
	return out
}

// macOf reads an address that the configuration has checked.
func macOf(s string) vale.MAC {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != len(vale.MAC{}) {
		return vale.MAC{}
	}
	return vale.MAC(hw)
}

func sameMAC(a, b string) bool { return macOf(a) == macOf(b) }
