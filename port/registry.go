package port

import (
	"context"
	"log/slog"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	"github.com/netmapd/netmapd/shm"
)

// Config is what an operator decides about ports.
type Config struct {
	Global shm.Params // the region that NIC-like ports share

	// May a client that registers netmap:IFNAME create a port for a kernel
	// interface that is not configured (NC E.3)? Allow are the patterns, as of
	// path.Match, of the names it may be done for; none means nothing.
	OpenInterfaces bool
	Allow          []string
	Driver         Driver

	Regions   []RegionSpec // named ones; their memory ids are 2, 3, ...
	UserBytes uint64       // of the regions that one user's ports and memory make; 0: any number

	ExtraBufs int // extra buffers that one user's descriptors may hold; 0: any number

	// HugeUIDs are the users whose VALE ports get regions of hugepages. With such
	// memory a client can provoke a fault in the daemon (package shm), so they are
	// those that the operator trusts.
	HugeUIDs []int

	// SeparateUsers keeps the two ends of a pipe in different regions when different
	// users open them: an lcore copies then.
	SeparateUsers bool

	// Keeper, if there is one, keeps ports and what belongs to them for the next
	// daemon. Close leaves such ports as they are.
	Keeper Keeper

	// GlobalHuge has the global region consist of hugepages.
	GlobalHuge bool
}

// Registry knows all ports, switches and regions by name. It is the control
// plane: one operation runs at a time, and what it changes under the eyes of an
// lcore it changes by commands to that lcore.
type Registry struct {
	cfg    Config
	params params
	log    *slog.Logger
	lcores []*lcore.Lcore

	mu       sync.Mutex
	ports    map[string]*port
	switches map[string]*valeSwitch
	regions  map[uint16]*shm.Region
	claims   map[uint16]claim // by region: whose it is
	sessions map[*Session]struct{}
	descs    int
	extra    map[int]uint32 // extra buffers by uid
	departed departed
	forward  atomic.Bool // netmap's parameter fwd, as lcores see it
	captures int         // running
	events   publisher
	nextPort uint64
	nextMem  uint16
	nextSess uint32
	nextDesc uint64
	will     *will    // of the daemon before us, until Adopt
	tries    []uint64 // to take it over, until TookOver
	closed   bool
	leaked   bool                       // what an lcore may still use was left allocated
	gone     []waiter                   // to be closed when no lcore can use them
	sweep    map[uint16]map[uint32]bool // by region: orphans at the last look
	untidy   map[uint16]bool            // regions that clients left since then
	swept    time.Time                  // when that was
	wanted   chan struct{}              // an lcore has something for Tend
	pinned   map[*shm.Region]*pins      // regions that devices work in
	absent   []absent
}

// NewRegistry makes an empty registry over running lcores (at least one).
func NewRegistry(cfg Config, lcores []*lcore.Lcore, log *slog.Logger) *Registry {
	return &Registry{
		cfg: cfg, params: newParams(cfg.Global), log: log, lcores: lcores,
		ports: map[string]*port{}, switches: map[string]*valeSwitch{},
		regions: map[uint16]*shm.Region{}, sessions: map[*Session]struct{}{}, extra: map[int]uint32{},
		sweep: map[uint16]map[uint32]bool{}, untidy: map[uint16]bool{},
		claims: map[uint16]claim{}, nextMem: abi.MemIDGlobal, wanted: make(chan struct{}, 1),
		pinned: map[*shm.Region]*pins{},
	}
}

// Interfaces says whether clients that open netmap:IFNAME may have a port made
// for a kernel interface; see Config.
type Interfaces struct {
	Open   bool
	Allow  []string
	Driver Driver
}

// SetInterfaces changes what clients may open from now on.
func (g *Registry) SetInterfaces(i Interfaces) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cfg.OpenInterfaces, g.cfg.Allow, g.cfg.Driver = i.Open, i.Allow, i.Driver
}

// SetUserLimits changes Config.HugeUIDs, Config.ExtraBufs and Config.UserBytes from
// now on.
func (g *Registry) SetUserLimits(hugeUIDs []int, extraBufs int, userBytes uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cfg.HugeUIDs, g.cfg.ExtraBufs, g.cfg.UserBytes = hugeUIDs, extraBufs, userBytes
}

