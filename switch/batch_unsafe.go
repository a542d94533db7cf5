package vale

import (
	"unsafe"

	"github.com/netmapd/netmapd/ring"
)

// MaxBatch is the largest number of slots in a batch (NC E.5.2).
const MaxBatch = 1024

// MaxFrags is the largest number of slots in a frame.
const MaxFrags = 64

// Frag is one slot of a frame. The fragments of a frame follow each other.
type Frag struct {
	Off   uint64 // address of the first byte, relative to Batch.Base
	Len   uint16 // bytes
	Slots uint16 // on the first fragment: fragments of the frame; 0 on the others
}

// Batch holds slots of whole frames taken from one source. The memory it points
// to can be written by a client at any moment; the batch itself is private.
type Batch struct {
	Base  unsafe.Pointer // what Frag.Off counts from
	N     int            // fragments used
	Multi bool           // some frame has more than one fragment
	Frags [MaxBatch]Frag

	header uint16 // length of the virtio-net header that frames begin with
	// Origin, if not nil, is the receive batch of a device, whose segments the fragments are, in the same order: another
	// device can send them from where they are. It is good until Done.
	Origin unsafe.Pointer

	limit  int        // slots to take at most
	ctr    *Counters  // of the port that the source belongs to
	stages *stopwatch // of the poller, nil for a link

	changed  [64]*ring.Ring // published, and nobody woken yet; nchanged of them
	nchanged int
	unsaid   uint64 // frames delivered to them
}

// Limit is the number of slots a source should take at most. A single frame
// that the source drops may be longer.
func (b *Batch) Limit() int { return b.limit }

// Drop counts frames that the source refuses. They are not put in the batch.
func (b *Batch) Drop(r Reason, frames, bytes uint64) {
	b.ctr.Tx.Frames += frames
	b.ctr.Tx.Bytes += bytes
	b.ctr.Drops[r] += frames
}

// at is the address of a fragment.
func (b *Batch) at(f *Frag) unsafe.Pointer { return unsafe.Add(b.Base, f.Off) }

// behind is the address of a fragment's byte number skip.
func (b *Batch) behind(f *Frag, skip uint16) unsafe.Pointer { return unsafe.Add(b.at(f), skip) }

// bytes is the memory of a fragment.
func (b *Batch) bytes(f *Frag) []byte { return unsafe.Slice((*byte)(b.at(f)), f.Len) }

// Bytes is the memory of fragment i of the batch, which its sender may be writing to.
func (b *Batch) Bytes(i int) []byte { return b.bytes(&b.Frags[i]) }

// over empties the batch; its fragments are then those of mem.
func (b *Batch) over(mem []byte) {
	b.Base, b.N, b.Multi, b.Origin = unsafe.Pointer(unsafe.SliceData(mem)), 0, false, nil
}

const macMask = 1<<48 - 1

// loadMACs loads both addresses of the frame at p, each once, as they lie there. At least 12 bytes are
// readable: the caller has looked at the length.
func loadMACs(p unsafe.Pointer) (lo, hi uint64) {
	return *(*uint64)(p), uint64(*(*uint32)(unsafe.Add(p, 8)))
}

// split makes two addresses of them.
func split(lo, hi uint64) (dst, src uint64) { return lo & macMask, lo>>48 | hi<<16 }

// macs is both.
func macs(p unsafe.Pointer) (dst, src uint64) { return split(loadMACs(p)) }

// copyBytes copies n bytes between buffers, never more: the reference rounds up
// to 64 (NC E.5.2), which would show the receiver what the sender's buffer held
// before.
func copyBytes(dst, src unsafe.Pointer, n uintptr) {
	copy(unsafe.Slice((*byte)(dst), n), unsafe.Slice((*byte)(src), n))
}

// bufAt is the address of buffer idx, which is valid.
func bufAt(base unsafe.Pointer, idx, size uint32) unsafe.Pointer {
	return unsafe.Add(base, uintptr(idx)*uintptr(size))
}
