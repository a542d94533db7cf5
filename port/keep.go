package port

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/shm"
)

// This file hands to the service manager what the next daemon needs to go on where
// this one stops, or dies: at once when it is made, since a crash leaves no later
// moment. adopt.go is the other side.
//
// What is kept goes by names, a word and a number that no other has:
//
//	session.S  the connection    kick.S   the eventfd     token.S  sessionRecord
//	region.R   the memory        control.R  the authority over it
//	claim.R    regionRecord                               by memory id
//	port.P     portRecord        sync.P   the sync blocks
//	desc.D     descRecord        conn.D   the connection  by the number of the descriptor
//	wake.D.S, hangup.D.S                                  a waiter, of descriptor and session
//	try.N      that a takeover was begun for the Nth time, and has not come to its end
//
// Records are JSON in sealed files (shm.NewRecord). Of ports that cannot be taken
// over, sync.P is all: what the next daemon needs to tell their clients.

// Keeper holds descriptors for the next daemon.
type Keeper interface {
	Put(name string, fd int) // a copy
	Remove(name string)
}

// version is what every record begins with. What is of another is not taken over:
// clients go on with the library that they have, so messages and sync blocks must be
// those that it knows, too.
type version struct{ Version, Protocol int }

// thisVersion has the version of all records and sync blocks together.
var thisVersion = version{1, wire.Version}

func (v version) judge() error {
	if v != thisVersion {
		return fmt.Errorf("it is of version %d.%d, this netmapd knows %d.%d", v.Version, v.Protocol, thisVersion.Version, thisVersion.Protocol)
	}
	return nil
}

type sessionRecord struct {
	version
	Token  uint64
	Caller Caller
}

type regionRecord struct {
	version
	UID   int
	Bytes uint64
}

type portRecord struct {
	version
	ID               uint64
	Name             string
	Kind             Kind
	Switch           string // "" for none
	Region           uint16
	TxRings, RxRings int
	TxSlots, RxSlots uint32
	Header, Frame    int // vnetHeader
	Created          time.Time
	Spec             *Spec  // of a persistent port
	MAC              string // likewise
}

type descRecord struct {
	version
	Port           uint64
	Caller         Caller
	Since          time.Time
	Register       abi.Register // as answered
	FirstTx, EndTx int
	FirstRx, EndRx int
	If             uint32
	Offsets        []*ring.Offsets // of the bound rings
}

func keptName(what string, id any) string { return fmt.Sprintf("%s.%v", what, id) }

func (g *Registry) put(what string, id any, fd int) {
	if g.cfg.Keeper != nil {
		g.cfg.Keeper.Put(keptName(what, id), fd)
	}
}

func (g *Registry) putRecord(what string, id, record any) {
	f, err := shm.NewRecord(keptName(what, id), record)
	if err != nil {
		g.log.Warn("what is needed after a restart is not kept", "err", err)
		return
	}
	g.put(what, id, int(f.Fd()))
	_ = f.Close()
}

func (g *Registry) unput(id any, whats ...string) {
	if g.cfg.Keeper == nil {
		return
	}
	for _, what := range whats {
		g.cfg.Keeper.Remove(keptName(what, id))
	}
}

// KeepSession has a session outlive the daemon, with the connection that it is and the
// token that it goes by. It reports whether that is to be.
func (g *Registry) KeepSession(s *Session, conn int, token uint64) bool {
	if g.cfg.Keeper == nil {
		return false
	}
	g.put("session", s.ID, conn)
	g.put("kick", s.ID, s.kick)
	g.putRecord("token", s.ID, sessionRecord{thisVersion, token, s.Caller})
	return true
}

