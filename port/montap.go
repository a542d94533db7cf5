package port

import (
	"sync/atomic"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
	vale "github.com/netmapd/netmapd/switch"
)

// This file is what monitors do on the lcores.

// tap is an RX ring of a monitor, where it meets what passed on the rings of that
// number of the monitored port. Several lcores may fill it.
type tap struct {
	k     *kring
	books *tapBooks
	next  [2]*tap // zero copy, by direction: who gets what the client released
}

// tapBooks count what a monitor got. Ring deliveries may come from several lcores.
type tapBooks struct{ frames, bytes, missed atomic.Uint64 }

func (b *tapBooks) add(c *vale.Counters) {
	c.Rx.Frames += b.frames.Load()
	c.Rx.Bytes += b.bytes.Load()
	c.Drops[vale.RingFull] += b.missed.Load()
}

// reserve makes room for the newest of n slots from slot from on of a ring: what
// does not fit are the oldest (NC E.8).
func (t *tap) reserve(src *ring.Ring, from, n uint32) (first, start, got uint32) {
	if !t.k.Bound() {
		return from, 0, 0
	}
	start, got = t.k.Reserve(n)
	t.books.missed.Add(uint64(n - got))
	return src.Advance(from, n-got), start, got
}

// txmon is what a monitor's slot says of the direction.
func txmon(flags uint16, dir int) uint16 {
	if dir == abi.DirTx {
		return flags | abi.NSTxMon
	}
	return flags &^ abi.NSTxMon
}

// copy copies n slots of a ring. What a monitor's buffer cannot hold is cut off; a
// buffer that does not exist makes an empty frame. Both rings are hostile.
func (t *tap) copy(src *ring.Ring, from, n uint32) {
	i, start, got := t.reserve(src, from, n)
	dst, at := t.k.Ring, start
	var frames, bytes uint64
	for range got {
		w, own := src.Slots().Load(i), dst.Slots().Load(at)
		length := copy(contents(dst, at, own, longest), contents(src, i, w, w.Len()))
		dst.Slots().Store(at, abi.MakeWord(own.Idx(), uint16(length), txmon(w.Flags(), src.Dir())))
		bytes += uint64(length)
		if w.Flags()&abi.NSMoreFrag == 0 {
			frames++
		}
		i, at = src.Advance(i, 1), dst.Advance(at, 1)
	}
	t.commit(start, got, frames, bytes)
}

// longest is as much as a slot can say.
const longest = 1<<16 - 1

// contents is where the packet of a slot lies, from its offset on, as far as
// length goes and the buffer does.
func contents(r *ring.Ring, i uint32, w abi.Word, length uint16) []byte {
	buf := r.Bufs().Get(w.Idx())
	if o := r.Offsets(); o != nil && buf != nil {
		buf = buf[min(int(o.At(r.Slots().LoadPtr(i))), len(buf)):]
	}
	return buf[:min(int(length), len(buf))]
}

// swap takes the buffers of n slots of a ring, whose frames came from a ring of
// direction dir, and leaves the monitor's own there. Slots that name no buffer of
// the region are left alone, on either side.
func (t *tap) swap(src *ring.Ring, from, n uint32, dir int) {
	i, start, got := t.reserve(src, from, n)
	dst, at, bufs := t.k.Ring, start, src.Bufs()
	var frames, bytes uint64
	for range got {
		w, own := src.Slots().Load(i), dst.Slots().Load(at)
		flags := txmon(w.Flags(), dir)
		if bufs.Valid(w.Idx()) && bufs.Valid(own.Idx()) {
			length := uint16(min(uint32(w.Len()), bufs.Size()))
			dst.Slots().Store(at, abi.MakeWord(w.Idx(), length, flags))
			src.Slots().Store(i, abi.MakeWord(own.Idx(), own.Len(), w.Flags()|abi.NSBufChanged))
			bytes += uint64(length)
		} else {
			dst.Slots().Store(at, abi.MakeWord(own.Idx(), 0, flags))
		}
		if flags&abi.NSMoreFrag == 0 {
			frames++
		}
		i, at = src.Advance(i, 1), dst.Advance(at, 1)
	}
	t.commit(start, got, frames, bytes)
}

func (t *tap) commit(start, got uint32, frames, bytes uint64) {
	if got > 0 {
		t.k.Commit(start, got, got)
		t.books.frames.Add(frames)
		t.books.bytes.Add(bytes)
	}
}

// passOn gives what the client of a zero-copy monitor released to the next
// monitors of the rings that it came from.
func (t *tap) passOn(from, n uint32) {
	for n > 0 {
		dir := t.direction(from)
		run := uint32(1)
		for run < n && t.direction(t.k.Advance(from, run)) == dir {
			run++
		}
		if next := t.next[dir]; next != nil {
			next.swap(t.k.Ring, from, run, dir)
		}
		from, n = t.k.Advance(from, run), n-run
	}
}

// direction is that of the ring on which a frame of the monitor passed.
func (t *tap) direction(i uint32) int {
	if t.k.Slots().Load(i).Flags()&abi.NSTxMon != 0 {
		return abi.DirTx
	}
	return abi.DirRx
}

// monitorUnit looks at what clients release, so that zero-copy monitors see it
// soon.
type monitorUnit struct{ rings []*kring }

// Poll looks once. What it finds is not counted as work: other units do the work.
func (u *monitorUnit) Poll() int {
	for _, k := range u.rings {
		if k.Bound() {
			k.Release()
		}
	}
	return 0
}

// Arm asks clients for kicks.
func (u *monitorUnit) Arm() bool {
	for _, k := range u.rings {
		if k.Bound() && !k.Arm() {
			return false
		}
	}
	return true
}

// Disarm takes that back.
func (u *monitorUnit) Disarm() {
	for _, k := range u.rings {
		k.Disarm()
	}
}

// Silent says no: clients kick.
func (u *monitorUnit) Silent() bool { return false }

// Fail has nothing to say: who fills the rings goes on.
func (u *monitorUnit) Fail(error) {}
