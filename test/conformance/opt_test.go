package conformance

import (
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var optChecks = []check{
	tests("OPT-01", "REGISTER with an unknown option: EOPNOTSUPP, also as status, and not registered", both, opt01),
	tests("OPT-02", "a circle of an unknown option: EMSGSIZE", cHalf, opt02),
	tests("OPT-03", "a circle of a known option: EINVAL", cHalf, opt03),
	tests("OPT-04", "99 unknown options, then a known one of size 1000: EMSGSIZE", cHalf, opt04),
	tests("OPT-05", "an option twice: EINVAL, also as both statuses, next pointers unchanged", cHalf, opt05),
	tests("OPT-06", "option type 0: EINVAL, also as status", cHalf, opt06),
	tests("OPT-07", "an unknown option on PORT_INFO_GET: success, status EOPNOTSUPP", both, opt07),
	tests("OPT-08", "EXTMEM with pools that fit: the rings lie in the caller's memory", both, opt08),
	tests("OPT-09", "EXTMEM with rings that do not fit: ENOMEM", both, opt09),
	tests("OPT-10", "EXTMEM with the same memory for two ports: one memory id", both, opt10),
	tests("OPT-11", "EXTMEM with pools of 0: the private defaults are used and returned", both, opt11),
	tests("OPT-12", "OFFSETS of 16 bits, initially 64: in every slot, and the mask is 0xffff", both, opt12),
	tests("OPT-13", "OFFSETS that are too large: EINVAL", both, opt13),
	tests("OPT-14", "OFFSETS on a zero-copy monitor: EOPNOTSUPP", both, opt14),
	tests("OPT-15", "OFFSETS wider than those of another user: EBUSY", both, opt15),
	tests("OPT-16", "a known option that REGISTER does not know: EOPNOTSUPP", both, opt16),
}

// statuses wants these statuses in the options.
func (e *env) statuses(q *request, want ...unix.Errno) {
	e.Helper()
	for i, w := range want {
		if o := q.options[i]; o.status != uint32(w) || o.moved {
			e.Errorf("option %d of type %d has status %d (moved: %t), want %s", i, o.typ, o.status, o.moved, errnoName(w))
		}
	}
}

func opt01(e *env) {
	p, sw := e.program(), e.vale()
	fd := p.open()
	for _, opts := range [][]option{{{typ: 1234}}, {{typ: 6}, {typ: 7}}} {
		q := registration(sw + ":a").with(opts...)
		e.expect(unix.EOPNOTSUPP, p, fd, q)
		for i := range opts {
			e.statuses(&request{options: q.options[i:]}, unix.EOPNOTSUPP)
		}
	}
	if re := p.poll(fd, unix.POLLIN, 0); re != unix.POLLERR {
		e.Errorf("poll reports %#x, want POLLERR of a descriptor that is not registered", re)
	}
	// Nobody holds the port, and the descriptor can be used.
	e.expect(0, p, fd, registration(sw+":a", exclusive))
}

func opt02(e *env) {
	p := e.program()
	fd := p.open()
	e.expect(unix.EMSGSIZE, p, fd, registration(e.vale()+":a").with(option{typ: 1234, next: 1}))
	e.expect(unix.EMSGSIZE, p, fd, registration(e.vale()+":a").with(option{typ: 1234}, option{typ: 55}, option{typ: 99, next: 2}))
	// 127 fit beside the body of REGISTER.
	many := make([]option, 128)
	for i := range many {
		many[i].typ = 1234
	}
	e.expect(unix.EMSGSIZE, p, fd, registration(e.vale()+":a").with(many...))
	q := registration(e.vale() + ":a").with(many[:127]...)
	e.expect(unix.EOPNOTSUPP, p, fd, q)
	e.statuses(&request{options: q.options[126:]}, unix.EOPNOTSUPP)
}

func opt03(e *env) {
	p := e.program()
	fd := p.open()
	for typ, size := range map[uint32]int{abi.OptExtmem: 72, abi.OptCsb: 16, abi.OptSyncKloopMode: 8, abi.OptOffsets: 32} {
		q := registration(e.vale() + ":a").with(option{typ: typ, body: make([]byte, size), next: 1})
		e.expect(unix.EINVAL, p, fd, q)
		e.statuses(q, unix.EINVAL)
	}
	e.expect(unix.EFAULT, p, fd, registration(e.vale()+":a").with(option{typ: 1234, next: -2}))
}

func opt04(e *env) {
	p := e.program()
	opts := make([]option, 100)
	for i := range opts {
		opts[i].typ = 1234
	}
	opts[99] = option{typ: abi.OptSyncKloopEventfds, size: 1000, body: make([]byte, 976)}
	e.expect(unix.EMSGSIZE, p, p.open(), registration(e.vale()+":a").with(opts...))
}

func opt05(e *env) {
	p := e.program()
	q := registration(e.vale()+":a").with(
		option{typ: abi.OptExtmem, body: make([]byte, 72)}, option{typ: 77}, option{typ: abi.OptExtmem, body: make([]byte, 72)})
	e.expect(unix.EINVAL, p, p.open(), q)
	e.statuses(q, unix.EINVAL, 0, unix.EINVAL)
}

func opt06(e *env) {
	p := e.program()
	q := registration(e.vale() + ":a").with(option{typ: 0})
	e.expect(unix.EINVAL, p, p.open(), q)
	e.statuses(q, unix.EINVAL)
}

func opt07(e *env) {
	p := e.program()
	q := newRequest(abi.ReqPortInfoGet, e.vale()+":a", abi.PortInfo{}).with(option{typ: 1234}, option{typ: 1235})
	e.expect(0, p, p.open(), q)
	e.statuses(q, unix.EOPNOTSUPP, unix.EOPNOTSUPP)
	if i := decode[abi.PortInfo](e, q); i.TxSlots != 1024 {
		e.Errorf("the answer beside the options is %+v", i)
	}
	// A request that fails for another reason says so, and has its statuses too.
	q = newRequest(abi.ReqPortInfoGet, "nosuch", abi.PortInfo{}).with(option{typ: 1234})
	e.expect(unix.ENXIO, p, p.open(), q)
	e.statuses(q, unix.EOPNOTSUPP)
}

func opt16(e *env) {
	p := e.program()
	fd := p.open()
	q := registration(e.vale() + ":a").with(option{typ: abi.OptSyncKloopMode, body: make([]byte, 8)})
	e.expect(unix.EOPNOTSUPP, p, fd, q)
	e.statuses(q, unix.EOPNOTSUPP)
	e.expect(0, p, fd, registration(e.vale()+":a"))
}
