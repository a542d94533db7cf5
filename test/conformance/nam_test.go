package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
)

var namChecks = []check{
	named("NAM-01", "netmap:eth0", name.Spec{Name: "eth0"}),
	named("NAM-02", "netmap:eth0-1", name.Spec{Name: "eth0", Mode: abi.ModeOneNIC, RingID: 1}),
	named("NAM-03", "netmap:eth0^", name.Spec{Name: "eth0", Mode: abi.ModeSW}),
	named("NAM-04", "netmap:eth0^3/T", name.Spec{Name: "eth0", Mode: abi.ModeOneSW, RingID: 3, Flags: abi.FlagTxRingsOnly}),
	named("NAM-05", "netmap:eth0*", name.Spec{Name: "eth0", Mode: abi.ModeNICSW}),
	named("NAM-06", "netmap:eth0/x", name.Spec{Name: "eth0", Flags: abi.FlagExclusive}),
	named("NAM-07", "netmap:eth0-2/Tx", name.Spec{Name: "eth0", Mode: abi.ModeOneNIC, RingID: 2, Flags: abi.FlagTxRingsOnly | abi.FlagExclusive}),
	named("NAM-08", "netmap:eth0/rt", name.Spec{Name: "eth0", Flags: abi.FlagMonitorRx | abi.FlagMonitorTx}),
	named("NAM-09", "netmap:eth0/z", name.Spec{Name: "eth0", Flags: abi.FlagZcopyMon}),
	named("NAM-10", "netmap:eth0@2/R", name.Spec{Name: "eth0", Flags: abi.FlagRxRingsOnly, MemID: 2}),
	named("NAM-11", "netmap:p{in-7", name.Spec{Name: "p{in", Mode: abi.ModeOneNIC, RingID: 7}),
	named("NAM-12", "vale0:0{0", name.Spec{Name: "vale0:0{0"}),
	named("NAM-13", "vale:0", name.Spec{Name: "vale:0"}),
	named("NAM-14", "valeXXX:YYY-4", name.Spec{Name: "valeXXX:YYY", Mode: abi.ModeOneNIC, RingID: 4}),
	named("NAM-15", "netmap:x{1/xT@5", name.Spec{Name: "x{1", Flags: abi.FlagExclusive | abi.FlagTxRingsOnly, MemID: 5}),
	named("NAM-16", "netmap:eth0@conf:rings=2,tx-slots=64", name.Spec{Name: "eth0", Conf: name.Conf{TxRings: 2, RxRings: 2, TxSlots: 64}}),
	named("NAM-17", "netmap:eth0@share=netmap:vi0", name.Spec{Name: "eth0", Share: "vi0"}),
	tests("NAM-18", "every refused name: EINVAL, and nothing is returned", goHalf|linkedHalf, nam18),
	tests("NAM-19", "a name with an option behind it: the rest begins at the option", goHalf, nam19),
	tests("NAM-20", "63 characters: success; 64: EINVAL", goHalf|linkedHalf, nam20),
	tests("NAM-21", "unknown option: EINVAL; disabled: EOPNOTSUPP; enabling an unknown one: EOPNOTSUPP", goHalf|linkedHalf, nam21),
	tests("NAM-22", "conf with a key twice, without value, or empty: EINVAL", goHalf|linkedHalf, nam22),
	tests("NAM-23", "conf:rings=4,tx-rings=2 is 2 TX and 4 RX rings", goHalf|linkedHalf, nam23),
	tests("NAM-24", "share=PORT: the same region after opening", goHalf|linkedHalf, nam24),
	tests("NAM-25", "the old library opens foo: null, errno 0", goHalf|linkedHalf, nam25),
	tests("NAM-26", "the old library opens a name of the new grammar: null, EINVAL", goHalf|linkedHalf, nam26),
	tests("NAM-27", "a switch port of 15 characters: success; of 16: ENOMEM to create, ENXIO to look up", both, nam27),
	tests("NAM-28", "a core name with a brace first or last: EINVAL", both, nam28),
	tests("NAM-29", "the new library's first and last RX ring of a TX-only open: an empty range", linkedHalf, nam29),
}

// named checks what a name decodes to. The mode is all HW rings unless the wanted one says otherwise.
func named(id, spec string, want name.Spec) check {
	if want.Mode == abi.ModeDefault {
		want.Mode = abi.ModeAllNIC
	}
	halves := goHalf | linkedHalf
	if want.Share != "" { // the library asks for that port's memory at once; NAM-24
		halves = goHalf
	}
	return tests(id, "`"+spec+"` decodes as NC C.6 says", halves, func(e *env) {
		got, errno := e.parse(spec)
		if errno != 0 || !reflect.DeepEqual(got, want) {
			e.Errorf("%q\n got %+v, %s\nwant %+v", spec, got, errnoName(errno), want)
		}
	})
}

