package port

import (
	"context"
	"fmt"
	"time"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/shm"
	vale "github.com/netmapd/netmapd/switch"
)

// port is a live port with its rings. All fields belong to the control plane,
// under Registry.mu; lcores see the rings and the vale pieces only.
type port struct {
	id        uint64
	name      string
	kind      Kind
	ephemeral bool
	unnamed   bool // not to be found by its name
	used      bool // by a client or a switch, at some time
	known     bool // the next daemon learns of it
	kept      bool // and can take it over
	created   time.Time
	spec      *Spec // what an operator asked for; nil for others

	shape
	region    *shm.Region
	blocks    *shm.File // sync blocks, in the order of ring_ofs
	firstSync int
	tx, rx    []*kring // HW rings, then host rings

	lc      *lcore.Lcore
	queues  []*lcore.Lcore // of a device, in turn; see queueLcore
	descs   map[*Desc]struct{}
	sw      *valeSwitch // attached to
	vp      *vale.Port
	polling *abi.ValePolling // set by VALE_POLLING_ENABLE
	pipes   map[string]*pipe // that hang on it, by id

	monitors []*monitor
	sinks    []vale.Sink // of an attached port, lenses left out

	captures []*captured // that look at it

	past  vale.Counters // from switches it was on before
	books books
	be    backend
}

// kring is one ring with what the control plane must know of it.
type kring struct {
	*ring.Ring
	obj   shm.Ring
	lc    *lcore.Lcore // that it belongs to
	users int
	excl  *Desc
	stale bool           // its last user left too few buffers to renew it
	left  bool           // its last user is going
	src   *vale.TxSource // a VALE TX ring that is being polled
	watch watchers       // monitors
}

// String names the ring as people do: tx0, rx1.
func (k *kring) String() string {
	if k.Dir() == abi.DirTx {
		return fmt.Sprintf("tx%d", k.ID())
	}
	return fmt.Sprintf("rx%d", k.ID())
}

// newPort makes a port with all its rings in a region, which is retained. What
// stands behind it is for the caller to add.
func (g *Registry) newPort(full string, kind Kind, region *shm.Region, s shape) (*port, error) {
	g.nextPort++
	p := &port{
		id: g.nextPort, name: full, kind: kind, created: time.Now(),
		region: region, lc: g.pick(), descs: map[*Desc]struct{}{}, books: newBooks(g.lcores),
	}
	region.Retain()
	if err := p.makeRings(s, len(g.lcores) > 1); err != nil {
		g.dropRegion(region)
		return nil, fmt.Errorf("make the rings of %s: %w", full, err)
	}
	return p, nil
}

// key is what the registry knows the port by: its name, unless several ports can
// have the same.
func (p *port) key() string {
	if p.unnamed {
		return fmt.Sprintf("\x00%d", p.id) // no name holds a zero
	}
	return p.name
}

// makeRings makes all rings of a port, RX rings first, as the reference does (NC
// A.10). Into shared RX rings several lcores may deliver.
func (p *port) makeRings(s shape, shared bool) error {
	p.shape = s
	blocks, err := shm.NewFile("sync:"+p.name, uint64(s.entries())*abi.SyncBlockSize, false)
	if err != nil {
		return err
	}
	p.blocks = blocks
	for i := range s.hwRx + s.hostRx {
		if err == nil {
			err = p.addRing(abi.DirRx, i, s.rxSlots, ring.Indices{}, s.firstRxEntry()+i)
		}
	}
	for i := range s.hwTx + s.hostTx {
		if err == nil {
			err = p.addRing(abi.DirTx, i, s.txSlots, ring.Indices{HwTail: s.txSlots - 1}, i)
		}
	}
	if err != nil {
		p.freeRings()
		return err
	}
	for _, k := range p.rx {
		if shared {
			k.Share()
		}
	}
	return nil
}

// freeRings undoes makeRings. No lcore may know the rings any more.
func (p *port) freeRings() {
	for _, k := range p.rings() {
		k.Stop() // clients that still map it see the port gone
		p.region.FreeRing(k.obj)
	}
	p.tx, p.rx = nil, nil
	_ = p.blocks.Close()
}

func (p *port) addRing(dir, id int, slots uint32, ix ring.Indices, block int) error {
	obj, err := p.region.NewRing(p.id, dir, id, slots, ix)
	if err != nil {
		return err
	}
	return p.useRing(obj, block)
}

// useRing takes over a new ring object; block is the index of its sync block.
func (p *port) useRing(obj shm.Ring, block int) error {
	k, err := p.viewRing(obj, block)
	if err != nil {
		p.region.FreeRing(obj)
		return err
	}
	k.Reset()
	return nil
}

// viewRing makes a ring object one of the port's rings, as it is.
func (p *port) viewRing(obj shm.Ring, block int) (*kring, error) {
	blk, err := p.blocks.Mem().SyncBlock(block)
	if err != nil {
		return nil, err
	}
	dir := obj.Dir
	k := &kring{obj: obj, Ring: ring.New(ring.Config{
		Dir: dir, ID: obj.ID, Slots: obj.View.Slots, Bufs: p.region.Bufs(), Block: blk, Indices: obj.Indices,
	})}
	k.sit(p.ringLcore(k))
	if dir == abi.DirTx {
		p.tx = append(p.tx, k)
	} else {
		p.rx = append(p.rx, k)
	}
	return k, nil
}

