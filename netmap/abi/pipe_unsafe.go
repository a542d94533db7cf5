package abi

import "unsafe"

// This file moves slots between the two rings of a direct pipe (NC E.7). Both are
// whole copies, ptr included; the rings have the same number of slots.

const (
	wordChanged  = uint64(NSBufChanged) << 48
	wordMoreFrag = uint64(NSMoreFrag) << 48
)

// Send copies the slots [from, to), in ring order, to the same places of the
// receiver's ring, and takes BUF_CHANGED off the originals. It returns the slot
// after the last complete packet among them; more is false when there is none.
// from and to are below Num, which is peer's too: the caller's duty.
func (s Slots) Send(peer Slots, from, to uint32) (complete uint32, more bool) {
	if to < from {
		complete, more = s.send(peer, from, s.num)
		from = 0
	}
	if c, ok := s.send(peer, from, to); ok {
		return c, true
	}
	if complete == s.num {
		complete = 0
	}
	return complete, more
}

func (s Slots) send(peer Slots, from, to uint32) (complete uint32, more bool) {
	for i := from; i < to; i++ {
		src := (*[2]uint64)(unsafe.Add(s.p, uintptr(i)*SlotSize))
		w := src[0]
		*(*[2]uint64)(unsafe.Add(peer.p, uintptr(i)*SlotSize)) = [2]uint64{w, src[1]}
		if w&wordChanged != 0 {
			src[0] = w &^ wordChanged
		}
		if w&wordMoreFrag == 0 {
			complete, more = i+1, true
		}
	}
	return complete, more
}

// Return copies the slots [from, to) back to the sender's ring: the receiver may
// have put other buffers there. BUF_CHANGED is taken off the originals.
func (s Slots) Return(peer Slots, from, to uint32) {
	if to < from {
		s.giveBack(peer, from, s.num)
		from = 0
	}
	s.giveBack(peer, from, to)
}

func (s Slots) giveBack(peer Slots, from, to uint32) {
	for i := from; i < to; i++ {
		src := (*[2]uint64)(unsafe.Add(s.p, uintptr(i)*SlotSize))
		w := src[0]
		*(*[2]uint64)(unsafe.Add(peer.p, uintptr(i)*SlotSize)) = [2]uint64{w, src[1]}
		if w&wordChanged != 0 {
			src[0] = w &^ wordChanged
		}
	}
}