// Keep has a descriptor outlive the daemon, with the connection that it is. It
// reports whether that is to be. No process has joined yet. One whose CSB lcores serve
// is not kept: its client opens again.
func (d *Desc) Keep(conn int, reg *abi.Register) bool {
	g, p := d.g, d.port
	if g.cfg.Keeper == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if d.csb != nil || !g.keepPort(p) {
		return false
	}
	g.nextDesc++
	d.kept = g.nextDesc
	r := descRecord{
		version: thisVersion, Port: p.id, Caller: d.caller, Since: d.since, Register: *reg, If: d.ifo.Index,
		FirstTx: d.firstTx, EndTx: d.endTx, FirstRx: d.firstRx, EndRx: d.endRx,
	}
	for _, k := range d.bound() {
		r.Offsets = append(r.Offsets, k.Offsets())
	}
	g.putRecord("desc", d.kept, r)
	g.put("conn", d.kept, conn)
	return true
}

// Keeps says that there may be a next daemon.
func (g *Registry) Keeps() bool { return g.cfg.Keeper != nil }

// keepPort keeps a port, with the region that it lives in, unless it is kept. It
// reports whether the next daemon can take it over.
func (g *Registry) keepPort(p *port) bool {
	if p.known {
		return p.kept
	}
	p.known = true
	g.put("sync", p.id, p.blocks.FD())
	id := p.region.ID()
	c := g.claims[id]
	lasts := p.kind == KindPersistent && !p.ephemeral
	if p.kind != KindVALE && !lasts || !c.owned || c.file != (shm.FileID{}) {
		return false
	}
	if !c.kept {
		g.put("region", id, int(p.region.File().Fd()))
		g.put("control", id, int(p.region.ControlFile().Fd()))
		g.putRecord("claim", id, regionRecord{thisVersion, c.uid, c.bytes})
		c.kept = true
		g.claims[id] = c
	}
	p.kept = true
	g.recordPort(p)
	return true
}

func (g *Registry) recordPort(p *port) {
	h := p.vnet()
	r := portRecord{
		version: thisVersion, ID: p.id, Name: p.name, Kind: p.kind, Region: p.region.ID(), Created: p.created,
		TxRings: p.hwTx, RxRings: p.hwRx, TxSlots: p.txSlots, RxSlots: p.rxSlots, Header: h.length, Frame: h.most,
	}
	if p.sw != nil {
		r.Switch = p.sw.name
	}
	if v, ok := p.be.(*persistent); ok {
		r.Spec, r.MAC = p.spec, v.mac.String()
	}
	g.putRecord("port", p.id, r)
}

// rekeep keeps a port as it is now, if it is kept.
func (g *Registry) rekeep(p *port) {
	if p.kept {
		g.unput(p.id, "port")
		g.recordPort(p)
	}
}

// unkeepPort ends that, when the port goes.
func (g *Registry) unkeepPort(p *port) {
	if p.known {
		g.unput(p.id, "sync")
	}
	if p.kept {
		g.unput(p.id, "port")
	}
}

func (g *Registry) putWake(d *Desc, session uint32) {
	if d.kept != 0 {
		id, w := fmt.Sprintf("%d.%d", d.kept, session), d.wakes[session]
		g.put("wake", id, w.event)
		g.put("hangup", id, w.hangup)
	}
}

func (g *Registry) unputWake(d *Desc, session uint32) {
	if d.kept != 0 {
		g.unput(fmt.Sprintf("%d.%d", d.kept, session), "wake", "hangup")
	}
}

// bequeath leaves a port as it is, for the next daemon: no lcore moves anything any
// more, and what was begun is done.
func (g *Registry) bequeath(ctx context.Context, p *port) {
	p.loseCaptures()
	err := p.be.close(ctx)
	if p.sw != nil {
		err = errors.Join(err, p.leavePoller(ctx))
	}
	if err != nil {
		g.log.Error("leave a port to the next netmapd", "port", p.name, "err", err)
	}
}

// unkeepDesc ends the keeping of a descriptor.
func (g *Registry) unkeepDesc(d *Desc) {
	if d.kept == 0 {
		return
	}
	g.unput(d.kept, "conn", "desc")
	for session := range d.wakes {
		g.unputWake(d, session)
	}
}
