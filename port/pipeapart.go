package port

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
)

// This file keeps the users of a pipe apart, where the configuration wants it
// (Config.SeparateUsers): its ends then live in regions of their own, an lcore copies
// between them, and neither user can see or change memory of the other.

// separate makes sure that a user who opens an end of a pipe gets no memory of
// another user's with it.
func (g *Registry) separate(ctx context.Context, who Caller, p *port, req *abi.Register) error {
	const op = "register"
	e, ok := p.be.(*pipeEnd)
	if !ok || !g.cfg.SeparateUsers {
		return nil
	}
	for d := range p.descs {
		if d.caller.UID != who.UID {
			return refuse(op, p.name, unix.EACCES, "uid %d has this end open, and the configuration keeps users apart (access.separate-users)", d.caller.UID)
		}
	}
	switch {
	case len(p.descs) > 0 || !e.foreign(who):
		return nil
	case len(p.monitors) > 0 || len(p.pipes) > 0:
		return refuse(op, p.name, unix.EBUSY, "monitors or pipes of another user hang on this end, and the configuration keeps users apart (access.separate-users)")
	}
	if err := e.move(ctx, who, min(req.ExtraBufs, abi.ExtraBufsMax)); err != nil {
		return noRoom(op, p.name, err)
	}
	return nil
}

// foreign says whether memory of this end is another user's too.
func (e *pipeEnd) foreign(who Caller) bool {
	if c := e.g.claims[e.p.region.ID()]; c.owned && c.uid != who.UID {
		return true
	}
	if e.p.region != e.other().region {
		return false
	}
	for d := range e.other().descs {
		if d.caller.UID != who.UID {
			return true
		}
	}
	return false
}

// move gives an end that nobody has open a region of a user's own, and an lcore
// the pipe to carry from now on. Frames on their way move along.
func (e *pipeEnd) move(ctx context.Context, who Caller, extraBufs uint32) error {
	g, q, p := e.g, e.pipe, e.p
	next := &port{id: p.id, name: p.name, lc: p.lc}
	var err error
	next.region, err = g.privateRegion(who, p.name, shm.PortShape{
		TxRings: uint32(p.hwTx), RxRings: uint32(p.hwRx), TxSlots: p.txSlots, RxSlots: p.rxSlots, ExtraBufs: extraBufs,
	})
	if err != nil {
		return err
	}
	next.region.Retain()
	if err := next.makeRings(p.shape, false); err != nil {
		g.dropRegion(next.region)
		return err
	}
	if err := q.takeOver(ctx); err != nil {
		next.free(g)
		return err
	}
	for i, pair := range q.pairs {
		for n, k := range p.rings() {
			if pair.Tx() == k.Ring || pair.Rx() == k.Ring {
				_ = p.region.Touch(func() { q.pairs[i] = pair.Move(k.Ring, next.rings()[n].Ring) })
			}
		}
	}
	old := *p
	p.region, p.blocks, p.firstSync, p.tx, p.rx = next.region, next.blocks, 0, next.tx, next.rx
	if p.known {
		g.unput(p.id, "sync")
		g.put("sync", p.id, p.blocks.FD())
	}
	(&port{region: old.region, blocks: old.blocks, tx: old.tx, rx: old.rx}).free(g)
	for _, k := range e.other().rings() {
		k.Block().SetPeer(0, 0) // there is none in its region any more
	}
	return q.serve(ctx)
}

// takeOver stops whoever moves the slots of the pipe, for serve to go on.
func (q *pipe) takeOver(ctx context.Context) error {
	if err := q.stopUnit(ctx); err != nil {
		return err
	}
	if q.carriers == 0 {
		q.takePairs()
	}
	if !q.apart {
		q.apart = true
		q.carriers++ // for good
	}
	return nil
}
