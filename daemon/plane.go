package daemon

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/netmapd/netmapd/daemon/attach"
	"github.com/netmapd/netmapd/daemon/config"
	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/port"
)

// Version of netmapd; set by the build.
var Version = "dev"

// plane is what the gRPC services see of the daemon: the registry, and what
// only the daemon knows.
type plane struct {
	*port.Registry
	d *Daemon
}

// Ticket stores a registration for the attach socket to carry out.
func (p plane) Ticket(_ context.Context, uid uint32, req control.TicketRequest) (token [16]byte, expires time.Time, err error) {
	return p.d.tickets.Issue(attach.Ticket{UID: uid, Name: req.Name, Register: req.Register})
}

// Info describes the daemon.
func (p plane) Info() control.Info {
	d := p.d
	return control.Info{
		Version: Version, DPDKVersion: eal.Version(), PID: os.Getpid(), Started: d.started,
		EALArgs: d.ealArgs, Notes: d.notes, RuntimeDir: d.dir, AttachSocket: rundir.AttachSocket(d.dir),
		LogLevel: d.logLevel(), Limits: control.Limits(*d.limits.Load()),
	}
}

// SetLogLevel changes how much is logged.
func (p plane) SetLogLevel(level string) { p.d.setLogLevel(level) }

// Capture begins a capture.
func (p plane) Capture(ctx context.Context, spec port.CaptureSpec) (control.Capture, error) {
	c, err := p.Registry.Capture(ctx, spec)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Config returns the configuration as it is now.
func (p plane) Config(ctx context.Context) (control.Config, error) {
	conf := &p.d.conf
	conf.mu.Lock()
	defer conf.mu.Unlock()
	text, err := config.Render(p.d.running(ctx))
	if err != nil {
		return control.Config{}, err
	}
	c := control.Config{YAML: string(text), File: conf.src.File, Applied: conf.when}
	if conf.err != nil {
		c.Err = conf.err.Error()
	}
	return c, nil
}

// CheckConfig returns what is wrong with a configuration.
func (p plane) CheckConfig(ctx context.Context, yaml string) ([]string, error) {
	_, err := p.PlanConfig(ctx, yaml)
	if wrong, ok := errors.AsType[*control.ConfigError](err); ok {
		return wrong.Problems, nil
	}
	return nil, err
}

// PlanConfig returns what ApplyConfig would do.
func (p plane) PlanConfig(ctx context.Context, yaml string) (control.Changes, error) {
	p.d.conf.mu.Lock()
	defer p.d.conf.mu.Unlock()
	_, way, err := p.d.plan(ctx, yaml)
	return changes(way), err
}

// ApplyConfig makes a configuration hold.
func (p plane) ApplyConfig(ctx context.Context, yaml string) (control.Changes, error) {
	return p.d.apply(ctx, yaml)
}

// SaveConfig writes the configuration file.
func (p plane) SaveConfig(ctx context.Context) (file, backup string, err error) { return p.d.save(ctx) }
