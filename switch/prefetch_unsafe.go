//go:build amd64

package vale

import (
	"unsafe"

	"github.com/netmapd/netmapd/netmap/abi"
)

// prefetchBufs asks for the first cache line of the buffers named by n > 0
// slots, to be written; num and size are those of the pool at base. The reader
// of the ring had these lines last. A copy waits for its line, and Go has no
// other way to ask early: it saves 8 of 36 ns a frame when the reader runs on
// another CPU (BenchmarkAcrossCPUs). Indices are checked; they are loaded again
// for the copy, and checked again.
//
//go:noescape
func prefetchBufs(slots *abi.Slot, n uint64, base unsafe.Pointer, size, num uint64)

// prefetchRing asks for the two cache lines of slots from slot on, to be written, and for the clients' line of a sync block, to
// be read. A CPU fetches a line that is to be written only once all stores before have their lines, so that deliveries to many
// rings would wait for one line after the other. The daemon's line is not asked for: a reader that polls it has taken it back by
// the time that it is written (BenchmarkPortsAcrossCPUs).
//
//go:noescape
func prefetchRing(slot *abi.Slot, block *abi.SyncBlock)

// prefetchPlaces asks for the words of a table that the searches for the addresses of n > 0 runs begin with. mask is one less than
// their number.
//
//go:noescape
func prefetchPlaces(runs *run, n uint64, words *uint64, mask uint64)
