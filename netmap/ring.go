package netmap

import (
	"sync/atomic"

	"github.com/netmapd/netmapd/netmap/abi"
)

// A Ring is one ring of a port, TX or RX, as the program sees it. All its
// methods are free of copies, allocations and system calls.
type Ring struct {
	ring abi.Ring
	blk  *abi.SyncBlock
	bufs abi.Bufs
	n    uint32 // slots; private, unlike the count in the ring's header
	dir  int
	id   uint16
	host bool
	// The part of a slot's Ptr that says where the packet begins; 0: all begin at 0.
	offsets uint64
	// Slots of a TX ring may point to data elsewhere (NC D.7).
	indirect bool
	held     [][]byte // by slot: what SetIndirect was given
	session  uint32
	peer     *peer // of a ring of a pipe, where the ends may move the slots themselves
	stats    ringCounters
	down     []*Ring // host RX ring 0: where what is forwarded goes
}

// TxRing is a ring to send with.
type TxRing struct{ Ring }

// RxRing is a ring to receive with.
type RxRing struct{ Ring }

// ID is the index of the ring in its direction; host rings follow HW rings.
func (r *Ring) ID() int { return int(r.id) }

// Host reports whether the ring leads to the host's network stack.
func (r *Ring) Host() bool { return r.host }

// NumSlots is the number of slots, which need not be a power of two. One of
// them always stays unused.
func (r *Ring) NumSlots() uint32 { return r.n }

// BufSize is the size of the ring's buffers in bytes.
func (r *Ring) BufSize() uint32 { return r.bufs.Size() }

// Head is the first slot that belongs to the program.
func (r *Ring) Head() uint32 { return atomic.LoadUint32(&r.ring.RingHeader.Head) }

// Cur is the wake-up point: Poll reports the ring when Tail passes it.
func (r *Ring) Cur() uint32 { return atomic.LoadUint32(&r.ring.RingHeader.Cur) }

// Tail is the first slot that belongs to the core. It changes in syncs only.
func (r *Ring) Tail() uint32 { return atomic.LoadUint32(&r.ring.RingHeader.Tail) }

// SetHead gives the slots before i to the core, at the next sync. Head may not
// pass Cur: see Advance.
func (r *Ring) SetHead(i uint32) { atomic.StoreUint32(&r.ring.RingHeader.Head, i) }

// SetCur moves the wake-up point, which lies in [Head, Tail]. To be woken only
// when something new arrives, set it to Tail.
func (r *Ring) SetCur(i uint32) { atomic.StoreUint32(&r.ring.RingHeader.Cur, i) }

// Advance gives the slots before i to the core, at the next sync: it sets Cur
// and Head.
func (r *Ring) Advance(i uint32) {
	r.SetCur(i)
	r.SetHead(i)
}

// Space is how many slots the program owns: room on a TX ring, frames (or
// their fragments) on an RX ring.
func (r *Ring) Space() uint32 { return r.between(r.Head(), r.Tail()) }

// Empty reports whether the program owns no slot.
func (r *Ring) Empty() bool { return r.Head() == r.Tail() }

// between is the number of slots in [a, b). Nonsense in shared memory gives a
// number below the number of slots, never more.
func (r *Ring) between(a, b uint32) uint32 {
	n := r.n
	switch {
	case a >= n || b >= n:
		return 0
	case b >= a:
		return b - a
	}
	return b + n - a
}

// Next is the index after i.
func (r *Ring) Next(i uint32) uint32 {
	if i++; i >= r.n {
		return 0
	}
	return i
}

// Slot is slot i, in shared memory; i must be below NumSlots. The program reads
// and writes it while it owns it, and sets abi.NSBufChanged when it changes
// BufIdx (NC A.6).
func (r *Ring) Slot(i uint32) *abi.Slot { return r.ring.At(i) }

// Slots views the slots of the ring, for loops that count every nanosecond:
// the first half of a slot in one load or store.
func (r *Ring) Slots() abi.Slots { return r.ring.Slots }

// Buf is the whole buffer of a slot, nil when the slot names none. The packet
// begins at Offset.
func (r *Ring) Buf(s *abi.Slot) []byte { return r.bufs.Get(atomic.LoadUint32(&s.BufIdx)) }

// Frame is the part of a slot's buffer that the slot's offset and Len say, nil when
// the slot names no buffer.
func (r *Ring) Frame(i uint32) []byte {
	if i >= r.n {
		return nil
	}
	w := r.ring.Load(i)
	b := r.bufs.Get(w.Idx())
	if r.offsets != 0 {
		b = b[min(r.Offset(i), uint64(len(b))):]
	}
	return b[:min(int(w.Len()), len(b))]
}

// Offset is where the packet of slot i begins in its buffer, 0 unless the port was
// opened with offsets (NC A.8). The slot may lie: it can be beyond the buffer.
func (r *Ring) Offset(i uint32) uint64 {
	if i >= r.n || r.offsets == 0 {
		return 0
	}
	return r.ring.LoadPtr(i) & r.offsets
}

// SetOffset has the packet of slot i begin at off, and leaves the rest of the
// slot's Ptr alone. On a ring without offsets it does nothing.
func (r *Ring) SetOffset(i uint32, off uint64) {
	if i >= r.n || r.offsets == 0 {
		return
	}
	r.ring.StorePtr(i, r.ring.LoadPtr(i)&^r.offsets|off&r.offsets)
}

// room is the part of a slot's buffer from its offset on.
func (r *Ring) room(i uint32) []byte {
	b := r.bufs.Get(r.ring.Load(i).Idx())
	return b[min(r.Offset(i), uint64(len(b))):]
}

// Timestamp is when the last RX sync was, in seconds and microseconds of the
// wall clock. On TX rings it is zero (NC A.7).
func (r *Ring) Timestamp() (sec, usec int64) {
	h := r.ring.RingHeader
	return atomic.LoadInt64(&h.TsSec), atomic.LoadInt64(&h.TsUsec)
}

// Flags are the ring's flags, abi.NRForward and abi.NRTimestamp.
func (r *Ring) Flags() uint32 { return atomic.LoadUint32(&r.ring.RingHeader.Flags) }

// SetFlags sets them.
func (r *Ring) SetFlags(f uint32) { atomic.StoreUint32(&r.ring.RingHeader.Flags, f) }

// Sem is scratch memory in the ring for the programs that share it. Nobody
// else touches it (NC A.3).
func (r *Ring) Sem() *[128]byte { return &r.ring.RingHeader.Sem }

// Pending reports whether the core holds frames that it has not sent yet, as
// of the last sync (NC A.5).
func (r *TxRing) Pending() bool { return r.Next(r.Tail()) != r.Head() }
