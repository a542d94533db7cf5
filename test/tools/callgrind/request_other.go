//go:build !amd64

package callgrind

// Supported says that requests can be made on this kind of CPU.
const Supported = false

// Start begins to count.
func Start() {}

// Count runs f.
func Count(_ string, f func()) { f() }
