package conformance

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var ctlChecks = []check{
	tests("CTL-01", "header version 13 or 16: EINVAL", both, ctl01),
	tests("CTL-02", "version 14 and 15: success", both, ctl02),
	tests("CTL-03", "nr_reserved not 0: EINVAL", cHalf, ctl03),
	tests("CTL-04", "a request with a body, without one: EINVAL", cHalf, ctl04),
	tests("CTL-05", "a request without a body, with one: EINVAL", cHalf, ctl05),
	tests("CTL-06", "request type 0 or 16, without a body: EINVAL", both, ctl06),
	tests("CTL-07", "the body pointer leads nowhere: EFAULT", cHalf, ctl07),
	tests("CTL-08", "NIOCCTRL with a null argument: EINVAL", cHalf, ctl08),
	tests("CTL-09", "an unknown ioctl: EOPNOTSUPP", cHalf, ctl09),
	tests("CTL-10", "a failing request leaves the body as it was", both, ctl10),
	tests("CTL-11", "a request that succeeds leaves the pointers, version and reserved field as they were", cHalf, ctl11),
	tests("CTL-12", "sync ioctls on an unregistered descriptor: ENXIO", both, ctl12),
	tests("CTL-13", "a name of 64 bytes without terminator has 63 characters", both, ctl13),
	tests("CTL-14", "the numbers of the ioctls, which are compared modulo 2^32", cHalf, ctl14),
}

// allTypes are requests of every type, well-formed, for a port that does not exist.
func allTypes() (all []*request) {
	for typ := uint16(1); typ <= abi.ReqCsbEnable; typ++ {
		q := newRequest(typ, "nosuch", nil)
		if n := abi.BodySize(typ); n > 0 {
			q.body = make([]byte, n)
		}
		all = append(all, q)
	}
	return all
}

func ctl01(e *env) {
	p := e.program()
	fd := p.open()
	for _, version := range []uint16{0, 13, 16, 0xffff} {
		for _, q := range append(allTypes(), registration(e.vale()+":a")) {
			q.version = version
			e.expect(unix.EINVAL, p, fd, q)
		}
	}
	e.expect(0, p, fd, registration(e.vale()+":a"))
}

func ctl02(e *env) {
	p := e.program()
	for _, version := range []uint16{14, 15} {
		q := registration(e.vale() + ":a")
		q.version = version
		e.expect(0, p, p.open(), q)
		if q.version != version {
			e.Errorf("version %d comes back as %d", version, q.version)
		}
	}
}

func ctl03(e *env) {
	p := e.program()
	fd := p.open()
	for _, q := range append(allTypes(), registration(e.vale()+":a")) {
		q.reserved = 1
		e.expect(unix.EINVAL, p, fd, q)
	}
}

func ctl04(e *env) {
	p := e.program()
	fd := p.open()
	for _, q := range allTypes() {
		if q.body != nil {
			q.body = nil
			e.expect(unix.EINVAL, p, fd, q)
		}
	}
}

func ctl05(e *env) {
	p := e.program()
	fd := p.open()
	for _, typ := range []uint16{abi.ReqValeDelif, abi.ReqSyncKloopStop, abi.ReqCsbEnable, 0, 16, 99} {
		q := newRequest(typ, "nosuch", nil)
		q.body = make([]byte, 8)
		e.expect(unix.EINVAL, p, fd, q)
	}
}

func ctl06(e *env) {
	p := e.program()
	fd := p.open()
	for _, typ := range []uint16{0, 16, 17, 0xffff} {
		e.expect(unix.EINVAL, p, fd, newRequest(typ, "nosuch", nil))
	}
}

func ctl07(e *env) {
	p := e.program()
	fd := p.open()
	for _, q := range allTypes() {
		if q.body != nil {
			q.body, q.wild = nil, true
			e.expect(unix.EFAULT, p, fd, q)
		}
	}
	for _, num := range []uint32{abi.NIOCCTRL, abi.NIOCREGIF, abi.NIOCGINFO, abi.NIOCCONFIG} {
		if errno, _ := p.(*driver).do("ioctl %d %d !", fd, num); errno != unix.EFAULT {
			e.Errorf("ioctl %#x with an argument that leads nowhere gives %s, want EFAULT", num, errnoName(errno))
		}
	}
}

