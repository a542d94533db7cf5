package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
)

// Adopt makes the ports and descriptors that Inherit found the records of, on their
// switches, and returns the connections to serve. Frames that were published and not
// taken are delivered now; the daemon may have died between delivering a batch and
// saying so: then its frames arrive twice.
//
// What cannot be taken over ends as if this daemon had not been told of it.
func (g *Registry) Adopt(ctx context.Context) []Heir {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.will
	switch {
	case w == nil:
		return nil
	case w.refused:
		g.settle()
		return nil
	}
	ports := g.adoptPorts(ctx)
	var descs []*Desc
	var lost []*Desc
	for _, id := range w.ids("desc") {
		d, conn, reg, err := g.adoptDesc(ports, id)
		switch {
		case err != nil:
			g.log.Warn("a descriptor of the netmapd before is not taken over", "err", err)
			w.untake(id, "desc", "conn")
		case conn == nil: // its client is gone; what it had is dealt with in the ordinary way
			descs, lost = append(descs, d), append(lost, d)
		default:
			descs = append(descs, d)
			w.heirs = append(w.heirs, Heir{Conn: conn, Desc: d, Register: reg})
		}
	}
	g.adoptWakes(descs)
	g.tidyAdopted(ports)
	for _, p := range ports { // all can receive by now
		g.startAdopted(ctx, p)
	}
	heirs := w.heirs
	g.settle()
	for _, d := range lost {
		if err := d.close(ctx); err != nil {
			g.log.Error("close a descriptor whose client is gone", "port", d.port.name, "err", err)
		}
	}
	for _, p := range ports {
		if g.ports[p.key()] == p { // not gone with its last descriptor
			g.vanish(ctx, p)
		}
	}
	if len(heirs) > 0 {
		g.log.Info("taken over from the netmapd before", "sessions", len(w.sessions), "ports", len(ports), "descriptors", len(descs)-len(lost))
	}
	return heirs
}

// adoptPorts makes the ports of all regions that can be taken over whole.
func (g *Registry) adoptPorts(ctx context.Context) map[uint64]*port {
	records := map[uint16]map[uint64]*portRecord{}
	for _, id := range g.will.ids("port") {
		r := &portRecord{}
		err := g.will.record("port", id, r)
		if err == nil && r.ID != id {
			err = fmt.Errorf("its record is of port %d", r.ID)
		}
		if err != nil {
			g.log.Warn("a port of the netmapd before is not taken over", "port", id, "err", err)
			g.will.untake(id, "port")
			continue
		}
		if records[r.Region] == nil {
			records[r.Region] = map[uint64]*portRecord{}
		}
		records[r.Region][id] = r
	}
	ports := map[uint64]*port{}
	for id, r := range g.regions {
		if !g.claims[id].kept || r.Users() > 0 {
			continue // not one that was inherited
		}
		all, err := g.adoptRegion(r, records[id])
		if err == nil {
			err = g.joinAdopted(ctx, all, records[id])
		}
		if err != nil {
			g.log.Warn("a region of the netmapd before is not taken over, with the ports in it", "region", r.Name(), "err", err)
			for _, p := range all {
				g.will.untake(p.id, "sync")
				p.unadopt()
			}
			g.will.untake(id, "region", "control", "claim")
			delete(g.regions, id)
			delete(g.claims, id)
			_ = r.Close()
			continue
		}
		for _, p := range all {
			ports[p.id] = p
		}
	}
	for _, of := range records {
		for id := range of {
			if ports[id] == nil {
				g.will.untake(id, "port")
			}
		}
	}
	return ports
}

// adoptRegion makes the ports that live in a region. Who has a ring in it must be
// among them: the ends of a pipe, for one, are not, and go on with its buffers.
func (g *Registry) adoptRegion(r *shm.Region, records map[uint64]*portRecord) (all []*port, err error) {
	rings, err := r.Rings()
	if err != nil {
		return nil, err
	}
	byID := map[uint64]*port{}
	for id, rec := range records {
		p, err := g.adoptPort(r, rec)
		if err != nil {
			return all, fmt.Errorf("port %s: %w", rec.Name, err)
		}
		byID[id] = p
		all = append(all, p)
	}
	for _, dir := range []int{abi.DirRx, abi.DirTx} {
		for _, obj := range rings {
			p := byID[obj.Port]
			if p == nil {
				return all, fmt.Errorf("a port that is not taken over, number %d, has a ring in it", obj.Port)
			}
			if obj.Dir != dir {
				continue
			}
			if err := p.adoptRing(obj); err != nil {
				return all, fmt.Errorf("port %s: %w", p.name, err)
			}
		}
	}
	for _, p := range all {
		if len(p.tx) != p.hwTx || len(p.rx) != p.hwRx {
			return all, fmt.Errorf("port %s has %d TX and %d RX rings, expected %d and %d", p.name, len(p.tx), len(p.rx), p.hwTx, p.hwRx)
		}
		for _, k := range p.rx {
			if len(g.lcores) > 1 {
				k.Share()
			}
		}
	}
	if len(all) == 0 {
		err = fmt.Errorf("no port lives in it")
	}
	return all, err
}

