//go:build amd64

package callgrind

import (
	"runtime"
	"unsafe"
)

//go:noescape
func request(args *[6]uint64) uint64

// Numbers of requests: the tool's letters, then its own count (callgrind.h).
const (
	base      = 'C'<<24 | 'T'<<16
	zeroStats = base + 1
	dumpAt    = base + 3
	startWork = base + 4
)

// Supported says that requests can be made on this kind of CPU.
const Supported = true

// Start begins to count.
func Start() {
	request(&[6]uint64{startWork})
	request(&[6]uint64{zeroStats})
}

// Count runs f and has its instructions counted under name.
func Count(name string, f func()) {
	text := append([]byte(name), 0)
	request(&[6]uint64{zeroStats})
	f()
	request(&[6]uint64{dumpAt, uint64(uintptr(unsafe.Pointer(&text[0])))})
	runtime.KeepAlive(text)
}