func ctl08(e *env) {
	p := e.program()
	fd := p.open()
	for _, num := range []uint64{abi.NIOCCTRL, abi.NIOCREGIF, abi.NIOCGINFO, abi.NIOCCONFIG} {
		if errno := p.legacy(fd, num, nil); errno != unix.EINVAL {
			e.Errorf("ioctl %#x with a null argument gives %s, want EINVAL", num, errnoName(errno))
		}
	}
}

func ctl09(e *env) {
	p := e.program()
	bound := e.openPort(p, e.vale()+":a")
	for _, fd := range []int{p.open(), bound.fd} {
		for _, num := range []uint64{0x00006993, 0x00006998, 0xC0586998, 0x1234} {
			if errno := p.legacy(fd, num, make([]byte, 256)); errno != unix.EOPNOTSUPP {
				e.Errorf("ioctl %#x gives %s, want EOPNOTSUPP", num, errnoName(errno))
			}
		}
	}
}

func ctl10(e *env) {
	p := e.program()
	fd := p.open()
	for _, q := range append(allTypes(), registration("nosuch", slots(7, 8))) {
		if q.body == nil {
			continue
		}
		q.name = [abi.NameSize]byte{'{', 'x'} // a name that no request accepts
		for i := range q.body {
			q.body[i] |= 0x80
		}
		was := bytes.Clone(q.body)
		if errno := p.control(fd, q); errno == 0 {
			e.Errorf("request type %d succeeds, want it to fail", q.typ)
		}
		if !bytes.Equal(q.body, was) {
			e.Errorf("failed request type %d changed its body to % x", q.typ, q.body)
		}
	}
}

func ctl11(e *env) {
	// The driver compares header and pointers at every request.
	p := e.program()
	fd := p.open()
	e.expect(0, p, fd, newRequest(abi.ReqPortInfoGet, "", abi.PortInfo{}).with(option{typ: 77}, option{typ: 78}))
	e.expect(0, p, fd, registration(e.vale()+":a"))
}

func ctl12(e *env) {
	p := e.program()
	fd := p.open()
	for what, errno := range map[string]unix.Errno{"TXSYNC": p.txsync(fd), "RXSYNC": p.rxsync(fd)} {
		if errno != unix.ENXIO {
			e.Errorf("%s on an unregistered descriptor gives %s, want ENXIO", what, errnoName(errno))
		}
	}
}

func ctl13(e *env) {
	// The longest name that can be had is one of a switch, which is shorter; so the answer tells where it was cut.
	p := e.program()
	q := newRequest(abi.ReqValeList, "", abi.ValeList{})
	sw := e.vale()
	e.openPort(p, sw+":a")
	copy(q.name[:], fmt.Sprintf("%s:%064d", sw, 0))
	e.expect(0, p, p.open(), q)
	if l := decode[abi.ValeList](e, q); l.PortIdx != 255 || q.name[63] != 0 {
		e.Errorf("port index %d, last byte %q; want 255 and a terminator", l.PortIdx, q.name[63])
	}
}

func ctl14(e *env) {
	l := layout(e)
	for name, want := range map[string]uint32{
		"NIOCGINFO": 0xC03C6991, "NIOCREGIF": 0xC03C6992, "NIOCTXSYNC": 0x6994, "NIOCRXSYNC": 0x6995,
		"NIOCCONFIG": 0xC1106996, "NIOCCTRL": 0xC0586997,
	} {
		if l[name] != fmt.Sprint(want) {
			e.Errorf("%s is %s, want %d", name, l[name], want)
		}
	}
	// Programs that keep the number in an int pass it with its sign extended.
	p := e.program()
	e.old(0, p, p.open(), abi.NIOCGINFO|0xffffffff<<32, legacy(e.vale()+":a", nil))
}
