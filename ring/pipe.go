package ring

import (
	"runtime"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Pipe is one direction of one pair of rings of a pipe: the TX ring of one end and
// the RX ring with the same number at the other (NC E.7). The slot of a packet has
// the same number in both.
//
// A pipe is direct, where its ends move the slots in their syncs and the daemon
// does nothing, or carried, where an lcore does it. Of a direct pipe the indices lie
// in the sync blocks (abi.RingDirect) and are the clients' to write: the daemon
// believes none of them. TakeOver and GiveBack change between the two.
type Pipe struct {
	tx, rx *Ring
	far    bool // the ends live in different regions: contents are copied
}

// NewPipe joins two rings of equal size. They are carried until GiveBack.
func NewPipe(tx, rx *Ring) *Pipe {
	rx.sender = tx.blk
	rx.showOffsets(tx.blk)
	return &Pipe{tx: tx, rx: rx, far: tx.bufs.Base() != rx.bufs.Base()}
}

// Tx and Rx are the two rings.
func (p *Pipe) Tx() *Ring { return p.tx }

// Rx is the ring at the receiving end.
func (p *Pipe) Rx() *Ring { return p.rx }

// Direct reports who moves the slots.
func (p *Pipe) Direct() bool { return p.tx.blk.State() == abi.RingDirect }

// lock waits until no client is inside a sync of either ring. A sync takes
// microseconds; a client that pretends to be in one for longer, or is kept from its
// CPU for longer, is not waited for: what it then stores hurts the two ends of this
// pipe and nobody else.
func (p *Pipe) lock(until time.Time) {
	for _, r := range [...]*Ring{p.tx, p.rx} {
		for !r.blk.Enter(abi.BusyDaemon) && time.Now().Before(until) {
			runtime.Gosched()
		}
	}
}

func (p *Pipe) unlock() {
	p.tx.blk.Leave()
	p.rx.blk.Leave()
}

// judge takes the indices of a direct pipe out of the sync blocks. Nonsense ends
// as an empty pipe.
func (p *Pipe) judge() {
	t, r := p.tx.ix, p.rx.ix
	copied, published := p.rx.blk.LoadDaemon()
	released, _ := p.tx.blk.LoadDaemon()
	n := p.tx.num
	if copied >= n || published >= n || released >= n || p.tx.dist(released, published) > p.tx.dist(released, copied) {
		copied, published, released = 0, 0, 0
		t.Bad++
	}
	t.HwCur, t.HwTail = copied, p.tx.before(released)
	r.HwCur, r.HwTail = released, published
	p.rx.lease.next = published
}

// before is the slot before i.
func (r *Ring) before(i uint32) uint32 {
	if i == 0 {
		i = r.num
	}
	return i - 1
}

// TakeOver makes the daemon the one that moves the slots. It waits for syncs of
// clients until the given time at most. No lcore carries the pipe yet.
func (p *Pipe) TakeOver(until time.Time) {
	p.lock(until)
	defer p.unlock()
	p.judge()
	p.publish(abi.RingRunning)
}

// GiveBack makes the pipe direct. No lcore carries it any more. Pipes between
// regions stay as they are.
func (p *Pipe) GiveBack(until time.Time) {
	if p.far {
		return
	}
	p.lock(until)
	defer p.unlock()
	p.Turn() // what was published meanwhile
	p.publish(abi.RingDirect)
}

// publish shows the indices in the form that the state means.
func (p *Pipe) publish(s abi.RingState) {
	t, r := p.tx.ix, p.rx.ix
	for _, q := range [...]*Ring{p.tx, p.rx} {
		_, rcur, rtail := q.blk.Library()
		q.blk.PublishClient(q.ix.HwCur, q.ix.HwCur)
		q.blk.SetLibrary(q.ix.HwCur, rcur, rtail)
		q.frozen = false
	}
	if s == abi.RingDirect {
		p.rx.blk.PublishDaemon(t.HwCur, r.HwTail)
		p.tx.blk.PublishDaemon(r.HwCur, t.HwTail)
	} else {
		p.rx.blk.PublishDaemon(r.HwCur, r.HwTail)
		p.tx.blk.PublishDaemon(t.HwCur, t.HwTail)
	}
	p.tx.blk.SetState(s)
	p.rx.blk.SetState(s)
}

// Reopen prepares a ring of the pipe that nobody uses for its next user, who goes
// on where the last one stopped (NC E.7); hdr is the ring's own header, which the
// last user may have left in any state. When the pipe is carried it belongs on its
// lcore.
func (p *Pipe) Reopen(q *Ring, hdr abi.Ring) {
	if p.Direct() {
		p.judge()
		// The word of this end, which is as it was unless it was nonsense. The other
		// end may be at work.
		if q == p.tx {
			p.rx.blk.PublishDaemon(p.tx.ix.HwCur, p.rx.ix.HwTail)
		} else {
			p.tx.blk.PublishDaemon(p.rx.ix.HwCur, p.tx.ix.HwTail)
		}
	}
	hwcur, hwtail := q.ix.HwCur, q.ix.HwTail
	q.blk.Clear(hwcur, hwtail)
	q.frozen = false
	hdr.SetUser(hwcur, hwcur, hwtail)
}

// SetOffsets gives a ring of the pipe that nobody uses other offsets, nil for none, and
// its slots the initial one. What is on its way to it moves to where it is found then,
// behind the larger of the offset that it has and the initial one (NC A.8). Of a direct
// pipe it waits for syncs until the given time at most; a carried one belongs on its lcore.
func (p *Pipe) SetOffsets(q *Ring, o *Offsets, initial uint64, until time.Time) {
	if p.Direct() {
		p.lock(until)
		defer p.unlock()
		p.judge()
	}
	was, onWay := q.Offsets(), uint32(0)
	if q == p.rx {
		onWay = q.dist(q.ix.HwCur, p.tx.ix.HwCur) // packets that are not complete, too
		if was == nil && !p.far {
			was = p.tx.Offsets()
		}
	}
	where := between(was, o)
	for i := range q.num {
		ptr := initial
		if q.dist(q.ix.HwCur, i) < onWay {
			ptr = q.shift(i, initial, &where)
		}
		q.slots.StorePtr(i, ptr)
	}
	q.SetOffsets(o)
}

// shift moves the frame of a slot in its buffer and returns the slot's new ptr.
func (r *Ring) shift(i uint32, initial uint64, where *abi.PipeOffsets) uint64 {
	w, ptr := r.slots.Load(i), r.slots.LoadPtr(i)
	buf := r.bufs.Get(w.Idx())
	if buf == nil || w.Flags()&abi.NSIndirect != 0 {
		return ptr
	}
	n := uint32(w.Len())
	at, to := where.Place(ptr, initial, n, r.bufs.Size())
	if at != to {
		copy(buf[to:to+n], buf[at:at+n])
	}
	return ptr&^(where.FromMask|where.ToMask) | uint64(to)
}

// Settle makes each buffer stand in one ring only, at the end of the pipe: a slot
// on its way is the receiver's, all others are the sender's. Nobody uses either ring.
func (p *Pipe) Settle() {
	if p.Direct() {
		p.judge()
	}
	if p.far {
		return
	}
	c, n := p.rx.ix.HwCur, p.rx.dist(p.rx.ix.HwCur, p.rx.ix.HwTail)
	for i := range p.tx.num {
		if p.tx.dist(c, i) < n {
			p.tx.slots.Store(i, 0)
		} else {
			p.rx.slots.Store(i, 0)
		}
	}
}

// Move makes a pipe with the ring to, of another region, in the place of one of p's
// that nobody uses. The ring that stays keeps its indices and gets all buffers; frames
// on their way to the other move along. The pipe is carried, and no lcore has it.
func (p *Pipe) Move(from, to *Ring) *Pipe {
	t, r := p.tx, p.rx
	n := r.dist(r.ix.HwCur, r.ix.HwTail)
	for i := range from.num {
		onWay := t.dist(r.ix.HwCur, i) < n
		w := from.slots.Load(i)
		if onWay && from == r {
			where := offsetsOf(t, to)
			if p.far {
				where = offsetsOf(from, to)
			}
			to.receive(i, from.bufs.Get(w.Idx()), w, from.slots.LoadPtr(i), &where)
		}
		if p.far {
			continue
		}
		// What both name is the receiver's while it is on its way, and else the sender's.
		if stays := p.not(from); onWay == (from == r) {
			stays.slots.Store(i, abi.MakeWord(w.Idx(), stays.slots.Load(i).Len(), abi.NSBufChanged))
		}
		from.slots.Store(i, 0)
	}
	to.ix.HwCur, to.ix.HwTail = from.ix.HwCur, from.ix.HwTail
	to.lease.next = to.ix.HwTail
	to.blk.Reset(to.ix.HwCur, to.ix.HwTail)
	if from == r {
		return NewPipe(t, to)
	}
	return NewPipe(to, r)
}

// not is the other ring than q.
func (p *Pipe) not(q *Ring) *Ring {
	if q == p.tx {
		return p.rx
	}
	return p.tx
}

// offsetsOf are the offsets of a sender's ring and a receiver's.
func offsetsOf(from, to *Ring) abi.PipeOffsets { return between(from.Offsets(), to.Offsets()) }

func between(from, to *Offsets) (where abi.PipeOffsets) {
	if from != nil {
		where.FromMask, where.FromMax = from.Mask, from.Max
	}
	if to != nil {
		where.ToMask, where.ToMax = to.Mask, to.Max
	}
	return where
}

// receive copies a frame into the own buffer of slot i, behind the larger offset. A
// buffer that does not exist, on either side, makes an empty frame.
func (r *Ring) receive(i uint32, src []byte, w abi.Word, ptr uint64, where *abi.PipeOffsets) {
	own := r.slots.Load(i)
	dst := r.bufs.Get(own.Idx())
	at, to := where.Place(ptr, r.slots.LoadPtr(i), uint32(w.Len()), r.bufs.Size())
	at, to = min(at, uint32(len(src))), min(to, uint32(len(dst)))
	src = src[at:]
	n := copy(dst[to:], src[:min(int(w.Len()), len(src))])
	r.slots.Store(i, abi.MakeWord(own.Idx(), uint16(n), w.Flags()&^abi.NSBufChanged))
	r.slots.StorePtr(i, ptr&^where.ToMask|uint64(to)&where.ToMask)
}

// Turn carries what there is, both ways, and returns how many slots it moved.
func (p *Pipe) Turn() int {
	return p.forward() + p.backward()
}

// forward takes what the sender published to the receiver, complete packets only.
func (p *Pipe) forward() int {
	t, r := p.tx, p.rx
	h, ok := t.head()
	if !ok || h == t.ix.HwCur {
		return 0
	}
	n := t.dist(t.ix.HwCur, h)
	t.seen(t.ix.HwCur, n)
	end, more := r.ix.HwTail, false
	if p.far {
		end, more = p.copy(t.ix.HwCur, n)
	} else {
		if r.Offsets() != nil {
			where := offsetsOf(t, r)
			t.slots.Shift(r.slots, t.bufs, &where, t.ix.HwCur, h)
		}
		if e, ok := t.slots.Send(r.slots, t.ix.HwCur, h); ok {
			end, more = e, true
		}
	}
	t.ix.HwCur = h
	if more {
		r.lease.next = end
		r.show(end)
		r.Notify()
	}
	// Last: who sees its slots taken may rely on the delivery.
	t.blk.PublishDaemon(h, t.ix.HwTail)
	t.Notify()
	return int(n)
}

// backward gives what the receiver released to the sender.
func (p *Pipe) backward() int {
	t, r := p.tx, p.rx
	h, ok := r.head()
	if !ok || h == r.ix.HwCur {
		return 0
	}
	from, n := r.ix.HwCur, r.dist(r.ix.HwCur, h)
	r.left(from, n)
	if !p.far {
		r.slots.Return(t.slots, from, h)
	}
	t.left(from, n)
	r.ix.HwCur = h
	r.blk.PublishDaemon(h, r.ix.HwTail)
	t.ix.HwTail = t.before(h)
	t.blk.PublishDaemon(t.ix.HwCur, t.ix.HwTail)
	t.Notify()
	return int(n)
}

// copy copies n frames into the receiver's own buffers. A buffer that does not
// exist, on either side, makes an empty frame: the two are separated.
func (p *Pipe) copy(from, n uint32) (end uint32, more bool) {
	t, r := p.tx, p.rx
	where := offsetsOf(t, r)
	for i := from; n > 0; n-- {
		w := t.slots.Load(i)
		r.receive(i, t.bufs.Get(w.Idx()), w, t.slots.LoadPtr(i), &where)
		if w.Flags()&abi.NSBufChanged != 0 {
			t.slots.Store(i, abi.MakeWord(w.Idx(), w.Len(), w.Flags()&^abi.NSBufChanged))
		}
		i = t.Advance(i, 1)
		if w.Flags()&abi.NSMoreFrag == 0 {
			end, more = i, true
		}
	}
	return end, more
}

// Arm asks both ends for kicks and reports whether the lcore may sleep.
func (p *Pipe) Arm() bool {
	t, r := p.tx.Arm(), p.rx.Arm()
	return t && r
}

// Disarm takes that back.
func (p *Pipe) Disarm() {
	p.tx.Disarm()
	p.rx.Disarm()
}
