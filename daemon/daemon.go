// Package daemon is the composition root of netmapd: it turns a configuration
// into a running dataplane, starting the parts in order and stopping them in the
// opposite order.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/stats"

	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/daemon/attach"
	"github.com/netmapd/netmapd/daemon/config"
	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/daemon/fdstore"
	"github.com/netmapd/netmapd/daemon/metrics"
	"github.com/netmapd/netmapd/daemon/telemetry"
	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/ethdev"
	dpdklcore "github.com/netmapd/netmapd/dpdk/lcore"
	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/port"
	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/shm"
)

// ErrHugepages says that DPDK did not start with hugepages, which the
// configuration leaves open. They were free a moment before, or so it seemed. DPDK
// can be started once in a process, so it takes another one to do without.
var ErrHugepages = errors.New("DPDK cannot use the hugepages")

// tendInterval is how often the registry tidies up.
const tendInterval = 5 * time.Second

// stopTimeout bounds each part's stop.
const stopTimeout = 5 * time.Second

// flushTimeout bounds the sending of the last spans, which a collector that is
// away must not hold up for longer.
const flushTimeout = 2 * time.Second

// Daemon is a running netmapd.
type Daemon struct {
	cfg     *config.Config // that it was started with
	conf    configuration
	reloads chan struct{}
	log     *slog.Logger
	started time.Time
	dir     string
	ealArgs []string
	notes   []string

	lcores  []*lcore.Lcore
	devices <-chan struct{} // something happened to a device
	reg     *port.Registry
	events  atomic.Pointer[port.Registry] // reg, for goroutines that are there before it
	limits  atomic.Pointer[config.Limits] // in force
	guard   *access.Guard
	group   int // whose members may connect, or noGroup
	tickets *attach.Tickets
	heirs   []port.Heir // connections of an earlier daemon
	attach  *attach.Server
	control *control.Server

	ready  bool       // everything is up
	failed chan error // a server ended by itself
	undo   []func()   // in the order of starting
}

// Start brings everything up. When a step fails, those before are undone.
func Start(cfg *config.Config, src Source, log *slog.Logger) (_ *Daemon, err error) {
	d := &Daemon{cfg: cfg, conf: configuration{src: src}, reloads: make(chan struct{}, 1), log: log, started: time.Now(), failed: make(chan error, 4)}
	defer func() {
		if err != nil {
			d.Stop()
		}
	}()
	if ring.Trusting {
		log.Error("this netmapd believes whatever clients write: any of them can make it read and write where it should not. It was built to measure what the checks cost; use another one for everything else", "tag", "netmapd_trusting")
	}
	for _, name := range config.UnknownEnv(os.Environ()) {
		log.Warn("a variable in the environment looks like one of netmapd's and sets nothing", "name", name)
	}
	facts, err := config.ReadFacts()
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(facts); err != nil {
		return nil, err
	}
	lcores := cfg.ResolveLcores(facts)
	if err := d.setPolicy(); err != nil {
		return nil, err
	}
	if err := d.openRuntimeDir(); err != nil {
		return nil, err
	}
	setUpGo(len(lcores))
	housekeeping := keepOff(facts.CPUs, lcores, log)
	if err := d.startEAL(housekeeping); err != nil {
		return nil, err
	}
	if err := d.startLcores(lcores); err != nil {
		return nil, err
	}
	if err := d.startRegistry(); err != nil {
		return nil, err
	}
	if err := d.serve(); err != nil {
		return nil, err
	}
	d.ready = true
	d.reg.TookOver()
	notify(sd.SdNotifyReady)
	d.tellSystemd()
	return d, nil
}

// Run waits until ctx ends or a server fails.
func (d *Daemon) Run(ctx context.Context) error {
	tick := time.NewTicker(tendInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.failed:
			return err
		case <-d.reloads:
			d.reload()
		case <-d.reg.Wanted():
			d.reg.Tend(time.Now())
		case <-d.devices:
			d.reg.Tend(time.Now())
		case now := <-tick.C:
			d.reg.Tend(now)
		}
	}
}

// Reload makes Run apply the configuration file anew.
func (d *Daemon) Reload() {
	select {
	case d.reloads <- struct{}{}:
	default: // one is to come
	}
}

