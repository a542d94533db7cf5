package conformance

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var legChecks = []check{
	tests("LEG-01", "REGIF version 13: EINVAL; 14, 15, 16: success", both, leg01),
	tests("LEG-02", "REGIF with flags 0 and ring id 0 binds all HW rings, with 0x4000|k ring k", both, leg02),
	tests("LEG-03", "REGIF with ring id 0x2000 binds the host rings", both, leg03),
	tests("LEG-04", "REGIF with a host mode in flags: success, flags and ring id unchanged", both, leg04),
	tests("LEG-05", "REGIF with arg3 = 20: 20 extra buffers in a list", both, leg05),
	tests("LEG-06", "REGIF with a pipe's name and all HW rings: success, with extra buffers, on VALE too", both, leg06),
	tests("LEG-07", "REGIF mode 5, ring 3 is the pipe {3", both, leg07),
	tests("LEG-08", "REGIF command 99: EINVAL; 8: ENOMEM", both, leg08),
	tests("LEG-09", "GINFO on an interface: counts, memsize, region 1", both, leg09),
	tests("LEG-10", "GINFO command 4 lists what VALE_LIST lists, ENOENT at the end", both, leg10),
	tests("LEG-11", "memsize and offset are the low 32 bits of the new interface's", both, leg11),
	tests("LEG-12", "ring id bit 0x1000: a poll for POLLIN does not transmit", both, leg12),
}

// old is a request of the old interface.
func (e *env) old(want unix.Errno, p program, fd int, ioctl uint64, nr abi.Legacy) abi.Legacy {
	e.Helper()
	arg := abi.Encode(nil, nr)
	if errno := p.legacy(fd, ioctl, arg); errno != want {
		e.Errorf("ioctl %#x, command %d for %q gives %s, want %s", ioctl, nr.Cmd, abi.CString(nr.Name[:]), errnoName(errno), errnoName(want))
	}
	e.must(abi.Decode(arg, &nr))
	return nr
}

func legacy(name string, change func(*abi.Legacy)) abi.Legacy {
	nr := abi.Legacy{Version: abi.APIVersion}
	copy(nr.Name[:], name)
	if change != nil {
		change(&nr)
	}
	return nr
}

// oldPort registers by the old interface and maps.
func (e *env) oldPort(p program, name string, change func(*abi.Legacy)) (*port, abi.Legacy) {
	e.Helper()
	fd := p.open()
	nr := e.old(0, p, fd, abi.NIOCREGIF, legacy(name, change))
	if e.Failed() {
		e.FailNow()
	}
	reg := abi.Register{
		Offset: uint64(nr.Offset), MemSize: uint64(nr.MemSize), TxSlots: nr.TxSlots, RxSlots: nr.RxSlots,
		TxRings: nr.TxRings, RxRings: nr.RxRings, MemID: nr.Arg2, ExtraBufs: nr.Arg3,
	}
	return e.mapPort(p, fd, name, reg), nr
}

func leg01(e *env) {
	p := e.program()
	fd := p.open()
	was := legacy(e.vale()+":a", func(nr *abi.Legacy) { nr.Version = 13 })
	if back := e.old(unix.EINVAL, p, fd, abi.NIOCREGIF, was); back != was {
		e.Errorf("the refused request comes back as %+v, want %+v", back, was)
	}
	e.old(unix.EINVAL, p, fd, abi.NIOCGINFO, was)
	for _, version := range []uint32{14, 15, 16, 1 << 20} {
		_, nr := e.oldPort(p, e.vale()+":a", func(nr *abi.Legacy) { nr.Version = version })
		if nr.Version != version {
			e.Errorf("version %d comes back as %d", version, nr.Version)
		}
	}
}

