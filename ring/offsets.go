package ring

import "github.com/netmapd/netmapd/netmap/abi"

// Offsets say where packets begin in the buffers of a ring, as its descriptors
// negotiated it (NC A.8, B.9.5).
type Offsets struct {
	Mask uint64 // the part of a slot's ptr that is the offset; never 0
	Max  uint32 // an offset above it counts as this one; at most a buffer's size
	Room uint32 // bytes of a packet that the core writes behind an offset
}

// At is the offset that a slot's ptr says.
func (o *Offsets) At(ptr uint64) uint32 { return uint32(min(ptr&o.Mask, uint64(o.Max))) }

// SetOffsets sets the offsets of the ring, nil for none. No descriptor may have
// it bound. Any goroutine.
func (r *Ring) SetOffsets(o *Offsets) {
	r.offsets.Store(o)
	if b := r.sender; b != nil {
		r.showOffsets(b)
	}
}

// showOffsets tells who moves slots into an RX ring of a pipe what its offsets are.
func (r *Ring) showOffsets(b *abi.SyncBlock) {
	if o := r.Offsets(); o != nil {
		b.SetPeerOffsets(o.Mask, o.Max)
	} else {
		b.SetPeerOffsets(0, 0)
	}
}

// Offsets are what SetOffsets was told. Any goroutine.
func (r *Ring) Offsets() *Offsets { return r.offsets.Load() }