// Stop takes everything down, last started first.
func (d *Daemon) Stop() {
	if d.ready { // else this is a start that failed, which netmapd may try again
		notify(sd.SdNotifyStopping)
	}
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
	d.undo = nil
}

func (d *Daemon) onStop(fn func()) { d.undo = append(d.undo, fn) }

// stopContext bounds one step of stopping.
func stopContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), stopTimeout)
}

// setPolicy puts the access rules into force.
func (d *Daemon) setPolicy() (err error) {
	if d.group, err = socketGroup(d.cfg); err != nil {
		return err
	}
	p, err := policy(d.cfg)
	if err != nil {
		return err
	}
	d.guard = access.NewGuard(d.log)
	d.guard.Set(p)
	return nil
}

// openRuntimeDir makes the directory of the sockets and locks it: a second
// daemon would take the first one's sockets away.
func (d *Daemon) openRuntimeDir() (err error) {
	if d.dir, err = rundir.Resolve(d.cfg.RuntimeDir); err != nil {
		return err
	}
	if err := rundir.Create(d.dir, d.group); err != nil {
		return err
	}
	path := filepath.Join(d.dir, "netmapd.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("lock the runtime directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		return fmt.Errorf("lock the runtime directory: another netmapd (pid %s) runs in %s (%w); stop it, or give this one another directory with --runtime-dir",
			cmp.Or(strings.TrimSpace(string(pid)), "unknown"), d.dir, err)
	}
	d.onStop(func() { _ = f.Close() })
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("lock the runtime directory: %w", err)
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil { // whom a second daemon names
		return fmt.Errorf("lock the runtime directory: %w", err)
	}
	return nil
}

// keepOff moves all threads of the process off the CPUs of the lcores, as far as
// there are others, and returns a CPU for EAL's own thread. Threads that start
// later inherit it; lcores pin themselves.
func keepOff(cpus []int, lcores []config.Lcore, log *slog.Logger) (housekeeping int) {
	var set unix.CPUSet
	taken := map[int]bool{}
	for _, l := range lcores {
		taken[l.CPU] = true
	}
	housekeeping = -1
	for _, cpu := range cpus {
		if !taken[cpu] {
			set.Set(cpu)
			if housekeeping < 0 {
				housekeeping = cpu
			}
		}
	}
	if housekeeping < 0 {
		log.Warn("every CPU has an lcore: the daemon's other threads share them")
		return cpus[0]
	}
	tasks, err := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		var tid int
		if _, serr := fmt.Sscanf(t.Name(), "%d", &tid); serr == nil {
			err = errors.Join(err, unix.SchedSetaffinity(tid, &set))
		}
	}
	if err != nil {
		log.Warn("keep the daemon's threads off the CPUs of the lcores", "err", err)
	}
	return housekeeping
}

