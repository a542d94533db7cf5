package conformance

import (
	"unsafe"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// address is where a mapping lies in the program.
func (g *goProgram) address(base int) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(g.maps[base]))))
}

// csbArrays are the arrays at the addresses in a CSB option, for n rings.
func csbArrays(c abi.CSBOption, n int) ([]netmap.CSBApp, []netmap.CSBKern) {
	at := func(a uint64) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), uintptr(a)) } //nolint:gosec // memory that the test mapped
	return unsafe.Slice((*netmap.CSBApp)(at(c.AtoK)), n), unsafe.Slice((*netmap.CSBKern)(at(c.KtoA)), n)
}
