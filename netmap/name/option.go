package name

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Parser is a parser that knows which options its program enabled, as the
// library's enable and disable calls have it. The zero Parser has every option
// but offset (NC C.3).
type Parser struct {
	changed map[string]bool // option to enabled, where it differs from the start
}

// Enable makes the parser accept an option. An unknown option is an error of kind NotEnabled.
func (p *Parser) Enable(option string) error { return p.set(option, true) }

// Disable makes the parser refuse an option with EOPNOTSUPP. An unknown option
// is an error of kind NotEnabled.
func (p *Parser) Disable(option string) error { return p.set(option, false) }

func (p *Parser) set(option string, enabled bool) error {
	if _, ok := optionTypes[option]; !ok {
		return errorAt(NotEnabled, option, 0, "no such option; expected one of %s", optionNames())
	}
	if p.changed == nil {
		p.changed = make(map[string]bool)
	}
	p.changed[option] = enabled
	return nil
}

func (p *Parser) enabled(option string) bool {
	if enabled, ok := p.changed[option]; ok {
		return enabled
	}
	return option != "offset"
}

// Parse parses a port specification.
func (p *Parser) Parse(spec string) (Spec, error) {
	s, rest, err := ParsePort(spec)
	if err != nil {
		return Spec{}, err
	}
	sc := &scanner{text: spec, pos: len(spec) - len(rest)}
	for !sc.end() {
		sc.pos++ // the "@" that ended what was before
		if err := sc.option(p, &s); err != nil {
			return Spec{}, err
		}
	}
	return s, nil
}

// optionType is the syntax and the meaning of one option.
type optionType struct {
	keys       []string
	defaultKey string // what "option=value" sets, and must be given; "" for none
	apply      func(s *Spec, v *values) error
}

var optionTypes = map[string]optionType{
	"share":  {[]string{"port"}, "port", applyShare},
	"conf":   {confKeys, "", applyConf},
	"extmem": {append([]string{"file"}, geometryKeys...), "file", applyExtmem},
	"offset": {[]string{"initial", "bits"}, "initial", applyOffset},
}

// The keys whose values are plain numbers. In conf the general ones come
// first: the specific ones override them wherever they stand.
var (
	confKeys = []string{
		"rings", "host_rings", "slots",
		"tx_rings", "rx_rings", "host_tx_rings", "host_rx_rings", "tx_slots", "rx_slots",
	}
	geometryKeys = []string{"if_num", "if_size", "ring_num", "ring_size", "buf_num", "buf_size"}
)

func optionNames() string {
	return strings.Join(slices.Sorted(maps.Keys(optionTypes)), ", ")
}

// values are the key=value pairs of one option, with the place of each value
// so that a bad one can be pointed at.
type values struct {
	spec, option string
	pos          int // of the option
	text         map[string]string
	at           map[string]int
}

func (v *values) fail(key, format string, args ...any) error {
	at, ok := v.at[key]
	if !ok {
		at = v.pos
	}
	return errorAt(Malformed, v.spec, at, format, args...)
}

// number is the value of key, and whether there is one.
func (v *values) number(key string, bits int) (uint64, bool, error) {
	text, ok := v.text[key]
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		return 0, false, v.fail(key, "option %s: expected a number from 0 to %d for %s, found %q", v.option, uint64(1)<<bits-1, key, text)
	}
	return n, true, nil
}

// option reads one option up to the next "@" or the end, and applies it.
func (sc *scanner) option(p *Parser, s *Spec) error {
	start := sc.pos
	option := sc.until(":=@")
	kind, known := optionTypes[option]
	switch {
	case option == "":
		return sc.fail(`expected an option after "@" (%s), found %s`, optionNames(), sc.found())
	case !known:
		sc.pos = start
		return sc.fail("unknown option %q; expected one of %s", option, optionNames())
	case !p.enabled(option):
		return errorAt(NotEnabled, sc.text, start, "option %s is not enabled in this program; leave it out", option)
	}
	v := &values{spec: sc.text, option: option, pos: start, text: map[string]string{}, at: map[string]int{}}
	var err error
	switch sc.peek() {
	case '=':
		err = sc.defaultValue(kind, v)
	case ':':
		err = sc.keyValues(kind, v)
	default:
		err = sc.fail(`option %s: expected ":" and key=value pairs (%s), found %s`, option, strings.Join(kind.keys, ", "), sc.found())
	}
	if err != nil {
		return err
	}
	if _, ok := v.text[kind.defaultKey]; !ok && kind.defaultKey != "" {
		return v.fail("", "option %s: %s is missing; write @%s:%s=...", option, kind.defaultKey, option, kind.defaultKey)
	}
	return kind.apply(s, v)
}

