package port

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/shm"
)

// monitor is a port on whose RX rings the traffic of another port's rings
// appears (NC E.8). It is no user of that port: when the last of those closes it,
// the monitor is dead, and stays open.
//
// The lcores see of monitors what hangs on a ring (ring.Watch). A copy monitor
// gets slots as soon as their frames are final. A zero-copy one takes the buffers
// of slots that nobody needs any more; a second one takes those that the first
// has released, and so on.
type monitor struct {
	plain
	parent  *port // nil once dead
	zcopy   bool
	watched selection // of the parent's rings
	taps    []*tap    // open ones
	books   tapBooks
	units   crew[*monitorUnit] // zero copy
}

// watchers are the monitors of one ring, in the order in which they came.
type watchers struct {
	copies, zcopies []*tap
	captures        []*ringLens // which are no monitors, and see what copy monitors do
}

// createMonitor makes the monitor of one registration. Errors of finding the port
// are those of opening it; EINVAL for a port that is not open.
func (g *Registry) createMonitor(ctx context.Context, who Caller, full string, req *abi.Register) (*port, error) {
	const op = "monitor"
	zcopy := req.Flags&abi.FlagZcopyMon != 0
	if zcopy {
		req.Flags |= abi.FlagMonitorTx | abi.FlagMonitorRx
	}
	plainReq := *req
	plainReq.Flags &^= abi.FlagMonitorTx | abi.FlagMonitorRx | abi.FlagZcopyMon
	parent, err := g.findMonitored(ctx, who, full, &plainReq)
	switch {
	case err != nil:
		return nil, err
	case parent.bypassed() && zcopy:
		return nil, refuse(op, full, unix.EOPNOTSUPP, "switch %s has the port, whose frames lie in no buffers of a region; a copy monitor sees them", parent.sw.name)
	case len(parent.descs) == 0 && !parent.bypassed():
		g.vanish(ctx, parent)
		return nil, refuse(op, full, unix.EINVAL, "nobody has the port open, so there is nothing to see")
	}
	m := &monitor{parent: parent, zcopy: zcopy}
	if m.watched, err = parent.choose(full, req); err != nil {
		return nil, err
	}
	if req.Flags&abi.FlagMonitorTx == 0 {
		m.watched.firstTx, m.watched.endTx = 0, 0
	}
	if req.Flags&abi.FlagMonitorRx == 0 {
		m.watched.firstRx, m.watched.endRx = 0, 0
	}
	p, err := g.newMonitorPort(who, full, m, req)
	if err != nil {
		return nil, noRoom(op, full, err)
	}
	m.plain, p.be, p.ephemeral, p.unnamed, p.lc = plain{g, p}, m, true, true, parent.lc
	p.seat()
	if !parent.watched() {
		if err := parent.be.monitored(ctx); err != nil {
			p.free(g)
			return nil, refuseFor(op, full, err)
		}
	}
	parent.monitors = append(parent.monitors, m)
	g.enlist(p)
	return p, nil
}

// findMonitored finds the port of a name, as REGISTER does, and those that a
// switch has for itself.
func (g *Registry) findMonitored(ctx context.Context, who Caller, full string, req *abi.Register) (*port, error) {
	if core, err := name.ParseCore(full); err == nil && core.Kind == name.SwitchPort {
		if p := g.attached(core.Switch, core.Port); p != nil {
			return p, nil
		}
	}
	return g.find(ctx, who, full, req)
}

// newMonitorPort makes the rings: one TX ring, which is good for nothing, and an
// RX ring for each number that a ring of the parent has. A zero-copy monitor
// lives in the parent's region, for which its user must be good.
func (g *Registry) newMonitorPort(who Caller, full string, m *monitor, req *abi.Register) (*port, error) {
	parent := m.parent
	slots := func(wanted, parents uint32) uint32 {
		return uint32(max(wish(wanted, abi.ValeMaxSlots, int(min(parents, abi.ValeMaxSlots))), minSlots))
	}
	s := shape{
		hwTx: 1, hwRx: max(parent.hwTx, parent.hwRx),
		hostTx: min(parent.hostTx, 1), hostRx: max(parent.hostTx, parent.hostRx),
		txSlots: slots(req.TxSlots, parent.txSlots), rxSlots: slots(req.RxSlots, parent.rxSlots),
	}
	region := parent.region
	var err error
	switch {
	case m.zcopy:
		err = g.mayName(who, "monitor", full, region.ID())
	case req.MemID != 0:
		region, err = g.regionByID(req.MemID)
	default:
		region, err = g.privateRegion(who, "monitor:"+full, shm.PortShape{
			TxRings: uint32(s.hwTx + s.hostTx), RxRings: uint32(s.hwRx + s.hostRx), TxSlots: s.txSlots, RxSlots: s.rxSlots,
			ExtraBufs: min(req.ExtraBufs, abi.ExtraBufsMax),
		})
	}
	if err != nil {
		return nil, err
	}
	return g.newPort(fmt.Sprintf("%s/%d", full, g.nextPort+1), KindMonitor, region, s)
}

