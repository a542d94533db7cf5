package conformance

import (
	"fmt"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/abi"
)

var pipChecks = []check{
	tests("PIP-01", "master, then slave, on a parent that does not exist: frames flow both ways", both, pip01),
	tests("PIP-02", "HW and host rings of a pipe: EINVAL, then all HW rings on the same descriptor: success", both, pip02),
	tests("PIP-03", "10 sent, 7 released: 3 are pending, and one more than the room times out", both, pip03),
	tests("PIP-04", "master exclusive: a second master is refused, the slave is not", both, pip04),
	tests("PIP-05", "sent before the slave opens: it reads everything in order", both, pip05),
	tests("PIP-06", "the receiver closes and opens again: unread frames are still there", both, pip06),
	tests("PIP-07", "both close and open again: empty", both, pip07),
	tests("PIP-08", "ptr, len and flags of a slot arrive unchanged, and the buffer is the same", both, pip08),
	tests("PIP-09", "a chain without end is not seen until it is complete", both, pip09),
	tests("PIP-10", "the receiver gives another buffer back: the sender sees it, with BUF_CHANGED", both, pip10),
	tests("PIP-11", "rings and slots are those of the first open, mirrored; later wishes are ignored", both, pip11),
	tests("PIP-12", "a pipe lives in its parent's region, with extra buffers, on VALE ports too", both, pip12),
	testsAlone("PIP-13", "the 65th pipe of a parent is refused", both, pip13),
	tests("PIP-14", "a pipe on a parent attached to a switch: EBUSY", both, pip14),
	tests("PIP-15", "the ids 01 and 1 are different pipes", both, pip15),
	tests("PIP-16", "a sender that only polls for POLLIN: data move and room returns", both, pip16),
	tests("PIP-17", "extra buffers sent through a pipe: the content arrives, none is lost", both, pip17),
}

// pipe is a parent that does not exist, which no other test uses, and both ends of a pipe on it.
func (e *env) pipe() (parent, master, slave string) {
	parent = fmt.Sprintf("pp%d", counter.Add(1))
	return parent, parent + "{1", parent + "}1"
}

// ends opens both ends by two programs.
func (e *env) ends(wishes ...wish) (m, s *port) {
	e.Helper()
	_, master, slave := e.pipe()
	return e.openPort(e.program(), master, wishes...), e.openPort(e.program(), slave)
}

// publish fills and syncs, and does not wait for the receiver as send does.
func (r *ring) publish(frames ...[]byte) {
	r.e.Helper()
	r.fill(frames...)
	r.txsync()
}

func (r *ring) txsync() {
	r.e.Helper()
	if errno := r.p.txsync(r.fd); errno != 0 {
		r.e.Errorf("txsync of %s: %s", r.name, errnoName(errno))
	}
}

func (r *ring) rxsync() {
	r.e.Helper()
	if errno := r.p.rxsync(r.fd); errno != 0 {
		r.e.Errorf("rxsync of %s: %s", r.name, errnoName(errno))
	}
}

// takes receives exactly these frames and gives the slots back.
func (r *ring) takes(want ...[]byte) {
	r.e.Helper()
	r.receives(want...)
	r.rxsync()
}

// floods are n frames, from a number on.
func floods(n int, from uint32) (frames [][]byte) {
	for i := range n {
		frames = append(frames, flood(from+uint32(i)))
	}
	return frames
}

func pip01(e *env) {
	m, s := e.ends()
	for i := range uint32(300) { // around the rings several times
		m.tx[0].publish(floods(10, 10*i)...)
		s.rx[0].takes(floods(10, 10*i)...)
		s.tx[0].publish(floods(7, 10*i)...)
		m.rx[0].takes(floods(7, 10*i)...)
	}
}

func pip02(e *env) {
	_, master, _ := e.pipe()
	p := e.program()
	fd := p.open()
	e.expect(unix.EINVAL, p, fd, registration(master, mode(abi.ModeNICSW, 0)))
	e.expect(unix.EINVAL, p, fd, registration(master, mode(abi.ModeSW, 0)))
	e.expect(0, p, fd, registration(master))
}

