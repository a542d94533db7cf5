package ethdev

/*
#include "burst.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// RxBatch receives the frames of one queue, as segments in DPDK's memory. It holds the mbufs until the next RxBurst or
// Reset; a device cannot be closed meanwhile. It belongs to one lcore, best to one queue.
type RxBatch struct {
	c    *C.struct_netmapd_rx
	h    C.uintptr_t
	addr []unsafe.Pointer // these three lie in C memory
	len  []uint32
	more []bool
}

// NewRxBatch makes a batch for bursts of up to n frames, 1 to 4096. It panics if there is no memory or n is out of range.
func NewRxBatch(n int) *RxBatch {
	checkBatch(n)
	segs := 2 * n // a longer burst of chained frames is delivered in two parts
	c := C.netmapd_rx_new(C.uint32_t(n), C.uint32_t(max(segs, maxChain)))
	if c == nil {
		panic("ethdev: no memory for a receive batch")
	}
	k := int(c.seg_cap)
	return &RxBatch{
		c: c, h: C.uintptr_t(uintptr(unsafe.Pointer(c))),
		addr: unsafe.Slice((*unsafe.Pointer)(unsafe.Pointer(c.addr)), k),
		len:  unsafe.Slice((*uint32)(unsafe.Pointer(c.len)), k),
		more: unsafe.Slice((*bool)(unsafe.Pointer(c.more)), k),
	}
}

// maxChain is the longest chain of mbufs that we handle: 64 KiB in buffers of 1 KiB.
const maxChain = 64

func checkBatch(n int) {
	if n < 1 || n > 4096 {
		panic(fmt.Sprintf("ethdev: a batch of %d frames, want 1 to 4096", n))
	}
}

// Addr is the address of segment i of the last burst. It is valid until the next RxBurst or Reset with this batch.
func (b *RxBatch) Addr(i int) unsafe.Pointer { return b.addr[i] }

// Len is the length of segment i in bytes.
func (b *RxBatch) Len(i int) uint32 { return b.len[i] }

// More tells whether segment i+1 belongs to the same frame.
func (b *RxBatch) More(i int) bool { return b.more[i] }

// Cap is the number of frames that a burst can have.
func (b *RxBatch) Cap() int { return int(b.c.cap) }

// Dropped counts frames that could not be delivered: chains of more segments than the batch can describe, and frames that
// waited in the batch when it was reset or used for another queue.
func (b *RxBatch) Dropped() uint64 { return uint64(b.c.dropped) }

// Handle stands for the batch in Forward.
func (b *RxBatch) Handle() unsafe.Pointer { return unsafe.Pointer(b.c) }

// Reset gives back the mbufs it holds.
func (b *RxBatch) Reset() { C.netmapd_rx_reset(b.c) }

// Free gives back everything. The batch cannot be used after.
func (b *RxBatch) Free() {
	C.netmapd_rx_free(b.c)
	*b = RxBatch{}
}

// TxBatch collects frames to transmit, as segments in memory that is not Go's. It belongs to one lcore.
type TxBatch struct {
	c    *C.struct_netmapd_tx
	h    C.uintptr_t
	addr []unsafe.Pointer // these three lie in C memory
	len  []uint32
	more []bool
	pick []uint32
	n    int
}

// NewTxBatch makes a batch of up to n segments, 1 to 4096. It panics if there is no memory or n is out of range.
func NewTxBatch(n int) *TxBatch {
	checkBatch(n)
	c := C.netmapd_tx_new(C.uint32_t(n))
	if c == nil {
		panic("ethdev: no memory for a transmit batch")
	}
	return &TxBatch{
		c: c, h: C.uintptr_t(uintptr(unsafe.Pointer(c))),
		addr: unsafe.Slice((*unsafe.Pointer)(unsafe.Pointer(c.addr)), n),
		len:  unsafe.Slice((*uint32)(unsafe.Pointer(c.len)), n),
		more: unsafe.Slice((*bool)(unsafe.Pointer(c.more)), n),
		pick: unsafe.Slice((*uint32)(unsafe.Pointer(c.order)), n),
	}
}

// Add appends a segment of length bytes at addr, which must not be Go memory and must stay mapped until TxBurst. more says
// that the frame goes on with the next segment. It returns false, and does nothing, when the batch is full. TxBurst
// refuses a frame that is not finished, so compare Room with the segments of a frame before adding its first.
func (b *TxBatch) Add(addr unsafe.Pointer, length uint32, more bool) bool {
	n := b.n
	if uint(n) >= uint(len(b.addr)) || uint(n) >= uint(len(b.len)) || uint(n) >= uint(len(b.more)) {
		return false
	}
	b.addr[n], b.len[n], b.more[n] = addr, length, more
	b.n = n + 1
	return true
}

// Room is the number of segments that still fit.
func (b *TxBatch) Room() int { return len(b.addr) - b.n }

// Segments is the number of segments in the batch.
func (b *TxBatch) Segments() int { return b.n }

// Reset empties the batch.
func (b *TxBatch) Reset() { b.n = 0 }

// Refused counts the frames that TxBurst consumed without sending them, because no retry would help: empty, unfinished,
// longer than the device's MTU allows, or of more mbufs than its driver takes.
func (b *TxBatch) Refused() uint64 { return uint64(b.c.refused) }

// NoMbuf counts the bursts that sent nothing because the device's pool was empty.
func (b *TxBatch) NoMbuf() uint64 { return uint64(b.c.no_mbuf) }

// Free gives its memory back. The batch cannot be used after.
func (b *TxBatch) Free() {
	C.netmapd_tx_free(b.c)
	*b = TxBatch{}
}

// RxBurst receives up to b.Cap frames from a queue and returns the number of segments that b describes then; it gives back
// the mbufs of the previous burst in the same call. Only the lcore that owns the queue may call it, between Start and Stop.
func (d *Device) RxBurst(queue uint16, b *RxBatch) int {
	return int(C.netmapd_rx_burst(d.h, C.uint16_t(queue), b.h))
}

// TxBurst copies the frames of b into mbufs of the device, transmits them, empties b and returns how many frames, counted
// from the first, were consumed: sent, or refused for good (b.Refused). The others may be tried again: the queue or the
// pool was full. Only the lcore that owns the queue may call it, between Start and Stop.
func (d *Device) TxBurst(queue uint16, b *TxBatch) int {
	n := b.n
	b.n = 0
	if n == 0 {
		return 0
	}
	return int(C.netmapd_tx_burst(d.h, C.uint16_t(queue), b.h, C.uint32_t(n)))
}

// Pick notes a segment of a receive batch for Forward, the i-th; i is below the batch's capacity.
func (b *TxBatch) Pick(i int, segment uint16) { b.pick[i] = uint32(segment) }

// Reaches tells whether Forward may send frames of the receive batch with the given handle. Buffers of a region can be seen, and
// are waited for at the end, by the devices that work in that region; others would still have them when the region is gone.
func (d *Device) Reaches(received unsafe.Pointer) bool {
	from := (*C.struct_netmapd_rx)(received).dev
	return from == nil || from.pinned == nil || from.pinned == d.c.pinned || bool(d.c.at_once)
}

// Forward transmits n frames that another device received, from where they are. They are whole frames of one segment each of
// the receive batch with the given handle, those that were picked. It returns how many were sent, from the first on; the
// receive batch keeps all of them. Reaches must allow it.
func (d *Device) Forward(queue uint16, b *TxBatch, received unsafe.Pointer, n int) int {
	return int(C.netmapd_tx_forward(d.h, C.uint16_t(queue), b.h, C.uintptr_t(uintptr(received)), C.uint32_t(n)))
}
