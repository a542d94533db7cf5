package ethdev

/*
#include <errno.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include "../mempool/pinned.h"
#include "zerocopy.h"

static int netmapd_dma_map(uint16_t port, void *base, size_t len, int map)
{
	struct rte_eth_dev_info di;
	int rc = rte_eth_dev_info_get(port, &di);

	if (rc < 0)
		return rc;
	rc = map ? rte_dev_dma_map(di.device, base, (uint64_t)(uintptr_t)base, len) :
		   rte_dev_dma_unmap(di.device, base, (uint64_t)(uintptr_t)base, len);
	return rc < 0 ? -rte_errno : 0;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/mempool"
)

// A ZeroCopy says what a driver can do with buffers that stay ours, from reading it in DPDK 22.11 and, where CAVEATS.md says
// so, from running it.
type ZeroCopy struct {
	Rx, Tx bool
	// ByStatus: the driver frees an mbuf only when its descriptor comes round again, so the end of a transmission is asked of
	// the descriptor, and the device is made to report each frame. Else the driver frees what is done in later calls.
	ByStatus bool
	AtOnce   bool   // a transmission ends within the call
	TwoRings bool   // a receive queue is two rings of the size asked for
	Why      string // what forbids it, where it is forbidden
}

// zeroCopy is the table, by driver. All of them put a frame at the buffer's address plus the compiled-in headroom, which
// mempool.CreateExtbuf takes back; none writes in front of it.
var zeroCopy = map[string]ZeroCopy{
	driverEM:        {Rx: true, Tx: true, ByStatus: true},
	"net_e1000_igb": {Rx: true, Tx: true, ByStatus: true},
	"net_igc":       {Rx: true, Tx: true, ByStatus: true},
	"net_ixgbe":     {Rx: true, Tx: true, ByStatus: true},
	"net_i40e":      {Rx: true, Tx: true, ByStatus: true},
	"net_vmxnet3":   {Rx: true, Tx: true, TwoRings: true},
	"net_null":      {Rx: true, Tx: true, AtOnce: true},
	"net_ring":      {Rx: true, Tx: true},
	"net_pcap":      {Rx: true, Tx: true, AtOnce: true},

	"net_virtio":      {Why: "its receive header lands in front of the buffer, and it does not tell when a transmission is done"},
	"net_virtio_user": {Why: "its peer does not see memory that is not DPDK's"},
	driverAFXDP:       {Why: "its memory is the pool's own"},
	driverAFPacket:    {Why: "the kernel copies between its sockets' rings and the buffers anyway"},
	"net_tap":         {Why: "the kernel copies anyway"},
}

// ZeroCopy is what the table says of the device's driver.
func (d *Device) ZeroCopy() ZeroCopy {
	if z, ok := zeroCopy[d.info.Driver]; ok {
		return z
	}
	return ZeroCopy{Why: "driver " + d.info.Driver + " is not in the table of those that were examined"}
}

// MapDMA lets the device reach the memory of a pool, where an IOMMU stands between.
func (d *Device) MapDMA(p *mempool.Pinned) error { return d.dma("rte_dev_dma_map", p, 1) }

// UnmapDMA takes that back.
func (d *Device) UnmapDMA(p *mempool.Pinned) error { return d.dma("rte_dev_dma_unmap", p, 0) }

func (d *Device) dma(call string, p *mempool.Pinned, on C.int) error {
	if !d.isPCI() || eal.IOVAAsPhys() {
		return nil // software, or a device that knows physical addresses
	}
	_, err := use(d, call, func(port Port) (struct{}, error) {
		base, size := p.Memory()
		return struct{}{}, port.call(call, func(id C.uint16_t) C.int { return C.netmapd_dma_map(id, base, C.size_t(size), on) })
	})
	if errors.Is(err, syscall.EEXIST) || on == 0 && errors.Is(err, syscall.ENODEV) {
		return nil // devices behind one IOMMU share what is mapped
	}
	return err
}

// ZeroRx receives from one queue into buffers of a region. It belongs to one lcore.
type ZeroRx struct {
	c    *C.struct_netmapd_zrx
	h    C.uintptr_t
	dev  C.uintptr_t
	q    C.uint16_t
	idx  []uint32 // all in C memory
	len  []uint32
	back []uint32
	addr []unsafe.Pointer
	more []bool
	n    int
}

// NewZeroRx makes what receives from a queue of a device that was configured with a pinned pool, up to n segments (1 to 4096)
// at a time. It panics if there is no memory.
func (d *Device) NewZeroRx(queue uint16, n int) *ZeroRx {
	checkBatch(n)
	c := C.netmapd_zrx_new((*C.struct_netmapd_pinned)(d.cfg.Pinned.Handle()), C.uint32_t(n))
	if c == nil {
		panic("ethdev: no memory to receive with")
	}
	return &ZeroRx{
		c: c, h: C.uintptr_t(uintptr(unsafe.Pointer(c))), dev: d.h, q: C.uint16_t(queue),
		idx:  unsafe.Slice((*uint32)(unsafe.Pointer(c.idx)), n),
		len:  unsafe.Slice((*uint32)(unsafe.Pointer(c.len)), n),
		back: unsafe.Slice((*uint32)(unsafe.Pointer(c.back)), n),
		addr: unsafe.Slice((*unsafe.Pointer)(unsafe.Pointer(c.addr)), n),
		more: unsafe.Slice((*bool)(unsafe.Pointer(c.more)), n),
	}
}

// Burst hands the buffers that were given back to the pool, then receives up to limit frames, and returns the number of
// segments. The buffers of those with an index are the caller's from then on, who gives back one buffer for each with Back.
func (r *ZeroRx) Burst(limit int) int {
	r.n = int(C.netmapd_zrx_burst(r.dev, r.q, r.h, C.uint32_t(limit)))
	return r.n
}

// Has tells whether the last burst has a segment i.
func (r *ZeroRx) Has(i int) bool { return i < r.n }

// Idx is the buffer that segment i lies in; 0 says that it lies elsewhere, at Addr, and must be copied before the next Burst.
func (r *ZeroRx) Idx(i int) uint32 { return r.idx[i] }

// Len is the length of segment i in bytes.
func (r *ZeroRx) Len(i int) uint32 { return r.len[i] }

// More tells whether segment i+1 belongs to the same frame.
func (r *ZeroRx) More(i int) bool { return r.more[i] }

// Addr is where segment i lies.
func (r *ZeroRx) Addr(i int) unsafe.Pointer { return r.addr[i] }

// Back gives a buffer to the pool, at the next Burst or Flush; no more of them than segments were received since.
func (r *ZeroRx) Back(idx uint32) {
	n := int(r.c.give)
	r.back[n] = idx
	r.c.give = C.uint32_t(n + 1)
}

// Flush hands back what waits for the next Burst.
func (r *ZeroRx) Flush() { C.netmapd_zrx_flush(r.c) }

// Foreign counts the segments that were not in buffers of the region.
func (r *ZeroRx) Foreign() uint64 { return uint64(r.c.foreign) }

// Dropped counts the chains that did not fit a burst.
func (r *ZeroRx) Dropped() uint64 { return uint64(r.c.dropped) }

// Free gives back everything.
func (r *ZeroRx) Free() {
	C.netmapd_zrx_free(r.c)
	*r = ZeroRx{}
}

// ZeroTx transmits from buffers of a region through one queue. It belongs to one lcore.
type ZeroTx struct {
	c       *C.struct_netmapd_ztx
	h       C.uintptr_t
	dev     C.uintptr_t
	q       C.uint16_t
	headers *mempool.Mempool
	idx     []uint32 // these lie in C memory
	len     []uint32
	more    []bool
	n       int
}

// NewZeroTx makes what transmits from the buffers of a pinned pool's region, up to n segments (1 to 4096) at a time.
func (d *Device) NewZeroTx(queue uint16, p *mempool.Pinned, n int) (*ZeroTx, error) {
	checkBatch(n)
	descs := int(d.cfg.TxDesc)
	// In flight, held by a driver beyond the end of the transmission, and one burst in the making.
	pool, err := mempool.CreateMbufPool(fmt.Sprintf("netmapd%d", poolSeq.Add(1)), uint32(4*descs+3*n), 0)
	if err != nil {
		return nil, fmt.Errorf("headers of queue %d of %s: %w", queue, d.name, err)
	}
	how := C.int(C.NETMAPD_DONE_FREED)
	if d.cfg.TxEach {
		how = C.NETMAPD_DONE_STATUS
	}
	c := C.netmapd_ztx_new((*C.struct_netmapd_pinned)(p.Handle()), (*C.struct_rte_mempool)(pool.Handle()), C.uint32_t(n), C.uint32_t(descs), how)
	if c == nil {
		panic("ethdev: no memory to transmit with")
	}
	return &ZeroTx{
		c: c, h: C.uintptr_t(uintptr(unsafe.Pointer(c))), dev: d.h, q: C.uint16_t(queue), headers: pool,
		idx:  unsafe.Slice((*uint32)(unsafe.Pointer(c.idx)), n),
		len:  unsafe.Slice((*uint32)(unsafe.Pointer(c.len)), n),
		more: unsafe.Slice((*bool)(unsafe.Pointer(c.more)), n),
	}, nil
}

// Add appends a segment: length bytes of buffer idx. The index is valid, the length no more than a buffer's. It returns
// false when the batch is full.
func (t *ZeroTx) Add(idx, length uint32, more bool) bool {
	n := t.n
	if uint(n) >= uint(len(t.idx)) || uint(n) >= uint(len(t.len)) || uint(n) >= uint(len(t.more)) {
		return false
	}
	t.idx[n], t.len[n], t.more[n] = idx, length, more
	t.n = n + 1
	return true
}

// Room is the number of segments that still fit.
func (t *ZeroTx) Room() int { return len(t.idx) - t.n }

// Burst transmits what was added and empties the batch. It returns how many segments, counted from the first, were consumed,
// sent or refused for good (Refused), and how many segments, counted from the oldest in flight, are done: the device reads
// their buffers no more.
func (t *ZeroTx) Burst() (used, done int) {
	n := t.n
	t.n = 0
	r := uint64(C.netmapd_ztx_burst(t.dev, t.q, t.h, C.uint32_t(n)))
	return int(uint32(r)), int(r >> 32)
}

// GiveUp forgets what is in flight, after the device was restarted, and returns the number of segments.
func (t *ZeroTx) GiveUp() int {
	n := t.InFlight()
	C.netmapd_ztx_drop(t.c)
	return n
}

// InFlight is the number of segments that are not done.
func (t *ZeroTx) InFlight() int { return int(t.c.tail - t.c.head) }

// Refused counts the frames that no retry would send: empty, too long, or of too many segments.
func (t *ZeroTx) Refused() uint64 { return uint64(t.c.refused) }

// Free gives back everything; what is in flight is given up. The device is stopped, or closed, before: it has no header any more.
func (t *ZeroTx) Free() error {
	C.netmapd_ztx_drop(t.c)
	C.netmapd_ztx_free(t.c)
	err := t.headers.Free()
	*t = ZeroTx{}
	return err
}