// SetSeparateUsers changes Config.SeparateUsers for ends of pipes that are opened
// from now on.
func (g *Registry) SetSeparateUsers(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cfg.SeparateUsers = yes
}

// Close deletes every port and switch. Descriptors must be closed before.
func (g *Registry) Close(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, p := range slices.Backward(g.sorted()) { // what was built on others goes before them
		if p.kept {
			g.bequeath(ctx, p)
			continue
		}
		if p.sw != nil {
			if err := g.detach(ctx, p); err != nil {
				g.log.Error("close", "err", err)
			}
		}
		g.destroy(ctx, p)
	}
	for _, s := range g.switches {
		g.dropSwitch(ctx, s)
	}
	if g.leaked {
		return
	}
	for id, r := range g.regions {
		if g.claims[id].kept {
			continue // clients use it
		}
		_ = r.Close()
		delete(g.regions, id)
	}
}

// sorted lists the ports by creation.
func (g *Registry) sorted() []*port {
	out := make([]*port, 0, len(g.ports))
	for _, p := range g.ports {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *port) int { return int(a.id) - int(b.id) })
	return out
}

// quiesce returns once no lcore uses what was taken out of its sight before.
func (g *Registry) quiesce(ctx context.Context) error {
	return lcore.Quiesce(ctx, g.lcores...)
}

// pick chooses the lcore that serves the fewest ports for a new one.
func (g *Registry) pick() *lcore.Lcore {
	load := map[*lcore.Lcore]int{}
	for _, p := range g.ports {
		for _, l := range p.lcores() {
			load[l]++
		}
	}
	best := g.lcores[0]
	for _, l := range g.lcores[1:] {
		if load[l] < load[best] {
			best = l
		}
	}
	return best
}

// find resolves a name as REGISTER does, creating what may be created.
func (g *Registry) find(ctx context.Context, who Caller, full string, req *abi.Register) (*port, error) {
	if req.Mode == abi.ModeNull {
		return g.createNull(full, req)
	}
	if req.Flags&(abi.FlagMonitorTx|abi.FlagMonitorRx|abi.FlagZcopyMon) != 0 {
		return g.createMonitor(ctx, who, full, req)
	}
	core, err := name.ParseCore(full)
	if err != nil {
		return nil, refuseFor("register", full, err)
	}
	if p := g.ports[full]; p != nil {
		g.vanish(ctx, p) // unless it is in use; what a failed close left is not used again
	}
	if core.Kind == name.Pipe {
		return g.openPipe(ctx, who, core, req)
	}
	if p := g.ports[full]; p != nil {
		return p, nil
	}
	if core.Kind == name.SwitchPort {
		return g.openVALE(ctx, who, core, req)
	}
	if a := g.awaited(full); a != nil {
		return nil, refuse("register", full, unix.ENXIO, "the port waits for its device %s, which is not there", a.spec.Devargs)
	}
	return g.openInterface(ctx, full)
}

// openInterface makes a port for a kernel interface because a client asked for
// it, if policy allows.
func (g *Registry) openInterface(ctx context.Context, ifname string) (*port, error) {
	if err := g.mayOpen("register", ifname); err != nil {
		return nil, err
	}
	p, err := g.createInterface(ctx, Spec{Name: ifname, Kind: KindInterface, Driver: g.cfg.Driver})
	if err != nil {
		return nil, err
	}
	p.ephemeral = true
	return p, nil
}

// mayOpen says whether clients may have a port made for a kernel interface.
func (g *Registry) mayOpen(op, ifname string) error {
	if !g.cfg.OpenInterfaces {
		return refuse(op, ifname, unix.ENXIO,
			"no port has this name, and the configuration (interfaces.open) does not let clients create one; an operator can: nmctl port create %s", ifname)
	}
	if !g.allowed(ifname) {
		return refuse(op, ifname, unix.ENXIO,
			"no port has this name, and interfaces.allow in the configuration (%q) does not name it for clients to create", g.cfg.Allow)
	}
	return nil
}

func (g *Registry) allowed(ifname string) bool {
	for _, pattern := range g.cfg.Allow {
		if ok, err := path.Match(pattern, ifname); ok && err == nil {
			return true
		}
	}
	return false
}