func leg02(e *env) {
	p, name := e.program(), e.vale()+":a"
	d, nr := e.oldPort(p, name, func(nr *abi.Legacy) { nr.TxRings, nr.RxRings = 3, 3 })
	d.boundAre("ring id 0", 0, 1, 2, 4, 5, 6)
	if nr.TxRings != 3 || nr.RxRings != 3 || nr.TxSlots != 1024 || nr.RxSlots != 1024 || nr.Arg2 < 2 {
		e.Errorf("the reply is %+v", nr)
	}
	for k := range 3 {
		d, nr := e.oldPort(p, name, func(nr *abi.Legacy) { nr.RingID = uint16(abi.LegacyHwRing | k) })
		d.boundAre(fmt.Sprintf("ring id 0x4000|%d", k), k, 4+k)
		if nr.RingID != uint16(abi.LegacyHwRing|k) || nr.Flags != 0 {
			e.Errorf("ring id %#x and flags %#x come back, want them unchanged", nr.RingID, nr.Flags)
		}
	}
	d, nr = e.oldPort(p, name, func(nr *abi.Legacy) { nr.RingID, nr.Flags = 2, abi.ModeOneNIC|abi.FlagTxRingsOnly })
	d.boundAre("mode 4, ring 2, TX only", 2)
	if nr.RingID != 2 || nr.Flags != abi.ModeOneNIC|abi.FlagTxRingsOnly {
		e.Errorf("ring id %#x and flags %#x come back, want them unchanged", nr.RingID, nr.Flags)
	}
}

func leg05(e *env) {
	d, nr := e.oldPort(e.program(), e.vale()+":a", func(nr *abi.Legacy) { nr.Arg3 = 20 })
	if n := len(d.extra(100)); nr.Arg3 != 20 || n != 20 {
		e.Errorf("%d extra buffers in the reply, %d in the list, want 20", nr.Arg3, n)
	}
}

func leg08(e *env) {
	p := e.program()
	fd := p.open()
	for cmd, want := range map[uint16]unix.Errno{
		99: unix.EINVAL, 13: unix.EINVAL, abi.CmdRegops: unix.EINVAL, abi.CmdList: unix.EINVAL,
		abi.CmdPtCreate: unix.ENOMEM, abi.CmdPtDelete: unix.ENOMEM,
	} {
		e.old(want, p, fd, abi.NIOCREGIF, legacy(e.vale()+":a", func(nr *abi.Legacy) { nr.Cmd = cmd }))
	}
	if errno := p.legacy(fd, abi.NIOCCONFIG, make([]byte, abi.LegacyConfigSize)); errno != unix.EINVAL {
		e.Errorf("NIOCCONFIG without a callback gives %s, want EINVAL", errnoName(errno))
	}
}

func leg09(e *env) {
	p := e.program()
	ifname, _ := e.veth()
	nr := e.old(0, p, p.open(), abi.NIOCGINFO, legacy(ifname, nil))
	if nr.Arg2 != 1 || nr.MemSize != 343019520 || nr.TxRings == 0 || nr.RxRings == 0 || nr.TxSlots == 0 || nr.RxSlots == 0 {
		e.Errorf("GINFO says %+v", nr)
	}
	d := e.openPort(p, ifname)
	if d.reg.TxRings != nr.TxRings || d.reg.RxRings != nr.RxRings || d.reg.TxSlots != nr.TxSlots || d.reg.RxSlots != nr.RxSlots {
		e.Errorf("GINFO says %+v, register %+v", nr, d.reg)
	}
	if nr := e.old(0, p, p.open(), abi.NIOCGINFO, legacy("", nil)); nr.Arg2 != 1 || nr.MemSize == 0 {
		e.Errorf("GINFO without a name says %+v, want region 1", nr)
	}
	e.old(unix.EINVAL, p, p.open(), abi.NIOCGINFO, legacy("", func(nr *abi.Legacy) { nr.Arg2 = 60000 }))
	e.old(unix.ENXIO, p, p.open(), abi.NIOCGINFO, legacy("nosuch", nil))
}

// A listed port.
type listed struct {
	name   string
	bridge uint16
	port   uint32
}