func pip03(e *env) {
	m, s := e.ends(slots(64, 64))
	t := m.tx[0]
	t.publish(floods(10, 0)...)
	s.rx[0].rxsync()
	s.rx[0].set(7, 7)
	s.rx[0].rxsync()
	t.txsync()
	if pending := t.NumSlots - 1 - t.space(); pending != 3 {
		e.Errorf("%d slots are pending, want 3", pending)
	}
	t.publish(floods(int(t.space()), 10)...)
	m.quiet(unix.POLLOUT)
	s.rx[0].takes(floods(63, 7)...)
	m.polls(unix.POLLOUT, unix.POLLOUT)
}

func pip04(e *env) {
	_, master, slave := e.pipe()
	p := e.program()
	m := e.openPort(p, master, exclusive)
	e.refused(unix.EBUSY, e.program(), master)
	e.refused(unix.EBUSY, e.program(), master, exclusive)
	s := e.openPort(e.program(), slave)
	m.tx[0].publish(flood(1))
	s.rx[0].takes(flood(1))
	e.refused(unix.EBUSY, e.program(), slave, exclusive)
}

func pip05(e *env) {
	_, master, slave := e.pipe()
	m := e.openPort(e.program(), master, slots(32, 32))
	m.tx[0].publish(floods(31, 0)...)
	m.quiet(unix.POLLOUT)
	s := e.openPort(e.program(), slave)
	s.polls(unix.POLLIN, unix.POLLIN)
	s.rx[0].takes(floods(31, 0)...)
	m.polls(unix.POLLOUT, unix.POLLOUT)
}

// isUnused waits until the daemon has let go of a port that was closed: for a
// descriptor that others may hold too, a close does not wait long.
func (e *env) isUnused(name string) {
	e.Helper()
	e.waitFor("the close of "+name, func() error {
		resp, err := pb.NewPortServiceClient(e.daemon.api).GetPort(e.limited(), &pb.GetPortRequest{Name: name})
		if err == nil && len(resp.GetPort().GetUsers()) > 0 {
			err = errPending
		}
		return err
	})
}

func pip06(e *env) {
	_, master, slave := e.pipe()
	m, p := e.openPort(e.program(), master), e.program()
	s := e.openPort(p, slave)
	m.tx[0].publish(floods(10, 0)...)
	s.rx[0].rxsync()
	s.rx[0].set(4, 4)
	s.rx[0].rxsync()
	s.rx[0].set(6, 6) // these two are not given back: no sync
	s.close()
	e.isUnused(slave)
	m.tx[0].publish(floods(5, 10)...)
	s = e.openPort(p, slave)
	s.rx[0].takes(floods(11, 4)...)
	m.tx[0].publish(flood(15))
	s.rx[0].takes(flood(15))
	// The sender comes back, too; what it filled and did not sync is lost.
	m.tx[0].fill(floods(3, 20)...)
	m.close()
	e.isUnused(master)
	m = e.openPort(e.program(), master)
	m.tx[0].publish(flood(16))
	s.rx[0].takes(flood(16))
}

func pip07(e *env) {
	_, master, slave := e.pipe()
	m, s := e.openPort(e.program(), master), e.openPort(e.program(), slave)
	m.tx[0].publish(floods(10, 0)...)
	m.close()
	s.rx[0].receives(floods(10, 0)...)
	s.close()
	e.isGone(slave)
	s = e.openPort(e.program(), slave)
	s.rx[0].receives()
	s.tx[0].wants("the slave's TX ring", 0, 0, s.tx[0].NumSlots-1)
}

func pip08(e *env) {
	m, s := e.ends(slots(16, 16))
	t, r := m.tx[0], s.rx[0]
	var sent []abi.Slot
	for i := range uint32(4) {
		x := t.slot(i)
		x.Len, x.Ptr = uint16(100+i), 0xdeadbeef00000000|uint64(i)
		x.Flags = []uint16{abi.NSMoreFrag, 0xab00, abi.NSReport | abi.NSBufChanged, abi.NSNoLearn}[i]
		t.setSlot(i, x)
		sent = append(sent, x)
	}
	t.set(4, 4)
	t.txsync()
	r.rxsync()
	r.wants("the receiver's ring", 0, 0, 4)
	for i, want := range sent {
		if got := r.slot(uint32(i)); got != want {
			e.Errorf("slot %d arrives as %+v, want %+v", i, got, want)
		}
	}
	if x := t.slot(2); x.Flags != abi.NSReport {
		e.Errorf("BUF_CHANGED is passed on, and the sender's flags are %#x", x.Flags)
	}
}

