//go:build amd64

package vale

import (
	"unsafe"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// Where a batch has a few frames for each of many receivers, going from receiver to receiver costs more than the frames do:
// each begins with lines that are far away, and ends in a loop whose length nobody can predict. So the frames are taken in the
// order that they came in. Aiming finds the slot and the buffer of a frame and asks for the buffer; copying follows some frames
// behind. Addresses are plain numbers here: the memory of rings stays mapped while a poller knows them.

// target is the ring of a receiver that gets frames of a batch.
type target struct {
	slot  uintptr // to be filled next
	end   uintptr // behind the last one
	whole uint32  // bytes of all slots
	size  uint32  // of a buffer
	base  uintptr // of buffer 0
	bufs  uint32  // how many a slot may name, from abi.MinBufIndex on
	left  uint32  // slots that were reserved and are not filled
	bytes uint64  // of the frames
	start uint32  // what was reserved
	got   uint32
	r     *ring.Ring // nil: nobody has it open
}

// place is where a frame goes.
type place struct {
	slot  uintptr
	buf   uintptr //nolint:unused // The assembly uses it. 0: the frame is no matter for copyPlaces
	idx   uint32  //nolint:unused // The assembly uses it: of the buffer
	frag  uint16
	group uint16
}

// course is how far a batch is.
type course struct {
	run, end uintptr // in work.run: where to go on aiming, and where that ends
	frame    uintptr //nolint:unused // The assembly uses it: in work.frames, of this run, if some of its are left
	left     uint64  //nolint:unused // The assembly uses it: how many
	place    uintptr // in work.places: where the next one goes
	copied   uintptr // and the next one to copy

	frames, batch, targets uintptr
}

// The assembly knows these sizes.
var (
	_ [64]byte = [unsafe.Sizeof(target{})]byte{}
	_ [24]byte = [unsafe.Sizeof(place{})]byte{}
)

// aim finds the places of up to n > 0 frames. Those that their receiver has no room for get none.
//
//go:noescape
func aim(c *course, n uint64)

// copyPlaces copies frames to their places, before limit, until it meets one that has no buffer.
//
//go:noescape
func copyPlaces(c *course, limit uintptr)

const (
	fewFrames  = 16 // for each receiver
	aimedAhead = 16 // the first level cache has room for the first lines of 24 buffers, which lie 2 KB apart
)

// scatter delivers a batch to many receivers, unless something about it or them is out of the ordinary.
func (pl *Poller) scatter(v *view, s *source) bool {
	w, b := &pl.work, &pl.batch
	if len(w.touched) < pl.many || w.n > fewFrames*len(w.touched) || b.Multi || v.count[len(v.dest)] != 0 {
		return false
	}
	for _, g := range w.touched {
		sink, t := v.rxSink(g, s.ring), &v.targets[g]
		if sink == nil {
			return false
		}
		if t.r = nil; !sink.r.Bound() {
			continue // and somebody may be renewing the rest
		}
		if v.dest[g].header != b.header || sink.r.Offsets() != nil || !sink.askRing() {
			return false
		}
		t.r = sink.r
	}
	pl.stages.end(stageForward)
	pl.scattering = v
	for _, g := range w.touched {
		v.targets[g].reserve(uint32(v.count[g]))
	}
	c := &w.course
	*c = course{
		run: addr(&w.run[0]), end: addr(&w.run[w.runs]), place: addr(&w.places[0]), copied: addr(&w.places[0]),
		frames: addr(&w.frames[0]), batch: addr(b), targets: addr(&v.targets[0]),
	}
	for more := true; more; {
		limit := c.place // for these the lines are on their way
		aim(c, aimedAhead)
		for copyPlaces(c, limit); c.copied != limit; copyPlaces(c, limit) {
			pl.putPlace(v, s, &w.places[(c.copied-addr(&w.places[0]))/unsafe.Sizeof(place{})])
			c.copied += unsafe.Sizeof(place{})
		}
		more = c.place != limit
	}
	for _, g := range w.touched {
		t, d := &v.targets[g], &v.dest[g]
		if t.r == nil {
			d.ctr.Drops[NotBound] += uint64(v.count[g])
			continue
		}
		d.ctr.Rx.Frames += uint64(t.got)
		d.ctr.Rx.Bytes += t.bytes
		if n := uint32(v.count[g]); n != t.got {
			d.ctr.Drops[RingFull] += uint64(n - t.got)
		}
		if news, _ := t.r.Publish(t.start, t.got, t.got); news {
			b.notify(t.r, 0)
		}
	}
	pl.scattering = nil
	return true
}

func addr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// reserve makes room for up to n frames.
func (t *target) reserve(n uint32) {
	if t.r == nil {
		t.left = 0
		return
	}
	slots, bufs := t.r.Slots(), t.r.Bufs()
	t.start, t.got = t.r.Reserve(n)
	t.left, t.bytes = t.got, 0
	t.slot, t.whole = addr(slots.At(t.start)), slots.Num()*abi.SlotSize
	t.end = addr(slots.At(0)) + uintptr(t.whole)
	t.base, t.size, t.bufs = uintptr(bufs.Base()), bufs.Size(), bufs.Num()-abi.MinBufIndex
}

// putPlace is for a frame that copyPlaces leaves: too short for it, too long for the buffer, or the slot names none.
func (pl *Poller) putPlace(v *view, s *source, p *place) {
	t, d := &v.targets[p.group], &v.dest[p.group]
	at := uint32((p.slot - (t.end - uintptr(t.whole))) / abi.SlotSize)
	if n, ok := v.rxSink(p.group, s.ring).putSingle(&pl.batch, &pl.batch.Frags[p.frag], at, &d.ctr.Drops); ok {
		t.bytes += n
	} else {
		d.ctr.Rx.Frames-- // it counts with all that were reserved for
	}
}
