package conformance

import "unsafe"

// address is where a mapping lies in the program.
func (g *goProgram) address(base int) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(g.maps[base]))))
}
