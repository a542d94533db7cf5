package conformance

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var valChecks = []check{
	tests("VAL-01", "a broadcast from one of three ports reaches the other two", both, val01),
	tests("VAL-02", "a frame to a known address reaches only its port", both, val02),
	tests("VAL-03", "a frame to an unknown address is flooded", both, val03),
	tests("VAL-04", "a frame to an address of its own port is dropped", both, val04),
	tests("VAL-05", "13 bytes are dropped, 14 delivered", both, val05),
	tests("VAL-06", "a multicast source is not learned", both, val06),
	differs("VAL-07", "two addresses with one hash: the second evicts the first",
		"the table holds every address exactly and grows: no address evicts another"),
	differs("VAL-08", "the port of a known address closes: frames to it are dropped",
		"its addresses are forgotten with it, so that frames are flooded and find a station that moved"),
	tests("VAL-09", "receiver full: the sender goes on, the excess is dropped, what came before is in order", both, val09),
	tests("VAL-10", "after a sync the sender has tail = head - 1", both, val10),
	tests("VAL-11", "flags of a received frame of one slot: 0x0100; of three: 0x0320, 0x0320, 0x0300", both, val11),
	tests("VAL-12", "a chain without end at the sync is delivered as a frame", both, val12),
	tests("VAL-13", "unicast from ring 2 reaches ring 2 of 4, or ring 0 of 2", both, val13),
	tests("VAL-14", "a broadcast from ring 3 reaches ring 0", both, val14),
	tests("VAL-15", "a destination bound for TX only is skipped", both, val15),
	tests("VAL-16", "an indirect slot: delivered; with a wild address: dropped, its neighbours are not", both, val16),
	tests("VAL-17", "an indirect slot with len above the buffer size is dropped", both, val17),
	tests("VAL-18", "two senders at once: nothing is mixed up, each one's frames are in order", both, val18),
	differs("VAL-19", "the vectors of the hash", "the table has no hash that a program could see"),
	tests("VAL-20", "one port opened twice: the same rings", both, val20),
	differs("VAL-21", "eight switches, the ninth is refused", "there is no limit of switches"),
	differs("VAL-22", "252 ports on a switch, the next is refused", "there is no such limit"),
	tests("VAL-23", "the last port closes: VALE_LIST no longer shows the switch, addresses are forgotten", both, val23),
	tests("VAL-24", "VALE_LIST of an absent port: 255; of an absent switch: ENOENT; of another name: EINVAL", both, val24),
	tests("VAL-25", "POLLOUT on an idle port: always ready", both, val25),
	tests("VAL-26", "an offset in the receiver's slots: data are there or behind, and the slot says so", both, val26),
}

// ports opens ports a, b, c, … of one switch in one program.
func (e *env) ports(n int, wishes ...wish) (all []*port) {
	e.Helper()
	p, sw := e.program(), e.vale()
	for i := range n {
		all = append(all, e.openPort(p, fmt.Sprintf("%s:%c", sw, 'a'+i), wishes...))
	}
	return all
}

func val01(e *env) {
	p := e.ports(3)
	p[0].tx[0].send(flood(1))
	p[1].rx[0].receives(flood(1))
	p[2].rx[0].receives(flood(1))
	p[0].rx[0].receives()
}

// knows makes the switch learn where an address is.
func (d *port) knows(address [6]byte, others ...*port) {
	d.e.Helper()
	f := frame(broadcast, address, 0)
	d.tx[0].send(f)
	for _, o := range others {
		o.rx[0].receives(f)
	}
}

func val02(e *env) {
	p := e.ports(3)
	p[0].knows(mac(5), p[1], p[2])
	f := frame(mac(5), mac(6), 1)
	p[1].tx[0].send(f)
	p[0].rx[0].receives(f)
	p[2].rx[0].receives()
	p[1].rx[0].receives()
}

func val03(e *env) {
	p := e.ports(3)
	f := frame(mac(77), mac(6), 1)
	p[1].tx[0].send(f)
	p[0].rx[0].receives(f)
	p[2].rx[0].receives(f)
	p[1].rx[0].receives()
}

func val04(e *env) {
	p := e.ports(3)
	p[0].knows(mac(5), p[1], p[2])
	p[0].tx[0].send(frame(mac(5), mac(5), 1), frame(mac(5), mac(6), 1))
	for _, d := range p {
		d.rx[0].receives()
	}
}

func val05(e *env) {
	p := e.ports(2)
	p[0].tx[0].send(flood(1)[:13], flood(2)[:14], flood(3)[:1], []byte{})
	p[1].rx[0].receives(flood(2)[:14])
}

func val06(e *env) {
	p := e.ports(3)
	group := [6]byte{1, 0, 0x5e, 0, 0, 1}
	p[0].knows(group, p[1], p[2])
	f := frame(group, mac(6), 1)
	p[1].tx[0].send(f)
	p[0].rx[0].receives(f)
	p[2].rx[0].receives(f) // still a flood
}

