package port

import (
	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/shm"
	vale "github.com/netmapd/netmapd/switch"
)

// zeroTx transmits from the clients' buffers; slots come back when the device is
// done (NC D.1, E.1).
type zeroTx struct {
	outlet
	q      *ethdev.ZeroTx
	owners shm.Owners

	batch  []segment // of this turn
	done   uint32    // first slot not given back
	flight []flight  // a power of two of them, by segment
	head   uint32    // counts; tail - head are in flight
	tail   uint32
	loose  uint32 // of those, the oldest, whose ring was closed since
}

type segment struct {
	idx  uint32
	len  uint16
	more bool
}

// flight is a segment on its way, and how many slots come back with it: its own,
// and those of refused frames behind it.
type flight struct{ idx, slots uint32 }

// newZeroTx makes room for capacity segments on their way.
func newZeroTx(o outlet, q *ethdev.ZeroTx, owners shm.Owners, capacity int) *zeroTx {
	n := 1
	for n < capacity {
		n *= 2
	}
	return &zeroTx{
		outlet: o, q: q, owners: owners, done: o.ring.HwCur(),
		flight: make([]flight, n), batch: make([]segment, 0, burst),
	}
}

// Turn transmits what the client published, as far as the device takes it, and
// gives back the slots that it is done with.
func (z *zeroTx) Turn(limit int) int {
	from, n := z.published()
	if n == 0 && z.head == z.tail {
		return 0
	}
	at := from
	if n > 0 {
		skipped := z.refuse(at, n, z.owners)
		z.skip(skipped)
		at = z.ring.Advance(at, skipped)
		z.collect(at, n-skipped, min(limit, cap(z.batch), len(z.flight)-int(z.tail-z.head)))
	}
	refused := z.q.Refused()
	used, done := z.q.Burst()
	at = z.launch(at, used)
	z.books.Drops[vale.RxBadLength] += z.q.Refused() - refused
	z.land(done)
	z.ring.Progress(at, z.done)
	return z.dist(from, at) + done
}

// skip gives slots back that have no segment in flight: with the one before, or
// at once.
func (z *zeroTx) skip(slots uint32) {
	if slots == 0 {
		return
	}
	if z.tail-z.head > z.loose {
		z.flight[(z.tail-1)&uint32(len(z.flight)-1)].slots += slots
		return
	}
	z.done = z.ring.Advance(z.done, slots)
}

// collect adds frames to the batch, up to one that cannot be sent: the next turn
// begins with it. A slot is looked at again here, since it may have changed.
func (z *zeroTx) collect(at, n uint32, room int) {
	slots, bufs := z.ring.Slots(), z.ring.Bufs()
	z.batch = z.batch[:0]
	for n > 0 && room > 0 {
		w := slots.Load(at)
		k := uint32(1)
		if w.Flags()&(abi.NSMoreFrag|abi.NSIndirect) != 0 {
			if k = z.collectChain(at, n, room); k == 0 {
				break
			}
		} else if !bufs.Valid(w.Idx()) || uint32(w.Len())-z.least > z.size-z.least || !z.owners.Launch(w.Idx()) { // below least it wraps
			break
		} else {
			z.batch = append(z.batch, segment{w.Idx(), w.Len(), false})
		}
		at = z.ring.Advance(at, k)
		n -= k
		room -= int(k)
	}
	for _, s := range z.batch {
		z.q.Add(s.idx, uint32(s.len), s.more)
	}
}

// collectChain adds a frame of several slots, and returns their number; 0 when it
// has no room or cannot be sent.
func (z *zeroTx) collectChain(at, n uint32, room int) uint32 {
	k, _, bad := z.judge(at, n, z.owners)
	if bad || int(k) > room {
		return 0
	}
	first, total := len(z.batch), uint32(0)
	for i := range k {
		w := z.ring.Slots().Load(z.ring.Advance(at, i))
		if !z.ring.Bufs().Valid(w.Idx()) || uint32(w.Len()) > z.size || !z.owners.Launch(w.Idx()) {
			return z.giveUp(first)
		}
		z.batch = append(z.batch, segment{w.Idx(), w.Len(), i < k-1})
		total += uint32(w.Len())
	}
	if total < z.least {
		return z.giveUp(first)
	}
	return k
}

// giveUp takes back what was added to the batch of a frame that changed meanwhile.
func (z *zeroTx) giveUp(first int) uint32 {
	for _, s := range z.batch[first:] {
		z.owners.Land(s.idx)
	}
	z.batch = z.batch[:first]
	return 0
}

