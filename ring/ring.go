// Package ring is the core's side of a netmap ring: what the reference calls a
// kring. It owns the authoritative indices, judges what clients publish in the
// sync block, publishes in the order that clients rely on, and wakes them.
//
// A TX ring is consumed with Pending and Complete, an RX ring is filled with
// Reserve and Commit. Except where said otherwise the methods belong to the
// lcore that owns the ring; only reservations on an RX ring may come from
// several lcores, after Share.
package ring

import (
	"encoding/binary"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Indices are the authoritative state of a ring. They live in the region's
// control memory, which no client sees, so that a restarted daemon goes on
// where this one stopped (package shm documents the layout).
type Indices struct {
	HwCur   uint32 // first slot not yet consumed from the user
	HwTail  uint32 // first slot owned by the core
	Bad     uint32 // illegal heads seen
	BadHead uint32 // the last of them
}

// Mend makes the indices those of a ring of num slots again, of which a daemon
// died between any two stores: of a TX ring whose slots go back as soon as they are
// taken (Complete), hwtail follows from hwcur. false: they never were.
func (ix *Indices) Mend(dir int, num uint32) bool {
	if ix.HwCur >= num || ix.HwTail >= num {
		return false
	}
	if dir == abi.DirTx {
		ix.HwTail = (ix.HwCur + num - 1) % num
	}
	return true
}

// Config is what a ring is made of. Everything in it is trusted: it comes from
// private memory, never from the shared header.
type Config struct {
	Dir     int // abi.DirTx or abi.DirRx
	ID      int // index within its direction
	Slots   abi.Slots
	Bufs    abi.Bufs
	Block   *abi.SyncBlock
	Indices *Indices
}

// waiters are those who may sleep on a ring.
type waiters struct {
	fds     []int  // eventfds
	process uint32 // see SetWaiters
}

// Ring is one ring as the daemon sees it.
type Ring struct {
	// Quiet looks at these, for each ring of an lcore each time.
	atok   *abi.AtoK // what the client publishes: of blk, or of its CSB
	ix     *Indices
	frozen bool

	num   uint32
	slots abi.Slots
	bufs  abi.Bufs
	ktoa  *abi.KtoA // what we publish
	blk   *abi.SyncBlock
	dir   int
	id    int

	bound   atomic.Bool // somebody uses the ring
	release func(from, n uint32)
	waiters atomic.Pointer[waiters]
	watch   atomic.Pointer[Watch]
	offsets atomic.Pointer[Offsets]
	sender  *abi.SyncBlock // of an RX ring of a pipe: the block of the TX ring at the other end
	lease   lease
}

// New makes the core's side of a ring; the indices are taken over as they are
// and published.
func New(c Config) *Ring {
	r := &Ring{
		slots: c.Slots, bufs: c.Bufs, blk: c.Block, ix: c.Indices,
		num: c.Slots.Num(), dir: c.Dir, id: c.ID,
	}
	r.Unserve()
	r.lease.next = r.ix.HwTail
	r.blk.PublishDaemon(r.ix.HwCur, r.ix.HwTail)
	r.blk.SetState(abi.RingRunning)
	return r
}

// Num is the number of slots.
func (r *Ring) Num() uint32 { return r.num }

// ID is the index of the ring within its direction.
func (r *Ring) ID() int { return r.id }

// Dir is abi.DirTx or abi.DirRx.
func (r *Ring) Dir() int { return r.dir }

// Slots views the ring's slots: hostile memory.
func (r *Ring) Slots() abi.Slots { return r.slots }

// Bufs views the buffers that the slots may name.
func (r *Ring) Bufs() abi.Bufs { return r.bufs }

// Block is the ring's sync block.
func (r *Ring) Block() *abi.SyncBlock { return r.blk }

// HwCur and HwTail are the authoritative indices.
func (r *Ring) HwCur() uint32 { return r.ix.HwCur }

// HwTail is the first slot owned by the core.
func (r *Ring) HwTail() uint32 { return r.ix.HwTail }

// Bad counts the illegal heads seen on the ring.
func (r *Ring) Bad() uint32 { return r.ix.Bad }

// Frozen says that the last head was illegal.
func (r *Ring) Frozen() bool { return r.frozen }

// SetBound says whether some descriptor binds the ring. Frames for an unbound
// RX ring are dropped. Any goroutine.
func (r *Ring) SetBound(b bool) { r.bound.Store(b) }

// Bound reports it. Any goroutine.
func (r *Ring) Bound() bool { return r.bound.Load() }

// OnRelease makes the lcore call fn with every run of n slots, from slot from on,
// that the client of an RX ring gave back, before they are filled again; nil ends
// that. It is called on the lcore that fills the ring.
func (r *Ring) OnRelease(fn func(from, n uint32)) { r.release = fn }

// SetWaiters names the eventfds of all processes and descriptors
// that bind the ring, and the process if there is one eventfd only, else 0. A descriptor taken off the list may be closed once every
// lcore has passed a poll boundary. Any goroutine.
func (r *Ring) SetWaiters(fds []int, process uint32) { r.waiters.Store(&waiters{fds, process}) }

// Stop tells clients that the ring is gone for good and wakes them.
func (r *Ring) Stop() {
	r.blk.SetState(abi.RingStopped)
	r.Wake()
}

// Hold makes a TX ring one from which nothing is ever taken, and whose users do
// not wait for that (NC E.9). Reset undoes it.
func (r *Ring) Hold() { r.blk.SetState(abi.RingHolding) }

// Refuse makes every sync of the ring fail from now on (NC E.8), and wakes the
// clients that wait for it. Reset undoes it.
func (r *Ring) Refuse() {
	r.blk.SetState(abi.RingRefused)
	r.Wake()
}

// dist is how far b lies ahead of a.
func (r *Ring) dist(a, b uint32) uint32 {
	if b >= a {
		return b - a
	}
	return b + r.num - a
}

// Advance moves index i by n <= Num slots.
func (r *Ring) Advance(i, n uint32) uint32 {
	if i += n; i >= r.num {
		i -= r.num
	}
	return i
}

// Quiet says that the client of a TX ring published nothing since Complete, at the price of two loads. Otherwise see Pending.
func (r *Ring) Quiet() bool { return r.atok.LoadHead() == r.ix.HwCur && !r.frozen }

// head loads what the client published and judges it: legal heads lie in
// [hwcur, hwtail]. An illegal one freezes the ring until a legal one arrives.
func (r *Ring) head() (uint32, bool) {
	h := r.atok.LoadHead()
	if h == r.ix.HwCur && !r.frozen {
		return h, true
	}
	if !Trusting && (h >= r.num || r.dist(r.ix.HwCur, h) > r.dist(r.ix.HwCur, r.ix.HwTail)) {
		r.freeze(h)
		return r.ix.HwCur, false
	}
	if r.frozen {
		r.frozen = false
		r.blk.SetState(abi.RingRunning)
	}
	return h, true
}

// freeze notes an illegal head, once for each value: a client that leaves it
// there is not counted again at every poll.
func (r *Ring) freeze(h uint32) {
	if r.frozen && r.ix.BadHead == h {
		return
	}
	r.frozen = true
	r.ix.BadHead = h
	r.ix.Bad++
	_, cur := r.atok.LoadClient()
	r.blk.ReportBad(r.ix.Bad, h, cur)
	r.blk.SetState(abi.RingFrozen)
	if r.Served() {
		r.empty()
	}
	r.Wake()
}

// Pending returns the first slot of a TX ring that the client published and
// the core has not taken, and how many follow in ring order.
func (r *Ring) Pending() (from, n uint32) {
	h, ok := r.head()
	if !ok {
		return r.ix.HwCur, 0
	}
	return r.ix.HwCur, r.dist(r.ix.HwCur, h)
}

// Complete takes the slots before index to and gives all of them back at once,
// as ports do that copy: hwtail follows hwcur by one slot less than the ring
// (NC E.4). Whatever the frames caused must have been published before, since
// a client that sees the new hwcur may rely on it.
func (r *Ring) Complete(to uint32) {
	r.Take(to)
	r.Notify()
}

// Take is Complete for a caller that wakes the clients by itself.
func (r *Ring) Take(to uint32) {
	tail := to + r.num - 1
	if tail >= r.num {
		tail -= r.num
	}
	if r.watch.Load() != nil {
		n := r.dist(r.ix.HwCur, to)
		r.seen(r.ix.HwCur, n)
		r.left(r.ix.HwCur, n)
	}
	r.ix.HwCur, r.ix.HwTail = to, tail
	r.ktoa.PublishDaemon(to, tail)
}

// Progress takes the slots before index taken, and gives back those before index done, as ports do whose device reads the
// buffers later: hwtail follows done by one slot less than the ring (NC E.1). done lies between the old one and taken.
func (r *Ring) Progress(taken, done uint32) {
	tail := done + r.num - 1
	if tail >= r.num {
		tail -= r.num
	}
	if taken == r.ix.HwCur && tail == r.ix.HwTail {
		return
	}
	if r.watch.Load() != nil {
		was := r.Advance(r.ix.HwTail, 1)
		r.seen(r.ix.HwCur, r.dist(r.ix.HwCur, taken))
		r.left(was, r.dist(was, done))
	}
	r.ix.HwCur, r.ix.HwTail = taken, tail
	r.ktoa.PublishDaemon(taken, tail)
	r.Notify()
}

// Notify wakes the clients that wait for the ring to change, if any does.
// Call it after publishing.
func (r *Ring) Notify() {
	if abi.Fence(); r.TakeMark(nil) {
		r.Wake()
	}
}

// Told are processes that were woken and look at all their rings for it: the first few of those that were woken together. A
// nil one remembers none.
type Told struct {
	processes [8]uint32
	n         int
}

func (t *Told) has(process uint32) bool {
	return t != nil && slices.Contains(t.processes[:t.n], process)
}

func (t *Told) add(process uint32) {
	if t != nil && t.n < len(t.processes) {
		t.processes[t.n] = process
		t.n++
	}
}

// TakeMark reports whether a client waits for the ring to change, and is not told anyway; the caller then
// has to Wake them. Between the publication and this stands an abi.Fence, one for any number of rings.
func (r *Ring) TakeMark(told *Told) bool {
	ask := r.atok.ClientMark()
	return ask != 0 && r.takeMark(ask, told)
}

func (r *Ring) takeMark(ask uint32, told *Told) bool {
	w := r.waiters.Load()
	alone := w != nil && w.process != 0 && !r.Served() // in a CSB anything but 0 is a mark
	if alone && (ask == abi.AskOthers || ask == abi.AskProcess && told.has(w.process)) {
		return false // the mark stays, for the next time
	}
	switch ask = r.atok.TakeClientMark(); {
	case ask == 0 || alone && ask == abi.AskOthers:
		return false
	case alone && ask == abi.AskProcess:
		told.add(w.process)
	}
	return true
}

var wakeWord = binary.NativeEndian.AppendUint64(nil, 1)

// Wake wakes all clients of the ring, whether they asked for it or not: somebody
// may have died who took the mark and was about to. Any goroutine.
//
// No client has the eventfds, so none can make the write block (port.waiter).
func (r *Ring) Wake() {
	w := r.waiters.Load()
	if w == nil {
		return
	}
	for _, fd := range w.fds {
		_, _ = unix.Write(fd, wakeWord)
	}
}

// reclaim takes the slots that the client of an RX ring gave back.
func (r *Ring) reclaim() {
	h, ok := r.head()
	if !ok || h == r.ix.HwCur {
		return
	}
	if r.release != nil {
		r.release(r.ix.HwCur, r.dist(r.ix.HwCur, h))
	}
	r.left(r.ix.HwCur, r.dist(r.ix.HwCur, h))
	r.ix.HwCur = h
}

// Arm asks the client for a kick and reports whether the lcore may sleep as
// far as this ring goes. A TX ring has work when something is published. An RX
// ring never needs attention by itself: space is looked for when it is wanted.
func (r *Ring) Arm() bool {
	r.ktoa.ArmDaemon()
	h := r.atok.LoadHead()
	return h == r.ix.HwCur || r.frozen && h == r.ix.BadHead
}

// Disarm takes the mark back.
func (r *Ring) Disarm() { r.ktoa.DisarmDaemon() }

// Reset forgets what the last user of the ring left: frames it did not read,
// and whatever it published that was not taken. Indices go on from there
// (NC A.3). The ring is unbound, and no lcore may be using it.
func (r *Ring) Reset() {
	r.Clear()
	r.blk.SetState(abi.RingRunning)
}

// Retire tells a client that still looks at the ring that it has it no more: what is
// done with the ring next makes no sense to it. Reset undoes it.
func (r *Ring) Retire() { r.blk.SetState(abi.RingStopped) }

// Clear is Reset for a ring that stays retired.
func (r *Ring) Clear() {
	if r.dir == abi.DirRx {
		r.ix.HwCur = r.ix.HwTail
	}
	r.lease.next = r.ix.HwTail
	r.frozen = false
	r.blk.Reset(r.ix.HwCur, r.ix.HwTail)
}

// Unread counts the frames and bytes delivered to an RX ring and not released
// by the client: drops, should the ring go away now. Fragment marks and lengths
// are the client's to write, which can only falsify its own count.
func (r *Ring) Unread() (frames, bytes uint64) {
	h, ok := r.head()
	if !ok {
		h = r.ix.HwCur
	}
	for i := h; i != r.ix.HwTail; i = r.Advance(i, 1) {
		w := r.slots.Load(i)
		bytes += uint64(w.Len())
		if w.Flags()&abi.NSMoreFrag == 0 {
			frames++
		}
	}
	return frames, bytes
}
