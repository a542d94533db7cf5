package name

import (
	"errors"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func TestParseCore(t *testing.T) {
	iface := func(name string) *Core { return &Core{Kind: Interface, Name: name} }
	port0 := &Core{Kind: SwitchPort, Name: "vale0:0", Switch: "vale0", Port: "0"}
	tests := []struct {
		id, name string
		want     Core
	}{
		{"interface", "eth0", *iface("eth0")},
		{"C.5-2 no colon, no switch", "vale0", *iface("vale0")},
		{"C.5-2 a NIC in val", "valid0", *iface("valid0")},
		{"switch port", "vale0:0", *port0},
		{"C.5-3 bridge vale", "vale:x", Core{Kind: SwitchPort, Name: "vale:x", Switch: "vale", Port: "x"}},
		{"C.5-3 colon is the 16th", "vale56789012345:x", Core{Kind: SwitchPort, Name: "vale56789012345:x", Switch: "vale56789012345", Port: "x"}},
		{"C.5-4 any port", "vale0:a b:c", Core{Kind: SwitchPort, Name: "vale0:a b:c", Switch: "vale0", Port: "a b:c"}},
		{"C.5-4 no port", "vale0:", Core{Kind: SwitchPort, Name: "vale0:", Switch: "vale0"}},
		{"NAM-27", "vale1:123456789012345", Core{Kind: SwitchPort, Name: "vale1:123456789012345", Switch: "vale1", Port: "123456789012345"}},
		{"master", "eth0{in", Core{Kind: Pipe, Name: "eth0{in", Parent: iface("eth0"), PipeID: "in", Master: true}},
		{"slave", "eth0}in", Core{Kind: Pipe, Name: "eth0}in", Parent: iface("eth0"), PipeID: "in"}},
		{"pipe of a switch port", "vale0:0}01", Core{Kind: Pipe, Name: "vale0:0}01", Parent: port0, PipeID: "01"}},
		{"C.5-1 last brace, { first", "a{1}2", Core{Kind: Pipe, Name: "a{1}2", Parent: iface("a"), PipeID: "1}2", Master: true}},
		{
			"C.5-1 recursive", "a}1{2",
			Core{
				Kind: Pipe, Name: "a}1{2", PipeID: "2", Master: true,
				Parent: &Core{Kind: Pipe, Name: "a}1", Parent: iface("a"), PipeID: "1"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			got, err := ParseCore(tt.name)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("ParseCore(%q)\n got %+v, %v\nwant %+v", tt.name, got, err, tt.want)
			}
		})
	}
}

func TestParseCoreRefuses(t *testing.T) {
	const ENXIO, ENOMEM, EINVAL = syscall.ENXIO, syscall.ENOMEM, syscall.EINVAL
	tests := []struct {
		id, name       string
		lookup, create syscall.Errno
		pos            int
		why            string
	}{
		{"NAM-27", "vale1:1234567890123456", ENXIO, ENOMEM, 21, "the port's name after the colon has at most 15 characters, this one has 16; use a shorter one"},
		{"C.5-3", "vale567890123456:x", ENXIO, ENOMEM, 15, "the name of a switch has at most 15 characters, this one has 16; use a shorter one"},
		{"C.5-3", "vale-0:x", ENXIO, ENOMEM, 4, `the name of a switch is "vale" and letters, digits and "_" only, found "-"`},
		{"NAM-28", "x{", EINVAL, EINVAL, 1, `expected the identifier of a pipe after "{"; write for example x{1`},
		{"NAM-28", "{x", EINVAL, EINVAL, 0, `expected the port a pipe hangs on before "{"; write for example eth0{x`},
		{"C.5-1", "}", EINVAL, EINVAL, 0, `expected the port a pipe hangs on before "}"; write for example eth0}`},
		{"pipe of a bad parent", "vale-0:x{1", ENXIO, ENOMEM, 4, `the name of a switch is "vale" and letters, digits and "_" only, found "-"`},
		{"no name", "", ENXIO, ENXIO, 0, `no interface can be called ""; write for example eth0`},
		{"interface too long", "a234567890123456", ENXIO, ENXIO, 15, "the name of an interface has at most 15 characters, this one has 16"},
		{"interface with a slash", "../eth0", ENXIO, ENXIO, 2, `no interface name holds "/"; a switch port is written vale0:1`},
		{"val is not vale", "val0:1", ENXIO, ENXIO, 4, `no interface name holds ":"; a switch port is written vale0:1`},
		{"header", strings.Repeat("x", 64), EINVAL, EINVAL, 63, "a name has at most 63 bytes, this one has 64; use a shorter one"},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			_, err := ParseCore(tt.name)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("ParseCore(%q): %v; want an *Error", tt.name, err)
			}
			if e.Name != tt.name || e.Pos != tt.pos || e.Why != tt.why {
				t.Errorf("got %q %d: %s\nwant %d: %s", e.Name, e.Pos, e.Why, tt.pos, tt.why)
			}
			if e.Errno(false) != tt.lookup || e.Errno(true) != tt.create {
				t.Errorf("errno %v on lookup, %v on creation; want %v, %v", e.Errno(false), e.Errno(true), tt.lookup, tt.create)
			}
		})
	}
}

func TestCheckNames(t *testing.T) {
	for _, ok := range []string{"vale", "vale0", "valeA_b9"} {
		if err := CheckSwitch(ok); err != nil {
			t.Errorf("CheckSwitch(%q): %v", ok, err)
		}
	}
	for _, bad := range []string{"", "br0", "vale:", "vale{1"} {
		if CheckSwitch(bad) == nil {
			t.Errorf("CheckSwitch(%q) accepts it", bad)
		}
	}
	for _, ok := range []string{"eth0", "br-lan", "eth0.100", "vale0"} {
		if err := CheckInterface(ok); err != nil {
			t.Errorf("CheckInterface(%q): %v", ok, err)
		}
	}
	for _, bad := range []string{"", "a b", "a\xa0b", "a\x00"} {
		if CheckInterface(bad) == nil {
			t.Errorf("CheckInterface(%q) accepts it", bad)
		}
	}
}