// listNew iterates with VALE_LIST, listOld with GINFO; both keep what is on one switch, since other tests have theirs.
func (e *env) listNew(p program, sw string) (all []listed) {
	e.Helper()
	fd := p.open()
	for at := (abi.ValeList{}); ; at.PortIdx++ {
		q := newRequest(abi.ReqValeList, "", at)
		errno := p.control(fd, q)
		if errno == unix.ENOENT {
			return all
		}
		if errno != 0 || len(all) > 10000 {
			e.Fatalf("VALE_LIST gives %s after %d ports", errnoName(errno), len(all))
		}
		at = decode[abi.ValeList](e, q)
		if name := abi.CString(q.name[:]); strings.HasPrefix(name, sw+":") {
			all = append(all, listed{name, at.BridgeIdx, at.PortIdx})
		}
	}
}

func (e *env) listOld(p program, sw string) (all []listed) {
	e.Helper()
	fd := p.open()
	nr := legacy("", func(nr *abi.Legacy) { nr.Cmd = abi.CmdList })
	for ; ; nr.Arg2++ {
		nr.Name = [16]byte{}
		arg := abi.Encode(nil, nr)
		errno := p.legacy(fd, abi.NIOCGINFO, arg)
		if errno == unix.ENOENT {
			return all
		}
		if errno != 0 || len(all) > 10000 {
			e.Fatalf("GINFO gives %s after %d ports", errnoName(errno), len(all))
		}
		e.must(abi.Decode(arg, &nr))
		if name := abi.CString(nr.Name[:]); strings.HasPrefix(name, sw+":") {
			all = append(all, listed{name, nr.Arg1, uint32(nr.Arg2)})
		}
	}
}

func leg10(e *env) {
	p, sw := e.program(), e.vale()
	for _, name := range []string{":a", ":b", ":c"} {
		e.openPort(p, sw+name, slots(16, 16))
	}
	a, b := e.listOld(p, sw), e.listNew(p, sw)
	if fmt.Sprint(a) != fmt.Sprint(b) || len(a) != 3 || a[0].name != sw+":a" || a[2].name != sw+":c" {
		e.Errorf("GINFO lists %v, VALE_LIST %v; want the three ports", a, b)
	}
}

func leg11(e *env) {
	p, name := e.program(), e.vale()+":a"
	a := e.openPort(p, name)
	b, nr := e.oldPort(p, name, nil)
	if nr.MemSize != uint32(a.reg.MemSize) || nr.Offset == uint32(a.reg.Offset) || nr.Arg2 != a.reg.MemID {
		e.Errorf("the old interface says %+v, the new one %+v", nr, a.reg)
	}
	if a.tx[0].off != b.tx[0].off {
		e.Errorf("the TX ring lies at %d for one and at %d for the other", a.tx[0].off, b.tx[0].off)
	}
}

func leg12(e *env) {
	p, q, sw := e.program(), e.program(), e.vale()
	d, _ := e.oldPort(p, sw+":a", func(nr *abi.Legacy) { nr.RingID = abi.LegacyNoTxPoll })
	e.noImplicitTx(d, e.openPort(q, sw+":b"))
}

func leg03(e *env) {
	ifname, _ := e.veth()
	p := e.program()
	d, nr := e.oldPort(p, ifname, func(nr *abi.Legacy) { nr.RingID = abi.LegacySwRing })
	d.boundAre("ring id 0x2000", 1, 3)
	if nr.RingID != abi.LegacySwRing || nr.Flags != 0 {
		e.Errorf("ring id %#x and flags %#x come back, want them unchanged", nr.RingID, nr.Flags)
	}
	d, _ = e.oldPort(p, ifname, func(nr *abi.Legacy) { nr.RingID = abi.LegacyHwRing })
	d.boundAre("ring id 0x4000", 0, 2)
}

func leg04(e *env) {
	ifname, _ := e.veth()
	p := e.program()
	for flags, want := range map[uint32][]int{
		abi.ModeSW: {1, 3}, abi.ModeNICSW: {0, 1, 2, 3}, abi.ModeOneSW: {1, 3},
	} {
		d, nr := e.oldPort(p, ifname, func(nr *abi.Legacy) { nr.Flags = flags })
		d.boundAre(fmt.Sprintf("mode %d", flags), want...)
		if nr.RingID != 0 || nr.Flags != flags {
			e.Errorf("ring id %#x and flags %#x come back, want them unchanged", nr.RingID, nr.Flags)
		}
	}
}
