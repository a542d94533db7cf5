// Package mempool makes DPDK's pools of packet buffers.
package mempool

/*
#cgo pkg-config: libdpdk
#cgo CFLAGS: -O3 -DALLOW_EXPERIMENTAL_API

#include <stdlib.h>
#include "pool.h"
*/
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/common"
	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/mbuf"
)

// SocketAny leaves the NUMA socket of a pool to DPDK.
const SocketAny = -1

// MaxCache is the largest per-lcore cache of a pool, in mbufs.
const MaxCache = C.RTE_MEMPOOL_CACHE_MAX_SIZE

// Mempool is a pool of mbufs.
type Mempool struct {
	p    *C.struct_rte_mempool
	name string
	ext  *extmem // the memory registered for it, nil for a plain pool
}

type config struct {
	cache  uint32
	socket int
}

// Option changes how a pool is made.
type Option func(*config)

// OptCacheSize sets the number of mbufs that each lcore keeps for itself, at most MaxCache and two thirds of the pool.
func OptCacheSize(n uint32) Option { return func(c *config) { c.cache = n } }

// OptSocket sets the NUMA socket of the pool.
func OptSocket(socket int) Option { return func(c *config) { c.socket = socket } }

// CreateMbufPool makes a pool of n mbufs (2^k-1 wastes least) with dataRoom bytes each, mbuf.Headroom included. The name
// must be unique in the process and at most 25 bytes long.
func CreateMbufPool(name string, n uint32, dataRoom uint16, opts ...Option) (*Mempool, error) {
	if err := eal.Started("rte_pktmbuf_pool_create", name); err != nil {
		return nil, err
	}
	c := config{socket: SocketAny}
	for _, o := range opts {
		o(&c)
	}
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	m := &Mempool{name: name}
	err := eal.Call("rte_pktmbuf_pool_create", name, func() int {
		return int(C.netmapd_pool_create(cname, C.uint(n), C.uint(c.cache), C.uint16_t(dataRoom), C.int(c.socket), &m.p))
	})
	if err != nil {
		return nil, noMemory(err, n, dataRoom)
	}
	return m, nil
}

// noMemory adds to ENOMEM what was needed, since DPDK does not say.
func noMemory(err error, n uint32, dataRoom uint16) error {
	if e, ok := err.(*common.Error); ok && e.Errno == syscall.ENOMEM { //nolint:errorlint // made by eal.Call just now
		need := uint64(n) * (uint64(dataRoom) + 256) >> 20
		e.Detail = fmt.Sprintf("a pool of %d mbufs needs about %d MiB of EAL memory; give EAL more of it, or fewer or smaller mbufs", n, need+1)
	}
	return err
}

// Free gives the pool back. No mbuf of it may be held by anyone. It is safe to call it twice.
func (m *Mempool) Free() error {
	if m.p == nil {
		return nil
	}
	C.rte_mempool_free(m.p)
	m.p = nil
	return m.ext.unregister()
}

// Name is the name it was made with.
func (m *Mempool) Name() string { return m.name }

// Handle is the C pool, for the other packages of dpdk/.
func (m *Mempool) Handle() unsafe.Pointer { return unsafe.Pointer(m.p) }

// Size is the number of mbufs of the pool.
func (m *Mempool) Size() int { return int(m.p.size) }

// AvailCount is the number of mbufs in the pool and its caches. It walks the caches of all lcores: not for the packet path.
func (m *Mempool) AvailCount() int { return int(C.rte_mempool_avail_count(m.p)) }

// InUseCount is the number of mbufs that somebody holds.
func (m *Mempool) InUseCount() int { return int(C.rte_mempool_in_use_count(m.p)) }

// DataRoom is the size of each buffer in bytes, headroom included.
func (m *Mempool) DataRoom() int { return int(C.rte_pktmbuf_data_room_size(m.p)) }

// Fill writes frame where a received frame would lie, into every mbuf of the pool. It is for net_null, which delivers
// buffers as they are: without it a switch would see frames full of zeroes. The frame must fit in a buffer.
func (m *Mempool) Fill(frame []byte) error {
	if room := m.DataRoom() - mbuf.Headroom; len(frame) > room {
		return common.New("fill", m.name, int(syscall.EMSGSIZE),
			fmt.Sprintf("the frame has %d bytes, a buffer takes %d", len(frame), room))
	}
	if len(frame) == 0 {
		return nil
	}
	c := C.CBytes(frame)
	defer C.free(c)
	C.netmapd_pool_fill(m.p, c, C.uint(len(frame)))
	return nil
}

// DataAddrs is where a received frame lies in every mbuf (buf_addr plus headroom), in the order of the pool: mbuf i is
// element i.
func (m *Mempool) DataAddrs() []uintptr {
	n := m.Size()
	size := C.size_t(n) * C.size_t(unsafe.Sizeof(uintptr(0)))
	c := C.calloc(1, max(size, 1))
	defer C.free(c)
	C.netmapd_pool_addrs(m.p, (*C.uintptr_t)(c))
	out := make([]uintptr, n)
	copy(out, unsafe.Slice((*uintptr)(c), n))
	return out
}