// adoptPort makes a port without rings.
func (g *Registry) adoptPort(r *shm.Region, rec *portRecord) (*port, error) {
	f, err := g.will.take("sync", rec.ID)
	if err != nil {
		return nil, err
	}
	p := &port{
		id: rec.ID, name: rec.Name, kind: rec.Kind, ephemeral: rec.Kind == KindVALE, used: true, known: true, kept: true, created: rec.Created,
		region: r, lc: g.pick(), descs: map[*Desc]struct{}{}, books: newBooks(g.lcores),
		shape: shape{hwTx: rec.TxRings, hwRx: rec.RxRings, txSlots: rec.TxSlots, rxSlots: rec.RxSlots},
	}
	if p.blocks, err = shm.OpenFile(f); err != nil {
		g.will.untake(rec.ID, "sync")
		return nil, err
	}
	if size, need := p.blocks.Mem().Size(), uint64(p.entries())*abi.SyncBlockSize; size < need {
		_ = p.blocks.Close()
		g.will.untake(rec.ID, "sync")
		return nil, fmt.Errorf("its sync blocks have %d bytes, expected %d", size, need)
	}
	header := vnetHeader{length: rec.Header, most: rec.Frame}
	p.be = &valePort{plain{g, p}, header}
	if p.kind == KindPersistent {
		p.spec = rec.Spec
		mac, _ := net.ParseMAC(rec.MAC)
		p.be = &persistent{plain: plain{g, p}, vnetHeader: header, mac: mac}
	}
	r.Retain()
	return p, nil
}

// adoptRing makes a ring object the next ring of the port, with its indices.
func (p *port) adoptRing(obj shm.Ring) error {
	have, slots, block := len(p.rx), p.rxSlots, p.firstRxEntry()+obj.ID
	if obj.Dir == abi.DirTx {
		have, slots, block = len(p.tx), p.txSlots, obj.ID
	}
	if obj.ID != have || obj.View.Num() != slots || !obj.Indices.Mend(obj.Dir, slots) {
		return fmt.Errorf("ring %d of direction %d, %d slots, is not the one expected, or its indices are none", obj.ID, obj.Dir, obj.View.Num())
	}
	_, err := p.viewRing(obj, block)
	return err
}

// joinAdopted puts ports on their switches.
func (g *Registry) joinAdopted(ctx context.Context, all []*port, records map[uint64]*portRecord) error {
	for i, p := range all {
		if err := g.seat(ctx, p, records[p.id].Switch); err != nil {
			for _, q := range all[:i] {
				delete(g.ports, q.key())
				if q.sw != nil {
					_ = g.leaveSwitch(ctx, q)
				}
			}
			return err
		}
		g.enlist(p)
	}
	return nil
}

// seat puts a port on the switch that it was on, or on which the configuration
// has put it.
func (g *Registry) seat(ctx context.Context, p *port, swName string) (err error) {
	v, lasts := p.be.(*persistent)
	if old := g.ports[p.name]; old != nil {
		if swName, err = g.supersede(ctx, old, p); err != nil {
			return err
		}
	}
	if lasts && p.spec != nil && p.spec.Host != "" {
		if err := v.show(p.spec.Host); err != nil {
			g.log.Warn("the interface that stands for a port", "port", p.name, "err", err)
		}
	}
	if swName == "" {
		return nil
	}
	sw := g.switches[swName]
	if sw == nil {
		sw = g.newSwitch(swName)
	}
	if lasts {
		return g.attach(ctx, sw, p, v)
	}
	return g.joinSwitch(ctx, sw, p, p.rxSinks())
}

// supersede removes a persistent port that the configuration has just made, for
// the one of this name that clients have open. It tells the switch it was on.
func (g *Registry) supersede(ctx context.Context, old, p *port) (swName string, err error) {
	fresh, ok := old.be.(*persistent)
	if !ok || p.kind != KindPersistent || fresh.patch != nil || len(old.descs) > 0 || len(old.pipes) > 0 {
		return "", fmt.Errorf("there is another port %s", p.name)
	}
	if old.shape != p.shape {
		return "", fmt.Errorf("the configuration has port %s with other rings", p.name)
	}
	if old.sw != nil {
		swName = old.sw.name
		if err := g.detach(ctx, old); err != nil {
			return "", err
		}
	}
	p.spec = old.spec
	g.destroy(ctx, old)
	return swName, nil
}

// unadopt lets go of a port, and tells its clients.
func (p *port) unadopt() {
	for _, k := range p.rings() {
		k.Stop()
	}
	p.be.free()
	_ = p.blocks.Close()
}

