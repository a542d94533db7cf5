package abi

// PipeOffsets say where frames begin in the buffers of the two ends of a pipe
// (NC A.8). A mask of 0: at the beginning. No offset is above its maximum, and no
// maximum above the size of a buffer.
type PipeOffsets struct {
	FromMask, ToMask uint64
	FromMax, ToMax   uint32
}

// Place says for a frame of n bytes, of a slot with this ptr, where the sender has it
// in its buffer and where the receiver shall find it in one of size bytes: at the
// larger of the sender's offset and the one in the receiver's own slot. A frame for
// which there is no room behind that stays where it is.
func (o *PipeOffsets) Place(ptr, own uint64, n, size uint32) (at, to uint32) {
	at = uint32(min(ptr&o.FromMask, uint64(o.FromMax)))
	to = uint32(min(max(ptr&o.ToMask, own&o.ToMask), uint64(o.ToMax)))
	if n > size || max(at, to) > size-n {
		to = at
	}
	return at, to
}

// Shift is what a receiver with offsets needs before Send of the same slots: it
// moves frames in their buffers to where Place says, and says so in the sender's
// slots. Usually that is where they are: the receiver's slots come back, and with
// them its offsets. A process that dies here may leave one frame that is not whole.
func (s Slots) Shift(peer Slots, bufs Bufs, o *PipeOffsets, from, to uint32) {
	for i := from; i != to; {
		w, ptr := s.Load(i), s.LoadPtr(i)
		if buf := bufs.Get(w.Idx()); buf != nil && w.Flags()&NSIndirect == 0 {
			n := uint32(w.Len())
			at, to := o.Place(ptr, peer.LoadPtr(i), n, bufs.Size())
			if at != to {
				copy(buf[to:to+n], buf[at:at+n])
			}
			if p := ptr&^o.ToMask | uint64(to)&o.ToMask; p != ptr {
				s.StorePtr(i, p)
			}
		}
		if i++; i == s.num {
			i = 0
		}
	}
}
