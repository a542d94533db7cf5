package mempool

/*
#include <stdlib.h>
#include "pool.h"
*/
import "C"

import (
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/common"
	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/mbuf"
)

// extmem is memory of ours that DPDK knows.
type extmem struct {
	name string
	base unsafe.Pointer
	size int
}

// registered counts the pools over a piece of memory: DPDK takes each once.
var registered = struct {
	sync.Mutex
	pools map[unsafe.Pointer]int
}{pools: map[unsafe.Pointer]int{}}

func (x *extmem) register() error {
	registered.Lock()
	defer registered.Unlock()
	if registered.pools[x.base] == 0 {
		err := eal.Call("rte_extmem_register", x.name, func() int {
			return int(C.netmapd_extmem_register(x.base, C.size_t(x.size), ExtPage))
		})
		if err != nil {
			return err
		}
	}
	registered.pools[x.base]++
	return nil
}

func (x *extmem) unregister() error {
	if x == nil {
		return nil
	}
	registered.Lock()
	defer registered.Unlock()
	if registered.pools[x.base]--; registered.pools[x.base] > 0 {
		return nil
	}
	delete(registered.pools, x.base)
	return eal.Call("rte_extmem_unregister", x.name, func() int {
		return int(C.netmapd_extmem_unregister(x.base, C.size_t(x.size)))
	})
}

// ExtPage is the page size that CreateExtbuf tells DPDK, in bytes: memory that is registered starts and ends at one.
const ExtPage = 4096

// CreateExtbuf makes a pool whose buffers lie in memory of ours (a shared region), in a fixed place: mbuf i has its buffer
// at base + i*elt, and a received frame lies at its very start, since netmap has no headroom. All elt bytes are data.
//
// base must not be Go memory and must be page-aligned, size a multiple of ExtPage and of elt; the mbuf.Headroom bytes
// before base must be mapped, because drivers compute addresses there. The pool has size/elt mbufs. EAL must use virtual
// IOVAs, for which ordinary pages will do.
//
// The memory is registered with DPDK until Free; it must stay mapped until then.
func CreateExtbuf(name string, base unsafe.Pointer, size, elt int, opts ...Option) (*Mempool, error) {
	return createExtbuf(name, base, size, elt, ExtPage, opts...)
}

func createExtbuf(name string, base unsafe.Pointer, size, elt, pageSize int, opts ...Option) (*Mempool, error) {
	if err := eal.Started("rte_pktmbuf_pool_create_extbuf", name); err != nil {
		return nil, err
	}
	if err := checkExtbuf(name, uintptr(base), size, elt, pageSize); err != nil {
		return nil, err
	}
	c := config{socket: SocketAny}
	for _, o := range opts {
		o(&c)
	}
	x := &extmem{name: name, base: base, size: size}
	if err := x.register(); err != nil {
		return nil, err
	}
	pageLen := 0
	if eal.IOVAAsPhys() { // an address is only right within its page
		pageLen = pageSize
	}
	m := &Mempool{name: name, ext: x}
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	err := eal.Call("rte_pktmbuf_pool_create_extbuf", name, func() int {
		return int(C.netmapd_pool_create_extbuf(cname, C.uint(size/elt), C.uint(c.cache), C.uint16_t(elt), C.int(c.socket),
			base, C.size_t(size), C.size_t(pageLen), &m.p))
	})
	if err != nil {
		_ = x.unregister() // the first error says more
		return nil, noMemory(err, uint32(size/elt), 0)
	}
	C.netmapd_pool_drop_headroom(m.p)
	return m, nil
}

func checkExtbuf(name string, base uintptr, size, elt, pageSize int) error {
	var why string
	switch {
	case eal.IOVAAsPhys() && pageSize <= ExtPage:
		why = "EAL uses physical IOVAs, and ordinary pages move; use an IOMMU, or a region of hugepages"
	case eal.IOVAAsPhys() && pageSize%elt != 0:
		why = fmt.Sprintf("EAL uses physical IOVAs, and elements of %d bytes would cross pages of %d", elt, pageSize)
	case base == 0 || base%ExtPage != 0:
		why = fmt.Sprintf("the memory starts at %#x, which is not a multiple of %d", base, ExtPage)
	case elt <= mbuf.Headroom || elt > mbuf.MaxDataRoom:
		why = fmt.Sprintf("elements of %d bytes, want more than %d and at most %d", elt, mbuf.Headroom, mbuf.MaxDataRoom)
	case size <= 0 || size%ExtPage != 0 || size%elt != 0:
		why = fmt.Sprintf("%d bytes of memory, want a multiple of %d and of the element size %d", size, ExtPage, elt)
	default:
		return nil
	}
	return common.New("rte_pktmbuf_pool_create_extbuf", name, int(syscall.EINVAL), why)
}
