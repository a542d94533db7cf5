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

func offsetsOption(o abi.Offsets) option {
	return option{typ: abi.OptOffsets, body: abi.Encode(nil, o)}
}

// openWith registers with options and maps.
func (e *env) openWith(p program, name string, opts []option, wishes ...wish) (*port, *request) {
	e.Helper()
	fd := p.open()
	q := registration(name, wishes...).with(opts...)
	if errno := p.control(fd, q); errno != 0 {
		e.Fatalf("register %q: %s", name, errnoName(errno))
	}
	for i := range opts {
		e.statuses(&request{options: q.options[i:]}, 0)
	}
	return e.mapPort(p, fd, name, decode[abi.Register](e, q)), q
}

func opt12(e *env) {
	p, sw := e.program(), e.vale()
	name := sw + ":a"
	d, _ := e.openWith(p, name, []option{offsetsOption(abi.Offsets{Max: 128, Initial: 64, Bits: 16})}, slots(32, 32))
	for _, r := range append(d.tx, d.rx...) {
		if r.OffsetMask != 0xffff {
			e.Errorf("offset_mask is %#x, want 0xffff", r.OffsetMask)
		}
		for i, s := range r.slots() {
			if s.Ptr&0xffff != 64 {
				e.Errorf("slot %d has offset %d, want 64", i, s.Ptr&0xffff)
			}
		}
	}
	d.close()
	e.isGone(name)
	// Without the option there is nothing of them, and with 0 bits they have all.
	d = e.openPort(p, name)
	if r := d.tx[0]; r.OffsetMask != 0 || r.slot(0).Ptr != 0 {
		e.Errorf("opened again, the mask is %#x and ptr %d", r.OffsetMask, r.slot(0).Ptr)
	}
	if r := openOffsets(e, p, sw+":b", abi.Offsets{Max: 2048}).rx[0]; r.OffsetMask != ^uint64(0) {
		e.Errorf("the mask of 0 bits is %#x", r.OffsetMask)
	}
}

func openOffsets(e *env, p program, name string, o abi.Offsets) *port {
	e.Helper()
	d, _ := e.openWith(p, name, []option{offsetsOption(o)})
	return d
}

func opt13(e *env) {
	p, name := e.program(), e.vale()+":a"
	fd := p.open()
	for _, o := range []abi.Offsets{
		{Max: 64, Initial: 65}, {Max: 2049}, {Max: 256, Bits: 8}, {Bits: 65}, {Max: 1 << 40, Bits: 64}, {Max: ^uint64(0)},
	} {
		q := registration(name).with(offsetsOption(o))
		e.expect(unix.EINVAL, p, fd, q)
		e.statuses(q, unix.EINVAL)
	}
	e.expect(0, p, fd, registration(name).with(offsetsOption(abi.Offsets{Max: 255, Initial: 255, Bits: 8})))
}

func opt14(e *env) {
	p, name := e.program(), e.vale()+":a"
	e.openPort(p, name)
	zero := flags(abi.FlagMonitorRx | abi.FlagMonitorTx | abi.FlagZcopyMon)
	fd := p.open()
	q := registration(name, zero).with(offsetsOption(abi.Offsets{Max: 64, Bits: 16}))
	e.expect(unix.EOPNOTSUPP, p, fd, q)
	e.statuses(q, unix.EOPNOTSUPP)
	e.expect(0, p, fd, registration(name, zero))
	// A copy monitor has offsets of its own.
	e.expect(0, p, p.open(), registration(name, flags(abi.FlagMonitorRx)).with(offsetsOption(abi.Offsets{Max: 64, Bits: 16})))
}

