package name

import (
	"strings"

	"github.com/netmapd/netmapd/netmap/abi"
)

// MaxLegacyLen is the longest name of the old grammar, "vale0:" included (NC C.4).
const MaxLegacyLen = 15

// ParseLegacy parses a port specification as nm_open of the old header library
// does (NC C.4). It differs from [Parse]:
//
//   - a brace ends the name and a number follows it: pipes are
//     abi.ModePipeMaster and abi.ModePipeSlave, with the number as RingID
//   - "^" takes no number, a memory id is given at most once, there are no options
//   - a name has at most MaxLegacyLen bytes and may be empty, which the core refuses
//   - both parts of "vale0:1" hold letters, digits and "_" only
//
// Every error is an [*Error]. For a text that begins with neither "netmap:" nor
// "vale" its kind is NotOurs and its errno 0: nm_open returns a null pointer and
// the program goes on to try, for example, pcap.
func ParseLegacy(spec string) (Spec, error) {
	sc := &scanner{text: spec}
	name, err := sc.legacyHeader()
	if err != nil {
		return Spec{}, err
	}
	s := Spec{Name: name, Mode: abi.ModeAllNIC}
	if err := sc.legacySelector(&s); err != nil {
		return Spec{}, err
	}
	for !sc.end() {
		if err := sc.legacySuffix(&s); err != nil {
			return Spec{}, err
		}
	}
	return s, nil
}

// legacyHeader reads the prefix and the name, and returns the name for the core.
func (sc *scanner) legacyHeader() (string, error) {
	const separators = "-*^{}/@"
	vale := strings.HasPrefix(sc.text, "vale")
	if !vale && !strings.HasPrefix(sc.text, "netmap:") {
		return "", errorAt(NotOurs, sc.text, 0, "expected netmap: or vale; this names no port of netmap")
	}
	if _, err := sc.prefix(); err != nil {
		return "", err
	}
	start, base := sc.pos, sc.pos
	if vale {
		start = 0 // the core wants the prefix too
	}
	port := sc.until(separators)
	if bad := badIdentifierByte(port); vale && bad >= 0 {
		return "", errorAt(Malformed, sc.text, base+bad, `the name of a switch port holds letters, digits and "_" only, found %q`, port[bad:bad+1])
	}
	if nul := strings.IndexByte(port, 0); nul >= 0 {
		return "", errorAt(Malformed, sc.text, base+nul, "a name cannot hold a NUL byte; remove it")
	}
	name := sc.text[start:sc.pos]
	if len(name) > MaxLegacyLen {
		return "", errorAt(TooLong, sc.text, start+MaxLegacyLen, "a name in the old grammar has at most %d bytes, this one has %d; use a shorter one", MaxLegacyLen, len(name))
	}
	return name, nil
}

// legacySelector reads which rings or which pipe.
func (sc *scanner) legacySelector(s *Spec) error {
	what := "the number of a ring"
	switch sc.peek() {
	case '*':
		sc.pos++
		s.Mode = abi.ModeNICSW
		return nil
	case '^':
		sc.pos++
		s.Mode = abi.ModeSW
		return nil
	case '-':
		s.Mode = abi.ModeOneNIC
	case '{':
		s.Mode, what = abi.ModePipeMaster, "the number of a pipe"
	case '}':
		s.Mode, what = abi.ModePipeSlave, "the number of a pipe"
	default:
		return nil
	}
	sc.pos++
	n, err := sc.number(what, MaxRing)
	s.RingID = uint16(n)
	return err
}

// legacySuffix reads one group of flags or the memory id.
func (sc *scanner) legacySuffix(s *Spec) error {
	switch sc.peek() {
	case '/':
		sc.pos++
		return sc.flags(s)
	case '@':
		sc.pos++
		if s.MemID != 0 {
			return sc.fail("a second memory id after %d; give one id", s.MemID)
		}
		return sc.memID(s, "a memory id")
	}
	return sc.fail(`expected "/" and flags, "@" and a memory id or the end, found %s`, sc.found())
}
