package abi

// Slot is one element of a ring: 16 bytes (NC A.2).
type Slot struct {
	BufIdx uint32 // buffer index inside the region; 0 and 1 are never handed out
	Len    uint16 // bytes in this slot, this fragment only
	Flags  uint16 // NS_* bits
	Ptr    uint64 // user address (indirect), packet offset, or opaque to us
}

// RingHeader precedes the slots of a ring: 256 bytes (NC A.3).
type RingHeader struct {
	BufOfs     int64  // from this header to buffer 0 of the region
	NumSlots   uint32 // need not be a power of two
	BufSize    uint32 // bytes of each buffer
	RingID     uint16 // index within its direction, host rings after HW rings
	Dir        uint16 // DirRx or DirTx, as the reference really stores them
	Head       uint32 // user: first slot owned by the user
	Cur        uint32 // user: wake-up point
	Tail       uint32 // core: first slot owned by the core
	Flags      uint32 // NR_* bits
	_          uint32
	TsSec      int64 // core: wall clock at the end of the last RX sync
	TsUsec     int64
	OffsetMask uint64
	BufAlign   uint64
	_          [56]byte
	Sem        [128]byte // scratch of the user; the core never touches it
}

// IfHeader is the fixed part of a netmap_if: 56 bytes, followed by ring offsets
// of 8 bytes each (NC A.4).
type IfHeader struct {
	Name        [16]byte
	Version     uint32 // never written by the core
	Flags       uint32 // bit 0: region is private
	TxRings     uint32 // HW rings
	RxRings     uint32
	BufsHead    uint32 // head of the extra-buffer list, user-writable
	HostTxRings uint32 // never less than 1
	HostRxRings uint32
	_           [3]uint32
}

// Values of RingHeader.Dir (NC A.3: header comments of the reference say the
// opposite of what its code stores; we store what the code stores).
const (
	DirRx = 0
	DirTx = 1
)

// Sizes and alignments of the shared structures.
const (
	SlotSize       = 16
	RingHeaderSize = 256
	IfHeaderSize   = 56
	RingAlign      = 128
	MinBufIndex    = 2 // buffers 0 and 1 are reserved (NC A.10)
	MaxFragments   = 64
)

// Slot flags (NC A.6).
const (
	NSBufChanged = 0x0001
	NSReport     = 0x0002
	NSForward    = 0x0004
	NSNoLearn    = 0x0008
	NSIndirect   = 0x0010
	NSMoreFrag   = 0x0020
	NSTxMon      = 0x0040
	NSFragShift  = 8 // RX on VALE: number of slots of the packet

	// NSIndirectFault is ours, beside NSIndirect on a TX slot: the client library,
	// which copies what the slot points to into the slot's buffer, could not read it.
	NSIndirectFault = 0x8000
)

// Ring flags (NC A.7).
const (
	NRTimestamp = 0x2
	NRForward   = 0x4
)

// IfPrivate in IfHeader.Flags: the region is not the global one.
const IfPrivate = 0x1

// RingBytes is the size of a ring with n slots.
func RingBytes(n uint32) uint64 { return RingHeaderSize + SlotSize*uint64(n) }

// IfBytes is the size of a netmap_if with n ring offsets.
func IfBytes(n int) uint64 { return IfHeaderSize + 8*uint64(n) }