// start refuses the useless TX ring, and puts an RX ring where it sees something.
func (m *monitor) start(ctx context.Context, k *kring) error {
	if k.Dir() == abi.DirTx || m.parent == nil {
		k.Refuse()
		return nil
	}
	t := &tap{k: k, books: &m.books}
	m.taps = append(m.taps, t)
	for _, w := range m.rings(k) {
		if m.zcopy {
			w.watch.zcopies = append(w.watch.zcopies, t)
		} else {
			w.watch.copies = append(w.watch.copies, t)
		}
	}
	m.rewatch(m.parent, k.ID())
	err := m.look(ctx)
	if err == nil {
		err = m.g.refit(ctx, m.parent)
	}
	if err != nil {
		_ = m.stop(ctx, k, true)
		return err
	}
	return nil
}

// stop takes an RX ring away again; the caller quiesces the lcores.
func (m *monitor) stop(ctx context.Context, k *kring, last bool) error {
	if !last || k.Dir() == abi.DirTx {
		return nil
	}
	m.taps = slices.DeleteFunc(m.taps, func(t *tap) bool { return t.k == k })
	if m.parent == nil {
		return nil
	}
	m.unhook(k)
	if err := m.look(ctx); err != nil {
		return err
	}
	return m.g.refit(ctx, m.parent)
}

// unhook takes a ring of the monitor off the parent's rings of its number.
func (m *monitor) unhook(k *kring) {
	is := func(t *tap) bool { return t.k == k }
	for _, w := range m.rings(k) {
		w.watch.copies = slices.DeleteFunc(w.watch.copies, is)
		w.watch.zcopies = slices.DeleteFunc(w.watch.zcopies, is)
	}
	k.SetWatch(nil)
	m.rewatch(m.parent, k.ID())
}

// rings are those of the parent that an RX ring of the monitor sees: of the same
// number, host rings counted by themselves.
func (m *monitor) rings(k *kring) (out []*kring) {
	tx, rx := m.counterparts(m.parent, k.ID())
	if tx != nil && m.watched.hasTx(tx.ID()) {
		out = append(out, tx)
	}
	if rx != nil && m.watched.hasRx(rx.ID()) {
		out = append(out, rx)
	}
	return out
}

// counterparts are the parent's rings that belong to an RX ring of the monitor; nil
// where there is none.
func (m *monitor) counterparts(parent *port, id int) (tx, rx *kring) {
	at := func(ks []*kring, hw int) *kring {
		i := id
		if id >= m.p.hwRx {
			i = hw + id - m.p.hwRx
		} else if id >= hw {
			return nil
		}
		if i >= len(ks) {
			return nil
		}
		return ks[i]
	}
	return at(parent.tx, parent.hwTx), at(parent.rx, parent.hwRx)
}

// rewatch tells the parent's rings that belong to an RX ring, and the zero-copy
// monitors there, who looks at what.
func (m *monitor) rewatch(parent *port, id int) {
	tx, rx := m.counterparts(parent, id)
	next := map[*tap]*[2]*tap{}
	for _, k := range []*kring{tx, rx} {
		if k == nil {
			continue
		}
		k.SetWatch(k.watch.ring(k))
		for i, t := range k.watch.zcopies {
			if next[t] == nil {
				next[t] = &[2]*tap{}
			}
			if i+1 < len(k.watch.zcopies) {
				next[t][k.Dir()] = k.watch.zcopies[i+1]
			}
		}
	}
	for t, n := range next {
		if n[0] == nil && n[1] == nil {
			t.k.SetWatch(nil)
			continue
		}
		link := &tap{k: t.k, next: *n} // the old one may be in use
		t.k.SetWatch(&ring.Watch{Left: link.passOn})
	}
}