// adoptDesc makes a descriptor as bind made it. Without a connection its client is
// gone.
func (g *Registry) adoptDesc(ports map[uint64]*port, id uint64) (_ *Desc, conn *os.File, reg abi.Register, err error) {
	w := g.will
	var r descRecord
	if err := w.record("desc", id, &r); err != nil {
		return nil, nil, reg, err
	}
	p := ports[r.Port]
	if p == nil {
		return nil, nil, reg, fmt.Errorf("descriptor %d of pid %d: its port is not there", id, r.Caller.PID)
	}
	sel := selection{r.FirstTx, r.EndTx, r.FirstRx, r.EndRx}
	d := &Desc{
		g: g, port: p, caller: r.Caller, since: r.Since, mode: r.Register.Mode, flags: r.Register.Flags,
		selection: sel, extra: r.Register.ExtraBufs, wakes: map[uint32]waiter{}, kept: id,
	}
	if !sel.within(&p.shape) || len(r.Offsets) != len(d.bound()) {
		return nil, nil, reg, fmt.Errorf("descriptor %d of port %s: rings %v of %d and %d", id, p.name, sel, p.hwTx, p.hwRx)
	}
	if d.ifo, err = p.region.AdoptIf(r.If, p.id, p.entries()); err != nil {
		return nil, nil, reg, err
	}
	if w.files[keptName("conn", id)] != nil {
		conn, _ = w.take("conn", id)
	}
	for i, k := range d.bound() {
		if r.Offsets[i] != nil {
			k.SetOffsets(r.Offsets[i])
		}
		k.users++
		k.SetBound(true)
		if d.flags&abi.FlagExclusive != 0 {
			k.excl = d
		}
	}
	if d.extra > 0 {
		p.region.AdoptExtra()
		g.extra[r.Caller.UID] += d.extra
	}
	p.descs[d] = struct{}{}
	g.descs++
	return d, conn, r.Register, nil
}

// within says whether the ranges lie in those of a port.
func (s selection) within(of *shape) bool {
	return 0 <= s.firstTx && s.firstTx <= s.endTx && s.endTx <= of.hwTx && 0 <= s.firstRx && s.firstRx <= s.endRx && s.endRx <= of.hwRx
}

// adoptWakes gives descriptors their waiters, of sessions there are.
func (g *Registry) adoptWakes(descs []*Desc) {
	w := g.will
	byID := map[uint64]*Desc{}
	for _, d := range descs {
		byID[d.kept] = d
	}
	for name := range w.files {
		what, id := splitKept(name)
		parts := strings.Split(name, ".")
		if what != "wake" || len(parts) != 3 || byID[id] == nil {
			continue
		}
		n, err := strconv.ParseUint(parts[2], 10, 32)
		s := w.sessions[uint32(n)]
		if err != nil || s == nil {
			continue
		}
		d := byID[id]
		if err := s.watch(d.port.lc); err != nil {
			g.log.Warn("a client of the netmapd before will not be heard", "err", err)
			continue
		}
		at := strings.Join(parts[1:], ".")
		event, err := w.number("wake", at)
		hangup, err2 := w.number("hangup", at)
		if err = errors.Join(err, err2); err != nil {
			closeAll(event, hangup)
			w.untake(at, "wake", "hangup")
			g.log.Warn("a client of the netmapd before will not be woken", "err", err)
			continue
		}
		d.wakes[s.ID] = waiter{event, hangup}
	}
}

// tidyAdopted ends what was under way when the daemon died: descriptors that were
// half made or half closed, and syncs of processes that are gone.
func (g *Registry) tidyAdopted(ports map[uint64]*port) {
	ifs := map[*shm.Region]map[uint32]bool{}
	for _, p := range ports {
		if ifs[p.region] == nil {
			ifs[p.region] = map[uint32]bool{}
		}
		for d := range p.descs {
			ifs[p.region][d.ifo.Index] = true
		}
		for _, k := range p.rings() {
			k.stale = k.users == 0 // whoever opens it finds it as new
			busy, loop := k.Block().Inside()
			for _, session := range []uint32{busy, loop} {
				if g.will.sessions[session] == nil {
					k.Block().Evict(session)
				}
			}
		}
		p.refreshWaiters()
		g.untidy[p.region.ID()] = true
	}
	for r, keep := range ifs {
		r.KeepIfs(keep)
	}
}

// startAdopted has the lcores serve the rings of a port, and wakes its clients:
// they may have asked for it when nobody was there, or have been about to be.
func (g *Registry) startAdopted(ctx context.Context, p *port) {
	if len(p.descs) > 0 {
		if err := p.be.open(ctx); err != nil {
			g.log.Error("a port of the netmapd before does not start", "port", p.name, "err", err)
		}
	}
	for _, k := range p.rings() {
		if k.users == 0 {
			continue
		}
		if err := p.be.start(ctx, k); err != nil {
			g.log.Error("a ring of the netmapd before does not start", "port", p.name, "ring", k.String(), "err", err)
			k.Stop()
		}
		k.Wake()
	}
}