// defaultValue reads "=value"; the value may hold anything but "@".
func (sc *scanner) defaultValue(kind optionType, v *values) error {
	if kind.defaultKey == "" {
		return sc.fail(`option %s has no default key; write @%s:%s=...`, v.option, v.option, kind.keys[0])
	}
	sc.pos++
	return sc.value(v, kind.defaultKey, "@")
}

// keyValues reads ":key=value,key=value".
func (sc *scanner) keyValues(kind optionType, v *values) error {
	for !sc.end() && sc.peek() != '@' { // at ":" or ","
		sc.pos++
		start := sc.pos
		key := strings.ReplaceAll(sc.until("=,@"), "-", "_")
		if !slices.Contains(kind.keys, key) {
			sc.pos = start
			return sc.fail("option %s: unknown key %q; expected one of %s", v.option, key, strings.Join(kind.keys, ", "))
		}
		if old, ok := v.text[key]; ok {
			sc.pos = start
			return sc.fail("option %s: key %s is given twice, first as %q; give it once", v.option, key, old)
		}
		if sc.peek() != '=' {
			return sc.fail(`option %s: expected "=" and a value after %s, found %s`, v.option, key, sc.found())
		}
		sc.pos++
		if err := sc.value(v, key, ",@"); err != nil {
			return err
		}
	}
	return nil
}

func (sc *scanner) value(v *values, key, end string) error {
	start := sc.pos
	text := sc.until(end)
	if text == "" {
		return sc.fail("option %s: expected a value for %s, found %s", v.option, key, sc.found())
	}
	v.text[key], v.at[key] = text, start
	return nil
}

func applyShare(s *Spec, v *values) error {
	port := v.text["port"]
	sc := &scanner{text: port}
	core, err := sc.header()
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			err = errorAt(e.Kind, v.spec, v.at["port"]+e.Pos, "option share: %s", e.Why)
		}
		return err
	}
	if !sc.end() {
		return errorAt(Malformed, v.spec, v.at["port"]+sc.pos, "option share: expected the end of the port's name, found %s; rings and flags mean nothing here", sc.found())
	}
	if s.Share != "" && s.Share != core {
		return v.fail("port", "option share: %s after %s; a port lives in one region, share with one port", core, s.Share)
	}
	s.Share = core
	return nil
}

func applyConf(s *Spec, v *values) error {
	c := &s.Conf
	rings := map[string][]*uint16{
		"rings":         {&c.TxRings, &c.RxRings},
		"host_rings":    {&c.HostTxRings, &c.HostRxRings},
		"tx_rings":      {&c.TxRings},
		"rx_rings":      {&c.RxRings},
		"host_tx_rings": {&c.HostTxRings},
		"host_rx_rings": {&c.HostRxRings},
	}
	slots := map[string][]*uint32{
		"slots":    {&c.TxSlots, &c.RxSlots},
		"tx_slots": {&c.TxSlots},
		"rx_slots": {&c.RxSlots},
	}
	for _, key := range confKeys {
		bits := 32
		if rings[key] != nil {
			bits = 16
		}
		n, given, err := v.number(key, bits)
		if err != nil {
			return err
		}
		if !given {
			continue
		}
		for _, to := range rings[key] {
			*to = uint16(n)
		}
		for _, to := range slots[key] {
			*to = uint32(n)
		}
	}
	return nil
}

func applyExtmem(s *Spec, v *values) error {
	if s.Extmem != nil {
		return v.fail("", "option extmem is given twice; a port lives in one region, give it once")
	}
	e := &Extmem{File: v.text["file"]}
	fields := []*uint32{&e.IfNum, &e.IfSize, &e.RingNum, &e.RingSize, &e.BufNum, &e.BufSize}
	for i, key := range geometryKeys {
		n, _, err := v.number(key, 32)
		if err != nil {
			return err
		}
		*fields[i] = uint32(n)
	}
	s.Extmem = e
	return nil
}

func applyOffset(s *Spec, v *values) error {
	if s.Offset != nil {
		return v.fail("", "option offset is given twice; give it once")
	}
	initial, _, err := v.number("initial", 64)
	if err != nil {
		return err
	}
	bits, _, err := v.number("bits", 32)
	if err != nil {
		return err
	}
	s.Offset = &Offset{Initial: initial, Bits: uint32(bits)}
	return nil
}