// misnamed wants a name to be refused, and nothing to be changed by that.
func (e *env) misnamed(spec string, want unix.Errno) {
	e.Helper()
	if got, errno := e.parse(spec); errno != want || !reflect.DeepEqual(got, name.Spec{}) {
		e.Errorf("%q gives %+v and %s, want nothing and %s", spec, got, errnoName(errno), errnoName(want))
	}
	if !e.linked {
		return
	}
	// What is wrong may be in the options, which these functions do not read.
	if errno, words := e.theDriver().do("refuse -%x", spec); errno != 0 && words[0] != "1" {
		e.Errorf("%q: the decoding functions change something, and give %s", spec, errnoName(errno))
	}
}

// theDriver is a driver to ask about names.
func (e *env) theDriver() *driver {
	if len(e.programs) == 0 {
		e.program()
	}
	return e.programs[0].(*driver)
}

// parse is what the library, Go's or C's, makes of a name.
func (e *env) parse(spec string) (name.Spec, unix.Errno) {
	e.Helper()
	if !e.linked {
		got, err := name.Parse(spec)
		var bad *name.Error
		if errors.As(err, &bad) {
			return got, bad.Errno(true)
		}
		e.must(err)
		return got, 0
	}
	d := e.theDriver()
	errno, words := d.do("decode -%x", spec)
	if errno != 0 {
		return name.Spec{}, errno
	}
	n := make([]uint64, len(words))
	for i := range words[1:] {
		n[i] = uint64(d.atoi(words[i+1]))
	}
	return name.Spec{
		Name: string(d.unhex(words[0])), Mode: uint32(n[0]), RingID: uint16(n[1]), Flags: n[2], MemID: uint16(n[3]),
		Conf: name.Conf{
			TxRings: uint16(n[4]), RxRings: uint16(n[5]), HostTxRings: uint16(n[6]), HostRxRings: uint16(n[7]),
			TxSlots: uint32(n[8]), RxSlots: uint32(n[9]),
		},
	}, 0
}

func nam18(e *env) {
	for _, spec := range []string{
		"eth0", "", "netmap:", "netmap:^", "netmap:{", "netmap:x{", "netmap:p{1}2", "netmapX:eth0", "vale0", "vale-0:1",
		"netmap:eth0-", "netmap:eth0-4095", "netmap:eth0@", "netmap:eth0@0", "netmap:eth0@2/R@3", "netmap:eth0/", "netmap:eth0/q",
		"netmap:eth0^x", "netmap:eth0@@conf:rings=1", "netmap:" + strings.Repeat("x", 64),
	} {
		e.misnamed(spec, unix.EINVAL)
	}
}

func nam19(e *env) {
	s, rest, err := name.ParsePort("netmap:eth0-1/x@3@conf:rings=2")
	want := name.Spec{Name: "eth0", Mode: abi.ModeOneNIC, RingID: 1, Flags: abi.FlagExclusive, MemID: 3}
	if err != nil || rest != "@conf:rings=2" || !reflect.DeepEqual(s, want) {
		e.Errorf("got %+v, rest %q, %v", s, rest, err)
	}
}

func nam20(e *env) {
	if s, errno := e.parse("netmap:" + strings.Repeat("x", 63)); errno != 0 || len(s.Name) != 63 {
		e.Errorf("63 characters: %+v, %s", s, errnoName(errno))
	}
	e.misnamed("netmap:"+strings.Repeat("x", 64), unix.EINVAL)
	e.misnamed("vale0:"+strings.Repeat("x", 58), unix.EINVAL)
}

func nam21(e *env) {
	e.misnamed("netmap:eth0@nonsense:a=1", unix.EINVAL)
	e.misnamed("netmap:eth0@offset=64", unix.EOPNOTSUPP)
	if e.linked {
		e.nam21Linked()
		return
	}
	var p name.Parser
	var bad *name.Error
	if err := p.Enable("nonsense"); !errors.As(err, &bad) || bad.Errno(true) != unix.EOPNOTSUPP {
		e.Errorf("enabling an unknown option gives %v, want EOPNOTSUPP", err)
	}
	e.must(p.Enable("offset"))
	if s, err := p.Parse("netmap:eth0@offset=64"); err != nil || s.Offset == nil || s.Offset.Initial != 64 {
		e.Errorf("an enabled option: %+v, %v", s, err)
	}
	e.must(p.Disable("conf"))
	if _, err := p.Parse("netmap:eth0@conf:rings=1"); !errors.As(err, &bad) || bad.Errno(true) != unix.EOPNOTSUPP {
		e.Errorf("a disabled option gives %v, want EOPNOTSUPP", err)
	}
}

func (e *env) nam21Linked() {
	d := e.theDriver()
	for _, step := range []struct {
		command string
		want    unix.Errno
	}{
		{"option 1 nonsense", unix.EOPNOTSUPP},
		{"option 1 offset", 0},
		{fmt.Sprintf("decode -%x", "netmap:eth0@offset=64"), 0},
		{"option 0 conf", 0},
		{fmt.Sprintf("decode -%x", "netmap:eth0@conf:rings=1"), unix.EOPNOTSUPP},
	} {
		if errno, _ := d.do("%s", step.command); errno != step.want {
			e.Errorf("%s: %s, want %s", step.command, errnoName(errno), errnoName(step.want))
		}
	}
}

