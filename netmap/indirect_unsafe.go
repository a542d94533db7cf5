package netmap

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Indirect slots (NS_INDIRECT, NC D.7): the data lie where Ptr says, in the
// memory of the program, where only its library can read. It brings them into the
// slot's own buffer before the daemon sees the slot. The C library does the same
// (clib/src/indirect.c).

// SetIndirect makes slot i of a TX ring one whose data are b, at most a buffer's
// size, and whose flags are flags beside NSIndirect. b must not change until the next
// TxSync or Poll, which copies it.
func (r *TxRing) SetIndirect(i uint32, b []byte, flags uint16) {
	if i >= r.n {
		return
	}
	if r.held == nil {
		r.held = make([][]byte, r.n)
	}
	r.held[i] = b // a number is no reference: b would be collected, or moved with a stack
	s := r.ring.At(i)
	s.Len, s.Flags, s.Ptr = uint16(min(len(b), 1<<16-1)), flags|abi.NSIndirect, uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}

// fetchIndirect brings the data of the slots [from, to) into their buffers.
func (r *Ring) fetchIndirect(from, to uint32) {
	if to < from {
		r.fetchStretch(from, r.n)
		from = 0
	}
	r.fetchStretch(from, to)
}

// fetchStretch runs over every slot that is sent, indirect or not: four sums, so
// that the loads do not wait for each other.
func (r *Ring) fetchStretch(from, to uint32) {
	var a, b, c, d abi.Word
	s := r.ring.Slots
	i := from
	for ; i+4 <= to; i += 4 {
		a |= s.Load(i)
		b |= s.Load(i + 1)
		c |= s.Load(i + 2)
		d |= s.Load(i + 3)
	}
	for ; i < to; i++ {
		a |= s.Load(i)
	}
	if (a|b|c|d).Flags()&abi.NSIndirect != 0 {
		r.fetch(from, to)
	}
}

// copyMax is how many slots are copied with one system call.
const copyMax = 64

// copies are slots with what they point to.
type copies struct {
	slots  []uint32
	local  []unix.Iovec
	remote []unix.RemoteIovec
}

// fetch copies. Wrong indices and lengths are the daemon's to refuse.
func (r *Ring) fetch(from, to uint32) {
	var c copies
	for i := from; i < to; i++ {
		w := r.ring.Load(i)
		b := r.bufs.Get(w.Idx())
		if w.Flags()&abi.NSIndirect == 0 || b == nil || int(w.Len()) > len(b) {
			continue
		}
		l := unix.Iovec{Base: unsafe.SliceData(b)}
		l.SetLen(int(w.Len()))
		c.slots, c.local = append(c.slots, i), append(c.local, l)
		c.remote = append(c.remote, unix.RemoteIovec{Base: uintptr(r.ring.LoadPtr(i)), Len: int(w.Len())})
		if len(c.slots) == copyMax {
			r.copy(c)
			c = copies{c.slots[:0], c.local[:0], c.remote[:0]}
		}
	}
	r.copy(c)
}

// copy has the kernel copy, which says where it cannot: those slots are marked,
// and their frames dropped.
func (r *Ring) copy(c copies) {
	for k := 0; k < len(c.slots); k++ {
		moved, err := unix.ProcessVMReadv(os.Getpid(), c.local[k:], c.remote[k:], 0)
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // a sandbox: nothing can be copied safely
			moved = 0
		}
		for ; k < len(c.slots) && c.remote[k].Len <= moved; k++ {
			moved -= c.remote[k].Len
			r.markIndirect(c.slots[k], false)
		}
		if k < len(c.slots) {
			r.markIndirect(c.slots[k], true) // it stopped here; on with the next
		}
	}
}

func (r *Ring) markIndirect(i uint32, fault bool) {
	w := r.ring.Load(i)
	flags := w.Flags() &^ abi.NSIndirectFault
	if fault {
		flags |= abi.NSIndirectFault
	}
	r.ring.Store(i, abi.MakeWord(w.Idx(), w.Len(), flags))
}
