package vale

import (
	"unsafe"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// Rings whose packets begin somewhere in their buffers (NC A.8) are served by
// loops of their own, so that the others do not pay for it.

// nextOffset is Next for a ring with offsets.
func (t *TxSource) nextOffset(b *Batch, n, limit uint32) int {
	at, taken := t.to, uint32(0)
	for taken < limit {
		k := t.chain(b, at, n-taken, limit-taken)
		if k == 0 {
			break // the frame belongs to the next batch
		}
		taken += k
		at = t.r.Advance(at, k)
	}
	t.to = at
	return int(taken)
}

// fillOffset is fill and fillSingle for a ring with offsets. Each slot's own one
// is honoured; one that is too large is taken back in the slot (NC A.8).
func (s *RxSink) fillOffset(o *ring.Offsets, b *Batch, list []uint16, at, got uint32, d *Drops) (used uint32, frames, bytes uint64) {
	for k, i := range list {
		frags := b.Frags[i:]
		frags = frags[:frags[0].Slots]
		if uint32(len(frags)) > got-used {
			d[RingFull] += uint64(len(list) - k)
			break
		}
		n, why, ok := s.putOffset(o, b, frags, at)
		if ok {
			frames++
			bytes += n
		} else {
			d[why]++
		}
		at = s.r.Advance(at, uint32(len(frags)))
		used += uint32(len(frags))
	}
	return used, frames, bytes
}

// putOffset is put for a ring with offsets.
func (s *RxSink) putOffset(o *ring.Offsets, b *Batch, frags []Frag, at uint32) (bytes uint64, why Reason, ok bool) {
	slots, bufs := s.r.Slots(), s.r.Bufs()
	ok = true
	flags := uint16(len(frags))<<abi.NSFragShift | abi.NSMoreFrag
	for k := range frags {
		f := &frags[k]
		if k == len(frags)-1 {
			flags &^= abi.NSMoreFrag
		}
		idx, ptr, length := slots.Load(at).Idx(), slots.LoadPtr(at), f.Len
		off := o.At(ptr)
		if ptr&o.Mask != uint64(off) {
			slots.StorePtr(at, ptr&^o.Mask|uint64(off))
		}
		if valid(bufs, idx) && uint32(length) <= o.Room && off+uint32(length) <= bufs.Size() {
			copyBytes(unsafe.Add(bufAt(bufs.Base(), idx, bufs.Size()), off), b.at(f), uintptr(length))
			bytes += uint64(length)
		} else {
			why, ok, length = misfit(bufs, idx), false, 0
		}
		slots.Store(at, abi.MakeWord(idx, length, flags))
		at = s.r.Advance(at, 1)
	}
	return bytes, why, ok
}