// setUpGo tells Go's runtime what kind of process this is.
func setUpGo(lcores int) {
	// An lcore holds a thread of the scheduler for good.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), lcores+2))
	// A heap of 1 MB would be collected for every eighth port that is opened, in milliseconds on CPUs that clients want.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

func (d *Daemon) startEAL(cpu int) error {
	huge := map[string]eal.Huge{config.Auto: eal.HugeAuto, config.Never: eal.HugeNever, config.Require: eal.HugeAlways}
	opt := eal.Options{
		Huge: huge[d.cfg.DPDK.Hugepages], MemMB: d.cfg.DPDK.MemoryMB, CPU: cpu,
		PCI: d.cfg.DPDK.PCI, Extra: d.cfg.DPDK.ExtraArgs,
	}
	d.ealArgs, d.notes = eal.PlanArgs(eal.Probe(), opt)
	for _, n := range d.notes {
		d.log.Info("doing without", "note", n)
	}
	dpdkLog := d.log.With("from", "dpdk")
	eal.SetLog(func(level eal.Level, line string) {
		// DPDK calls nearly everything it says "info"; it is debugging to us.
		l := level.Slog()
		if l == slog.LevelInfo {
			l = slog.LevelDebug
		}
		dpdkLog.Log(context.Background(), l, line)
	})
	if err := eal.Start(d.ealArgs); err != nil {
		if opt.Huge == eal.HugeAuto && eal.UsesHuge(d.ealArgs) {
			err = fmt.Errorf("%w: %w", ErrHugepages, err)
		}
		return fmt.Errorf("start DPDK: %w", err)
	}
	d.onStop(func() {
		if err := eal.Stop(); err != nil {
			d.log.Warn("stop DPDK", "err", err)
		}
	})
	return nil
}

func (d *Daemon) startLcores(cfgs []config.Lcore) error {
	d.onStop(func() {
		for _, l := range d.lcores {
			ctx, cancel := stopContext()
			if err := l.Stop(ctx); err != nil {
				d.log.Error("stop an lcore", "lcore", l.ID(), "err", err)
			}
			cancel()
		}
	})
	for i, c := range cfgs {
		var mode lcore.Mode
		if err := mode.UnmarshalText([]byte(c.Mode)); err != nil {
			return err
		}
		l, err := lcore.Start(lcore.Config{
			ID: i, CPU: c.CPU, Mode: mode, Spin: c.Spin, CommandTimeout: d.cfg.Limits.ControlTimeout, Logger: d.log,
			Register: func() (func(), error) {
				_, err := dpdklcore.Register()
				return dpdklcore.Unregister, err
			},
			OnStuck: func(l *lcore.Lcore, hint string) {
				d.log.Error("an lcore makes no progress: its ports stand still", "lcore", l.ID(), "thread", hint)
				d.announce(port.EventLcoreStuck, fmt.Sprintf("lcore %d: %s", l.ID(), hint))
			},
			OnPanic: func(l *lcore.Lcore, err *lcore.PanicError) {
				d.announce(port.EventLcoreFailed, fmt.Sprintf("lcore %d: %v", l.ID(), err))
			},
		})
		if err != nil {
			return fmt.Errorf("start lcore %d: %w", i, err)
		}
		d.lcores = append(d.lcores, l)
	}
	return nil
}

// startRegistry makes the registry and the configured ports and switches.
func (d *Daemon) startRegistry() error {
	m := d.cfg.Memory.Global
	global := shm.GlobalParams()
	global.IfNum, global.RingNum, global.BufNum = uint32(m.IfNum), uint32(m.RingNum), uint32(m.BufNum)
	global.RingSize, global.BufSize = uint32(m.RingSize), uint32(m.BufSize)
	var err error
	if d.devices, err = ethdev.Events(d.cfg.DPDK.PCI); err != nil {
		d.log.Warn("changes of devices are noticed by looking only, every few seconds", "err", err)
	}
	trusted, err := uids(d.cfg.Memory.HugepageUsers)
	if err != nil {
		return fmt.Errorf("%s: memory.hugepage-users: %w", d.cfg.Where("memory.hugepage-users"), err)
	}
	named, err := regionSpecs(d.cfg)
	if err != nil {
		return err
	}
	d.reg = port.NewRegistry(port.Config{
		Keeper:        d.openStore(),
		SeparateUsers: d.cfg.Access.SeparateUsers,
		HugeUIDs:      trusted, ExtraBufs: d.cfg.Limits.ExtraBufsPerUID, Regions: named, UserBytes: userBytes(d.cfg.Limits),
		Global: global, GlobalHuge: d.cfg.Memory.Global.Hugepages, OpenInterfaces: d.cfg.Interfaces.Open == config.Auto,
		Allow: d.cfg.Interfaces.Allow, Driver: port.Driver(d.cfg.Interfaces.Driver),
	}, d.lcores, d.log)
	d.events.Store(d.reg)
	d.limits.Store(&d.cfg.Limits)
	d.tickets = attach.NewTickets()
	ctx, cancel := context.WithTimeout(context.Background(), 10*stopTimeout)
	defer cancel()
	d.onStop(func() {
		ctx, cancel := stopContext()
		defer cancel()
		d.reg.Close(ctx)
	})
	d.reg.Inherit(fdstore.Inherited())
	if err := d.startConfiguration(ctx); err != nil {
		return err
	}
	d.heirs = d.reg.Adopt(ctx)
	return nil
}

// announce tells those who watch events.
func (d *Daemon) announce(kind port.EventKind, detail string) {
	if reg := d.events.Load(); reg != nil {
		reg.Announce(port.Event{Kind: kind, Detail: detail})
	}
}

// uids looks up users given by name or number.
func uids(users []string) ([]int, error) {
	var out []int
	for _, name := range users {
		id, err := uid(name)
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

func attachLimits(l config.Limits) attach.Limits {
	return attach.Limits{Sessions: l.SessionsPerUID, Descriptors: l.DescriptorsPerUID, AllSessions: l.Sessions}
}

// serve opens the sockets.
func (d *Daemon) serve() error {
	d.attach = attach.New(d.reg, d.tickets, d.guard, attachLimits(d.cfg.Limits), d.log)
	ln, err := d.listen("unixpacket", rundir.AttachSocket(d.dir))
	if err != nil {
		return err
	}
	d.onStop(func() {
		_ = ln.Close()
		d.attach.Stop()
	})
	d.attach.Adopt(d.heirs)
	go d.report("attach server", func() error { return d.attach.Serve(ln) })
	if err := d.serveMetrics(); err != nil {
		return err
	}
	return d.serveControl()
}

// serveControl opens the API's socket, and its TCP listener if there is to be one.
func (d *Daemon) serveControl() (err error) {
	opt := control.Options{Guard: d.guard, Log: d.log}
	if opt.Trace, err = d.startTracing(); err != nil {
		return err
	}
	var tcp net.Listener
	if c := d.cfg.Control; c.Listen != "" {
		if opt.TLS, err = tlsConfig(c); err != nil {
			return err
		}
		if tcp, err = net.Listen("tcp", c.Listen); err != nil {
			return fmt.Errorf("control.listen: %w", err)
		}
	}
	d.control = control.NewServer(plane{d.reg, d}, opt)
	ln, err := d.listen("unix", rundir.ControlSocket(d.dir))
	if err != nil {
		if tcp != nil {
			_ = tcp.Close()
		}
		return err
	}
	d.onStop(func() {
		ctx, cancel := stopContext()
		defer cancel()
		d.control.Stop(ctx)
	})
	go d.report("control server", func() error { return d.control.Serve(ln) })
	attrs := []any{"attach", rundir.AttachSocket(d.dir), "control", rundir.ControlSocket(d.dir)}
	if tcp != nil {
		attrs = append(attrs, "tcp", tcp.Addr().String())
		go d.report("control server over TCP", func() error { return d.control.Serve(tcp) })
	}
	d.log.Info("netmapd serves", attrs...)
	return nil
}

// startTracing sends spans of the API's calls to a collector, if there is to be one.
func (d *Daemon) startTracing() (stats.Handler, error) {
	endpoint := d.cfg.Telemetry.Endpoint
	if endpoint == "" {
		return nil, nil //nolint:nilnil // nobody to tell
	}
	t, err := telemetry.Start(context.Background(), endpoint, Version, d.log)
	if err != nil {
		return nil, fmt.Errorf("telemetry.endpoint: %w", err)
	}
	d.onStop(func() { // packets still move meanwhile
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := t.Stop(ctx); err != nil {
			d.log.Warn("send the last spans", "err", err)
		}
	})
	return t.Handler(), nil
}

// serveMetrics opens the listener for Prometheus, if there is to be one.
func (d *Daemon) serveMetrics() (err error) {
	listen := d.cfg.Metrics.Listen
	if listen == "" {
		return nil
	}
	var l net.Listener
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		l, err = d.listen("unix", path)
	} else {
		l, err = net.Listen("tcp", listen)
	}
	if err != nil {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	s := metrics.NewServer(metrics.NewRegistry(d.reg, Version, eal.Version()), d.cfg.Metrics.Profile, d.log)
	d.onStop(func() {
		ctx, cancel := stopContext()
		defer cancel()
		s.Stop(ctx)
	})
	go d.report("metrics server", func() error { return s.Serve(l) })
	return nil
}

// report runs a server; only an unexpected end is worth a word.
func (d *Daemon) report(what string, serve func() error) {
	if err := serve(); err != nil {
		d.failed <- fmt.Errorf("%s: %w", what, err)
	}
}

// listen makes a socket that only our uid can connect to, and the configured group. The runtime directory
// is locked, so a socket that is there is a dead daemon's.
func (d *Daemon) listen(network, path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove an old socket: %w", err)
	}
	// From its first moment on, whatever umask we were started with.
	umask := unix.Umask(0o177)
	ln, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	unix.Umask(umask)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if d.group == noGroup {
		return ln, nil
	}
	if err := errors.Join(os.Lchown(path, -1, d.group), os.Chmod(path, 0o660)); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("let access.group connect to %s: %w", path, err)
	}
	return ln, nil
}
