package ring

import "github.com/netmapd/netmapd/netmap/abi"

// Serve has the client publish in an entry of a CSB, in memory of its own, and the core
// too (NC E.10), until Unserve. The entries are filled in. All but the two lines stays in
// the sync block. Both are for the lcore of the ring, while no descriptor has it bound.
func (r *Ring) Serve(atok *abi.AtoK, ktoa *abi.KtoA) {
	r.atok, r.ktoa = atok, ktoa
	atok.Begin(r.ix.HwCur)
	ktoa.Begin(r.ix.HwCur, r.ix.HwTail)
}

// Unserve has client and core publish in the sync block. The entries may go when every
// lcore has passed a poll boundary.
func (r *Ring) Unserve() { r.atok, r.ktoa = &r.blk.AtoK, &r.blk.KtoA }

// Served says that they publish in a CSB.
func (r *Ring) Served() bool { return r.atok != &r.blk.AtoK }

// empty makes those of the client's slots empty that are wrong: what its library does
// with a bad ring (NC D.4), which it never sees here.
func (r *Ring) empty() {
	for i := r.ix.HwCur; i != r.ix.HwTail; i = r.Advance(i, 1) {
		r.slots.Mend(i, r.bufs)
	}
}
