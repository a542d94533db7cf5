package abi

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// The structures must have the sizes of the ABI; a mistake fails to compile.
var (
	_ [SlotSize]byte       = [unsafe.Sizeof(Slot{})]byte{}
	_ [RingHeaderSize]byte = [unsafe.Sizeof(RingHeader{})]byte{}
	_ [IfHeaderSize]byte   = [unsafe.Sizeof(IfHeader{})]byte{}
	_ [SyncBlockSize]byte  = [unsafe.Sizeof(SyncBlock{})]byte{}
	_ [CSBAlign]byte       = [unsafe.Sizeof(AtoK{})]byte{}
)

// Mem is a mapped stretch of shared memory. Its base and size are private to
// the process; its bytes are not.
type Mem struct {
	b []byte
}

// NewMem views b, which must stay mapped while any view of it is in use.
func NewMem(b []byte) Mem { return Mem{b} }

// Size in bytes.
func (m Mem) Size() uint64 { return uint64(len(m.b)) }

// Bytes is the whole stretch.
func (m Mem) Bytes() []byte { return m.b }

// at returns the address of n bytes at off, or an error that names what.
func (m Mem) at(what string, off, n, align uint64) (unsafe.Pointer, error) {
	size := uint64(len(m.b))
	if n > size || off > size-n {
		return nil, fmt.Errorf("view %s: %d bytes at offset %d do not fit the %d bytes mapped", what, n, off, size)
	}
	p := unsafe.Pointer(unsafe.SliceData(m.b[off:]))
	if uintptr(p)%uintptr(align) != 0 {
		return nil, fmt.Errorf("view %s: offset %d is not aligned to %d bytes", what, off, align)
	}
	return p, nil
}

// Ring views the ring at off with num slots. The caller knows num from a
// trusted place; a client passes 0 to take it from the header, once.
func (m Mem) Ring(off uint64, num uint32) (Ring, error) {
	p, err := m.at("ring header", off, RingHeaderSize, RingAlign)
	if err != nil {
		return Ring{}, err
	}
	h := (*RingHeader)(p)
	if num == 0 {
		num = atomic.LoadUint32(&h.NumSlots)
	}
	if num == 0 {
		return Ring{}, fmt.Errorf("view ring at offset %d: it has no slots", off)
	}
	if _, err := m.at("ring slots", off, RingBytes(num), RingAlign); err != nil {
		return Ring{}, err
	}
	return Ring{h, Slots{unsafe.Add(p, RingHeaderSize), num}}, nil
}

// If views the netmap_if at off with n ring offsets.
func (m Mem) If(off uint64, n int) (If, error) {
	p, err := m.at("netmap_if", off, IfBytes(n), 8)
	if err != nil {
		return If{}, err
	}
	return If{(*IfHeader)(p), unsafe.Slice((*int64)(unsafe.Add(p, IfHeaderSize)), n)}, nil
}

// Bufs views n buffers of size bytes from off on.
func (m Mem) Bufs(off uint64, n, size uint32) (Bufs, error) {
	p, err := m.at("buffer pool", off, uint64(n)*uint64(size), 64)
	if err != nil {
		return Bufs{}, err
	}
	return Bufs{p, n, size}, nil
}

// SyncBlock views the i-th sync block of a port.
func (m Mem) SyncBlock(i int) (*SyncBlock, error) {
	p, err := m.at("sync block", uint64(i)*SyncBlockSize, SyncBlockSize, 64)
	if err != nil {
		return nil, err
	}
	return (*SyncBlock)(p), nil
}

// AtoK views the i-th entry of the first array of a CSB.
func (m Mem) AtoK(i int) (*AtoK, error) {
	p, err := m.at("CSB", uint64(i)*CSBAlign, CSBAlign, CSBAlign)
	return (*AtoK)(p), err
}

// KtoA views the i-th entry of the second one.
func (m Mem) KtoA(i int) (*KtoA, error) {
	p, err := m.at("CSB", uint64(i)*CSBAlign, CSBAlign, CSBAlign)
	return (*KtoA)(p), err
}

// Ring is a view of a netmap_ring: its header and its slots.
type Ring struct {
	*RingHeader
	Slots
}

// SetTail writes the tail that the user sees; only a sync may (NC D.1).
func (r Ring) SetTail(t uint32) { release32(&r.RingHeader.Tail, t) }

// SetTime writes the time of a sync (NC A.7).
func (r Ring) SetTime(sec, usec int64) {
	release64((*uint64)(unsafe.Pointer(&r.TsSec)), uint64(sec))
	release64((*uint64)(unsafe.Pointer(&r.TsUsec)), uint64(usec))
}

