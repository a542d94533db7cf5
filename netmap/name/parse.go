package name

import (
	"slices"
	"strconv"
	"strings"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Parse parses a port specification with the options that the library enables
// by itself: all but offset (NC C.3). Every error is an [*Error].
func Parse(spec string) (Spec, error) {
	var p Parser
	return p.Parse(spec)
}

// ParsePort parses the name, the ring selector, the flags and the memory id, and
// returns the options unread: rest is empty or begins with "@" (NC C.2).
func ParsePort(spec string) (s Spec, rest string, err error) {
	sc := &scanner{text: spec}
	if err := sc.port(&s); err != nil {
		return Spec{}, "", err
	}
	return s, spec[sc.pos:], nil
}

// scanner walks over a specification; pos is the next byte to look at.
type scanner struct {
	text string
	pos  int
}

func (sc *scanner) fail(format string, args ...any) error {
	return errorAt(Malformed, sc.text, sc.pos, format, args...)
}

func (sc *scanner) end() bool { return sc.pos == len(sc.text) }

// peek is the next byte, or 0 at the end.
func (sc *scanner) peek() byte {
	if sc.end() {
		return 0
	}
	return sc.text[sc.pos]
}

// found names the next byte for an error message.
func (sc *scanner) found() string {
	if sc.end() {
		return "the end"
	}
	return strconv.Quote(sc.text[sc.pos : sc.pos+1])
}

// until advances to the first of the bytes in set, or to the end, and returns
// what it passed over.
func (sc *scanner) until(set string) string {
	start := sc.pos
	if n := strings.IndexAny(sc.text[start:], set); n >= 0 {
		sc.pos += n
	} else {
		sc.pos = len(sc.text)
	}
	return sc.text[start:sc.pos]
}

// number reads a decimal number up to limit.
func (sc *scanner) number(what string, limit uint64) (uint64, error) {
	start := sc.pos
	for isDigit(sc.peek()) {
		sc.pos++
	}
	digits := sc.text[start:sc.pos]
	if digits == "" {
		return 0, sc.fail("expected %s (0 to %d), found %s", what, limit, sc.found())
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > limit {
		sc.pos = start
		return 0, sc.fail("expected %s from 0 to %d, found %s", what, limit, digits)
	}
	return n, nil
}

// port reads everything before the options.
func (sc *scanner) port(s *Spec) error {
	name, err := sc.header()
	if err != nil {
		return err
	}
	*s = Spec{Name: name, Mode: abi.ModeAllNIC}
	if err := sc.ringSelector(s); err != nil {
		return err
	}
	for !sc.end() {
		switch sc.peek() {
		case '/':
			sc.pos++
			err = sc.flags(s)
		case '@':
			if next := sc.pos + 1; next < len(sc.text) && !isDigit(sc.text[next]) {
				return nil // options from here on
			}
			sc.pos++
			err = sc.memID(s, `a memory id or an option after "@"`)
		default:
			err = sc.fail(`expected "/" and flags, "@" or the end, found %s`, sc.found())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// header reads the prefix and the name, and returns the name for the core.
func (sc *scanner) header() (string, error) {
	vale, err := sc.prefix()
	if err != nil {
		return "", err
	}
	start := sc.pos
	if vale {
		start = 0 // the core wants the prefix too
	}
	base := sc.pos
	port := sc.until("-*^/@")
	if port == "" {
		return "", sc.fail("expected the name of a port, found %s; write for example netmap:eth0 or vale0:1", sc.found())
	}
	if nul := strings.IndexByte(port, 0); nul >= 0 {
		return "", errorAt(Malformed, sc.text, base+nul, "a name cannot hold a NUL byte; remove it")
	}
	if brace := strings.IndexAny(port, "{}"); brace >= 0 {
		id, at := port[brace+1:], base+brace+1
		if id == "" {
			return "", errorAt(Malformed, sc.text, at, "expected the identifier of a pipe after %q; write for example %s1", port[brace:], port)
		}
		if bad := badIdentifierByte(id); bad >= 0 {
			return "", errorAt(Malformed, sc.text, at+bad, `a pipe identifier holds letters, digits and "_" only, found %q`, id[bad:bad+1])
		}
	}
	name := sc.text[start:sc.pos]
	if len(name) > MaxLen {
		return "", errorAt(TooLong, sc.text, start+MaxLen, "a name has at most %d bytes, this one has %d; use a shorter one", MaxLen, len(name))
	}
	return name, nil
}

// prefix reads "netmap:" or "vale", an identifier and ":".
func (sc *scanner) prefix() (vale bool, err error) {
	switch {
	case strings.HasPrefix(sc.text, "netmap"):
		sc.pos = len("netmap")
	case strings.HasPrefix(sc.text, "vale"):
		vale = true
		sc.pos = len("vale")
	default:
		return false, sc.fail("expected netmap: or vale; for an interface called NAME write netmap:NAME, for a switch port vale0:NAME")
	}
	start := sc.pos
	id := sc.until(":")
	if sc.end() {
		return vale, sc.fail(`expected ":" after %q; write for example netmap:eth0 or vale0:1`, sc.text)
	}
	sc.pos++
	if !vale && id != "" {
		return vale, errorAt(Malformed, sc.text, start, `expected ":" right after netmap, found %q`, id)
	}
	if bad := badIdentifierByte(id); bad >= 0 {
		return vale, errorAt(Malformed, sc.text, start+bad, `the name of a switch is "vale" and letters, digits and "_" only, found %q`, id[bad:bad+1])
	}
	return vale, nil
}

func (sc *scanner) ringSelector(s *Spec) error {
	var ring uint64
	var err error
	switch sc.peek() {
	case '*':
		sc.pos++
		s.Mode = abi.ModeNICSW
	case '^':
		sc.pos++
		s.Mode = abi.ModeSW
		if isDigit(sc.peek()) {
			s.Mode = abi.ModeOneSW
			ring, err = sc.number("the number of a host ring", MaxRing)
		}
	case '-':
		sc.pos++
		s.Mode = abi.ModeOneNIC
		ring, err = sc.number("the number of a ring", MaxRing)
	}
	s.RingID = uint16(ring)
	return err
}

// flags reads letters up to "@" or the end. That a group may be empty before
// "@" but not at the end, and that only "@" ends one, is the library's (NC C.2).
func (sc *scanner) flags(s *Spec) error {
	if sc.end() {
		return sc.fail(`expected a flag after "/" (x, z, t, r, R or T), found the end`)
	}
	for !sc.end() && sc.peek() != '@' {
		letter := sc.peek()
		i := slices.IndexFunc(flagLetters[:], func(f flagLetter) bool { return f.letter == letter })
		switch {
		case i >= 0:
			s.Flags |= flagLetters[i].bit
		case letter == '/':
			return sc.fail(`expected a flag, "@" or the end, found "/"; write all flags behind one "/", as in /xR`)
		default:
			return sc.fail("expected a flag (x, z, t, r, R or T), found %s", sc.found())
		}
		sc.pos++
	}
	return nil
}

func (sc *scanner) memID(s *Spec, what string) error {
	start := sc.pos
	n, err := sc.number(what, 1<<16-1)
	if err != nil {
		return err
	}
	id := uint16(n)
	switch {
	case id == 0:
		err = errorAt(Malformed, sc.text, start, "a memory id is above 0; leave @0 out to let netmapd choose")
	case s.MemID != 0 && s.MemID != id:
		err = errorAt(Malformed, sc.text, start, "memory id %d after memory id %d; a port lives in one region, give one id", id, s.MemID)
	}
	s.MemID = id
	return err
}
