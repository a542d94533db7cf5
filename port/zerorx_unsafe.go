package port

import (
	"sync"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/shm"
	vale "github.com/netmapd/netmapd/switch"
)

// mover moves frames one way between a queue of a device and a ring, without a
// switch. It belongs to the lcore of the ring.
type mover interface {
	// Turn moves about limit slots at most and returns how many it took.
	Turn(limit int) int
}

// zeroRx swaps buffers: what the device received into becomes the slot's, and
// the slot's old buffer the device's (NC E.1).
type zeroRx struct {
	ring   *ring.Ring
	q      *ethdev.ZeroRx
	owners shm.Owners
	base   unsafe.Pointer
	size   uint32
	books  *vale.Counters
	probe  *probe // nil when the first frames were good
}

// Turn receives what the ring has room for; the rest waits in the device.
func (z *zeroRx) Turn(limit int) int {
	room := z.ring.Release()
	if room == 0 {
		return 0
	}
	n := z.q.Burst(min(limit, int(room)))
	if n == 0 {
		return 0
	}
	if z.probe != nil && !z.probe.look(z) {
		for i := range n {
			z.drop(i)
		}
		return n
	}
	start, got := z.ring.Reserve(uint32(n))
	var frames, bytes uint64
	slots, num := z.ring.Slots(), z.ring.Num()
	at, used := start, uint32(0)
	for i := 0; i < n; {
		if z.q.More(i) || used == got {
			k := z.chain(i, n, at, got-used, &frames, &bytes)
			i += int(k.segs)
			used += k.slots
			at = z.ring.Advance(at, k.slots)
			continue
		}
		length := z.put(slots, at, i, 0)
		if length != 0 {
			frames++
			bytes += uint64(length)
		}
		i++
		used++
		if at++; at == num {
			at = 0
		}
	}
	z.ring.Commit(start, got, used)
	z.books.Rx.Frames += frames
	z.books.Rx.Bytes += bytes
	return n
}

type placed struct{ segs, slots uint32 }

// chain puts the frame that begins at segment i into slots from at on, if it
// fits the room.
func (z *zeroRx) chain(i, n int, at, room uint32, frames, bytes *uint64) placed {
	end := i
	for end < n-1 && z.q.More(end) {
		end++
	}
	k := uint32(end - i + 1)
	if k > room || k > vale.MaxFrags {
		for ; i <= end; i++ {
			z.drop(i)
		}
		z.books.Drops[vale.RingFull]++
		return placed{segs: k}
	}
	slots, total, whole := z.ring.Slots(), uint64(0), true
	for ; i <= end; i++ {
		var flags uint16
		if i < end {
			flags = abi.NSMoreFrag
		}
		length := z.put(slots, at, i, flags)
		total += uint64(length)
		whole = whole && length != 0
		at = z.ring.Advance(at, 1)
	}
	if whole {
		*frames++
		*bytes += total
	}
	return placed{k, k}
}

// put gives the slot at the place the buffer of segment i, or a copy of the
// segment when it lies elsewhere. A slot whose own buffer cannot be taken keeps
// it, with length 0 (NC D.5).
func (z *zeroRx) put(slots abi.Slots, at uint32, i int, flags uint16) (length uint16) {
	old, idx := slots.Load(at).Idx(), z.q.Idx(i)
	length = uint16(z.q.Len(i))
	if idx == 0 {
		return z.copy(slots, at, i, flags)
	}
	if !z.owners.ToDevice(old) {
		z.q.Back(idx)
		slots.Store(at, abi.MakeWord(old, 0, flags))
		z.books.Drops[vale.RxBadIndex]++
		return 0
	}
	z.owners.ToClient(idx)
	slots.Store(at, abi.MakeWord(idx, length, flags|abi.NSBufChanged))
	z.q.Back(old)
	return length
}

func (z *zeroRx) copy(slots abi.Slots, at uint32, i int, flags uint16) uint16 {
	old, length := slots.Load(at).Idx(), z.q.Len(i)
	why := vale.RxBadIndex
	if bufs := z.ring.Bufs(); bufs.Valid(old) {
		if length <= z.size {
			copy(unsafe.Slice((*byte)(unsafe.Add(z.base, uintptr(old)*uintptr(z.size))), length), unsafe.Slice((*byte)(z.q.Addr(i)), length))
			slots.Store(at, abi.MakeWord(old, uint16(length), flags))
			return uint16(length)
		}
		why = vale.RxBadLength
	}
	slots.Store(at, abi.MakeWord(old, 0, flags))
	z.books.Drops[why]++
	return 0
}

// drop gives the buffer of a segment back.
func (z *zeroRx) drop(i int) {
	if idx := z.q.Idx(i); idx != 0 {
		z.q.Back(idx)
	}
}

// probe looks at the first frames that a device receives: each must lie in a
// buffer that the device was given, and nothing in front of it, where the buffer
// before ends. Drivers differ in what they do with the headroom, which we take
// away.
type probe struct {
	mu   sync.Mutex // queues may have different lcores
	left int
	lent map[uint32]bool // untouched so far, each with a mark at its end
	fail func(why string)
}

const (
	probeFrames = 64
	probeMark   = 0x5ca1ab1e0ddba11
)

// mark writes the marks.
func (p *probe) mark(bufs abi.Bufs, lent []uint32) {
	p.left, p.lent = probeFrames, map[uint32]bool{}
	for _, idx := range lent {
		p.lent[idx] = true
		*endOf(bufs, idx) = probeMark
	}
}

func endOf(bufs abi.Bufs, idx uint32) *uint64 {
	return (*uint64)(unsafe.Add(bufs.Base(), uintptr(idx+1)*uintptr(bufs.Size())-8))
}

// look judges the burst that z holds, and ends itself.
func (p *probe) look(z *zeroRx) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for i := 0; ; i++ { // the segments of one burst; at least one
		idx := z.q.Idx(i)
		if idx != 0 {
			n++
			if uintptr(z.q.Addr(i)) != uintptr(z.base)+uintptr(idx)*uintptr(z.size) || uint64(idx) >= uint64(len(z.owners)) {
				p.fail("a frame did not lie at the beginning of its buffer")
				return false
			}
			if p.lent[idx-1] && *endOf(z.ring.Bufs(), idx-1) != probeMark {
				p.fail("something was written in front of a frame, where the buffer before ends")
				return false
			}
			delete(p.lent, idx)
		}
		if p.left--; p.left <= 0 {
			z.probe = nil
			return true
		}
		if !z.q.Has(i + 1) {
			return true
		}
	}
}
