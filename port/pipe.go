package port

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/shm"
)

// Limits of pipes (NC E.7).
const (
	maxPipes     = 64 // on one parent
	pipeMaxRings = 256
)

// pipe is two ports whose rings are joined crosswise: what one end sends the other
// receives (NC E.7). Both are made when either is opened and go when neither is
// open any more. Usually the ends move the slots themselves (ring.Pipe) and the
// daemon only hears of them when a process comes or goes.
type pipe struct {
	parent *port
	id     string
	ends   [2]*port // master, slave
	wake   [2]int   // eventfds that wake the processes of an end; the other end writes them
	pairs  []*ring.Pipe

	carriers int  // who need an lcore on the path
	apart    bool // one of them: the ends live in different regions, for their users' sake
	unit     *pipeUnit
}

// pipeEnd is the port kind of one end.
type pipeEnd struct {
	plain
	pipe  *pipe
	which int // in pipe.ends
}

func (e *pipeEnd) other() *port { return e.pipe.ends[1-e.which] }

// openPipe finds the end of a pipe, making the pipe and its parent where there is
// none. Errors are those of NC B.5, 7, in its order.
func (g *Registry) openPipe(ctx context.Context, who Caller, core name.Core, req *abi.Register) (*port, error) {
	const op = "register"
	if req.Mode != abi.ModeAllNIC && req.Mode != abi.ModeOneNIC {
		return nil, refuse(op, core.Name, unix.EINVAL, "mode %d: a pipe has neither host rings nor modes but all rings and one ring", req.Mode)
	}
	parent, err := g.pipeParent(ctx, who, *core.Parent, req)
	if err != nil {
		return nil, refuseFor(op, core.Name, err)
	}
	p, err := g.pipeOn(parent, core, req)
	if err != nil {
		g.vanish(ctx, parent)
		return nil, err
	}
	if err := g.separate(ctx, who, p, req); err != nil {
		g.vanish(ctx, p)
		return nil, err
	}
	return p, nil
}

func (g *Registry) pipeOn(parent *port, core name.Core, req *abi.Register) (*port, error) {
	const op = "register"
	if parent.sw != nil && parent.kind != KindVALE {
		return nil, refuse(op, core.Name, unix.EBUSY, "%s, which the pipe hangs on, is attached to switch %s", parent.name, parent.sw.name)
	}
	if p := g.ports[core.Name]; p != nil {
		return p, nil
	}
	if len(parent.pipes) >= maxPipes {
		return nil, refuse(op, core.Name, unix.EINVAL, "%d pipes hang on %s, no more can", maxPipes, parent.name)
	}
	p, err := g.newPipe(parent, core, req)
	if err != nil {
		return nil, refuse(op, core.Name, unix.ENOMEM, "%v", err)
	}
	if core.Master {
		return p.ends[0], nil
	}
	return p.ends[1], nil
}

// pipeParent finds what a pipe hangs on. It need not be open, and is not opened.
// A name that means nothing yet becomes an implicit port.
func (g *Registry) pipeParent(ctx context.Context, who Caller, core name.Core, req *abi.Register) (*port, error) {
	if p := g.lookup(core.Name); p != nil {
		return p, nil
	}
	switch {
	case core.Kind == name.SwitchPort:
		return g.openVALE(ctx, who, core, req)
	case core.Kind == name.Pipe:
		return g.openPipe(ctx, who, core, req)
	case interfaceExists(core.Name):
		return g.openInterface(ctx, core.Name)
	}
	return g.implicitPort(who, core.Name, req)
}

// newPipe makes both ends. Wishes are the master's, whichever end is opened.
func (g *Registry) newPipe(parent *port, core name.Core, req *abi.Register) (_ *pipe, err error) {
	slots := func(wanted, parents uint32) uint32 {
		return uint32(max(wish(wanted, abi.ValeMaxSlots, int(min(parents, abi.ValeMaxSlots))), 2)) // one stays unused
	}
	master := shape{
		hwTx: wish(req.TxRings, pipeMaxRings, 1), hwRx: wish(req.RxRings, pipeMaxRings, 1),
		txSlots: slots(req.TxSlots, parent.txSlots), rxSlots: slots(req.RxSlots, parent.rxSlots),
	}
	slave := shape{hwTx: master.hwRx, hwRx: master.hwTx, txSlots: master.rxSlots, rxSlots: master.txSlots}
	q := &pipe{parent: parent, id: core.PipeID, wake: [2]int{-1, -1}}
	defer func() {
		if err != nil {
			q.undo(g)
		}
	}()
	base := core.Parent.Name
	blocks, err := shm.NewFile("sync:"+core.Name, uint64(2*master.entries())*abi.SyncBlockSize, false)
	if err != nil {
		return nil, err
	}
	for i, s := range []shape{master, slave} {
		if i == 1 {
			if blocks, err = reopen(blocks); err != nil {
				return nil, err
			}
		}
		q.ends[i] = g.newEnd(q, i, base+"{}"[i:i+1]+core.PipeID, s, blocks)
		if q.wake[i], err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
			return nil, fmt.Errorf("make an eventfd of the pipe: %w", err)
		}
	}
	if err := q.makeRings(); err != nil {
		return nil, fmt.Errorf("make the rings of %s: %w", core.Name, err)
	}
	for _, p := range q.ends {
		g.enlist(p)
	}
	if parent.pipes == nil {
		parent.pipes = map[string]*pipe{}
	}
	parent.pipes[q.id] = q
	return q, nil
}

