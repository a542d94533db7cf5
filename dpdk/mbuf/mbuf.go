// Package mbuf holds what is fixed about DPDK's packet buffers.
package mbuf

/*
#cgo pkg-config: libdpdk
#cgo CFLAGS: -O3 -DALLOW_EXPERIMENTAL_API

#include <rte_mbuf.h>
*/
import "C"

const (
	// Headroom is the space before the data of a fresh mbuf, in bytes (RTE_PKTMBUF_HEADROOM).
	Headroom = C.RTE_PKTMBUF_HEADROOM
	// DefaultDataRoom is the usual data size of an mbuf without its headroom, in bytes.
	DefaultDataRoom = C.RTE_MBUF_DEFAULT_DATAROOM
	// MaxDataRoom is the largest one, because the length of a segment is 16 bits wide.
	MaxDataRoom = 65535 - Headroom
)