// LoadUser loads head, cur and tail as the user left them.
func (r Ring) LoadUser() (head, cur, tail uint32) {
	h := r.RingHeader
	return atomic.LoadUint32(&h.Head), atomic.LoadUint32(&h.Cur), atomic.LoadUint32(&h.Tail)
}

// SetUser overwrites head, cur and tail: ring re-initialisation (NC D.4).
func (r Ring) SetUser(head, cur, tail uint32) {
	h := r.RingHeader
	atomic.StoreUint32(&h.Head, head)
	atomic.StoreUint32(&h.Cur, cur)
	atomic.StoreUint32(&h.Tail, tail)
}

// Slots views the slot array of a ring. Its length is private.
type Slots struct {
	p   unsafe.Pointer
	num uint32
}

// Num is the number of slots.
func (s Slots) Num() uint32 { return s.num }

// At returns slot i; it panics, as a slice does, when i is out of range, so i
// must be checked if it came from elsewhere. For the owner of the slot only.
func (s Slots) At(i uint32) *Slot {
	if i >= s.num {
		panic("abi: slot index out of range")
	}
	return (*Slot)(unsafe.Add(s.p, uintptr(i)*SlotSize))
}

// Word is the first half of a slot, loaded or stored in one piece: a client
// that writes at the same time cannot make us see two values of one field.
type Word uint64

// MakeWord packs the three fields.
func MakeWord(idx uint32, length, flags uint16) Word {
	return Word(idx) | Word(length)<<32 | Word(flags)<<48
}

// Idx is the buffer index.
func (w Word) Idx() uint32 { return uint32(w) }

// Len is the length in bytes.
func (w Word) Len() uint16 { return uint16(w >> 32) }

// Flags are the NS_* bits.
func (w Word) Flags() uint16 { return uint16(w >> 48) }

// Load reads the first half of slot i once. i < Num is the caller's duty.
func (s Slots) Load(i uint32) Word {
	return Word(atomic.LoadUint64((*uint64)(unsafe.Add(s.p, uintptr(i)*SlotSize))))
}

// Store writes the first half of slot i. i < Num is the caller's duty. A plain
// store: the publication of the index that follows is the barrier.
func (s Slots) Store(i uint32, w Word) {
	*(*uint64)(unsafe.Add(s.p, uintptr(i)*SlotSize)) = uint64(w)
}

// Mend empties slot i if it is wrong: one that names no buffer, or more bytes than a
// buffer has (NC D.4). i < Num is the caller's duty.
func (s Slots) Mend(i uint32, bufs Bufs) {
	w := s.Load(i)
	switch {
	case !bufs.Valid(w.Idx()):
		s.Store(i, MakeWord(0, 0, w.Flags()))
	case uint32(w.Len()) > bufs.Size():
		s.Store(i, MakeWord(w.Idx(), 0, w.Flags()))
	}
}

// LoadPtr reads the second half of slot i once. i < Num is the caller's duty.
func (s Slots) LoadPtr(i uint32) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Add(s.p, uintptr(i)*SlotSize+8)))
}

// StorePtr writes the second half of slot i. i < Num is the caller's duty.
func (s Slots) StorePtr(i uint32, v uint64) {
	*(*uint64)(unsafe.Add(s.p, uintptr(i)*SlotSize+8)) = v
}

// Bufs views the buffer pool of a region.
type Bufs struct {
	p       unsafe.Pointer
	n, size uint32
}

// Num is the number of buffers, reserved ones included.
func (b Bufs) Num() uint32 { return b.n }

// Size is the size of a buffer in bytes.
func (b Bufs) Size() uint32 { return b.size }

// Valid reports whether idx may stand in a slot.
func (b Bufs) Valid(idx uint32) bool { return idx-MinBufIndex < b.n-MinBufIndex }

// Get returns buffer idx, or nil when idx is not valid.
func (b Bufs) Get(idx uint32) []byte {
	if !b.Valid(idx) {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(b.p, uintptr(idx)*uintptr(b.size))), b.size)
}

// Base is the address of buffer 0, for code that has checked its indices.
func (b Bufs) Base() unsafe.Pointer { return b.p }

// If is a view of a netmap_if with its ring offsets.
type If struct {
	*IfHeader
	RingOfs []int64 // relative to the netmap_if itself; 0: not bound (NC A.4)
}

// LoadBufsHead reads the head of the extra-buffer list once.
func (f If) LoadBufsHead() uint32 { return atomic.LoadUint32(&f.IfHeader.BufsHead) }
