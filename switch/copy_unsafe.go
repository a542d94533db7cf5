//go:build amd64

package vale

import (
	"unsafe"

	"github.com/netmapd/netmapd/netmap/abi"
)

// copyFrames is the loop of fillSingle for what nearly all frames are: one after the other it copies the listed frames
// of b to the buffers that n slots in a row name, and writes the slots, until it meets a frame of less than 16
// bytes, a bad index, or a buffer that is too small. num buffers of size bytes lie at base; list has n
// elements at least. It returns how many frames it did, and their bytes.
//
// In Go the loop takes four times the instructions, since the compiler keeps its variables in memory and copies by calls
// (TestInstructions, stage copy). Like prefetchBufs it asks for buffers early, eight frames ahead; while it copies a frame
// of more than 128 bytes, for all of the frame after the next one, and where that goes.
//
//go:noescape
func copyFrames(slots *abi.Slot, n uint64, list *uint16, b *Batch, base unsafe.Pointer, size, num uint64) (done, bytes uint64)

// The assembly knows the size of a fragment, and the first index.
var (
	_ [16]byte = [unsafe.Sizeof(Frag{})]byte{}
	_ [2]byte  = [abi.MinBufIndex]byte{}
	_ [16]byte = [abi.SlotSize]byte{}
)