func pip09(e *env) {
	m, s := e.ends(slots(16, 16))
	t, r := m.tx[0], s.rx[0]
	for i := range uint32(3) {
		t.put(i, flood(i), abi.NSMoreFrag)
	}
	t.set(3, 3)
	t.txsync()
	s.quiet(unix.POLLIN)
	t.put(3, flood(3), 0)
	t.put(4, flood(4), abi.NSMoreFrag)
	t.set(5, 5)
	t.txsync()
	r.takes(floods(4, 0)...)
	t.put(5, flood(5), 0)
	t.set(6, 6)
	t.txsync()
	r.takes(floods(2, 4)...)
}

func pip10(e *env) {
	m, s := e.ends(slots(16, 16))
	t, r := m.tx[0], s.rx[0]
	t.publish(floods(2, 0)...)
	r.rxsync()
	own := s.tx[0].slot(0) // a buffer that the receiver has, for the one that it got
	got := r.slot(0)
	r.setSlot(0, abi.Slot{BufIdx: own.BufIdx, Len: 77, Flags: abi.NSBufChanged, Ptr: 5})
	s.tx[0].setSlot(0, abi.Slot{BufIdx: got.BufIdx, Len: got.Len, Flags: abi.NSBufChanged})
	r.set(2, 2)
	r.rxsync()
	t.txsync()
	if x, want := t.slot(0), (abi.Slot{BufIdx: own.BufIdx, Len: 77, Flags: abi.NSBufChanged, Ptr: 5}); x != want {
		e.Errorf("the sender sees %+v, want %+v", x, want)
	}
	if x := r.slot(0); x.Flags != 0 {
		e.Errorf("the receiver's flags are %#x, want none", x.Flags)
	}
	// What it got it sends on, without a copy.
	s.tx[0].set(1, 1)
	s.tx[0].txsync()
	m.rx[0].takes(flood(0))
}

func pip11(e *env) {
	for _, first := range []string{"{", "}"} {
		parent, _, _ := e.pipe()
		other := map[string]string{"{": "}", "}": "{"}[first]
		a := e.openPort(e.program(), parent+first+"1", rings(2, 3), slots(64, 32))
		b := e.openPort(e.program(), parent+other+"1", rings(9, 9), slots(512, 512))
		m, s := a, b
		if first == "}" {
			m, s = b, a
		}
		type counts struct {
			tx, rx           uint16
			txSlots, rxSlots uint32
		}
		of := func(d *port) counts { return counts{d.reg.TxRings, d.reg.RxRings, d.reg.TxSlots, d.reg.RxSlots} }
		if got, want := of(m), (counts{2, 3, 64, 32}); got != want {
			e.Errorf("the master has %+v, want %+v", got, want)
		}
		if got, want := of(s), (counts{3, 2, 32, 64}); got != want {
			e.Errorf("the slave has %+v, want %+v", got, want)
		}
		for k := range m.tx {
			m.tx[k].publish(flood(uint32(k)))
			s.rx[k].takes(flood(uint32(k)))
		}
		s.tx[2].publish(flood(7))
		m.rx[2].takes(flood(7))
	}
}

func pip12(e *env) {
	ifname, _ := e.veth()
	parent, _, _ := e.pipe()
	for _, name := range []string{e.vale() + ":a", ifname, parent} {
		p := e.program()
		var id uint16
		if name != parent { // one that is there can be compared with
			id = e.openPort(p, name).reg.MemID
		}
		m, s := e.openPort(p, name+"{x", extraBufs(5)), e.openPort(e.program(), name+"}x", extraBufs(3))
		if id == 0 {
			id = m.reg.MemID
		}
		if m.reg.MemID != id || s.reg.MemID != id {
			e.Errorf("%s lives in region %d, its pipe in %d and %d", name, id, m.reg.MemID, s.reg.MemID)
		}
		if a, b := len(m.extra(100)), len(s.extra(100)); a != 5 || b != 3 {
			e.Errorf("%d and %d extra buffers, want 5 and 3", a, b)
		}
		m.tx[0].publish(flood(1))
		s.rx[0].takes(flood(1))
		m.close()
		s.close()
	}
	// A region that is asked for is the parent's, if the pipe makes that.
	p := e.program()
	vale := e.openPort(p, e.vale()+":a")
	parent, master, _ := e.pipe()
	if m := e.openPort(p, master, memID(vale.reg.MemID), slots(64, 64)); m.reg.MemID != vale.reg.MemID {
		e.Errorf("a pipe on %s, in region %d, lives in %d", parent, vale.reg.MemID, m.reg.MemID)
	}
}

