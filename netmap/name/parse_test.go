package name

import (
	"errors"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// The table of NC C.6, row by row: NAM-01 to NAM-17.
func TestParseExamples(t *testing.T) {
	tests := []struct {
		id, spec string
		want     Spec
	}{
		{"NAM-01", "netmap:eth0", Spec{Name: "eth0", Mode: abi.ModeAllNIC}},
		{"NAM-02", "netmap:eth0-1", Spec{Name: "eth0", Mode: abi.ModeOneNIC, RingID: 1}},
		{"NAM-03", "netmap:eth0^", Spec{Name: "eth0", Mode: abi.ModeSW}},
		{"NAM-04", "netmap:eth0^3/T", Spec{Name: "eth0", Mode: abi.ModeOneSW, RingID: 3, Flags: abi.FlagTxRingsOnly}},
		{"NAM-05", "netmap:eth0*", Spec{Name: "eth0", Mode: abi.ModeNICSW}},
		{"NAM-06", "netmap:eth0/x", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Flags: abi.FlagExclusive}},
		{"NAM-07", "netmap:eth0-2/Tx", Spec{Name: "eth0", Mode: abi.ModeOneNIC, RingID: 2, Flags: abi.FlagTxRingsOnly | abi.FlagExclusive}},
		{"NAM-08", "netmap:eth0/rt", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Flags: abi.FlagMonitorRx | abi.FlagMonitorTx}},
		{"NAM-09", "netmap:eth0/z", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Flags: abi.FlagZcopyMon}},
		{"NAM-10", "netmap:eth0@2/R", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Flags: abi.FlagRxRingsOnly, MemID: 2}},
		{"NAM-11", "netmap:p{in-7", Spec{Name: "p{in", Mode: abi.ModeOneNIC, RingID: 7}},
		{"NAM-12", "vale0:0{0", Spec{Name: "vale0:0{0", Mode: abi.ModeAllNIC}},
		{"NAM-13", "vale:0", Spec{Name: "vale:0", Mode: abi.ModeAllNIC}},
		{"NAM-14", "valeXXX:YYY-4", Spec{Name: "valeXXX:YYY", Mode: abi.ModeOneNIC, RingID: 4}},
		{"NAM-15", "netmap:x{1/xT@5", Spec{Name: "x{1", Mode: abi.ModeAllNIC, Flags: abi.FlagExclusive | abi.FlagTxRingsOnly, MemID: 5}},
		{"NAM-16", "netmap:eth0@conf:rings=2,tx-slots=64", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Conf: Conf{TxRings: 2, RxRings: 2, TxSlots: 64}}},
		{"NAM-17", "netmap:eth0@share=netmap:vi0", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Share: "vi0"}},

		// The facts of NC C.2 that the grammar does not show.
		{"C.2 dot", "netmap:eth0.100", Spec{Name: "eth0.100", Mode: abi.ModeAllNIC}},
		{"C.2 plus is no selector", "netmap:eth0+", Spec{Name: "eth0+", Mode: abi.ModeAllNIC}},
		{"C.2 ampersand", "netmap:eth0&", Spec{Name: "eth0&", Mode: abi.ModeAllNIC}},
		{"C.2 switch port behind netmap:", "netmap:vale0:0", Spec{Name: "vale0:0", Mode: abi.ModeAllNIC}},
		{"C.2 slave", "netmap:p}in_1", Spec{Name: "p}in_1", Mode: abi.ModeAllNIC}},
		{"C.2 empty base before a brace", "netmap:{1", Spec{Name: "{1", Mode: abi.ModeAllNIC}},
		{"C.2 same memory id twice", "netmap:eth0@2/R@2", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Flags: abi.FlagRxRingsOnly, MemID: 2}},
		{"C.2 two flag groups", "netmap:eth0/R@2/x", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Flags: abi.FlagRxRingsOnly | abi.FlagExclusive, MemID: 2}},
		{"C.2 highest ring", "netmap:eth0-4094", Spec{Name: "eth0", Mode: abi.ModeOneNIC, RingID: 4094}},
		{"C.2 host rings in a region", "netmap:eth0^@9", Spec{Name: "eth0", Mode: abi.ModeSW, MemID: 9}},
		{"C.2 empty flag group before a memory id", "netmap:eth0/@9", Spec{Name: "eth0", Mode: abi.ModeAllNIC, MemID: 9}},

		// The options of NC C.3.
		{"NAM-23", "netmap:eth0@conf:rings=4,tx-rings=2", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Conf: Conf{TxRings: 2, RxRings: 4}}},
		{"NAM-23 whatever the order", "netmap:eth0@conf:tx_rings=2,rings=4", Spec{Name: "eth0", Mode: abi.ModeAllNIC, Conf: Conf{TxRings: 2, RxRings: 4}}},
		{
			"C.3 all of conf", "vale0:a@conf:rings=1,host-rings=2,slots=3,rx-rings=4,host-tx-rings=5,rx-slots=6",
			Spec{Name: "vale0:a", Mode: abi.ModeAllNIC, Conf: Conf{TxRings: 1, RxRings: 4, HostTxRings: 5, HostRxRings: 2, TxSlots: 3, RxSlots: 6}},
		},
		{
			"C.3 extmem by default key", "netmap:eth0@extmem=/dev/shm/a,b",
			Spec{Name: "eth0", Mode: abi.ModeAllNIC, Extmem: &Extmem{File: "/dev/shm/a,b"}},
		},
		{
			"C.3 extmem with geometry", "netmap:eth0@extmem:file=/m,if-num=1,if-size=2,ring-num=3,ring-size=4,buf-num=5,buf-size=6",
			Spec{Name: "eth0", Mode: abi.ModeAllNIC, Extmem: &Extmem{"/m", 1, 2, 3, 4, 5, 6}},
		},
		{
			"C.3 several options", "netmap:eth0-1/x@3@share=vale0:1@conf:slots=8",
			Spec{Name: "eth0", Mode: abi.ModeOneNIC, RingID: 1, Flags: abi.FlagExclusive, MemID: 3, Share: "vale0:1", Conf: Conf{TxSlots: 8, RxSlots: 8}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			got, err := Parse(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Parse(%q)\n got %+v\nwant %+v", tt.spec, got, tt.want)
			}
			if again, err := Parse(got.String()); err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("%q renders as %q, which parses to %+v, %v", tt.spec, got, again, err)
			}
		})
	}
}

