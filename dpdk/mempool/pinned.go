package mempool

/*
#include <stdlib.h>
#include "pinned.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/eal"
)

// Pinned is a pool over a shared region of which only some buffers are in it: those handed over by Put. The others are a
// client's, or free. mbuf i is pinned to buffer i for ever, so what a device receives is known by its number.
//
// Put and Take may be called from any goroutine.
type Pinned struct {
	m *Mempool
	c *C.struct_netmapd_pinned
}

// pinnedCache is how many buffers an lcore keeps at hand.
const pinnedCache = 256

// NewPinned makes the pool of a region whose count buffers of size bytes begin at base; see CreateExtbuf for what is asked of
// the memory. pageSize is that of the memory: with physical IOVAs the region must be of hugepages, and each page is told to
// DPDK by itself.
//
// It costs about 200 bytes of EAL memory a buffer, of the whole region: ENOMEM says how much.
func NewPinned(name string, base unsafe.Pointer, count, size uint32, pageSize int) (*Pinned, error) {
	m, err := createExtbuf(name, base, int(count)*int(size), int(size), pageSize, OptCacheSize(pinnedCache))
	if err != nil {
		return nil, err
	}
	p := &Pinned{m: m, c: (*C.struct_netmapd_pinned)(C.calloc(1, C.sizeof_struct_netmapd_pinned))}
	err = eal.Call("pin mbufs", name, func() int {
		return int(C.netmapd_pinned_init(p.c, m.p, base, C.uint(count), C.uint(size)))
	})
	if err != nil {
		C.free(unsafe.Pointer(p.c))
		_ = m.Free() // the first error says more
		return nil, fmt.Errorf("region %s: %w", name, err)
	}
	return p, nil
}

// Free gives the pool back. No device may use it any more.
func (p *Pinned) Free() error {
	C.netmapd_pinned_fini(p.c)
	C.free(unsafe.Pointer(p.c))
	p.c = nil
	return p.m.Free()
}

// Pool is the pool that devices receive into.
func (p *Pinned) Pool() *Mempool { return p.m }

// Handle is the C structure, for the other packages of dpdk/.
func (p *Pinned) Handle() unsafe.Pointer { return unsafe.Pointer(p.c) }

// Memory is what a device must be able to reach: where it begins and its bytes.
func (p *Pinned) Memory() (base unsafe.Pointer, size int) { return p.m.ext.base, p.m.ext.size }

// Put hands buffers to the pool: from now on devices write to them. Each must be outside of it, and below the count.
func (p *Pinned) Put(idx []uint32) {
	if len(idx) > 0 {
		C.netmapd_pinned_put(p.c, (*C.uint32_t)(unsafe.Pointer(&idx[0])), C.uint32_t(len(idx)))
	}
}

// Flush gives the buffers that the calling lcore has at hand to the pool, where Take finds them.
func (p *Pinned) Flush() { C.netmapd_pinned_flush(p.c) }

// Take takes up to n buffers out of the pool. Those that a device or an lcore's cache holds are not found.
func (p *Pinned) Take(n int) []uint32 {
	if n <= 0 {
		return nil
	}
	idx := make([]uint32, n)
	return idx[:C.netmapd_pinned_take(p.c, (*C.uint32_t)(unsafe.Pointer(&idx[0])), C.uint32_t(n))]
}
