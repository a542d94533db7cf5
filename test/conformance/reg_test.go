package conformance

import (
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var regChecks = []check{
	tests("REG-01", "registered, registered again: EBUSY, and the first binding works", both, reg01),
	tests("REG-02", "unknown interface: ENXIO, and the descriptor can be used", both, reg02),
	tests("REG-03", "mode 0 and mode 9: EINVAL", both, reg03),
	tests("REG-04", "modes 5 and 6 of the old interface: EINVAL", both, reg04),
	tests("REG-05", "unknown memory id: EINVAL", both, reg05),
	tests("REG-06", "every mode on a NIC: success, with sizes, counts and memory id in the reply", both, reg06),
	tests("REG-07", "host ring 1 with host counts 2 and 2: as asked for, HW offsets are 0", both, reg07),
	tests("REG-08", "host counts 5 and 4 on an idle NIC: as asked for", both, reg08),
	tests("REG-09", "opened again with no wishes: one host ring each way", both, reg09),
	tests("REG-10", "host counts on a NIC that is open: ignored, the reply tells", both, reg10),
	tests("REG-11", "one ring, beyond both counts: EINVAL; beyond one: ring 0 in that direction", both, reg11),
	tests("REG-12", "host rings of a VALE port or pipe: EINVAL", both, reg12),
	tests("REG-13", "exclusive first: any second open of the ring gives EBUSY", both, reg13),
	tests("REG-14", "plain first, exclusive second: EBUSY", both, reg14),
	tests("REG-15", "exclusive TX rings, then RX rings by another: success", both, reg15),
	tests("REG-16", "exclusive ring 0, ring 1 by another: success; all rings by a third: EBUSY", both, reg16),
	tests("REG-17", "the exclusive holder closes: another exclusive open succeeds", both, reg17),
	tests("REG-18", "a memory id other than the open port's: success, the reply has the real one", both, reg18),
	tests("REG-19", "the memory id of another port for a new one: same region, buffers can be exchanged", both, reg19),
	tests("REG-20", "an interface attached to a switch, opened by its name: EBUSY", both, reg20),
	tests("REG-21", "port with a header: EIO without ACCEPT_VNET_HDR, success with it", both, reg21),
	tests("REG-22", "the unused flag 0x1000: success", both, reg22),
	tests("REG-23", "slots of a VALE port: 16 gives 16, 5000 gives 4096, 0 gives 1024", both, reg23),
	tests("REG-24", "rings of a VALE port: 17 gives 16, 0 gives 1", both, reg24),
	tests("REG-25", "PORT_INFO_GET before any open says what register says later", both, reg25),
	tests("REG-26", "PORT_INFO_GET without name and id: region 1, memsize above 0", both, reg26),
	tests("REG-27", "PORT_INFO_GET without name, with an unknown id: EINVAL", both, reg27),
	tests("REG-28", "POOLS_INFO_GET without name: an error", both, reg28),
	tests("REG-29", "POOLS_INFO_GET before and after register: success, all counts and sizes above 0", both, reg29),
	tests("REG-30", "PORT_INFO_GET and POOLS_INFO_GET on pipes: success, and no pipe is left", both, reg30),
}

func reg01(e *env) {
	p, sw := e.program(), e.vale()
	a, b := e.openPort(p, sw+":a"), e.openPort(p, sw+":b")
	e.expect(unix.EBUSY, p, a.fd, registration(sw+":c"))
	e.expect(unix.EBUSY, p, a.fd, registration(sw+":a"))
	e.expect(unix.EBUSY, p, a.fd, registration("nosuch", mode(0, 0))) // the first check of all
	a.tx[0].send(flood(1))
	b.rx[0].receives(flood(1))
}

func reg02(e *env) {
	p := e.program()
	fd := p.open()
	e.expect(unix.ENXIO, p, fd, registration("nosuch"))
	e.expect(0, p, fd, registration(e.vale()+":a"))
}

func reg03(e *env) {
	p := e.program()
	fd := p.open()
	ifname, _ := e.veth()
	for _, m := range []uint32{0, 9, 10, 1 << 31} {
		e.expect(unix.EINVAL, p, fd, registration(e.vale()+":a", mode(m, 0)))
		e.expect(unix.EINVAL, p, fd, registration(ifname, mode(m, 0)))
	}
	for _, m := range []uint32{abi.ModeSW, abi.ModeNICSW, abi.ModeOneSW} { // which a VALE port has not
		e.expect(unix.EINVAL, p, fd, registration(e.vale()+":a", mode(m, 0)))
	}
	e.expect(0, p, fd, registration(ifname))
}

func reg04(e *env) {
	p := e.program()
	fd := p.open()
	for _, m := range []uint32{abi.ModePipeMaster, abi.ModePipeSlave} {
		e.expect(unix.EINVAL, p, fd, registration(e.vale()+":a", mode(m, 1)))
		e.expect(unix.EINVAL, p, fd, registration("nosuch", mode(m, 1))) // checked before the name
	}
}

func reg05(e *env) {
	p := e.program()
	fd := p.open()
	e.expect(unix.EINVAL, p, fd, registration(e.vale()+":a", memID(60000)))
	e.expect(unix.EINVAL, p, fd, registration("nosuch", memID(60000)))
	e.expect(0, p, fd, registration(e.vale()+":a"))
}

func reg06(e *env) {
	ifname, _ := e.veth()
	p := e.program()
	for _, m := range []uint32{abi.ModeAllNIC, abi.ModeSW, abi.ModeNICSW, abi.ModeOneNIC, abi.ModeOneSW} {
		d := e.openPort(p, ifname, mode(m, 0), flags(abi.FlagNoTxPoll))
		r := d.reg
		if r.MemSize == 0 || r.TxSlots == 0 || r.RxSlots == 0 || r.TxRings == 0 || r.RxRings == 0 ||
			r.HostTxRings != 1 || r.HostRxRings != 1 || r.MemID != abi.MemIDGlobal {
			e.Errorf("mode %d: the reply is %+v", m, r)
		}
		if r.Mode != m || r.RingID != 0 || r.Flags != abi.FlagNoTxPoll {
			e.Errorf("mode %d: mode, ring and flags come back as %d, %d, %#x", m, r.Mode, r.RingID, r.Flags)
		}
		d.close()
		e.isGone(ifname)
	}
}

// hostRingCounts are wishes for host rings.
func hostRingCounts(tx, rx uint16) wish {
	return func(r *abi.Register) { r.HostTxRings, r.HostRxRings = tx, rx }
}

func (d *port) hostRingsAre(what string, tx, rx uint16) {
	d.e.Helper()
	if d.reg.HostTxRings != tx || d.reg.HostRxRings != rx || d.netif.HostTxRings != uint32(tx) || d.netif.HostRxRings != uint32(rx) {
		d.e.Errorf("%s: the reply says %d and %d host rings, the netmap_if %d and %d, want %d and %d", what,
			d.reg.HostTxRings, d.reg.HostRxRings, d.netif.HostTxRings, d.netif.HostRxRings, tx, rx)
	}
}

func reg07(e *env) {
	ifname, _ := e.veth()
	d := e.openPort(e.program(), ifname, mode(abi.ModeOneSW, 1), hostRingCounts(2, 2))
	d.hostRingsAre("ring 1 of 2", 2, 2)
	d.boundAre("ring 1 of 2", 2, 5)
	if d.tx[0].RingID != 2 || d.rx[0].RingID != 2 { // HW rings count first
		e.Errorf("the rings have the numbers %d and %d, want 2", d.tx[0].RingID, d.rx[0].RingID)
	}
}

func reg08(e *env) {
	ifname, _ := e.veth()
	d := e.openPort(e.program(), ifname, hostOnly, hostRingCounts(5, 4))
	d.hostRingsAre("five and four", 5, 4)
	d.boundAre("five and four", 1, 2, 3, 4, 5, 7, 8, 9, 10)
}

func reg09(e *env) {
	l := e.lan()
	d := e.openPort(e.program(), l.name, hostOnly, hostRingCounts(5, 4))
	d.close()
	e.isGone(l.name)
	d = e.openPort(e.program(), l.name, withHost)
	d.hostRingsAre("opened again", 1, 1)
	l.near.send(flood(1))
	d.rx[1].brings(flood(1))
}

func reg10(e *env) {
	l := e.lan()
	p := e.program()
	a := e.openPort(p, l.name, hostOnly, hostRingCounts(2, 3))
	b := e.openPort(p, l.name, withHost, hostRingCounts(7, 1))
	b.hostRingsAre("beside one with 2 and 3", 2, 3)
	a.close()
	c := e.openPort(p, l.name, withHost, hostRingCounts(1, 1))
	c.hostRingsAre("after that one", 2, 3)
	b.tx[2].send(flood(1))
	l.near.receives(flood(1))
}

func reg11(e *env) {
	p, name := e.program(), e.vale()+":a"
	e.openPort(p, name, rings(4, 2))
	e.refused(unix.EINVAL, p, name, mode(abi.ModeOneNIC, 4))
	e.refused(unix.EINVAL, p, name, mode(abi.ModeOneNIC, 0xffff))
	e.openPort(p, name, mode(abi.ModeOneNIC, 1)).boundAre("ring 1", 1, 6)
	// 4 TX rings, a host ring, then RX ring 0.
	e.openPort(p, name, mode(abi.ModeOneNIC, 3)).boundAre("ring 3 of 4 and 2", 3, 5)
}

func reg13(e *env) {
	p, q, sw := e.program(), e.program(), e.vale()
	e.openPort(p, sw+":a", exclusive)
	for _, who := range []program{p, q} {
		e.refused(unix.EBUSY, who, sw+":a")
		e.refused(unix.EBUSY, who, sw+":a", exclusive)
	}
	e.openPort(q, sw+":b", exclusive)
}

func reg14(e *env) {
	p, q, name := e.program(), e.program(), e.vale()+":a"
	d := e.openPort(p, name)
	e.refused(unix.EBUSY, q, name, exclusive)
	e.openPort(q, name) // that left no mark
	if errno := p.txsync(d.fd); errno != 0 {
		e.Errorf("txsync of the first one: %s", errnoName(errno))
	}
}

func reg15(e *env) {
	p, q, name := e.program(), e.program(), e.vale()+":a"
	e.openPort(p, name, exclusive, flags(abi.FlagTxRingsOnly))
	e.openPort(q, name, exclusive, flags(abi.FlagRxRingsOnly))
	e.refused(unix.EBUSY, q, name)
}

func reg16(e *env) {
	p, q, name := e.program(), e.program(), e.vale()+":a"
	e.openPort(p, name, rings(2, 2), exclusive, mode(abi.ModeOneNIC, 0))
	e.openPort(q, name, mode(abi.ModeOneNIC, 1))
	e.refused(unix.EBUSY, q, name)
	e.refused(unix.EBUSY, q, name, exclusive, mode(abi.ModeOneNIC, 1))
}

func reg17(e *env) {
	p, q, name := e.program(), e.program(), e.vale()+":a"
	e.openPort(p, name, flags(abi.FlagRxRingsOnly|abi.FlagTxRingsOnly)) // keeps the port, not its rings
	e.openPort(p, name, exclusive).close()
	e.waitFor("the port to be free", func() error {
		fd := q.open()
		if errno := q.control(fd, registration(name, exclusive)); errno != 0 {
			q.close(fd)
			return errno
		}
		return nil
	})
	e.refused(unix.EBUSY, p, name)
}

func reg18(e *env) {
	p, sw := e.program(), e.vale()
	a, b := e.openPort(p, sw+":a"), e.openPort(p, sw+":b")
	again := e.openPort(p, sw+":a", memID(b.reg.MemID))
	if a.reg.MemID == b.reg.MemID || again.reg.MemID != a.reg.MemID {
		e.Errorf("regions %d and %d; the open port answers with %d, want the first", a.reg.MemID, b.reg.MemID, again.reg.MemID)
	}
}

func reg19(e *env) {
	p, sw := e.program(), e.vale()
	a := e.openPort(p, sw+":a", slots(64, 64))
	b := e.openPort(p, sw+":b", slots(64, 64), memID(a.reg.MemID))
	c := e.openPort(p, sw+":c")
	if a.reg.MemID != b.reg.MemID || a.reg.MemSize != b.reg.MemSize {
		e.Fatalf("regions %d and %d", a.reg.MemID, b.reg.MemID)
	}
	// What a receives it sends on through b, by exchanging buffers.
	c.tx[0].send(frame(broadcast, mac(9), 1))
	if errno := p.rxsync(a.fd); errno != 0 {
		e.Fatal(errno)
	}
	in, out := a.rx[0].slot(0), b.tx[0].slot(0)
	in.BufIdx, out.BufIdx = out.BufIdx, in.BufIdx
	in.Flags, out.Flags, out.Len = abi.NSBufChanged, abi.NSBufChanged, in.Len
	a.rx[0].setSlot(0, in)
	b.tx[0].setSlot(0, out)
	a.rx[0].set(1, 1)
	b.tx[0].set(1, 1)
	if errno := p.rxsync(a.fd); errno != 0 {
		e.Error(errno)
	}
	b.tx[0].flush()
	c.rx[0].receives(frame(broadcast, mac(9), 1))
	a.rx[0].receives(frame(broadcast, mac(9), 1)) // it is on the switch too
	// And a can go on receiving with the buffer that it got.
	for i := range uint32(100) {
		c.tx[0].send(frame(broadcast, mac(9), i))
		a.rx[0].receives(frame(broadcast, mac(9), i))
	}
}

// attach makes a VALE_ATTACH.
func (e *env) attach(want unix.Errno, p program, name string, wishes ...wish) (index uint32) {
	e.Helper()
	body := abi.ValeAttach{Register: abi.Register{Mode: abi.ModeAllNIC}}
	for _, w := range wishes {
		w(&body.Register)
	}
	q := newRequest(abi.ReqValeAttach, name, body)
	fd := p.open()
	defer p.close(fd)
	e.expect(want, p, fd, q)
	return decode[abi.ValeAttach](e, q).PortIndex
}

// detach makes a VALE_DETACH.
func (e *env) detach(want unix.Errno, p program, name string) (index uint32) {
	e.Helper()
	q := newRequest(abi.ReqValeDetach, name, abi.ValeDetach{})
	fd := p.open()
	defer p.close(fd)
	e.expect(want, p, fd, q)
	return decode[abi.ValeDetach](e, q).PortIndex
}

func reg20(e *env) {
	p, sw := e.program(), e.vale()
	ifname, _ := e.veth()
	e.attach(0, p, sw+":"+ifname)
	e.refused(unix.EBUSY, p, ifname)
	e.detach(0, p, sw+":"+ifname)
	e.openPort(p, ifname)
}

func reg22(e *env) {
	p := e.program()
	d := e.openPort(p, e.vale()+":a", flags(0x1000))
	if d.reg.Flags != 0x1000 {
		e.Errorf("flags %#x in the reply, want 0x1000", d.reg.Flags)
	}
}

func reg23(e *env) {
	p := e.program()
	for wish, want := range map[uint32]uint32{16: 16, 5000: 4096, 0: 1024, 1 << 31: 4096} {
		d := e.openPort(p, e.vale()+":a", slots(wish, wish))
		if d.reg.TxSlots != want || d.reg.RxSlots != want || d.tx[0].NumSlots != want || d.rx[0].NumSlots != want {
			e.Errorf("%d slots asked for: the reply has %d and %d, the rings %d and %d; want %d", wish, d.reg.TxSlots, d.reg.RxSlots, d.tx[0].NumSlots, d.rx[0].NumSlots, want)
		}
		d.close()
	}
}

func reg24(e *env) {
	p := e.program()
	for wish, want := range map[uint16]uint16{17: 16, 0: 1, 3: 3, 0xffff: 16} {
		d := e.openPort(p, e.vale()+":a", rings(wish, wish), slots(16, 16))
		if d.reg.TxRings != want || d.reg.RxRings != want || len(d.tx) != int(want) || len(d.rx) != int(want) {
			e.Errorf("%d rings asked for: the reply has %d and %d, want %d", wish, d.reg.TxRings, d.reg.RxRings, want)
		}
		d.close()
	}
}

func (e *env) portInfo(p program, name string, body abi.PortInfo) abi.PortInfo {
	e.Helper()
	q := newRequest(abi.ReqPortInfoGet, name, body)
	fd := p.open()
	defer p.close(fd)
	e.expect(0, p, fd, q)
	return decode[abi.PortInfo](e, q)
}

func reg25(e *env) {
	p := e.program()
	ifname, _ := e.veth()
	for _, name := range []string{ifname, e.vale() + ":a"} {
		i := e.portInfo(p, name, abi.PortInfo{})
		d := e.openPort(p, name)
		r := d.reg
		got := [...]uint64{i.MemSize, uint64(i.TxSlots), uint64(i.RxSlots), uint64(i.TxRings), uint64(i.RxRings), uint64(i.HostTxRings), uint64(i.HostRxRings)}
		want := [...]uint64{r.MemSize, uint64(r.TxSlots), uint64(r.RxSlots), uint64(r.TxRings), uint64(r.RxRings), uint64(r.HostTxRings), uint64(r.HostRxRings)}
		if got != want || r.TxSlots == 0 || r.TxRings == 0 {
			e.Errorf("%s: info says %v, register %v", name, got, want)
		}
		if now := e.portInfo(p, name, abi.PortInfo{}); now.MemID != r.MemID {
			e.Errorf("%s: info says region %d, register %d", name, now.MemID, r.MemID)
		}
		d.close()
	}
	wish := abi.PortInfo{TxSlots: 5000, RxSlots: 64, TxRings: 3, RxRings: 20}
	if i := e.portInfo(p, e.vale()+":a", wish); i.TxSlots != 4096 || i.RxSlots != 64 || i.TxRings != 3 || i.RxRings != 16 {
		e.Errorf("wishes come back as %+v", i)
	}
}

func reg26(e *env) {
	if i := e.portInfo(e.program(), "", abi.PortInfo{TxSlots: 5}); i.MemID != 1 || i.MemSize == 0 || i.TxSlots != 5 {
		e.Errorf("info about nothing is %+v, want region 1 and the rest untouched", i)
	}
}

func reg27(e *env) {
	p := e.program()
	e.expect(unix.EINVAL, p, p.open(), newRequest(abi.ReqPortInfoGet, "", abi.PortInfo{MemID: 60000}))
}

func reg28(e *env) {
	p := e.program()
	e.expect(unix.ENXIO, p, p.open(), newRequest(abi.ReqPoolsInfoGet, "", abi.PoolsInfo{}))
}

func reg29(e *env) {
	p := e.program()
	ifname, _ := e.veth()
	for _, name := range []string{ifname, e.vale() + ":a"} {
		before := e.pools(p, name, 0)
		e.openPort(p, name)
		after := e.pools(p, name, 0)
		for _, i := range []abi.PoolsInfo{before, after} {
			if i.MemSize == 0 || i.MemID == 0 || i.IfCount == 0 || i.IfSize == 0 || i.RingCount == 0 || i.RingSize == 0 || i.BufCount == 0 || i.BufSize == 0 {
				e.Errorf("%s: pools %+v", name, i)
			}
		}
	}
}
