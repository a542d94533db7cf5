//go:build !amd64

package vale

import (
	"unsafe"

	"github.com/netmapd/netmapd/netmap/abi"
)

func prefetchBufs(*abi.Slot, uint64, unsafe.Pointer, uint64, uint64) {}

func prefetchPlaces(*run, uint64, *uint64, uint64) {}

func prefetchRing(*abi.Slot, *abi.SyncBlock) {}
