package shm

import (
	"fmt"

	"github.com/netmapd/netmapd/netmap/abi"
)

// This file is for a daemon that takes over from one that may have died at any
// instruction: Adopt, and then what it found out about the users of the region.

// AdoptIf finds a netmap_if that an earlier daemon allocated for a descriptor.
func (r *Region) AdoptIf(index uint32, owner uint64, n int) (If, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if uint64(index) >= uint64(len(r.c.ifs)) || r.c.ifs[index] != owner || abi.IfBytes(n) > uint64(r.geo.If.Size) {
		return If{}, fmt.Errorf("region %s: netmap_if %d is not one of %d rings of port %d", r.name, index, n, owner)
	}
	off := uint64(index) * uint64(r.geo.If.Size)
	v, err := r.data.Mem().If(off, n)
	return If{index, off, v}, err
}

// AdoptExtra notes a descriptor that holds extra buffers.
func (r *Region) AdoptExtra() {
	r.mu.Lock()
	r.extras++
	r.mu.Unlock()
}

// KeepIfs frees every netmap_if but some: those of descriptors that were half made, or half closed.
func (r *Region) KeepIfs(keep map[uint32]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.c.ifs {
		if !keep[uint32(i)] {
			r.c.ifs[i] = 0
		}
	}
}
