package vale

import (
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// TxSource takes frames from a client's TX ring.
type TxSource struct {
	r    *ring.Ring
	to   uint32 // first slot after the batch
	size uint32 // of a buffer
}

// NewTxSource makes the source of a TX ring.
func NewTxSource(r *ring.Ring) *TxSource {
	size := r.Bufs().Size()
	return &TxSource{r: r, size: size}
}

// Next takes what the client published. Slots are hostile: each is loaded once
// and checked. A frame with a bad slot is dropped whole; its neighbours go on. A
// chain without an end is closed at the last slot published (NC E.5.2).
func (t *TxSource) Next(b *Batch) int {
	from, n := t.r.Pending()
	t.to = from
	if n == 0 {
		return 0
	}
	slots, bufs := t.r.Slots(), t.r.Bufs()
	b.Base = bufs.Base()
	limit := min(n, uint32(b.limit))
	if t.r.Offsets() != nil {
		return t.nextOffset(b, n, limit)
	}
	at, taken := from, uint32(0)
	for taken < limit {
		k := t.singles(b, at, min(limit-taken, slots.Num()-at))
		taken += k
		if at += k; at == slots.Num() {
			at = 0
			continue
		}
		if taken == limit {
			break
		}
		if k = t.chain(b, at, n-taken, limit-taken); k == 0 {
			break // the frame belongs to the next batch
		}
		taken += k
		at = t.r.Advance(at, k)
	}
	t.to = at
	return int(taken)
}

// singles takes frames of one good slot from the n slots from at on, which do not wrap, until it meets something else.
func (t *TxSource) singles(b *Batch, at, n uint32) (k uint32) {
	slots, bufs, size := t.r.Slots(), t.r.Bufs(), t.size
	frags := b.Frags[b.N:]
	if uint32(len(frags)) > n {
		frags = frags[:n]
	}
	for i := range frags {
		w := slots.Load(at + uint32(i))
		if w.Flags()&(abi.NSMoreFrag|abi.NSIndirect) != 0 || !valid(bufs, w.Idx()) || !ring.Trusting && uint32(w.Len()) > size {
			b.N += i
			return uint32(i)
		}
		frags[i] = Frag{Off: uint64(w.Idx()) * uint64(size), Len: w.Len(), Slots: 1}
	}
	b.N += len(frags)
	return uint32(len(frags))
}

// chain takes the frame that begins at slot at, with up to n slots published
// and room for limit more in the batch, and returns its number of slots; 0 means
// that it does not fit a batch that is not empty.
func (t *TxSource) chain(b *Batch, at, n, limit uint32) (k uint32) {
	slots, bufs := t.r.Slots(), t.r.Bufs()
	first := b.N
	why, bad := Reason(0), false
	refuse := func(r Reason) {
		if !bad {
			why, bad = r, true
		}
	}
	var bytes uint64
	o := t.r.Offsets()
	for more := true; more && k < n; k++ {
		w, off := slots.Load(at), uint32(0)
		if o != nil && w.Flags()&abi.NSIndirect == 0 { // what the library fetched is at the beginning
			off = o.At(slots.LoadPtr(at))
		}
		at = t.r.Advance(at, 1)
		more = w.Flags()&abi.NSMoreFrag != 0
		bytes += uint64(w.Len())
		switch {
		case k >= limit && limit < uint32(b.limit):
			return 0
		case k >= MaxFrags:
			refuse(TooManyFragments)
		case w.Flags()&(abi.NSIndirect|abi.NSIndirectFault) == abi.NSIndirect|abi.NSIndirectFault:
			refuse(Indirect)
		case !valid(bufs, w.Idx()):
			refuse(BadIndex)
		case !ring.Trusting && off+uint32(w.Len()) > t.size:
			refuse(BadLength)
		case k < limit:
			b.Frags[first+int(k)] = Frag{Off: uint64(w.Idx())*uint64(t.size) + uint64(off), Len: w.Len()}
		}
	}
	if bad {
		b.Drop(why, 1, bytes)
		return k
	}
	b.Frags[first].Slots = uint16(k)
	b.N += int(k)
	if k > 1 {
		b.Multi = true
	}
	return k
}

// Done gives the slots back. Whatever the batch caused has been published.
func (t *TxSource) Done(b *Batch) {
	t.r.Take(t.to)
	b.notify(t.r, 0)
}

// Arm asks the client for a kick; see ring.Ring.Arm.
func (t *TxSource) Arm() bool { return t.r.Arm() }

// Disarm takes the request back.
func (t *TxSource) Disarm() { t.r.Disarm() }

// Fail tells the client that the ring stopped.
func (t *TxSource) Fail(error) { t.r.Stop() }