// NAM-18: every refused spec of NC C.6; NAM-21 and NAM-22: refused options.
// A message names the place, what was expected and what was found.
func TestParseRefuses(t *testing.T) {
	long := "netmap:" + strings.Repeat("x", 64)
	tests := []struct {
		id, spec string
		pos      int
		why      string
	}{
		{"NAM-18", "eth0", 0, "expected netmap: or vale; for an interface called NAME write netmap:NAME, for a switch port vale0:NAME"},
		{"NAM-18", "", 0, "expected netmap: or vale; for an interface called NAME write netmap:NAME, for a switch port vale0:NAME"},
		{"NAM-18", "netmap:", 7, "expected the name of a port, found the end; write for example netmap:eth0 or vale0:1"},
		{"NAM-18", "netmap:^", 7, `expected the name of a port, found "^"; write for example netmap:eth0 or vale0:1`},
		{"NAM-18", "netmap:{", 8, `expected the identifier of a pipe after "{"; write for example {1`},
		{"NAM-18", "netmap:x{", 9, `expected the identifier of a pipe after "{"; write for example x{1`},
		{"NAM-18", "netmap:p{1}2", 10, `a pipe identifier holds letters, digits and "_" only, found "}"`},
		{"NAM-18", "netmapX:eth0", 6, `expected ":" right after netmap, found "X"`},
		{"NAM-18", "vale0", 5, `expected ":" after "vale0"; write for example netmap:eth0 or vale0:1`},
		{"NAM-18", "vale-0:1", 4, `the name of a switch is "vale" and letters, digits and "_" only, found "-"`},
		{"NAM-18", "netmap:eth0-", 12, "expected the number of a ring (0 to 4094), found the end"},
		{"NAM-18", "netmap:eth0-4095", 12, "expected the number of a ring from 0 to 4094, found 4095"},
		{"NAM-18", "netmap:eth0@", 12, `expected a memory id or an option after "@" (0 to 65535), found the end`},
		{"NAM-18", "netmap:eth0@0", 12, "a memory id is above 0; leave @0 out to let netmapd choose"},
		{"NAM-18", "netmap:eth0@2/R@3", 16, "memory id 3 after memory id 2; a port lives in one region, give one id"},
		{"NAM-18", "netmap:eth0/", 12, `expected a flag after "/" (x, z, t, r, R or T), found the end`},
		{"NAM-18", "netmap:eth0/q", 12, `expected a flag (x, z, t, r, R or T), found "q"`},
		{"NAM-18", "netmap:eth0^x", 12, `expected "/" and flags, "@" or the end, found "x"`},
		{"NAM-18", "netmap:eth0@@conf:rings=1", 12, `expected an option after "@" (conf, extmem, offset, share), found "@"`},
		{"NAM-18", long, 70, "a name has at most 63 bytes, this one has 64; use a shorter one"},
		{"C.2", "vale0:", 6, "expected the name of a port, found the end; write for example netmap:eth0 or vale0:1"},
		{"C.2", "netmap:eth0-x", 12, `expected the number of a ring (0 to 4094), found "x"`},
		{"C.2", "netmap:eth0-1x", 13, `expected "/" and flags, "@" or the end, found "x"`},
		{"C.2", "netmap:eth0^99999999999999999999", 12, "expected the number of a host ring from 0 to 4094, found 99999999999999999999"},
		{"C.2", "netmap:eth0/x/z", 13, `expected a flag, "@" or the end, found "/"; write all flags behind one "/", as in /xR`},
		{"C.2", "netmap:eth0/x@", 14, `expected a memory id or an option after "@" (0 to 65535), found the end`},
		{"C.2 id not truncated", "netmap:eth0@65537", 12, `expected a memory id or an option after "@" from 0 to 65535, found 65537`},
		{"C.2 pipe id", "netmap:p{a.b", 10, `a pipe identifier holds letters, digits and "_" only, found "."`},
		{"C.2 NUL", "netmap:eth0\x00x", 11, "a name cannot hold a NUL byte; remove it"},

		{"NAM-21", "netmap:eth0@speed=1", 12, `unknown option "speed"; expected one of conf, extmem, offset, share`},
		{"NAM-22", "netmap:eth0@conf:rings=1,rings=2", 25, `option conf: key rings is given twice, first as "1"; give it once`},
		{"NAM-22", "netmap:eth0@conf:rings", 22, `option conf: expected "=" and a value after rings, found the end`},
		{"NAM-22", "netmap:eth0@conf", 16, `option conf: expected ":" and key=value pairs (rings, host_rings, slots, tx_rings, rx_rings, host_tx_rings, host_rx_rings, tx_slots, rx_slots), found the end`},
		{"C.3 no default key", "netmap:eth0@conf=2", 16, "option conf has no default key; write @conf:rings=..."},
		{"C.3 missing value", "netmap:eth0@conf:rings=", 23, "option conf: expected a value for rings, found the end"},
		{"C.3 missing value", "netmap:eth0@share=@5", 18, `option share: expected a value for port, found "@"`},
		{"C.3 unknown key", "netmap:eth0@conf:ring=2", 17, `option conf: unknown key "ring"; expected one of rings, host_rings, slots, tx_rings, rx_rings, host_tx_rings, host_rx_rings, tx_slots, rx_slots`},
		{"C.3 empty key", "netmap:eth0@share:", 18, `option share: unknown key ""; expected one of port`},
		{"C.3 trailing comma", "netmap:eth0@share:port=vale:1,", 30, `option share: unknown key ""; expected one of port`},
		{"C.3 no number", "netmap:eth0@conf:slots=64,rings=x", 32, `option conf: expected a number from 0 to 65535 for rings, found "x"`},
		{"C.3 too big", "netmap:eth0@conf:rings=65536", 23, `option conf: expected a number from 0 to 65535 for rings, found "65536"`},
		{"C.3 share needs a prefix", "netmap:eth0@share=eth1", 18, "option share: expected netmap: or vale; for an interface called NAME write netmap:NAME, for a switch port vale0:NAME"},
		{"C.3 share takes no rings", "netmap:eth0@share=netmap:eth1-2", 29, `option share: expected the end of the port's name, found "-"; rings and flags mean nothing here`},
		{"C.3 two shares", "netmap:a@share=vale:1@share=vale:2", 28, "option share: vale:2 after vale:1; a port lives in one region, share with one port"},
		{"C.3 file is mandatory", "netmap:a@extmem:if-num=1", 9, "option extmem: file is missing; write @extmem:file=..."},
		{"C.3 two extmem", "netmap:a@extmem=f@extmem=f", 18, "option extmem is given twice; a port lives in one region, give it once"},
		{"options after options only", "netmap:a@conf:rings=1@7", 22, `unknown option "7"; expected one of conf, extmem, offset, share`},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.spec, func(t *testing.T) {
			s, err := Parse(tt.spec)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Parse(%q) = %+v, %v; want an *Error", tt.spec, s, err)
			}
			if !reflect.DeepEqual(s, Spec{}) {
				t.Errorf("a refused spec leaves %+v", s)
			}
			if e.Pos != tt.pos || e.Why != tt.why || e.Name != tt.spec {
				t.Errorf("Parse(%q)\n got %d: %s\nwant %d: %s", tt.spec, e.Pos, e.Why, tt.pos, tt.why)
			}
			if e.Errno(true) != syscall.EINVAL || e.Errno(false) != syscall.EINVAL {
				t.Errorf("errno %v, want EINVAL", e.Errno(true))
			}
		})
	}
}

