package port

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/shm"
)

// Desc is a descriptor bound to a port: a netmap_if and a range of rings. It is
// shared by all processes that hold the descriptor.
type Desc struct {
	g      *Registry
	port   *port
	caller Caller
	since  time.Time
	mode   uint32
	flags  uint64

	selection // bound rings

	ifo   shm.If
	extra uint32            // buffers beside the rings, as got
	wakes map[uint32]waiter // by session
	csb   *shm.CSB          // in which its client publishes; nil: in the sync blocks
	kept  uint64            // the number it is kept by, 0 if it is not
}

// Name of the port.
func (d *Desc) Name() string { return d.port.name }

// bound lists the rings that the descriptor binds.
func (d *Desc) bound() []*kring {
	ks := append([]*kring{}, d.port.tx[d.firstTx:d.endTx]...)
	return append(ks, d.port.rx[d.firstRx:d.endRx]...)
}

// Register binds a new descriptor to a port, creating ports that appear by
// being opened. req is completed as the reply of REGISTER (NC B.5). Errors are
// those of NC B.5, in its order, each with an errno inside.
func (g *Registry) Register(ctx context.Context, who Caller, full string, req *abi.Register) (*Desc, error) {
	return g.RegisterWith(ctx, who, full, req, &Options{})
}

// RegisterWith is Register with options. An error that concerns one of them is,
// or wraps, an *OptionError.
func (g *Registry) RegisterWith(ctx context.Context, who Caller, full string, req *abi.Register, opts *Options) (*Desc, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, refuse("register", full, unix.ENXIO, "netmapd is shutting down")
	}
	if opts.Extmem != nil { // it wins over a memory id
		r, err := g.extmem(who, full, opts.Extmem)
		if err != nil {
			return nil, optionError(abi.OptExtmem, err)
		}
		defer g.dropRegion(r) // the port, if there is one then, keeps it
		req.MemID = r.ID()
	}
	if err := g.mayName(who, "register", full, req.MemID); err != nil {
		return nil, err
	}
	if err := checkRequest(full, req); err != nil {
		return nil, err
	}
	p, err := g.find(ctx, who, full, req)
	if err != nil {
		return nil, err
	}
	var d *Desc
	if opts.Extmem != nil && req.MemID != p.region.ID() {
		err = optionError(abi.OptExtmem, refuse("register", full, unix.EBUSY, "the port lives in region %s, not in memory of the client's", p.region.Name()))
	} else {
		d, err = g.bind(ctx, p, who, full, req, opts)
	}
	if err != nil {
		g.vanish(ctx, p)
		return nil, err
	}
	if p.kind == KindInterface && p.ephemeral && !p.used { // not for those who only ask (PORT_INFO), as often as they like
		g.log.Info("port created by a client", "port", p.name, "driver", p.be.driver(), "pid", who.PID, "uid", who.UID)
	}
	p.used = true
	return d, nil
}

// checkRequest makes the checks of NC B.5 that come before any lookup.
func checkRequest(full string, req *abi.Register) error {
	const op = "register"
	switch {
	case req.Mode == abi.ModePipeMaster || req.Mode == abi.ModePipeSlave:
		return refuse(op, full, unix.EINVAL, "mode %d is of the old interface; write the pipe into the name (port{id or port}id)", req.Mode)
	case req.Mode == abi.ModeNull:
		if req.MemID == 0 {
			return refuse(op, full, unix.EINVAL, "a null port is in a region that exists: give its memory id")
		}
		return nil
	case full == "":
		return refuse(op, full, unix.ENXIO, "the name is empty")
	}
	return nil
}

