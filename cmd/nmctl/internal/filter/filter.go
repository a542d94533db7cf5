// Package filter compiles expressions in the language of tcpdump into programs of
// the classic packet filter.
//
// The single tests ("tcp port 80") are compiled by a library, go-pcap; what joins
// them ("and", "or", "not", parentheses) here, with tcpdump's precedence, because the
// library does not nest. Words that it would take for host names are refused.
package filter

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	pcap "github.com/packetcap/go-pcap/filter"
	"golang.org/x/net/bpf"
)

// maxTests bounds the size of a program: it has less than 4096 instructions.
const maxTests = 64

// Compile compiles an expression. The program returns 0 for frames to leave out.
func Compile(expr string) ([]bpf.RawInstruction, error) {
	p := parser{words: split(expr)}
	if len(p.words) == 0 {
		return nil, errors.New("the filter is empty")
	}
	tree, err := p.expression()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%q was not expected there", p.words[0])
	}
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", expr, err)
	}
	var a assembly
	yes, no := &label{}, &label{}
	tree.emit(&a, yes, no)
	yes.at = a.add(bpf.RetConstant{Val: 1 << 18})
	no.at = a.add(bpf.RetConstant{Val: 0})
	return a.link()
}

// split takes an expression apart.
func split(expr string) []string {
	for _, sign := range []string{"(", ")", "!", "&&", "||"} {
		expr = strings.ReplaceAll(expr, sign, " "+sign+" ")
	}
	words := strings.Fields(expr)
	for i, w := range words {
		switch w {
		case "!":
			words[i] = "not"
		case "&&":
			words[i] = "and"
		case "||":
			words[i] = "or"
		}
	}
	return words
}

type parser struct {
	words []string
	tests int
}

func (p *parser) next(options ...string) bool {
	return len(p.words) > 0 && slices.Contains(options, p.words[0])
}

func (p *parser) take() (w string) {
	w, p.words = p.words[0], p.words[1:]
	return w
}

// expression: "and" and "or" bind alike, from the left, as in tcpdump.
func (p *parser) expression() (node, error) {
	left, err := p.term()
	for err == nil && p.next("and", "or") {
		op := p.take()
		var right node
		if right, err = p.term(); op == "and" {
			left = &both{left, right}
		} else {
			left = &not{&both{&not{left}, &not{right}}}
		}
	}
	return left, err
}

func (p *parser) term() (node, error) {
	switch {
	case len(p.words) == 0:
		return nil, errors.New("something is missing at the end")
	case p.next("not"):
		p.take()
		t, err := p.term()
		return &not{t}, err
	case p.next("("):
		p.take()
		t, err := p.expression()
		if err == nil && !p.next(")") {
			err = errors.New("a closing parenthesis is missing")
		}
		if err == nil {
			p.take()
		}
		return t, err
	}
	return p.test()
}

var (
	protocols  = []string{"ether", "ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp", "icmp6", "sctp"}
	directions = []string{"src", "dst"}
	kinds      = []string{"host", "net", "port"}

	// goesWith are the protocols that a kind of test may be about.
	goesWith = map[string][]string{
		"host": {"", "ether", "ip", "ip6", "arp"},
		"net":  {"", "ip", "ip6"},
		"port": {"", "tcp", "udp"},
	}
)

// test: PROTOCOL, or [PROTOCOL] [DIRECTION] [KIND] VALUE.
func (p *parser) test() (node, error) {
	if p.tests++; p.tests > maxTests {
		return nil, fmt.Errorf("more than %d tests", maxTests)
	}
	var protocol, direction, kind, value string
	if p.next(protocols...) {
		protocol = p.take()
	}
	if p.next(directions...) {
		direction = p.take()
		if len(p.words) > 1 && p.next("and", "or") && p.words[1] != direction && slices.Contains(directions, p.words[1]) {
			direction += " " + p.take()
			direction += " " + strings.ReplaceAll(p.take(), "src", "dst")
			direction = strings.Replace(direction, "dst or dst", "src or dst", 1)
			direction = strings.Replace(direction, "dst and dst", "src and dst", 1)
		}
	}
	if p.next(kinds...) {
		kind = p.take()
	}
	if len(p.words) > 0 && !p.next("and", "or", "not", "(", ")") {
		value = p.take()
	}
	switch {
	case value == "" && direction+kind != "":
		return nil, fmt.Errorf("%q needs a value", strings.TrimSpace(direction+" "+kind))
	case value == "" && (protocol == "" || protocol == "ether"):
		return nil, fmt.Errorf("expected a test such as tcp, host 10.0.0.1 or port 80, found %q", strings.Join(p.words, " "))
	case value != "" && kind == "" && !strings.ContainsAny(value, ".:"):
		return nil, fmt.Errorf("%q is no test that is known here: there are %s, each alone or before host, net or port and a value; "+
			"for all of tcpdump's language give the output of tcpdump -ddd to --bpf", value, strings.Join(protocols, ", "))
	}
	if value == "" {
		return alone(protocol), nil
	}
	if kind == "" {
		kind = "host"
	}
	if !slices.Contains(goesWith[kind], protocol) {
		return nil, fmt.Errorf("%s %s: not known here; for all of tcpdump's language give the output of tcpdump -ddd to --bpf", protocol, kind)
	}
	return compile(protocol, direction, kind, value)
}

// compile has the library compile a test.
func compile(protocol, direction, kind, value string) (n node, err error) {
	text := strings.Join(strings.Fields(strings.Join([]string{protocol, direction, kind, value}, " ")), " ")
	if kind == "net" && !strings.Contains(value, "/") {
		return nil, fmt.Errorf("%s: write the network with its length, such as 10.0.0.0/8", text)
	}
	if kind == "net" {
		if _, err := netip.ParsePrefix(value); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
	}
	defer func() { // the library's
		if v := recover(); v != nil {
			n, err = nil, fmt.Errorf("%s: cannot be compiled: %v", text, v)
		}
	}()
	f := pcap.NewExpression(text).Compile()
	if f == nil {
		return nil, fmt.Errorf("%s: cannot be compiled", text)
	}
	program, err := f.Compile()
	if err == nil {
		_, err = bpf.NewVM(program)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	return leaf(program), nil
}
