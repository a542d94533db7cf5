package filter

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// node is a part of an expression. emit writes code that goes on at one of two
// labels, both further on.
type node interface {
	emit(a *assembly, yes, no *label)
}

// label is a place in a program, known once it is written.
type label struct{ at int }

// assembly is a program with jumps to labels.
type assembly struct {
	program []bpf.Instruction
	jumps   map[int]*label
}

func (a *assembly) add(ins bpf.Instruction) (at int) {
	a.program = append(a.program, ins)
	return len(a.program) - 1
}

func (a *assembly) jump(to *label) {
	if a.jumps == nil {
		a.jumps = map[int]*label{}
	}
	a.jumps[a.add(bpf.Jump{})] = to
}

// link fills in the jumps.
func (a *assembly) link() ([]bpf.RawInstruction, error) {
	for at, to := range a.jumps {
		a.program[at] = bpf.Jump{Skip: uint32(to.at - at - 1)}
	}
	if _, err := bpf.NewVM(a.program); err != nil {
		return nil, fmt.Errorf("the program is not valid: %w", err)
	}
	return bpf.Assemble(a.program)
}

// leaf is a whole program. Each of its instructions takes one place, so jumps
// inside stay right; where it would end it goes on.
type leaf []bpf.Instruction

func (l leaf) emit(a *assembly, yes, no *label) {
	for _, ins := range l {
		switch ret, ok := ins.(bpf.RetConstant); {
		case ok && ret.Val == 0:
			a.jump(no)
		case ok:
			a.jump(yes)
		default:
			a.add(ins)
		}
	}
}

// The types of Ethernet and the numbers of IP's protocols that have names.
var (
	etherTypes  = map[string]uint32{"ip": 0x800, "ip6": 0x86dd, "arp": 0x806, "rarp": 0x8035}
	ipProtocols = map[string]uint32{"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "sctp": 132}
)

// alone is the test for a protocol and nothing else, which the library does not
// get right. As in tcpdump, an extension header of IPv6 hides what follows it, but
// for that of a fragment.
func alone(protocol string) leaf {
	const yes, no = 1, 0
	is := func(val uint32, skipFalse uint8) bpf.Instruction {
		return bpf.JumpIf{Cond: bpf.JumpEqual, Val: val, SkipFalse: skipFalse}
	}
	etherType := bpf.LoadAbsolute{Off: 12, Size: 2}
	if t, ok := etherTypes[protocol]; ok {
		return leaf{etherType, is(t, 1), bpf.RetConstant{Val: yes}, bpf.RetConstant{Val: no}}
	}
	n := ipProtocols[protocol]
	v4 := leaf{etherType, is(0x800, 3), bpf.LoadAbsolute{Off: 23, Size: 1}, is(n, 1), bpf.RetConstant{Val: yes}}
	v6 := leaf{
		etherType, is(0x86dd, 6),
		bpf.LoadAbsolute{Off: 20, Size: 1},
		is(44, 1),
		bpf.LoadAbsolute{Off: 54, Size: 1},
		is(n, 1),
		bpf.RetConstant{Val: yes},
		bpf.RetConstant{Val: no},
		bpf.RetConstant{Val: no},
	}
	switch protocol {
	case "icmp":
		return append(v4, bpf.RetConstant{Val: no})
	case "icmp6":
		return v6
	}
	return append(v4, v6...)
}

type not struct{ of node }

func (n *not) emit(a *assembly, yes, no *label) { n.of.emit(a, no, yes) }

type both struct{ first, second node }

func (b *both) emit(a *assembly, yes, no *label) {
	next := &label{}
	b.first.emit(a, next, no)
	next.at = len(a.program)
	b.second.emit(a, yes, no)
}
