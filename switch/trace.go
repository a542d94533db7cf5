package vale

import (
	"encoding/binary"
	"fmt"
)

// Rule says why a switch would send a frame where it does.
type Rule string

// The rules, in the order in which they are looked at.
const (
	RuleTooShort Rule = "too-short" // dropped: it has no Ethernet header
	RuleGroup    Rule = "group"     // flooded: the destination is a group address
	RuleUnknown  Rule = "unknown"   // flooded: nobody has sent from the destination lately
	RuleVacant   Rule = "vacant"    // dropped: a compatible table names a port that left
	RuleOwn      Rule = "own"       // dropped: the destination is where the frame comes from
	RuleKnown    Rule = "known"     // sent to the one port that has the address
)

// Verdict is what a switch would do with a frame now.
type Verdict struct {
	Source, Destination MAC
	Rule                Rule
	Entry               *Address // of the destination, when the table has one
	Learns              bool     // the source is new on this port
	To                  []*Port
	Dropped             bool
	Reason              Reason // when Dropped
}

// Trace says what would become of a frame that port p sends, and why. It moves
// and learns nothing.
func (s *Switch) Trace(p *Port, frame []byte) (Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.has(p) {
		return Verdict{}, fmt.Errorf("trace a frame of %q on switch %q: %w", p.name, s.name, ErrNoPort)
	}
	if len(frame) < 14 {
		return Verdict{Rule: RuleTooShort, Dropped: true, Reason: TooShort}, nil
	}
	v := Verdict{Source: MAC(frame[6:12]), Destination: MAC(frame[:6])}
	src := binary.LittleEndian.Uint64(frame[6:14]) & macMask
	dst := binary.LittleEndian.Uint64(frame[:8]) & macMask
	known := s.tab.lookup(src)
	v.Learns = src&1 == 0 && !p.opt.NoLearning && (known == 0 || entryEpoch(known) != 0 && entryPort(known) != p.index)
	e := uint64(0)
	if dst&1 == 0 {
		if e = s.tab.lookup(dst); dst == src && v.Learns {
			e = entry(dst, p.index, s.epoch) // learned before it is looked up
		}
	}
	var at *Port
	if e != 0 {
		v.Entry = &Address{MAC: v.Destination, Index: entryPort(e), Static: entryEpoch(e) == 0, Age: s.ageOf(e)}
		at = s.ports[v.Entry.Index]
	}
	switch {
	case at == p:
		v.drop(RuleOwn, OwnAddress)
	case at != nil:
		v.Rule, v.To = RuleKnown, []*Port{at}
	case e != 0 && s.opt.Compat:
		v.drop(RuleVacant, VacantPort)
	default:
		v.Rule = RuleUnknown
		if dst&1 != 0 {
			v.Rule = RuleGroup
		}
		for _, q := range s.ports {
			if q != nil && q != p {
				v.To = append(v.To, q)
			}
		}
		if len(v.To) == 0 {
			v.drop(v.Rule, NoDestination)
		}
	}
	return v, nil
}

func (v *Verdict) drop(rule Rule, why Reason) { v.Rule, v.Dropped, v.Reason = rule, true, why }