// bind does the steps 11 to 19 of NC B.5 and undoes them when one fails.
func (g *Registry) bind(ctx context.Context, p *port, who Caller, full string, req *abi.Register, opts *Options) (_ *Desc, err error) {
	if err := p.be.admit(full, req); err != nil {
		return nil, err
	}
	if err := p.admitHeader(full, req); err != nil {
		return nil, err
	}
	d := &Desc{
		g: g, port: p, caller: who, since: time.Now(), mode: req.Mode, flags: req.Flags,
		wakes: map[uint32]waiter{},
	}
	if d.selection, err = p.choose(full, req); err != nil {
		return nil, err
	}
	excl := req.Flags&abi.FlagExclusive != 0
	for _, k := range d.bound() {
		switch {
		case k.excl != nil:
			return nil, refuse("register", full, unix.EBUSY, "pid %d (%s) has it open exclusively", k.excl.caller.PID, k.excl.caller.Command)
		case excl && k.users > 0:
			return nil, refuse("register", full, unix.EBUSY, "exclusive use was asked for and %d descriptors have rings of it open", len(p.descs))
		}
	}
	for _, k := range d.bound() {
		if !k.stale {
			continue
		}
		if err := g.quiesce(ctx); err != nil { // an lcore that was stuck may still use it
			return nil, fmt.Errorf("register %q: %w", full, err)
		}
		if err := p.region.Renew(k.obj); err != nil {
			return nil, refuse("register", full, unix.ENOMEM, "%v", err)
		}
		k.stale = false
	}
	if len(p.descs) == 0 {
		if err := p.be.open(ctx); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				_ = p.be.close(ctx)
			}
		}()
	}
	var offsets *ring.Offsets
	var initial uint64
	if opts.Offsets != nil {
		if offsets, err = d.offsets(full, opts.Offsets); err != nil {
			return nil, optionError(abi.OptOffsets, err)
		}
		initial = opts.Offsets.Initial
	}
	if err = d.checkCSB(full, opts); err != nil {
		return nil, optionError(abi.OptCsb, err)
	}
	if d.ifo, err = p.region.NewIf(p.id, p.entries()); err != nil {
		d.closeCSB(ctx)
		err = refuse("register", full, unix.ENOMEM, "%v", err)
		return nil, err
	}
	// Last: a pipe's frames that wait are moved by it.
	if err = d.setOffsets(ctx, offsets, initial); err != nil {
		d.closeCSB(ctx)
		p.region.FreeIf(d.ifo)
		return nil, err
	}
	for i, k := range d.bound() {
		if err = d.take(ctx, i, k); err != nil {
			for _, undo := range d.bound()[:i] {
				_ = d.give(ctx, undo)
			}
			d.refill()
			_ = d.setOffsets(ctx, nil, 0)
			d.closeCSB(ctx)
			p.region.FreeIf(d.ifo)
			return nil, err
		}
		if excl {
			k.excl = d
		}
	}
	if d.csb != nil {
		d.bound()[0].Block().SetCSB(true) // for whoever joins
	}
	head, got := p.region.NewExtra(min(req.ExtraBufs, g.extraLeft(who.UID)))
	d.extra = got
	g.extra[who.UID] += got
	_ = p.region.Touch(func() { d.fillIf(head) }) // NewIf found the page there a moment ago
	p.descs[d] = struct{}{}
	g.descs++
	g.Announce(Event{Kind: EventOpened, Port: p.name, By: who})
	p.reply(d, req, got)
	return d, nil
}

// extraLeft is how many extra buffers a user may still get. Each costs a page of
// the daemon, which writes the list into them, as soon as it is given, and time,
// while all others wait. A registration that gets fewer than it asked for is a
// good one (NC A.9).
func (g *Registry) extraLeft(uid int) uint32 {
	if g.cfg.ExtraBufs <= 0 {
		return abi.ExtraBufsMax
	}
	return uint32(max(g.cfg.ExtraBufs-int(g.extra[uid]), 0))
}

// take notes one more user of the i-th ring that is bound; the first one starts it.
func (d *Desc) take(ctx context.Context, i int, k *kring) error {
	if k.users++; k.users > 1 {
		return nil
	}
	err := d.port.region.Open(k.obj)
	// An earlier user may still have it mapped, and have written to it since.
	switch {
	case err != nil:
	case d.port.be.keeps():
		err = d.port.be.resume(ctx, k)
	default:
		if err = k.unserve(ctx); err == nil { // an lcore that was stuck had it elsewhere
			k.Reset()
			err = d.serveCSB(ctx, i, k)
		}
	}
	k.SetBound(true)
	if err == nil {
		err = d.port.be.start(ctx, k)
	}
	if err != nil {
		k.users--
		k.SetBound(false)
		return fmt.Errorf("start ring %s of %s: %w", k, d.port.name, err)
	}
	return nil
}

// give notes one user less; the last one stops the ring. What the client
// published is delivered first; what it did not read is dropped and counted.
// After an error the ring is stale: whoever takes it next makes it new.
func (d *Desc) give(ctx context.Context, k *kring) error {
	p := d.port
	if k.excl == d {
		k.excl = nil
	}
	k.showReleased(ctx, p)
	last := k.users == 1
	if last && !p.be.keeps() {
		k.Retire() // a client whose connection ends later than this may look at it meanwhile
	}
	err := p.be.stop(ctx, k, last)
	if k.users--; k.users > 0 {
		return err
	}
	k.SetBound(false)
	if p.be.keeps() {
		return err
	}
	if err == nil {
		err = d.g.quiesce(ctx)
	}
	if err == nil && k.Dir() == abi.DirRx {
		err = d.g.bookUnread(ctx, p, k)
	}
	if err == nil {
		err = k.unserve(ctx)
	}
	if err != nil {
		k.stale = true
		return fmt.Errorf("stop ring %s of %s: %w", k, p.name, err)
	}
	k.src = nil
	k.SetOffsets(nil)
	k.Clear()
	k.left = true
	return nil
}