func opt15(e *env) {
	p, name := e.program(), e.vale()+":a"
	openOffsets(e, p, name, abi.Offsets{Max: 128, Initial: 64, Bits: 8})
	fd := p.open()
	for _, o := range []abi.Offsets{{Max: 128, Bits: 16}, {Max: 129, Bits: 8}} {
		q := registration(name).with(offsetsOption(o))
		e.expect(unix.EBUSY, p, fd, q)
		e.statuses(q, unix.EBUSY)
	}
	// Narrower ones get what is there.
	q := registration(name).with(offsetsOption(abi.Offsets{Max: 32, Initial: 1, Bits: 6}))
	e.expect(0, p, fd, q)
	var o abi.Offsets
	e.must(abi.Decode(q.options[0].body, &o))
	d := e.mapPort(p, fd, name, decode[abi.Register](e, q))
	if r := d.tx[0]; o.Max != 128 || r.OffsetMask != 0xff || r.slot(0).Ptr != 64 {
		e.Errorf("a second descriptor: max %d, mask %#x, ptr %d; want 128, 0xff, 64", o.Max, r.OffsetMask, r.slot(0).Ptr)
	}
}

// putAt writes a frame at an offset into the slot at head, and moves on.
func (r *ring) putAt(ptr uint64, off int, frame []byte, flags uint16) {
	r.e.Helper()
	h := r.head()
	s := r.slot(h)
	r.p.store(r.base, r.bufAt(s.BufIdx)+uint64(off), frame)
	s.Ptr, s.Len, s.Flags = ptr, uint16(len(frame)), flags
	r.setSlot(h, s)
	r.set(r.at(h, 1), r.at(h, 1))
}

func val26(e *env) {
	p, sw := e.program(), e.vale()
	a := openOffsets(e, p, sw+":a", abi.Offsets{Max: 100, Initial: 0, Bits: 8})
	b := openOffsets(e, p, sw+":b", abi.Offsets{Max: 128, Initial: 32, Bits: 16, MinGap: 1600})
	c := e.openPort(p, sw+":c")
	tx, rx := a.tx[0], b.rx[0]
	const high = 0xabcd_0000_0000_0000 // beside the offset, the word is the program's
	s := rx.slot(1)
	s.Ptr = high | 77
	rx.setSlot(1, s)
	s = rx.slot(2)
	s.Ptr = 5000 // beyond the largest
	rx.setSlot(2, s)

	tx.putAt(high|10, 10, flood(1), 0)
	tx.putAt(0, 0, flood(2), 0)
	tx.putAt(200, 100, flood(3), 0) // beyond the largest: that counts
	// In two slots; then one that leaves its buffer, and one too long for b, not for c.
	tx.putAt(3, 3, flood(4)[:20], abi.NSMoreFrag)
	tx.putAt(50, 50, flood(4)[20:], 0)
	h := tx.head()
	s = tx.slot(h)
	s.Ptr, s.Len, s.Flags = 100, 1949, 0
	tx.setSlot(h, s)
	tx.set(tx.at(h, 1), tx.at(h, 1))
	long := make([]byte, 1700)
	copy(long, flood(5))
	tx.putAt(0, 0, long, 0)
	tx.putAt(60, 60, flood(6), 0)
	tx.flush()
	c.rx[0].receives(flood(1), flood(2), flood(3), flood(4)[:20], flood(4)[20:], long, flood(6))
	if n := e.drops(a.name, "bad_length"); n != 1 {
		e.Errorf("%d frames were dropped for leaving their buffers, want 1", n)
	}
	if errno := p.rxsync(b.fd); errno != 0 {
		e.Errorf("rxsync: %s", errnoName(errno))
	}
	for i, want := range []struct {
		ptr   uint64
		frame []byte
	}{
		{32, flood(1)}, {high | 77, flood(2)}, {128, flood(3)}, {32, flood(4)[:20]}, {32, flood(4)[20:]}, {32, nil}, {32, flood(6)},
	} {
		s := rx.slot(uint32(i))
		if s.Ptr != want.ptr || int(s.Len) != len(want.frame) {
			e.Errorf("slot %d has ptr %#x and %d bytes, want %#x and %d", i, s.Ptr, s.Len, want.ptr, len(want.frame))
			continue
		}
		off := rx.bufAt(s.BufIdx) + s.Ptr&rx.OffsetMask
		if got := p.load(b.base, off, len(want.frame)); string(got) != string(want.frame) {
			e.Errorf("slot %d has % x at its offset, want % x", i, got, want.frame)
		}
	}
}