// Ports lists the live ports by creation, then those whose devices are awaited.
func (g *Registry) Ports(context.Context) ([]Info, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Info
	for _, p := range g.sorted() {
		out = append(out, p.info())
	}
	for _, a := range g.absent {
		out = append(out, a.info())
	}
	return out, nil
}

// Port describes one port; ENXIO when there is none of that name.
func (g *Registry) Port(_ context.Context, full string) (Info, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.ports[full]; p != nil {
		return p.info(), nil
	}
	if a := g.awaited(full); a != nil {
		return a.info(), nil
	}
	return Info{}, refuse("show port", full, unix.ENXIO, "no port has this name; nmctl port list shows those there are")
}

// CreatePort makes a configured port, which stays until it is deleted. To ask
// again for a port that was created just so is no error.
func (g *Registry) CreatePort(ctx context.Context, s Spec) (Info, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s = s.normal()
	if p := g.ports[s.Name]; p != nil {
		if p.spec != nil && *p.spec == s {
			return p.info(), nil
		}
		return p.info(), refuse("create port", s.Name, unix.EEXIST, "another port of kind %s has this name", p.kind)
	}
	p, err := g.createPort(ctx, s)
	if err != nil {
		return Info{}, err
	}
	g.forget(s.Name)
	return p.info(), nil
}

// createPort makes the port of a normal spec whose name is free.
func (g *Registry) createPort(ctx context.Context, s Spec) (p *port, err error) {
	core, err := name.ParseCore(s.Name)
	if err != nil {
		return nil, refuse("create port", s.Name, unix.EINVAL, "%v", err)
	}
	if core.Kind != name.Interface {
		return nil, refuse("create port", s.Name, unix.EINVAL, "ports of switches and pipes appear when a client opens them; only interface, device and persistent ports are created")
	}
	switch s.Kind {
	case KindInterface:
		p, err = g.createInterface(ctx, s)
	case KindDevice:
		p, err = g.createDevice(ctx, s)
	case KindPersistent:
		p, err = g.createPersistent(Caller{}, s.Name, &abi.Register{
			TxRings: clamp16(s.Rings), RxRings: clamp16(s.Rings), TxSlots: uint32(clamp16(s.Slots)), RxSlots: uint32(clamp16(s.Slots)),
		})
		if err == nil && s.Host != "" {
			if err = p.be.(*persistent).show(s.Host); err != nil {
				g.destroy(ctx, p)
				err = refuseFor("create port", s.Name, err)
			}
		}
	default:
		err = refuse("create port", s.Name, unix.EINVAL, "kind %q cannot be created; use interface, device or persistent", s.Kind)
	}
	if err != nil {
		return nil, err
	}
	p.spec = &s
	return p, nil
}

// DeletePort removes a configured port that nobody uses.
func (g *Registry) DeletePort(ctx context.Context, full string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.ports[full]
	switch {
	case p == nil && g.forget(full):
		return nil
	case p == nil:
		return refuse("delete port", full, unix.ENXIO, "no port has this name")
	case p.kind == KindVALE:
		return refuse("delete port", full, unix.EINVAL, "ports of a switch go when their last client closes them")
	case p.kind == KindHost:
		return refuse("delete port", full, unix.EINVAL, "it goes when the port whose host rings it is leaves the switch")
	}
	return g.deleteIdle(ctx, p)
}

// wantTending asks for Tend from an lcore, which must not wait.
func (g *Registry) wantTending() {
	select {
	case g.wanted <- struct{}{}:
	default: // asked for already
	}
}

// Wanted receives when Tend should be called before its time.
func (g *Registry) Wanted() <-chan struct{} { return g.wanted }

// Tend does what has to be done from time to time, every few seconds: look for
// buffers that dead clients lost, for interfaces that are gone and for ports that
// nobody uses, and let addresses grow old.
func (g *Registry) Tend(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.swept) >= sweepInterval {
		g.swept = now
		g.sweepRegions()
	}
	g.tendDevices(context.Background())
	if !slices.ContainsFunc(g.lcores, (*lcore.Lcore).Stuck) {
		g.closeWaiters(context.Background(), nil) // left open when one was
	}
	for _, p := range g.ports {
		if !slices.ContainsFunc(p.lcores(), (*lcore.Lcore).Stuck) { // as one was when a close left the port
			g.vanish(context.Background(), p)
		}
	}
	for _, s := range g.switches {
		s.tend(now)
	}
}