// rings are all rings of the port.
func (p *port) rings() []*kring { return append(append([]*kring{}, p.tx...), p.rx...) }

// free gives back what newPort took. No lcore may know the port any more.
func (p *port) free(g *Registry) {
	p.freeRings()
	g.dropRegion(p.region)
}

// destroy removes a port that is neither open nor attached. When an lcore does
// not answer, its memory and device are leaked rather than pulled from under it.
func (g *Registry) destroy(ctx context.Context, p *port) {
	p.loseCaptures()
	err := p.be.close(ctx) // nothing to do, unless a close failed
	if err == nil {
		err = g.quiesce(ctx)
	}
	st := g.portStats(p)
	st.Device = p.be.counters()
	st.Gone = true
	delete(g.ports, p.key())
	g.unkeepPort(p)
	g.happened(EventPortGone, p)
	if p.used || !p.ephemeral { // not what was made to answer a question
		g.departed.add(st)
	}
	if err != nil {
		g.leaked = true
		g.log.Error("what a port had is left allocated", "port", p.name, "err", err)
		return
	}
	p.be.free()
	p.free(g)
}

// evict clears the busy words of a session that died inside a sync.
func (p *port) evict(session uint32) {
	for _, k := range p.rings() {
		k.Block().Evict(session)
	}
}

// refreshWaiters tells each ring whom to wake.
func (p *port) refreshWaiters() {
	collect := func(ks []*kring, bound func(*Desc, int) bool) {
		for i, k := range ks {
			var fds []int
			process := uint32(0)
			for d := range p.descs {
				if !bound(d, i) {
					continue
				}
				for id, w := range d.wakes {
					fds, process = append(fds, w.event), id
				}
			}
			if len(fds) != 1 {
				process = 0
			}
			k.SetWaiters(fds, process)
		}
	}
	collect(p.tx, (*Desc).hasTx)
	collect(p.rx, (*Desc).hasRx)
}

// bookUnread counts what the last user of an RX ring did not read as dropped.
// Nobody delivers to the ring any more.
func (g *Registry) bookUnread(ctx context.Context, p *port, k *kring) error {
	var frames, bytes uint64
	err := k.lc.Do(ctx, func() { frames, bytes = k.Unread() })
	if err != nil || frames == 0 {
		return err
	}
	books, err := g.sum(ctx, p.books)
	if err != nil {
		return err
	}
	if p.vp == nil {
		// Unsigned arithmetic: the sum with what the lcore counted is right.
		frames = min(frames, books.Rx.Frames+p.past.Rx.Frames)
		p.past.Rx.Frames -= frames
		p.past.Rx.Bytes -= min(bytes, books.Rx.Bytes+p.past.Rx.Bytes)
		p.past.Drops[vale.Unread] += frames
		return nil
	}
	books = p.vp.Settled()
	for l, pl := range p.sw.pollers { // each counts on its own
		if err := l.Do(ctx, func() { pl.Share(p.vp, &books) }); err != nil {
			return err
		}
	}
	p.vp.Unread(frames, bytes, books.Rx)
	return nil
}

// retire keeps the counters that a port had on a switch it left.
func (p *port) retire() {
	if p.vp != nil {
		c := p.vp.Counters()
		p.past.Add(&c)
	}
	p.sw, p.vp, p.sinks = nil, nil, nil
}

// unpoll takes one TX ring off a poller, which knows ports only as a whole. It
// runs on the poller's lcore.
func (p *port) unpoll(poller *vale.Poller, gone *kring) {
	poller.Remove(p.vp)
	for _, k := range p.tx {
		if k != gone && k.src != nil && k.Bound() {
			poller.Add(p.vp, k.ID(), k.src)
		}
	}
}

// leavePoller takes all sources of the port off the pollers of its switch.
func (p *port) leavePoller(ctx context.Context) error {
	for _, l := range p.lcores() {
		pl := p.sw.pollers[l]
		if pl == nil {
			continue // the attachment failed before
		}
		if err := l.Do(ctx, func() { pl.Remove(p.vp) }); err != nil {
			return fmt.Errorf("detach %s from %s: %w", p.name, p.sw.name, err)
		}
	}
	return nil
}

func (p *port) anyUser() int {
	for d := range p.descs {
		return d.caller.PID
	}
	return 0
}

func (p *port) info() Info {
	i := Info{
		ID: p.id, Name: p.name, Kind: p.kind, Driver: p.be.driver(), Ephemeral: p.ephemeral, Index: -1,
		LinkUp: true, TxRings: p.hwTx, RxRings: p.hwRx, TxSlots: int(p.txSlots), RxSlots: int(p.rxSlots),
		RegionID: p.region.ID(), Lcore: p.lc.ID(), Created: p.created,
	}
	if p.sw != nil {
		i.Switch = p.sw.name
		i.Index = p.vp.Index()
	}
	for n := range p.hwRx {
		if len(p.queues) > 0 {
			i.QueueLcores = append(i.QueueLcores, p.queueLcore(n).ID())
		}
	}
	p.be.describe(&i)
	for d := range p.descs {
		i.Users = append(i.Users, d.user())
	}
	return i
}