func TestErrorMessage(t *testing.T) {
	_, err := Parse("netmap:eth0/q")
	const want = `port name "netmap:eth0/q", character 13: expected a flag (x, z, t, r, R or T), found "q"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// NAM-19: the register part is read, the options are left.
func TestParsePortLeavesOptions(t *testing.T) {
	tests := []struct{ spec, rest string }{
		{"netmap:eth0-1/x@3@opt", "@opt"},
		{"netmap:eth0@opt:a=b@5", "@opt:a=b@5"},
		{"netmap:eth0^", ""},
	}
	for _, tt := range tests {
		s, rest, err := ParsePort(tt.spec)
		if err != nil || rest != tt.rest || s.Name != "eth0" {
			t.Errorf("NAM-19: ParsePort(%q) = %+v, %q, %v; want rest %q", tt.spec, s, rest, err, tt.rest)
		}
	}
}

// NAM-20: the longest name.
func TestParseLength(t *testing.T) {
	for _, spec := range []string{
		"netmap:" + strings.Repeat("x", 63) + "-3",
		"vale0:" + strings.Repeat("x", 63-6) + "@4",
	} {
		if s, err := Parse(spec); err != nil || len(s.Name) != 63 {
			t.Errorf("NAM-20: 63 characters: %+v, %v", s, err)
		}
	}
	for _, spec := range []string{
		"netmap:" + strings.Repeat("x", 64),
		"vale0:" + strings.Repeat("x", 64-6),
	} {
		var e *Error
		if _, err := Parse(spec); !errors.As(err, &e) || e.Kind != TooLong {
			t.Errorf("NAM-20: 64 characters: %v; want TooLong", err)
		}
	}
}

// NAM-21: options can be switched on and off.
func TestParserOptions(t *testing.T) {
	const spec = "netmap:eth0@offset:initial=64,bits=16"
	var p Parser
	wantUnsupported := func(what string, err error) {
		t.Helper()
		var e *Error
		if !errors.As(err, &e) || e.Errno(true) != syscall.EOPNOTSUPP {
			t.Errorf("NAM-21: %s: %v; want EOPNOTSUPP", what, err)
		}
	}
	_, err := p.Parse(spec)
	wantUnsupported("offset before it is enabled", err)
	wantUnsupported("enabling an unknown option", p.Enable("speed"))
	wantUnsupported("disabling an unknown option", p.Disable("speed"))

	if err := p.Enable("offset"); err != nil {
		t.Fatal(err)
	}
	s, err := p.Parse(spec)
	if err != nil || s.Offset == nil || *s.Offset != (Offset{Initial: 64, Bits: 16}) {
		t.Errorf("offset enabled: %+v, %v", s, err)
	}
	if _, err := p.Parse(spec + "@offset=1"); err == nil {
		t.Error("two offset options are accepted")
	}
	if _, err := p.Parse("netmap:eth0@offset:bits=16"); err == nil {
		t.Error("offset without its mandatory key is accepted")
	}

	if err := p.Disable("conf"); err != nil {
		t.Fatal(err)
	}
	_, err = p.Parse("netmap:eth0@conf:rings=1")
	wantUnsupported("conf after it is disabled", err)
}

func FuzzParse(f *testing.F) {
	for _, spec := range []string{
		"netmap:eth0", "vale0:1-3/xR@4", "netmap:eth0^3@conf:rings=4,tx-rings=2", "netmap:p}1*",
		"netmap:eth0@share=vale0:1@extmem:file=/m,buf-num=9", "netmap:eth0@offset=64", "netmap:vale:{1",
		"netmap:eth0@extmem=a,b", "netmap:valid0", "netmap:vale0:",
	} {
		f.Add(spec)
	}
	var p Parser
	if err := p.Enable("offset"); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		s, err := p.Parse(spec)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Pos < 0 || e.Pos > len(spec) || e.Why == "" {
				t.Fatalf("Parse(%q): error without a place: %#v", spec, err)
			}
			return
		}
		if s.Name == "" || len(s.Name) > MaxLen {
			t.Fatalf("Parse(%q) gives the core a name of %d bytes", spec, len(s.Name))
		}
		again, err := p.Parse(s.String())
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("Parse(%q) = %+v renders as %q, which parses to %+v, %v", spec, s, s, again, err)
		}
		if c, err := ParseCore(s.Name); err == nil && c.Name != s.Name {
			t.Fatalf("ParseCore(%q) has name %q", s.Name, c.Name)
		}
	})
}