func val09(e *env) {
	p, sw := e.program(), e.vale()
	a, b := e.openPort(p, sw+":a"), e.openPort(p, sw+":b", slots(16, 16))
	var frames [][]byte
	for i := range uint32(100) {
		frames = append(frames, flood(i))
	}
	a.tx[0].send(frames...)
	b.rx[0].receives(frames[:15]...)
	b.rx[0].receives()
	a.tx[0].send(flood(1000))
	b.rx[0].receives(flood(1000))
	if n := e.drops(b.name, "ring_full"); n != 85 {
		e.Errorf("%d frames are counted as dropped by a full ring, want 85", n)
	}
}

func val10(e *env) {
	p := e.ports(2, slots(32, 32))
	for i := range uint32(50) {
		p[0].tx[0].send(flood(i), flood(i))
		if r := p[0].tx[0]; r.at(r.tail(), 1) != r.head() || r.space() != 31 {
			e.Errorf("head %d, tail %d after a sync", r.head(), r.tail())
		}
	}
}

// chain fills the next slots with parts of a frame; the last one ends it if end is set.
func (r *ring) chain(end bool, parts ...[]byte) {
	r.e.Helper()
	h := r.head()
	for k, part := range parts {
		flags := uint16(abi.NSMoreFrag)
		if end && k == len(parts)-1 {
			flags = 0
		}
		r.put(r.at(h, uint32(k)), part, flags)
	}
	h = r.at(h, uint32(len(parts)))
	r.set(h, h)
	r.flush()
}

// flagsAre looks at the flags of the received slots.
func (r *ring) flagsAre(want ...uint16) {
	r.e.Helper()
	if errno := r.p.rxsync(r.fd); errno != 0 {
		r.e.Error(errno)
	}
	var got []uint16
	for i := r.head(); i != r.tail(); i = r.at(i, 1) {
		got = append(got, r.slot(i).Flags)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.e.Errorf("the flags are %#x, want %#x", got, want)
	}
}

func val11(e *env) {
	p := e.ports(2)
	p[0].tx[0].send(flood(1))
	p[1].rx[0].flagsAre(0x0100)
	p[1].rx[0].receives(flood(1))
	parts := [][]byte{flood(1), []byte("the second part"), []byte("the third")}
	p[0].tx[0].chain(true, parts...)
	p[1].rx[0].flagsAre(0x0320, 0x0320, 0x0300)
	p[1].rx[0].receives(parts...)
}

func val12(e *env) {
	p := e.ports(2)
	parts := [][]byte{flood(1), []byte("the second part")}
	p[0].tx[0].chain(false, parts...)
	p[1].rx[0].flagsAre(0x0220, 0x0200)
	p[1].rx[0].receives(parts...)
	p[0].tx[0].send(flood(2))
	p[1].rx[0].flagsAre(0x0100)
	p[1].rx[0].receives(flood(2))
}

func val13(e *env) {
	p, sw := e.program(), e.vale()
	src := e.openPort(p, sw+":a", rings(4, 1))
	four := e.openPort(p, sw+":b", rings(1, 4))
	two := e.openPort(p, sw+":c", rings(1, 2))
	four.knows(mac(4), src, two)
	two.knows(mac(2), src, four)
	for k := range 4 {
		f, g := frame(mac(4), mac(9), uint32(k)), frame(mac(2), mac(9), uint32(k))
		src.tx[k].send(f, g)
		four.rx[k].receives(f)
		two.rx[k%2].receives(g)
	}
}

func val14(e *env) {
	p, sw := e.program(), e.vale()
	src, dst := e.openPort(p, sw+":a", rings(4, 1)), e.openPort(p, sw+":b", rings(1, 4))
	src.tx[3].send(flood(1))
	dst.rx[0].receives(flood(1))
	dst.rx[3].receives()
}

func val15(e *env) {
	p, sw := e.program(), e.vale()
	a := e.openPort(p, sw+":a")
	b := e.openPort(p, sw+":b", flags(abi.FlagTxRingsOnly))
	c := e.openPort(p, sw+":c")
	b.tx[0].send(frame(broadcast, mac(5), 0))
	a.rx[0].receives(frame(broadcast, mac(5), 0))
	c.rx[0].receives(frame(broadcast, mac(5), 0))
	a.tx[0].send(flood(1), frame(mac(5), mac(6), 2), flood(3))
	c.rx[0].receives(flood(1), flood(3))
	// Who binds the ring later finds it empty.
	late := e.openPort(p, sw+":b", flags(abi.FlagRxRingsOnly))
	late.rx[0].receives()
	a.tx[0].send(flood(4))
	late.rx[0].receives(flood(4))
}

func val17(e *env) {
	for _, n := range []uint16{2049, 0xffff} {
		p := e.ports(2)
		r := p[0].tx[0]
		r.fill(flood(1), flood(2), flood(3))
		s := r.slot(1)
		s.Flags, s.Len, s.Ptr = abi.NSIndirect, n, 4096
		r.setSlot(1, s)
		r.flush()
		p[1].rx[0].receives(flood(1), flood(3))
	}
}