// reopen maps the file once more, with a descriptor of its own.
func reopen(f *shm.File) (*shm.File, error) {
	fd, err := unix.FcntlInt(uintptr(f.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate the sync blocks of a pipe: %w", err)
	}
	return shm.OpenFile(os.NewFile(uintptr(fd), f.File().Name()))
}

// newEnd makes the port of one end, without rings.
func (g *Registry) newEnd(q *pipe, which int, full string, s shape, blocks *shm.File) *port {
	g.nextPort++
	p := &port{
		id: g.nextPort, name: full, kind: KindPipe, ephemeral: true, created: time.Now(),
		region: q.parent.region, lc: q.parent.lc, descs: map[*Desc]struct{}{}, books: newBooks(g.lcores),
		shape: s, blocks: blocks, firstSync: which * s.entries(),
	}
	p.region.Retain()
	p.be = &pipeEnd{plain{g, p}, q, which}
	return p
}

// makeRings makes the rings of both ends: a TX ring with its buffers, then the RX
// ring at the other end, whose slots name the same.
func (q *pipe) makeRings() error {
	for i, p := range q.ends {
		peer := q.ends[1-i]
		for id := range p.hwTx {
			if err := p.addRing(abi.DirTx, id, p.txSlots, ring.Indices{HwTail: p.txSlots - 1}, p.firstSync+id); err != nil {
				return err
			}
			t := p.tx[id]
			obj, err := peer.region.NewMirror(peer.id, abi.DirRx, id, t.obj, ring.Indices{})
			if err != nil {
				return err
			}
			block := peer.firstSync + peer.firstRxEntry() + id
			if err := peer.useRing(obj, block); err != nil {
				return err
			}
			r := peer.rx[id]
			t.Block().SetPeer(obj.Offset, uint32(block))
			r.Block().SetPeer(t.obj.Offset, uint32(p.firstSync+id))
			pair := ring.NewPipe(t.Ring, r.Ring)
			pair.GiveBack(time.Time{})
			q.pairs = append(q.pairs, pair)
		}
	}
	q.movedOn(-1)
	return nil
}

// undo frees what newPipe had made when it failed.
func (q *pipe) undo(g *Registry) {
	q.settle()
	for i, p := range q.ends {
		if p != nil {
			p.free(g)
		}
		q.closeWake(i)
	}
}

func (q *pipe) closeWake(i int) {
	if q.wake[i] >= 0 {
		_ = unix.Close(q.wake[i])
	}
	q.wake[i] = -1
}

// settle, before the rings are freed: each buffer goes once.
func (q *pipe) settle() {
	for _, pair := range q.pairs {
		_ = q.ends[0].region.Touch(pair.Settle)
	}
}

// pair finds what a ring is half of.
func (e *pipeEnd) pair(k *kring) *ring.Pipe {
	for _, pair := range e.pipe.pairs {
		if pair.Tx() == k.Ring || pair.Rx() == k.Ring {
			return pair
		}
	}
	return nil
}

func (*pipeEnd) keeps() bool { return true }

// resume lets the next user of a ring go on where the last one stopped.
func (e *pipeEnd) resume(ctx context.Context, k *kring) error {
	pair := e.pair(k)
	return e.touch(ctx, func() { pair.Reopen(k.Ring, k.obj.View) })
}

// setOffsets moves what waits in the ring, too.
func (e *pipeEnd) setOffsets(ctx context.Context, k *kring, o *ring.Offsets, initial uint64, until time.Time) error {
	pair := e.pair(k)
	return e.touch(ctx, func() { pair.SetOffsets(k.Ring, o, initial, until) })
}

// touch changes rings of the pipe: on the lcore that carries it, if one does.
func (e *pipeEnd) touch(ctx context.Context, change func()) error {
	safe := func() { _ = e.p.region.Touch(change) }
	if e.pipe.unit == nil {
		safe()
		return nil
	}
	return e.p.lc.Do(ctx, safe)
}

// wakeFDs are the eventfd that wakes the processes of this end and the one that
// wakes those of the other.
func (e *pipeEnd) wakeFDs() []int { return []int{e.pipe.wake[e.which], e.pipe.wake[1-e.which]} }

// ended wakes everybody: the process may have died after it had taken somebody's
// mark and before it woke him.
func (e *pipeEnd) ended() {
	for _, pair := range e.pipe.pairs {
		pair.Tx().Wake()
		pair.Rx().Wake()
	}
}

// features: pipes pass slots on as they are, indirect ones too.
func (e *pipeEnd) features() uint16 {
	if e.p.firstSync > 0 {
		return wire.FeatureSecondHalf
	}
	return 0
}

// leave lets the pipe go when neither end is open, and nothing hangs on either.
func (e *pipeEnd) leave(ctx context.Context) bool {
	q, other := e.pipe, e.other()
	if len(other.descs) > 0 || len(other.pipes) > 0 {
		return false
	}
	if err := q.stopUnit(ctx); err != nil {
		e.g.log.Error("a pipe without users stays", "port", e.p.name, "err", err)
		return false
	}
	q.settle()
	delete(q.parent.pipes, q.id)
	e.g.destroy(ctx, other)
	return true
}

func (e *pipeEnd) free() {
	e.pipe.closeWake(e.which)
	// The parent goes with its last pipe, unless it is there for other reasons.
	if parent := e.pipe.parent; e.g.ports[parent.name] == parent {
		e.g.vanish(context.Background(), parent)
	}
}

// monitored puts an lcore on the path, where monitors see what passes.
func (e *pipeEnd) monitored(ctx context.Context) error { return e.pipe.carry(ctx) }

func (e *pipeEnd) unmonitored(ctx context.Context) {
	if err := e.pipe.release(ctx); err != nil {
		e.g.log.Error("a pipe stays carried", "err", err)
	}
}

// driver says who moves the slots.
func (e *pipeEnd) driver() string {
	if e.pipe.unit != nil {
		return "carried"
	}
	return "direct"
}