func pip13(e *env) {
	parent, _, _ := e.pipe()
	p := e.program()
	for i := range 64 {
		e.openPort(p, fmt.Sprintf("%s{%d", parent, i), slots(8, 8))
	}
	e.refused(unix.EINVAL, p, parent+"{64", slots(8, 8))
	e.refused(unix.EINVAL, p, parent+"}64", slots(8, 8))
	e.openPort(p, parent+"}63")
}

func pip14(e *env) {
	ifname, _ := e.veth()
	sw := e.vale()
	p := e.program()
	attach := newRequest(abi.ReqValeAttach, sw+":"+ifname, abi.ValeAttach{Register: abi.Register{Mode: abi.ModeAllNIC}})
	fd := p.open()
	e.expect(0, p, fd, attach)
	e.refused(unix.EBUSY, p, ifname+"{1")
	e.refused(unix.EBUSY, p, sw+":"+ifname+"{1")
	e.expect(0, p, fd, newRequest(abi.ReqValeDetach, sw+":"+ifname, abi.ValeDetach{}))
	e.openPort(p, ifname+"{1").close()
}

func pip15(e *env) {
	parent, _, _ := e.pipe()
	p := e.program()
	one := e.openPort(p, parent+"{1", exclusive)
	other := e.openPort(p, parent+"{01", exclusive)
	s := e.openPort(e.program(), parent+"}01")
	one.tx[0].publish(flood(1))
	other.tx[0].publish(flood(2))
	s.rx[0].takes(flood(2))
}

func pip16(e *env) {
	m, s := e.ends(slots(16, 16))
	t := m.tx[0]
	for i := range uint32(100) {
		t.fill(floods(int(t.space()), 0)...)
		m.p.poll(m.fd, unix.POLLIN, 0) // transmits
		s.rx[0].rxsync()
		if n := s.rx[0].space(); n != 15 {
			e.Fatalf("round %d: %d frames arrived, want 15", i, n)
		}
		s.rx[0].set(s.rx[0].tail(), s.rx[0].tail())
		s.rx[0].rxsync()
		m.p.poll(m.fd, unix.POLLIN, 0)
		if t.space() == 0 { // netmap syncs TX rings with nothing new only for POLLOUT
			m.p.poll(m.fd, unix.POLLOUT, 0)
		}
		if t.space() != 15 {
			e.Fatalf("round %d: room for %d frames, want 15", i, t.space())
		}
	}
}

func pip17(e *env) {
	for _, parent := range []string{e.vale() + ":x", fmt.Sprintf("pp%d", counter.Add(1))} {
		keeper := e.openPort(e.program(), parent+"{k", slots(8, 8)) // of the region
		held := e.region(keeper.reg.MemID).GetBufPool().GetFree()
		m, s := e.openPort(e.program(), parent+"{1", extraBufs(6), slots(32, 32)), e.openPort(e.program(), parent+"}1")
		list := m.extra(10)
		var want [][]byte
		t := m.tx[0]
		for i, idx := range list { // each buffer for the one in the slot, which goes into the list
			f := flood(uint32(i))
			want = append(want, f)
			x := t.slot(uint32(i))
			m.p.store(m.base, m.bufAt(idx), f)
			t.setSlot(uint32(i), abi.Slot{BufIdx: idx, Len: uint16(len(f)), Flags: abi.NSBufChanged})
			list[i] = x.BufIdx
		}
		m.link(list)
		t.set(6, 6)
		t.txsync()
		s.rx[0].receives(want[:6]...)
		m.close()
		s.close()
		e.waitFor("all buffers to be free again", func() error {
			if now := e.region(keeper.reg.MemID).GetBufPool().GetFree(); now != held {
				return fmt.Errorf("%d are, want %d", now, held)
			}
			return nil
		})
		keeper.close()
	}
}

// link makes a list of extra buffers of these.
func (d *port) link(list []uint32) {
	next := uint32(0)
	for _, idx := range list {
		d.p.store(d.base, d.bufAt(idx), abi.Encode(nil, next))
		next = idx
	}
	d.setExtraHead(next)
}

func pol04(e *env) {
	m, s := e.ends(slots(16, 16))
	m.tx[0].publish(floods(15, 0)...)
	m.wakes(unix.POLLOUT, unix.POLLOUT, func() { s.rx[0].takes(floods(15, 0)...) })
	if n := m.tx[0].space(); n != 15 {
		e.Errorf("room for %d frames, want 15", n)
	}
	s.wakes(unix.POLLIN, unix.POLLIN, func() { m.tx[0].publish(flood(1)) })
	s.rx[0].takes(flood(1))
}

