package main

import (
	"fmt"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/test/niclab/talk"
)

// tricks are what a client can do to its TX slots that it should not: index and length of the next two slots.
var tricks = map[string]func(r *netmap.TxRing, a, b *abi.Slot, rx *abi.Slot){
	"a frame of 8 bytes":                func(_ *netmap.TxRing, a, _, _ *abi.Slot) { a.Len = 8 },
	"an empty frame":                    func(_ *netmap.TxRing, a, _, _ *abi.Slot) { a.Len = 0 },
	"a frame longer than the MTU":       func(r *netmap.TxRing, a, _, _ *abi.Slot) { a.Len = uint16(r.BufSize()) },
	"a frame longer than a buffer":      func(r *netmap.TxRing, a, _, _ *abi.Slot) { a.Len = uint16(r.BufSize()) + 1 },
	"an index that does not exist":      func(_ *netmap.TxRing, a, _, _ *abi.Slot) { a.BufIdx, a.Flags = 0xfffffff0, abi.NSBufChanged },
	"the index of a buffer of nobody":   func(_ *netmap.TxRing, a, _, _ *abi.Slot) { a.BufIdx, a.Flags = 1, abi.NSBufChanged },
	"an index that may be another's":    func(_ *netmap.TxRing, a, _, _ *abi.Slot) { a.BufIdx, a.Flags = a.BufIdx+5000, abi.NSBufChanged },
	"the same index twice":              func(_ *netmap.TxRing, a, b, _ *abi.Slot) { b.BufIdx, b.Flags = a.BufIdx, abi.NSBufChanged },
	"the index of a slot that receives": func(_ *netmap.TxRing, a, _, rx *abi.Slot) { a.BufIdx, a.Flags = rx.BufIdx, abi.NSBufChanged },
	"an index swapped with a receiving one": func(_ *netmap.TxRing, a, _, rx *abi.Slot) {
		a.BufIdx, rx.BufIdx = rx.BufIdx, a.BufIdx
		a.Flags, rx.Flags = abi.NSBufChanged, abi.NSBufChanged
	},
	"a frame that is said to go on for ever": func(_ *netmap.TxRing, a, b, _ *abi.Slot) {
		a.Flags, b.Flags = abi.NSMoreFrag, abi.NSMoreFrag
	},
}

// Mischief does every trick many times with the slots of a TX ring. What becomes of it is for others to judge: this client may
// well end with a ring that is refused.
func (c *Client) Mischief(m talk.Mischief, said *string) error {
	if c.d == nil {
		return errClosed
	}
	tx, rx := c.d.TxRings()[m.Ring], c.d.RxRings()[0]
	for range m.Rounds {
		for name, trick := range tricks {
			if tx.Space() < 2 {
				_, _ = c.d.PollTimeout(m.Patience, netmap.PollOut) // a refused ring says so below
				if tx.Space() < 2 {
					*said = fmt.Sprintf("%s after %q: head %d, tail %d", *said, name, tx.Head(), tx.Tail())
					return nil
				}
			}
			a, b := tx.Slot(tx.Head()), tx.Slot(tx.Next(tx.Head()))
			for _, s := range []*abi.Slot{a, b} {
				s.Len, s.Flags = uint16(copy(tx.Buf(s), m.Frame)), 0
			}
			trick(tx, a, b, rx.Slot(rx.Head()))
			tx.Advance(tx.Next(tx.Next(tx.Head())))
			if err := c.d.TxSync(); err != nil {
				*said = fmt.Sprintf("%q: %v", name, err)
			}
			rx.Advance(rx.Tail())
			if err := c.d.RxSync(); err != nil {
				*said = fmt.Sprintf("%q: %v", name, err)
			}
		}
	}
	return nil
}
