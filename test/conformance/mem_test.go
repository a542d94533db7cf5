package conformance

import (
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

func (d *driver) address(base int) uint64 {
	d.e.Helper()
	return uint64(d.number("address %d", base))
}

// point makes the slot at head indirect and moves on.
func (r *ring) point(to uint64, length, flags uint16) {
	r.e.Helper()
	h := r.head()
	s := r.slot(h)
	s.Ptr, s.Len, s.Flags = to, length, abi.NSIndirect|flags
	r.setSlot(h, s)
	h = r.at(h, 1)
	r.set(h, h)
}

func val16(e *env) {
	p := e.ports(2, slots(16, 16))
	a, b := p[0], p[1]
	// The frames lie in what nobody sends from: the receiver's own mapping, in the same program.
	at := b.p.address(b.base)
	spare := b.rx[0].bufAt(b.rx[0].slot(b.rx[0].NumSlots - 1).BufIdx)
	for i := range 3 {
		b.p.store(b.base, spare+uint64(64*i), flood(uint32(10+i)))
	}
	tx := a.tx[0]
	before := tx.slot(tx.at(tx.head(), 1))
	tx.fill(flood(1))
	tx.point(at+spare, 60, 0)
	tx.fill(flood(2))
	tx.point(8, 60, 0) // nothing is mapped there
	tx.fill(flood(3))
	tx.point(^uint64(0)-10, 60, 0) // nor there
	tx.point(at+spare+64, 60, 0)
	// A frame in two slots, one of which is indirect: 20 bytes here, 40 there.
	h := tx.head()
	tx.put(h, flood(12)[:20], abi.NSMoreFrag)
	tx.set(tx.at(h, 1), tx.at(h, 1))
	tx.point(at+spare+128+20, 40, 0)
	// And one that cannot be read whole.
	h = tx.head()
	tx.put(h, flood(13)[:20], abi.NSMoreFrag)
	tx.set(tx.at(h, 1), tx.at(h, 1))
	tx.point(0, 40, 0)
	tx.send(flood(4))
	b.rx[0].receives(flood(1), flood(10), flood(2), flood(3), flood(11), flood(12)[:20], flood(12)[20:], flood(4))
	if n := e.drops(a.name, "indirect"); n != 3 {
		e.Errorf("%d frames were dropped for their pointers, want 3", n)
	}
	s := tx.slot(1)
	if s.BufIdx != before.BufIdx || s.Ptr != at+spare || s.Flags&abi.NSIndirect == 0 {
		e.Errorf("the slot that was sent is %+v: index, pointer and flag are the program's", s)
	}
	// The pointer is read at each sync, also where the last one was wrong.
	tx.p.store(b.base, spare, flood(20))
	for tx.head() != 3 {
		tx.send(flood(0))
	}
	b.rx[0].receive()
	tx.point(at+spare, 60, 0)
	tx.flush()
	b.rx[0].receives(flood(20))
	if re := a.p.poll(a.fd, unix.POLLOUT, 0); re != unix.POLLOUT {
		e.Errorf("after wrong pointers poll says %#x", re)
	}
}