func reg12(e *env) {
	_, master, slave := e.pipe()
	for _, name := range []string{e.vale() + ":a", master, slave} {
		for _, m := range []uint32{abi.ModeSW, abi.ModeNICSW, abi.ModeOneSW} {
			e.refused(unix.EINVAL, e.program(), name, mode(m, 0))
		}
	}
}

func reg30(e *env) {
	_, master, slave := e.pipe()
	p := e.program()
	wish := abi.PortInfo{TxSlots: 64, RxSlots: 32, TxRings: 2, RxRings: 3}
	if i := e.portInfo(p, master, wish); i.TxSlots != 64 || i.RxSlots != 32 || i.TxRings != 2 || i.RxRings != 3 || i.MemSize == 0 {
		e.Errorf("info about a pipe is %+v", i)
	}
	if i := e.pools(p, slave, 0); i.BufCount == 0 {
		e.Errorf("the pools of a pipe are %+v", i)
	}
	for _, name := range []string{master, slave} {
		if e.counters(name) != nil {
			e.Errorf("%s is there after it was asked about", name)
		}
	}
	if m := e.openPort(p, master); m.reg.TxRings != 1 || m.reg.TxSlots == 64 {
		e.Errorf("what was asked shapes the pipe that is opened: %+v", m.reg)
	}
}

func leg06(e *env) {
	parent, _, _ := e.pipe()
	for _, parent := range []string{parent, e.vale() + ":a"} {
		m, nr := e.oldPort(e.program(), parent+"{x", func(nr *abi.Legacy) { nr.Arg3 = 7; nr.Flags = abi.ModeAllNIC })
		if n := len(m.extra(100)); nr.Arg3 != 7 || n != 7 {
			e.Errorf("%d extra buffers in the reply, %d in the list, want 7", nr.Arg3, n)
		}
		s := e.openPort(e.program(), parent+"}x")
		m.tx[0].publish(flood(1))
		s.rx[0].takes(flood(1))
	}
}

func leg07(e *env) {
	parent, _, _ := e.pipe()
	m, nr := e.oldPort(e.program(), parent, func(nr *abi.Legacy) { nr.Flags = abi.ModePipeMaster; nr.RingID = 3 })
	if nr.Flags != abi.ModePipeMaster || nr.RingID != 3 {
		e.Errorf("flags and ring id come back as %d and %d, want %d and 3", nr.Flags, nr.RingID, abi.ModePipeMaster)
	}
	s, _ := e.oldPort(e.program(), parent, func(nr *abi.Legacy) { nr.Flags = abi.ModePipeSlave; nr.RingID = 3 })
	m.tx[0].publish(flood(1))
	s.rx[0].takes(flood(1))
	again := e.openPort(e.program(), parent+"}3")
	m.tx[0].publish(flood(2))
	again.polls(unix.POLLIN, unix.POLLIN)
	again.rx[0].receives(flood(2))
}

// cls07: every order of closing the ends of two pipes and the port they hang on. Package port has more of them.
func cls07(e *env) {
	p := e.program()
	sw := e.vale()
	names := []string{sw + ":x", sw + ":x{1", sw + ":x}1", sw + ":x}2"}
	var id uint16
	for _, order := range permutations(len(names)) {
		var all []*port
		for _, name := range names {
			all = append(all, e.openPort(p, name, slots(8, 8)))
		}
		id = all[0].reg.MemID
		all[1].tx[0].publish(flood(1))
		for n, i := range order {
			all[i].close()
			if n == 0 && i == 1 {
				all[2].rx[0].receives(flood(1))
			}
		}
		for _, name := range names {
			e.isGone(name)
		}
	}
	e.waitFor("its region to go", func() error {
		if e.region(id) != nil {
			return errPending
		}
		return nil
	})
}

func permutations(n int) (all [][]int) {
	var extend func(p, left []int)
	extend = func(p, left []int) {
		if len(left) == 0 {
			all = append(all, p)
		}
		for k, i := range left {
			rest := append(append([]int{}, left[:k]...), left[k+1:]...)
			extend(append(append([]int{}, p...), i), rest)
		}
	}
	var first []int
	for i := range n {
		first = append(first, i)
	}
	extend(nil, first)
	return all
}
