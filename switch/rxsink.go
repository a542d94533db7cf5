package vale

import (
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// oneSlot is the flags of a frame of one slot: the number of its slots (NC A.6).
const oneSlot = 1 << abi.NSFragShift

// ahead is how many frames before its copy a buffer is prefetched (copyFrames knows it too).
const ahead = 8

// RxSink puts frames in a client's RX ring.
type RxSink struct {
	r *ring.Ring
}

// NewRxSink makes the sink of an RX ring.
func NewRxSink(r *ring.Ring) *RxSink { return &RxSink{r: r} }

// SlotSize is how many bytes a slot holds.
func (s *RxSink) SlotSize() int { return int(s.r.Bufs().Size()) }

// Deliver copies the frames in order until one does not fit; that one and the
// rest are dropped. A fragment for which the receiver's slot is bad, or its
// buffer too small, arrives with length 0 (NC E.5.2), and its frame counts as a
// drop.
func (s *RxSink) Deliver(b *Batch, list []uint16, d *Drops) (frames, bytes uint64) {
	r := s.r
	if !r.Bound() {
		d[NotBound] += uint64(len(list))
		return 0, 0
	}
	need := uint32(len(list))
	if b.Multi {
		need = 0
		for _, i := range list {
			need += uint32(b.Frags[i].Slots)
		}
	}
	start, got := r.Reserve(need)
	var used uint32
	if o := r.Offsets(); o != nil {
		used, frames, bytes = s.fillOffset(o, b, list, start, got, d)
	} else if b.Multi {
		used, frames, bytes = s.fill(b, list, start, got, d)
	} else {
		used = got
		frames, bytes = s.fillSingle(b, list[:got], start, d)
		d[RingFull] += uint64(len(list)) - uint64(got)
	}
	if s.commit(start, got, used) {
		b.notify(s.r, frames)
	}
	return frames, bytes
}

// askRing asks for the lines of the ring that a delivery begins with: its reader has them on another CPU. It does not where
// another lcore delivers as well.
func (s *RxSink) askRing() bool {
	at, ok := s.r.Next()
	if ok {
		prefetchRing(s.r.Slots().At(at), s.r.Block())
	}
	return ok
}

// expect asks for what a delivery of one frame waits for.
func (s *RxSink) expect() {
	if !s.r.Bound() || !s.askRing() { // of a ring without users somebody may be renewing the rest
		return
	}
	at, _ := s.r.Next()
	bufs := s.r.Bufs()
	prefetchBufs(s.r.Slots().At(at), 1, bufs.Base(), uint64(bufs.Size()), uint64(bufs.Num()))
}

// commit publishes what was used of a reservation, and reports whether the reader has something new.
func (s *RxSink) commit(start, got, used uint32) (news bool) {
	r := s.r
	news, ok := r.Publish(start, got, used)
	if ok {
		return news
	}
	// Another lcore reserved after us: what we do not need cannot go back, and
	// becomes empty frames (NC E.5.2).
	slots := r.Slots()
	for k := used; k < got; k++ {
		at := r.Advance(start, k)
		slots.Store(at, abi.MakeWord(slots.Load(at).Idx(), 0, oneSlot))
	}
	news, _ = r.Publish(start, got, got)
	return news
}

// fillSingle copies frames of one slot each to the slots from at on.
func (s *RxSink) fillSingle(b *Batch, list []uint16, at uint32, d *Drops) (frames, bytes uint64) {
	slots, bufs := s.r.Slots(), s.r.Bufs()
	num, size, base := slots.Num(), uint64(bufs.Size()), bufs.Base()
	for len(list) > 0 {
		run := min(uint32(len(list)), num-at)
		prefetchBufs(slots.At(at), uint64(min(run, ahead)), base, size, uint64(bufs.Num()))
		for end := at + run; at < end; {
			n, moved := copyFrames(slots.At(at), uint64(end-at), &list[0], b, base, size, uint64(bufs.Num()))
			frames += n
			bytes += moved
			list = list[n:]
			if at += uint32(n); at == end {
				break
			}
			if n, ok := s.putSingle(b, &b.Frags[list[0]&(MaxBatch-1)], at, d); ok {
				frames++
				bytes += n
			}
			list = list[1:]
			at++
		}
		if at == num {
			at = 0
		}
	}
	return frames, bytes
}

// putSingle copies a frame of one slot.
func (s *RxSink) putSingle(b *Batch, f *Frag, at uint32, d *Drops) (bytes uint64, ok bool) {
	slots, bufs := s.r.Slots(), s.r.Bufs()
	idx, length := slots.Load(at).Idx(), f.Len
	if ok = valid(bufs, idx) && uint32(length) <= bufs.Size(); ok {
		copyBytes(bufAt(bufs.Base(), idx, bufs.Size()), b.at(f), uintptr(length))
	} else {
		length = 0
		d[misfit(bufs, idx)]++
	}
	slots.Store(at, abi.MakeWord(idx, length, oneSlot))
	return uint64(length), ok
}

// fill copies frames of any number of slots to the got slots from at on, and
// returns how many it used.
func (s *RxSink) fill(b *Batch, list []uint16, at, got uint32, d *Drops) (used uint32, frames, bytes uint64) {
	for k, i := range list {
		frags := b.Frags[i:]
		frags = frags[:frags[0].Slots]
		if uint32(len(frags)) > got-used {
			d[RingFull] += uint64(len(list) - k)
			break
		}
		n, why, ok := s.put(b, frags, at)
		if ok {
			frames++
			bytes += n
		} else {
			d[why]++
		}
		at = s.r.Advance(at, uint32(len(frags)))
		used += uint32(len(frags))
	}
	return used, frames, bytes
}

// put copies one frame to the slots from at on.
func (s *RxSink) put(b *Batch, frags []Frag, at uint32) (bytes uint64, why Reason, ok bool) {
	slots, bufs := s.r.Slots(), s.r.Bufs()
	ok = true
	flags := uint16(len(frags))<<abi.NSFragShift | abi.NSMoreFrag
	for k := range frags {
		f := &frags[k]
		if k == len(frags)-1 {
			flags &^= abi.NSMoreFrag
		}
		idx, length := slots.Load(at).Idx(), f.Len
		if valid(bufs, idx) && uint32(length) <= bufs.Size() {
			copyBytes(bufAt(bufs.Base(), idx, bufs.Size()), b.at(f), uintptr(length))
			bytes += uint64(length)
		} else {
			why, ok, length = misfit(bufs, idx), false, 0
		}
		slots.Store(at, abi.MakeWord(idx, length, flags))
		at = s.r.Advance(at, 1)
	}
	return bytes, why, ok
}

// valid says whether a slot may name the buffer.
func valid(bufs abi.Bufs, idx uint32) bool { return ring.Trusting || bufs.Valid(idx) }

// misfit says why a fragment could not be copied to buffer idx.
func misfit(bufs abi.Bufs, idx uint32) Reason {
	if !bufs.Valid(idx) {
		return RxBadIndex
	}
	return RxBadLength
}

// Fail tells the client that the ring stopped.
func (s *RxSink) Fail(error) { s.r.Stop() }
