package shm

import (
	"sync/atomic"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Stats tell how full a region is.
type Stats struct {
	If, Ring, Buf PoolStats
	Users         int
	Orphans       uint64 // see Sweep
	Lent          uint64 // see Lend
}

// PoolStats count the objects of a pool.
type PoolStats struct{ Size, Total, Free uint64 }

// Stats counts the free objects of each pool.
func (r *Region) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stats{Users: r.users, Orphans: r.orphans}
	s.If = PoolStats{Size: uint64(r.geo.If.Size), Total: uint64(r.geo.If.Count)}
	for _, o := range r.c.ifs {
		if o == 0 {
			s.If.Free++
		}
	}
	s.Ring = PoolStats{Size: uint64(r.geo.Ring.Size), Total: uint64(r.geo.Ring.Count)}
	for i := range r.c.rings {
		if r.c.rings[i].used == 0 {
			s.Ring.Free++
		}
	}
	for i := range r.c.bufs[:r.endBuf] {
		if atomic.LoadUint32(&r.c.bufs[i]) == bufDevice {
			s.Lent++
		}
	}
	s.Buf = PoolStats{uint64(r.geo.Buf.Size), uint64(r.geo.Buf.Count) - abi.MinBufIndex, uint64(r.freeBuf)}
	return s
}

// Sweep looks for buffers that are a client's, or a ring's, and stand in no slot: a client
// that died between two writes of a swap leaves such. They are orphans, and
// given back at the second sweep that finds them, unless a descriptor holds
// extra buffers, which may be anywhere in its memory. The two sweeps lie apart
// (the caller's duty, seconds), because a live client in the middle of a swap
// holds an index in a register for a moment.
//
// seen carries the orphans of the previous sweep from call to call.
func (r *Region) Sweep(seen map[uint32]bool) (next map[uint32]bool, reclaimed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var standing []bool
	if r.Touch(func() { standing = r.standing() }) != nil {
		return nil, 0 // nothing can be told of buffers whose slots are gone
	}
	next = map[uint32]bool{}
	for i := range r.c.bufs[:r.endBuf] {
		idx := uint32(i)
		switch w := atomic.LoadUint32(&r.c.bufs[i]); {
		case w%oneFlight != bufClient && w != bufIdle || standing[i]:
		case seen[idx] && r.extras == 0 && r.giveBuf(idx, standing): // not while it is being transmitted
			reclaimed++
		default:
			next[idx] = true
		}
	}
	r.orphans = uint64(len(next))
	if r.extras > 0 {
		// Extra buffers cannot be told from orphans while their list is the client's.
		r.orphans = 0
	}
	return next, reclaimed
}
