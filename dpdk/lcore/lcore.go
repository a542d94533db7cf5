// Package lcore makes the threads of netmapd's lcores known to DPDK, so that memory pools give them caches of their own.
package lcore

/*
#cgo pkg-config: libdpdk
#cgo CFLAGS: -O3 -DALLOW_EXPERIMENTAL_API

#include <rte_errno.h>
#include <rte_lcore.h>

static int netmapd_thread_register(void)
{
	int rc = rte_thread_register();

	return rc < 0 ? -rte_errno : (int)rte_lcore_id();
}

static int netmapd_lcore_id(void)
{
	unsigned int id = rte_lcore_id();

	return id == LCORE_ID_ANY ? -1 : (int)id;
}
*/
import "C"

import "github.com/netmapd/netmapd/dpdk/eal"

// Max is the number of lcores that DPDK can know, EAL's own included.
const Max = C.RTE_MAX_LCORE

// Register makes the calling thread an lcore of DPDK and returns its lcore id, which is not a CPU number. The goroutine
// must be locked to its thread (runtime.LockOSThread), and pinned before, because DPDK reads the affinity once.
// Errors: ENOMEM when all Max ids are taken; common.ErrNoConfig before eal.Start.
func Register() (id int, err error) {
	if err := eal.Started("rte_thread_register", ""); err != nil {
		return -1, err
	}
	return eal.CallInt("rte_thread_register", "", func() int { return int(C.netmapd_thread_register()) })
}

// Unregister undoes Register, on the same thread. Without Register it does nothing.
func Unregister() { C.rte_thread_unregister() }

// ID is the lcore id of the calling thread, -1 if it has none.
func ID() int { return int(C.netmapd_lcore_id()) }