// launch notes the used segments of the batch as in flight, gives up the others,
// and returns the slot where the next turn begins.
func (z *zeroTx) launch(at uint32, used int) uint32 {
	mask := uint32(len(z.flight) - 1)
	for _, s := range z.batch[:used] {
		z.flight[z.tail&mask] = flight{s.idx, 1}
		z.tail++
		z.books.Tx.Bytes += uint64(s.len)
		if !s.more {
			z.books.Tx.Frames++
		}
	}
	for _, s := range z.batch[used:] {
		z.owners.Land(s.idx)
	}
	z.batch = z.batch[:0]
	return z.ring.Advance(at, uint32(used))
}

// land gives back the slots of the oldest n segments.
func (z *zeroTx) land(n int) {
	mask := uint32(len(z.flight) - 1)
	for ; n > 0; n-- {
		f := z.flight[z.head&mask]
		z.head++
		z.owners.Land(f.idx)
		if z.loose > 0 {
			z.loose--
			continue
		}
		z.done = z.ring.Advance(z.done, f.slots)
	}
}

// settle ends the use of the ring: the slots come back now, although buffers of
// them may be on their way still.
func (z *zeroTx) settle() {
	z.loose = z.tail - z.head
	z.done = z.ring.HwCur()
	z.ring.Progress(z.done, z.done)
}

// reuse is for the next users, whose ring and lcore may be others.
func (z *zeroTx) reuse(o outlet) *zeroTx {
	z.outlet, z.done, z.loose = o, o.ring.HwCur(), z.tail-z.head
	return z
}

// free gives up what is in flight; the device is closed.
func (z *zeroTx) free() error {
	for ; z.head != z.tail; z.head++ {
		z.owners.Land(z.flight[z.head&uint32(len(z.flight)-1)].idx)
	}
	return z.q.Free()
}

// outlet is what all ways out of a TX ring share: which slots may be sent.
type outlet struct {
	ring  *ring.Ring
	size  uint32 // of a buffer
	least uint32 // bytes of a frame
	books *vale.Counters
}

func newOutlet(r *ring.Ring, books *vale.Counters, least int) outlet {
	return outlet{r, r.Bufs().Size(), uint32(least), books}
}

// published is what a client published, if one has the ring: who closed it may
// still have it mapped.
func (o *outlet) published() (from, n uint32) {
	if !o.ring.Bound() {
		return o.ring.HwCur(), 0
	}
	return o.ring.Pending()
}

func (o *outlet) dist(a, b uint32) int {
	if b >= a {
		return int(b - a)
	}
	return int(b + o.ring.Num() - a)
}

// judge looks at the frame that begins at a slot, of n published: how many slots
// it has, and why it cannot be sent. A chain without an end is closed at the last
// slot (NC E.5.2). With owners, its buffers have to be clients'.
func (o *outlet) judge(at, n uint32, owners shm.Owners) (slots uint32, why vale.Reason, bad bool) {
	refuse := func(r vale.Reason) {
		if !bad {
			why, bad = r, true
		}
	}
	total := uint32(0)
	for more := true; more && slots < n; slots++ {
		w := o.ring.Slots().Load(at)
		at = o.ring.Advance(at, 1)
		more = w.Flags()&abi.NSMoreFrag != 0
		total += uint32(w.Len())
		switch {
		case slots >= vale.MaxFrags:
			refuse(vale.TooManyFragments)
		case w.Flags()&abi.NSIndirect != 0:
			refuse(vale.Indirect)
		case !o.ring.Bufs().Valid(w.Idx()) || owners != nil && !owners.Held(w.Idx()):
			refuse(vale.BadIndex)
		case uint32(w.Len()) > o.size:
			refuse(vale.BadLength)
		}
	}
	if total < o.least {
		refuse(vale.TooShort)
	}
	return slots, why, bad
}

// refuse counts the frames at the head of what is published that cannot be sent,
// and returns their slots.
func (o *outlet) refuse(at, n uint32, owners shm.Owners) (skipped uint32) {
	for skipped < n {
		slots, why, bad := o.judge(at, n-skipped, owners)
		if !bad {
			break
		}
		o.books.Tx.Frames++
		o.books.Drops[why]++
		skipped += slots
		at = o.ring.Advance(at, slots)
	}
	return skipped
}