func val18(e *env) {
	sw := e.vale()
	dst := e.openPort(e.program(), sw+":dst", slots(4096, 4096))
	frames := uint32(times(100_000, 500))
	var wg sync.WaitGroup
	senders := make(chan struct{})
	for k := range byte(2) {
		src := e.openPort(e.program(), fmt.Sprintf("%s:%d", sw, k))
		src.close() // so that its frames are not received by the other
		src = e.openPort(e.program(), fmt.Sprintf("%s:%d", sw, k), flags(abi.FlagTxRingsOnly))
		wg.Go(func() {
			for i := range frames {
				src.tx[0].send(frame(mac(99), mac(10+k), i))
			}
		})
	}
	go func() {
		wg.Wait()
		close(senders)
	}()
	next := map[byte]uint32{}
	check := func() {
		for _, f := range dst.rx[0].receive() {
			k, seq := f[11], binary.LittleEndian.Uint32(f[14:])
			if len(f) != 60 || k != 10 && k != 11 || seq < next[k] || string(f) != string(frame(mac(99), mac(k), seq)) {
				e.Fatalf("frame %d of sender %d comes after %d: % x", seq, k, next[k], f)
			}
			next[k] = seq + 1
		}
	}
	for sending := true; sending; {
		select {
		case <-senders:
			sending = false
		default:
		}
		check()
	}
	check()
	if next[10] != frames || next[11] != frames {
		e.Errorf("the last frames are %d and %d, want %d", next[10]-1, next[11]-1, frames-1)
	}
}

func val20(e *env) {
	name := e.vale() + ":a"
	a, b := e.openPort(e.program(), name, slots(32, 32)), e.openPort(e.program(), name, slots(64, 64))
	if a.reg.MemID != b.reg.MemID || a.tx[0].off != b.tx[0].off || a.rx[0].off != b.rx[0].off || b.reg.TxSlots != 32 {
		e.Errorf("the second opening has region %d, rings at %d and %d with %d slots; the first region %d, %d and %d, 32",
			b.reg.MemID, b.tx[0].off, b.rx[0].off, b.reg.TxSlots, a.reg.MemID, a.tx[0].off, a.rx[0].off)
	}
	a.tx[0].send(flood(1))
	b.tx[0].wants("seen by the other", 1, 1, 0)
}

// find makes a VALE_LIST by name.
func (e *env) find(want unix.Errno, p program, name string) abi.ValeList {
	e.Helper()
	q := newRequest(abi.ReqValeList, name, abi.ValeList{})
	fd := p.open()
	defer p.close(fd)
	e.expect(want, p, fd, q)
	return decode[abi.ValeList](e, q)
}

func val23(e *env) {
	p, sw := e.program(), e.vale()
	open := func() (a, b, c *port) {
		return e.openPort(p, sw+":a"), e.openPort(p, sw+":b"), e.openPort(p, sw+":c")
	}
	a, b, c := open()
	a.knows(mac(5), b, c)
	if n := len(e.listNew(p, sw)); n != 3 {
		e.Errorf("VALE_LIST shows %d ports, want 3", n)
	}
	for _, d := range []*port{a, b, c} {
		d.close()
		e.isGone(d.name)
	}
	if n := len(e.listNew(p, sw)); n != 0 {
		e.Errorf("VALE_LIST shows %d ports after the last one closed", n)
	}
	e.find(unix.ENOENT, p, sw+":a")
	a, b, c = open()
	b.tx[0].send(frame(mac(5), mac(6), 1))
	c.rx[0].receives(frame(mac(5), mac(6), 1)) // a flood: nobody knows where it is
	a.rx[0].receives(frame(mac(5), mac(6), 1))
}

func val24(e *env) {
	p := e.ports(3)
	prog := p[0].p
	sw, _, _ := strings.Cut(p[0].name, ":")
	for i, d := range p {
		if l := e.find(0, prog, d.name); l.PortIdx != uint32(i) {
			e.Errorf("%s has index %d, want %d", d.name, l.PortIdx, i)
		}
	}
	if l := e.find(0, prog, sw+":x"); l.PortIdx != 255 || l.BridgeIdx != e.find(0, prog, sw+":a").BridgeIdx {
		e.Errorf("an absent port has index %d on switch %d", l.PortIdx, l.BridgeIdx)
	}
	e.find(unix.ENOENT, prog, e.vale()+":a")
	for _, name := range []string{"eth0", "val:a", "x", "lo"} {
		e.find(unix.EINVAL, prog, name)
	}
}

func val25(e *env) {
	p := e.ports(1)
	for range 5 {
		p[0].polls(unix.POLLOUT, unix.POLLOUT)
		p[0].tx[0].send(flood(1)) // to nobody
	}
}