// refill gives the rings that lost their last user new buffers, all at once: a buffer that a client put into two places must
// not be back in a ring when the second place is looked at.
func (d *Desc) refill() {
	var left []*kring
	var objs []shm.Ring
	for _, k := range d.bound() {
		if k.left {
			left, objs = append(left, k), append(objs, k.obj)
		}
	}
	if left == nil {
		return
	}
	err := d.port.region.Renew(objs...)
	for _, k := range left {
		k.left, k.stale = false, err != nil
	}
}

// maxWakes bounds the waiters of a port: the lcore makes a system call
// for each when a client wants to be woken, while all its other ports wait.
const maxWakes = 128

func (p *port) wakes() (n int) {
	for d := range p.descs {
		n += len(d.wakes)
	}
	return n
}

// Join hands the port's parts to a session: the answer's Bind, and the
// descriptors that go with it (wire.FDRegion, ...). FDWake and FDHangup are new, for the caller to send and close.
func (d *Desc) Join(_ context.Context, s *Session) (wire.Bind, []int, error) {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	fds := make([]int, wire.BindFDs)
	p := d.port
	if _, live := d.g.sessions[s]; !live {
		return wire.Bind{}, fds, refuse("join", p.name, unix.ENOTCONN, "the session has ended")
	}
	if _, again := d.wakes[s.ID]; !again && p.wakes() >= maxWakes {
		return wire.Bind{}, fds, refuse("join", p.name, unix.EMFILE, "%d processes and descriptors wait on the port, no more can", maxWakes)
	}
	for _, k := range d.bound() {
		if err := s.watch(k.lc); err != nil {
			return wire.Bind{}, fds, err
		}
	}
	w, client, err := newWaiter()
	if err != nil {
		return wire.Bind{}, fds, fmt.Errorf("make what wakes a client of %s: %w", p.name, err)
	}
	old, had := d.wakes[s.ID]
	d.wakes[s.ID] = w
	p.refreshWaiters()
	if had {
		d.g.unputWake(d, s.ID)
	}
	d.g.putWake(d, s.ID)
	if had {
		d.g.closeWaiters(context.Background(), []waiter{old})
	}
	fds[wire.FDRegion], fds[wire.FDSync] = int(p.region.File().Fd()), p.blocks.FD()
	fds[wire.FDWake], fds[wire.FDHangup] = client.epoll, client.hangup
	return d.describe(), append(fds, p.be.wakeFDs()...), nil
}

// Wake wakes everybody who waits for a ring of the descriptor.
func (d *Desc) Wake() {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	for _, k := range d.bound() {
		k.Wake()
	}
}

// Close unbinds the descriptor: published TX slots are delivered, the rings,
// buffers and the netmap_if go back, and an ephemeral port without further
// users vanishes. After an error something is left allocated on purpose.
func (d *Desc) Close(ctx context.Context) error {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	return d.close(ctx)
}

// close is Close under the registry's lock.
func (d *Desc) close(ctx context.Context) error {
	g, p := d.g, d.port
	if g.closed {
		return nil // the port is gone; its client held us up for longer than Registry.Close waited
	}
	g.unkeepDesc(d)
	var first error
	for _, k := range d.bound() {
		if err := d.give(ctx, k); err != nil && first == nil {
			first = err
		}
	}
	delete(p.descs, d)
	g.Announce(Event{Kind: EventClosed, Port: p.name, By: d.caller})
	if len(p.descs) == 0 {
		p.stopMonitors(ctx)
	}
	g.descs--
	g.untidy[p.region.ID()] = true
	p.refreshWaiters()
	g.closeWaiters(ctx, slices.Collect(maps.Values(d.wakes)))
	if d.extra > 0 {
		var head uint32
		_ = p.region.Touch(func() { head = d.ifo.View.LoadBufsHead() })
		p.region.FreeExtra(head)
		if g.extra[d.caller.UID] -= d.extra; g.extra[d.caller.UID] == 0 {
			delete(g.extra, d.caller.UID)
		}
	}
	d.refill()
	d.closeCSB(ctx)
	p.region.FreeIf(d.ifo)
	if len(p.descs) == 0 && first == nil {
		first = p.be.close(ctx)
	}
	if first == nil {
		g.vanish(ctx, p)
	}
	return first
}

// vanish removes an ephemeral port if nobody uses it: no client has it open, no
// pipe hangs on it, and no switch took it.
func (g *Registry) vanish(ctx context.Context, p *port) {
	if p.ephemeral && len(p.descs) == 0 && len(p.pipes) == 0 && p.be.leave(ctx) {
		g.destroy(ctx, p)
	}
}