func nam22(e *env) {
	for _, opt := range []string{"conf:rings=1,rings=2", "conf:rings", "conf"} {
		e.misnamed("netmap:eth0@"+opt, unix.EINVAL)
	}
}

func nam23(e *env) {
	s, errno := e.parse("netmap:eth0@conf:rings=4,tx-rings=2")
	if errno != 0 || s.Conf != (name.Conf{TxRings: 2, RxRings: 4}) {
		e.Errorf("got %+v, %s", s.Conf, errnoName(errno))
	}
}

// misnamedInOld wants the old grammar to refuse a name.
func (e *env) misnamedInOld(spec string, want unix.Errno) {
	e.Helper()
	if e.linked {
		if errno, words := e.theDriver().do("old -%x", spec); errno != want || words[0] != "1" {
			e.Errorf("nm_open(%q) gives %s, want errno %d", spec, errnoName(errno), want)
		}
		return
	}
	got, err := name.ParseLegacy(spec)
	var bad *name.Error
	if !errors.As(err, &bad) || bad.Errno(true) != want || !reflect.DeepEqual(got, name.Spec{}) {
		e.Errorf("ParseLegacy(%q) gives %+v and %v, want nothing and errno %d", spec, got, err, want)
	}
}

func nam25(e *env) { e.misnamedInOld("foo", 0) }

func nam26(e *env) {
	e.misnamedInOld("netmap:eth0^3", unix.EINVAL)
	e.misnamedInOld("netmap:p{x", unix.EINVAL)
}

// client opens a port with package netmap alone.
func (e *env) client(spec string, opts ...netmap.Option) *netmap.Desc {
	e.Helper()
	d, err := netmap.Open(e.limited(), spec, append(opts, netmap.WithRuntimeDir(e.daemon.dir))...)
	e.must(err)
	e.Cleanup(func() { _ = d.Close() })
	return d
}

func nam24(e *env) {
	sw := e.vale()
	if e.linked {
		region := func(spec string) string {
			errno, words := e.theDriver().do("lib -%x", spec)
			if errno != 0 {
				e.Fatalf("%s: %s", spec, errnoName(errno))
			}
			return words[0]
		}
		if a, b, c := region(sw+":a"), region(sw+":b@share="+sw+":a"), region(sw+":c"); a != b || a == c {
			e.Errorf("region records %s, %s and %s; want the first two to be one", a, b, c)
		}
		return
	}
	a := e.client(sw + ":a")
	b := e.client(sw + ":b@share=" + sw + ":a")
	c := e.client(sw + ":c")
	if a.Region() != b.Region() || a.Region() == c.Region() {
		e.Errorf("regions %d, %d and %d; want the first two to be one", a.Region().ID(), b.Region().ID(), c.Region().ID())
	}
}

func nam27(e *env) {
	p, sw := e.program(), e.vale()
	fits, tooLong := sw+":"+strings.Repeat("x", 15), sw+":"+strings.Repeat("x", 16)
	e.openPort(p, fits)
	e.refused(unix.ENOMEM, p, tooLong)
	fd := p.open()
	e.expect(0, p, fd, newRequest(abi.ReqPortHdrGet, fits, abi.PortHdr{}))
	e.expect(unix.ENXIO, p, fd, newRequest(abi.ReqPortHdrGet, tooLong, abi.PortHdr{}))
	e.refused(unix.ENOMEM, p, "vale"+strings.Repeat("x", 12)+":a") // the colon is the 17th
	e.expect(unix.ENXIO, p, fd, newRequest(abi.ReqPortHdrGet, "vale.0:a", abi.PortHdr{}))
	e.refused(unix.ENOMEM, p, "vale.0:a")
	e.refused(unix.ENXIO, p, "valid0") // an interface, not a switch: NC C.5 recommends so
}

func nam28(e *env) {
	p := e.program()
	for _, n := range []string{"x{", "{x", "x}", "}x", "{", "vale0:a{", "x{1{"} {
		e.refused(unix.EINVAL, p, n)
	}
}

func nam29(e *env) {
	errno, words := e.theDriver().do("lib -%x", e.vale()+":a@conf:rings=3/T")
	if errno != unix.EINVAL { // flags come before options
		e.Errorf("flags behind options: %s %v", errnoName(errno), words)
	}
	errno, words = e.theDriver().do("lib -%x", e.vale()+":a/T@conf:rings=3")
	if errno != 0 {
		e.Fatal(errnoName(errno))
	}
	// R HW rings and H host rings, as netmap_if has them: R+H is the first, R+H-1 the last.
	if got, want := strings.Join(words[2:], " "), "0 2 4 3 3 1"; got != want {
		e.Errorf("first and last TX, first and last RX ring, HW and host RX rings: %s, want %s", got, want)
	}
}
