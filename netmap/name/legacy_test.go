package name

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// What is accepted is in testdata/names.txt; here is what an error says, row by row of NC C.4.
func TestParseLegacyRefuses(t *testing.T) {
	tests := []struct {
		id, spec string
		kind     Kind
		errno    syscall.Errno
		pos      int
		why      string
	}{
		{"NAM-25", "foo", NotOurs, 0, 0, "expected netmap: or vale; this names no port of netmap"},
		{"prefixes", "netmapX:eth0", NotOurs, 0, 0, "expected netmap: or vale; this names no port of netmap"},
		{"NAM-26", "netmap:eth0^3", Malformed, syscall.EINVAL, 12, `expected "/" and flags, "@" and a memory id or the end, found "3"`},
		{"NAM-26", "netmap:p{x", Malformed, syscall.EINVAL, 9, `expected the number of a pipe (0 to 4094), found "x"`},
		{"vale", "vale0", Malformed, syscall.EINVAL, 5, `expected ":" after "vale0"; write for example netmap:eth0 or vale0:1`},
		{"vale", "vale-0:1", Malformed, syscall.EINVAL, 4, `the name of a switch is "vale" and letters, digits and "_" only, found "-"`},
		{"vale", "vale0:a.b", Malformed, syscall.EINVAL, 7, `the name of a switch port holds letters, digits and "_" only, found "."`},
		{"name limit", "netmap:e234567890123456", TooLong, syscall.EINVAL, 22, "a name in the old grammar has at most 15 bytes, this one has 16; use a shorter one"},
		{"name limit", "vale0:7890123456", TooLong, syscall.EINVAL, 15, "a name in the old grammar has at most 15 bytes, this one has 16; use a shorter one"},
		{"numeric pipes", "netmap:p}4095", Malformed, syscall.EINVAL, 9, "expected the number of a pipe from 0 to 4094, found 4095"},
		{"missing number", "netmap:eth0-", Malformed, syscall.EINVAL, 12, "expected the number of a ring (0 to 4094), found the end"},
		{"@ at most once", "netmap:eth0@2/R@2", Malformed, syscall.EINVAL, 16, "a second memory id after 2; give one id"},
		{"@ above 0", "netmap:eth0@0", Malformed, syscall.EINVAL, 12, "a memory id is above 0; leave @0 out to let netmapd choose"},
		{"no options", "netmap:eth0@conf:rings=1", Malformed, syscall.EINVAL, 12, `expected a memory id (0 to 65535), found "c"`},
		{"NUL", "netmap:a\x00b", Malformed, syscall.EINVAL, 8, "a name cannot hold a NUL byte; remove it"},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.spec, func(t *testing.T) {
			s, err := ParseLegacy(tt.spec)
			var e *Error
			if !errors.As(err, &e) || !reflect.DeepEqual(s, Spec{}) {
				t.Fatalf("ParseLegacy(%q) = %+v, %v; want nothing and an *Error", tt.spec, s, err)
			}
			if e.Kind != tt.kind || e.Errno(true) != tt.errno || e.Pos != tt.pos || e.Why != tt.why || e.Name != tt.spec {
				t.Errorf("got kind %d, errno %d, %d: %s\nwant kind %d, errno %d, %d: %s",
					e.Kind, e.Errno(true), e.Pos, e.Why, tt.kind, tt.errno, tt.pos, tt.why)
			}
		})
	}
}

// A pipe has a number in one grammar and a name in the other; String writes what both understand.
func TestLegacyPipeString(t *testing.T) {
	for spec, mode := range map[string]uint32{"netmap:p{7/x@3": abi.ModePipeMaster, "vale0:1}7": abi.ModePipeSlave} {
		s, err := ParseLegacy(spec)
		if err != nil || s.Mode != mode || s.String() != spec {
			t.Errorf("ParseLegacy(%q) = %+v, written %s, %v", spec, s, s, err)
		}
	}
}

// asInNew is what the new grammar makes of the same text: a pipe's number is part of its name.
func asInNew(s Spec, spec string) Spec {
	if s.Mode == abi.ModePipeMaster || s.Mode == abi.ModePipeSlave {
		// As it was written: pipe 07 has the number 7 and the name 07.
		rest := spec[strings.IndexAny(spec, "{}"):]
		end := 1
		for end < len(rest) && isDigit(rest[end]) {
			end++
		}
		s.Name, s.Mode, s.RingID = s.Name+rest[:end], abi.ModeAllNIC, 0
	}
	return s
}

// What the old grammar accepts, the new one reads alike, but for an empty name.
func FuzzParseLegacy(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		old, err := ParseLegacy(spec)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Pos < 0 || e.Pos > len(spec) || e.Why == "" || (e.Errno(true) == 0) != (e.Kind == NotOurs) {
				t.Fatalf("ParseLegacy(%q): error without a place or a reason: %#v", spec, err)
			}
			return
		}
		if len(old.Name) > MaxLegacyLen || old.RingID > MaxRing {
			t.Fatalf("ParseLegacy(%q) = %+v: beyond the limits", spec, old)
		}
		want := asInNew(old, spec)
		got, err := Parse(spec)
		switch {
		case err != nil && (old.Name == "" || strings.HasSuffix(old.Name, ":")):
		case err != nil:
			t.Fatalf("the old grammar has %q for %+v, the new one: %v", spec, old, err)
		case !reflect.DeepEqual(got, want):
			t.Fatalf("the old grammar has %q for %+v, the new one for %+v", spec, want, got)
		}
		again, err := ParseLegacy("netmap:" + strings.TrimPrefix(old.String(), "netmap:"))
		if err != nil || !reflect.DeepEqual(again, old) {
			t.Fatalf("%q renders as %q, which is %+v, %v", spec, strconv.Quote(old.String()), again, err)
		}
	})
}
