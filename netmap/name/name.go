// Package name holds the one grammar of port names: what a program writes
// ([Parse], the new library's grammar, NC C.2 and C.3; [ParseLegacy], the old
// one's, NC C.4) and what the core does with the name that is left of it
// ([ParseCore], NC C.5).
//
//	portspec = "netmap:" port | "vale" identifier ":" port    the prefix
//	           [ "^" [ring] | "*" | "-" ring ]                which rings
//	           { "/" flags | "@" memid }                      how, in which region
//	           { "@" option [ "=" value | ":" key=value,… ] } share, conf, extmem, offset
//
// The package is pure: it looks at no interface, no switch and no region.
// testdata/names.txt holds what both grammars make of names, for parsers in
// other languages to replay.
//
// Where it is stricter than the reference library, it is so for input that the
// library misreads silently: numbers in options must be numbers (there "conf:rings=x"
// means 0), a memory id must fit 16 bits (there it is truncated), a name holds
// no NUL, and two different share options are refused without asking whether
// both ports happen to live in one region.
package name

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Limits of the grammar (NC C.2).
const (
	MaxLen  = abi.NameSize - 1 // bytes in the name that goes to the core
	MaxRing = 4094             // highest ring number
)

type flagLetter struct {
	letter byte
	bit    uint64
}

// flagLetters are in the order String writes them.
var flagLetters = [...]flagLetter{
	{'x', abi.FlagExclusive},
	{'z', abi.FlagZcopyMon},
	{'t', abi.FlagMonitorTx},
	{'r', abi.FlagMonitorRx},
	{'R', abi.FlagRxRingsOnly},
	{'T', abi.FlagTxRingsOnly},
}

// Spec is a parsed port specification: the name for the core and the wishes
// for the REGISTER body, in netmap's own numbers (NC B.5).
type Spec struct {
	Name   string // what the core receives: "eth0", "p{in", "vale0:1" (NC C.1)
	Mode   uint32 // abi.ModeAllNIC unless a ring selector says otherwise
	RingID uint16 // for abi.ModeOneNIC and abi.ModeOneSW and, from ParseLegacy, a pipe's number; else 0
	Flags  uint64 // abi.Flag… bits
	MemID  uint16 // memory id asked for, 0 for "choose for me"
	Conf   Conf   // ring and slot counts asked for
	// Share is the core name of a port whose region is to be used, or "". Who
	// opens the port asks for that port's memory id and refuses with EINVAL when
	// MemID is given too and differs (NC C.3).
	Share  string
	Extmem *Extmem // the program's own memory as region, or nil
	Offset *Offset // packet offsets, or nil
}

// Conf holds the wishes of the conf option; 0 means no wish (NC C.3).
type Conf struct {
	TxRings, RxRings         uint16
	HostTxRings, HostRxRings uint16
	TxSlots, RxSlots         uint32
}

// Extmem holds the extmem option: a file to be used as region and the geometry
// wanted in it; a count or size of 0 means the default of private regions (NC B.9.1).
type Extmem struct {
	File              string
	IfNum, IfSize     uint32
	RingNum, RingSize uint32
	BufNum, BufSize   uint32
}

// Offset holds the offset option; Initial is also the maximum asked for (NC C.3).
type Offset struct {
	Initial uint64
	Bits    uint32 // width of the offset field, 0 for all of it
}

// String renders the specification so that it parses to the same Spec, or for
// a pipe of the old grammar to the same port. Flag bits without a letter and
// modes without a selector are left out.
func (s Spec) String() string {
	var b strings.Builder
	if !isSwitchPort(s.Name) {
		b.WriteString("netmap:")
	}
	b.WriteString(s.Name)
	switch s.Mode {
	case abi.ModeSW:
		b.WriteByte('^')
	case abi.ModeNICSW:
		b.WriteByte('*')
	case abi.ModeOneNIC:
		fmt.Fprintf(&b, "-%d", s.RingID)
	case abi.ModeOneSW:
		fmt.Fprintf(&b, "^%d", s.RingID)
	case abi.ModePipeMaster:
		fmt.Fprintf(&b, "{%d", s.RingID)
	case abi.ModePipeSlave:
		fmt.Fprintf(&b, "}%d", s.RingID)
	}
	var letters []byte
	for _, f := range flagLetters {
		if s.Flags&f.bit != 0 {
			letters = append(letters, f.letter)
		}
	}
	if len(letters) > 0 {
		fmt.Fprintf(&b, "/%s", letters)
	}
	if s.MemID != 0 {
		fmt.Fprintf(&b, "@%d", s.MemID)
	}
	s.writeOptions(&b)
	return b.String()
}

func (s Spec) writeOptions(b *strings.Builder) {
	if c := s.Conf; c != (Conf{}) {
		writeKeys(b, "conf:", []pair{
			{"tx_rings", uint64(c.TxRings)},
			{"rx_rings", uint64(c.RxRings)},
			{"host_tx_rings", uint64(c.HostTxRings)},
			{"host_rx_rings", uint64(c.HostRxRings)},
			{"tx_slots", uint64(c.TxSlots)},
			{"rx_slots", uint64(c.RxSlots)},
		})
	}
	if s.Share != "" {
		b.WriteString("@share=" + Spec{Name: s.Share}.String())
	}
	if e := s.Extmem; e != nil {
		geometry := []pair{
			{"if_num", uint64(e.IfNum)},
			{"if_size", uint64(e.IfSize)},
			{"ring_num", uint64(e.RingNum)},
			{"ring_size", uint64(e.RingSize)},
			{"buf_num", uint64(e.BufNum)},
			{"buf_size", uint64(e.BufSize)},
		}
		if (*e == Extmem{File: e.File}) {
			// Only after "=" may the file's name hold a comma.
			b.WriteString("@extmem=" + e.File)
		} else {
			writeKeys(b, "extmem:file="+e.File+",", geometry)
		}
	}
	if o := s.Offset; o != nil {
		fmt.Fprintf(b, "@offset:initial=%d,bits=%d", o.Initial, o.Bits)
	}
}

type pair struct {
	key   string
	value uint64
}

// writeKeys writes "@" and start, then "key=value,…" for the values that are not 0.
func writeKeys(b *strings.Builder, start string, pairs []pair) {
	sep := "@" + start
	for _, p := range pairs {
		if p.value != 0 {
			b.WriteString(sep + p.key + "=" + strconv.FormatUint(p.value, 10))
			sep = ","
		}
	}
}

// isSwitchPort says whether a core name can be written without "netmap:".
func isSwitchPort(core string) bool {
	rest, ok := strings.CutPrefix(core, "vale")
	sw, port, colon := strings.Cut(rest, ":")
	return ok && colon && port != "" && isIdentifier(sw)
}

// isIdentifier says whether s holds nothing but letters, digits and "_"; the
// empty string does.
func isIdentifier(s string) bool {
	return badIdentifierByte(s) < 0
}

// badIdentifierByte is the index of the first byte that no identifier holds, or -1.
func badIdentifierByte(s string) int {
	for i := range len(s) {
		c := s[i]
		if c != '_' && !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return i
		}
	}
	return -1
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
