package netmap

import "github.com/netmapd/netmapd/netmap/abi"

// forwards makes the first host RX ring forward to the HW TX rings (NC D.7),
// which the descriptor must bind all of.
func (d *Desc) forwards() {
	b := &d.bind
	if b.FirstTx != 0 || b.EndTx < b.TxRings || b.FirstRx > b.RxRings || b.EndRx <= b.RxRings {
		return
	}
	d.rx[b.RxRings-b.FirstRx].down = d.tx[:b.TxRings]
}

// forwardDown sends the released slots [from, to) of a host RX ring that say
// NS_FORWARD: their buffers change places with those of free slots of the TX
// rings, in order. What finds no room is lost, since its slot is released. It
// runs within the sync of the host ring; like netmap, it leaves it to the program
// to be the only one that fills the TX rings. clib/src/forward.c does the same.
func (r *Ring) forwardDown(from, to uint32) (out outcome) {
	for _, dst := range r.down {
		for from != to {
			w := r.ring.Load(from)
			if w.Flags()&abi.NSForward == 0 {
				from = r.Next(from)
				continue
			}
			head, _, tail := dst.ring.LoadUser()
			if head == tail || head >= dst.n {
				break
			}
			room := dst.ring.Load(head)
			r.ring.Store(from, abi.MakeWord(room.Idx(), w.Len(), abi.NSBufChanged))
			dst.ring.Store(head, abi.MakeWord(w.Idx(), w.Len(), abi.NSBufChanged))
			dst.Advance(dst.Next(head))
			from = r.Next(from)
			out = forwarded
		}
	}
	return out
}
