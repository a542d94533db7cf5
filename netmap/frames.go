package netmap

import (
	"context"
	"iter"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Send copies a frame into the ring, over several slots with NS_MOREFRAG if it
// is longer than a buffer behind its offset, and hands it over at the next sync. False
// means that there is no room now: Poll for PollOut, or that the frame never fits, being
// longer than abi.MaxFragments buffers.
func (r *TxRing) Send(frame []byte) bool {
	if !r.fits(len(frame)) {
		return false
	}
	i := r.Head()
	if i >= r.n { // somebody who shares the memory has just written there
		return false
	}
	for {
		s := r.Slot(i)
		n := copy(r.room(i), frame)
		frame = frame[n:]
		s.Len, s.Flags = uint16(n), s.Flags&abi.NSBufChanged
		i = r.Next(i)
		if len(frame) == 0 || n == 0 { // n is 0 when the slot lost its buffer
			break
		}
		s.Flags |= abi.NSMoreFrag
	}
	r.Advance(i)
	return true
}

// fits says whether there are slots for n bytes.
func (r *TxRing) fits(n int) bool {
	space := min(r.Space(), abi.MaxFragments)
	if r.offsets == 0 {
		size := int(r.BufSize())
		return max(1, (n+size-1)/size) <= int(space)
	}
	slots := uint32(0)
	for i := r.Head(); slots < space && (slots == 0 || n > 0); i = r.Next(i) {
		n -= len(r.room(i))
		slots++
	}
	return slots > 0 && n <= 0
}

// Recv copies the next frame out of the ring, from all its slots, and gives
// them back at the next sync. n is the length of the frame, which was cut if it is
// above len(buf). False means that there is no frame, or only the beginning of
// one: Poll for PollIn.
func (r *RxRing) Recv(buf []byte) (n int, ok bool) {
	end, ok := r.frameEnd()
	if !ok {
		return 0, false
	}
	for i := r.Head(); i != end; i = r.Next(i) {
		part := r.Frame(i)
		if n < len(buf) {
			copy(buf[n:], part)
		}
		n += len(part)
	}
	r.Advance(end)
	return n, true
}

// frameEnd is the slot after the next complete frame.
func (r *RxRing) frameEnd() (end uint32, ok bool) {
	i := r.Head()
	for range r.Space() {
		more := r.ring.Load(i).Flags()&abi.NSMoreFrag != 0
		i = r.Next(i)
		if !more {
			return i, true
		}
	}
	return 0, false
}

// Frames iterates over all frames that arrive on the bound RX rings, waiting for
// more until the context ends or the port is gone, which is the last pair: no
// frame and the error. A frame is the slot's own buffer, or a copy where it came in
// several slots; it is valid until the next iteration.
func (d *Desc) Frames(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var joined []byte
		for {
			if _, err := d.Poll(ctx, PollIn); err != nil {
				yield(nil, err)
				return
			}
			for _, r := range d.rxRings {
				for {
					end, ok := r.frameEnd()
					if !ok {
						// The rest of a frame may not have come: wait for what is new.
						r.SetCur(r.Tail())
						break
					}
					frame := r.Frame(r.Head())
					if r.Next(r.Head()) != end {
						joined = joined[:0]
						for i := r.Head(); i != end; i = r.Next(i) {
							joined = append(joined, r.Frame(i)...)
						}
						frame = joined
					}
					more := yield(frame, nil)
					r.Advance(end)
					if !more {
						return
					}
				}
			}
		}
	}
}