// ring is what the watchers of a ring come to, for the lcores.
func (w *watchers) ring(k *kring) *ring.Watch {
	if len(w.copies)+len(w.zcopies)+len(w.captures) == 0 {
		return nil
	}
	out := &ring.Watch{}
	if copies, captures := slices.Clone(w.copies), slices.Clone(w.captures); len(copies)+len(captures) > 0 {
		out.Seen = func(from, n uint32) {
			for _, t := range copies {
				t.copy(k.Ring, from, n)
			}
			for _, l := range captures {
				l.see(from, n)
			}
		}
	}
	if len(w.zcopies) > 0 {
		first := w.zcopies[0]
		out.Left = func(from, n uint32) { first.swap(k.Ring, from, n, k.Dir()) }
	}
	return out
}

// look makes the lcores look at what is released on the rings that a zero-copy
// monitor waits for: its own, for those behind it, and the parent's. What is
// released on pipes is looked at by who carries them.
func (m *monitor) look(ctx context.Context) error {
	if !m.zcopy {
		return nil
	}
	if err := m.lookNoMore(ctx); err != nil {
		return err
	}
	m.units = crew[*monitorUnit]{}
	look := func(k *kring) {
		u := m.units.of(k.lc, func() *monitorUnit { return &monitorUnit{} })
		u.rings = append(u.rings, k)
	}
	for _, t := range m.taps {
		look(t.k)
		for _, k := range m.rings(t.k) {
			if k.Dir() == abi.DirRx && m.parent.kind != KindPipe {
				look(k)
			}
		}
	}
	return m.units.start(ctx)
}

func (m *monitor) lookNoMore(ctx context.Context) error {
	err := m.units.stop(ctx)
	if err == nil {
		m.units = nil
	}
	return err
}

// die ends the monitoring: its port's last user is gone.
func (m *monitor) die(ctx context.Context) {
	if err := m.lookNoMore(ctx); err != nil {
		m.g.log.Error("a dead monitor goes on looking", "port", m.p.name, "err", err)
	}
	for _, t := range m.taps {
		m.unhook(t.k)
	}
	m.parent = nil
	for _, k := range m.p.rx {
		k.Refuse()
	}
}

// stopMonitors ends all monitors of a port that nobody has open any more.
func (p *port) stopMonitors(ctx context.Context) {
	if len(p.captures) > 0 && p.kind == KindPipe { // there is nothing to carry any more
		p.loseCaptures()
		if len(p.monitors) == 0 {
			p.be.unmonitored(ctx)
		}
	}
	if len(p.monitors) == 0 {
		return
	}
	for _, m := range p.monitors {
		m.die(ctx)
	}
	p.monitors = nil
	if !p.watched() {
		p.be.unmonitored(ctx)
	}
}

// leave takes the monitor off its port.
func (m *monitor) leave(ctx context.Context) bool {
	if err := m.lookNoMore(ctx); err != nil {
		m.g.log.Error("a monitor without users stays", "port", m.p.name, "err", err)
		return false
	}
	if m.parent == nil {
		return true
	}
	parent := m.parent
	m.parent = nil
	parent.monitors = slices.DeleteFunc(parent.monitors, func(o *monitor) bool { return o == m })
	if !parent.watched() {
		if err := m.g.quiesce(ctx); err != nil {
			m.g.log.Error("a monitored port goes on as if it were", "port", parent.name, "err", err)
			return true
		}
		parent.be.unmonitored(ctx)
	}
	return true
}

// offsets: buffers that are taken begin where the port's do (NC A.8).
func (m *monitor) offsets() bool { return !m.zcopy }

// showReleased gives zero-copy monitors what the client released before it
// closes the ring.
func (k *kring) showReleased(ctx context.Context, p *port) {
	if len(k.watch.zcopies) > 0 && k.Dir() == abi.DirRx && p.kind != KindPipe {
		_ = k.lc.Do(ctx, func() { k.Release() }) // if it cannot, it cannot stop the ring either
	}
}
