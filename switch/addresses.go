package vale

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"time"
)

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// word is the address as the table and the frames hold it.
func (m MAC) word() uint64 {
	return uint64(m[0]) | uint64(m[1])<<8 | uint64(m[2])<<16 | uint64(m[3])<<24 | uint64(m[4])<<32 | uint64(m[5])<<40
}

func macOf(w uint64) MAC {
	return MAC{byte(w), byte(w >> 8), byte(w >> 16), byte(w >> 24), byte(w >> 32), byte(w >> 40)}
}

// Address is an entry of the forwarding table.
type Address struct {
	MAC    MAC
	Index  int  // of the port
	Static bool // set by SetStatic: neither learned nor forgotten
}

// Addresses lists the forwarding table, sorted by address.
func (s *Switch) Addresses() []Address {
	s.mu.Lock()
	tab := s.tab
	s.mu.Unlock()
	var list []Address
	tab.each(func(e uint64) {
		list = append(list, Address{macOf(e & macMask), entryPort(e), entryEpoch(e) == 0})
	})
	slices.SortFunc(list, func(a, b Address) int {
		return cmp.Or(slices.Compare(a.MAC[:], b.MAC[:]), cmp.Compare(a.Index, b.Index))
	})
	return list
}

// SetStatic pins an address to a port, whatever frames say, until the port
// leaves or Forget is called.
func (s *Switch) SetStatic(m MAC, p *Port) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.has(p) {
		return fmt.Errorf("pin %v on switch %q: %w", m, s.name, ErrNoPort)
	}
	w := m.word()
	if w&1 != 0 {
		return fmt.Errorf("pin %v on switch %q: it is a group address; groups are flooded", m, s.name)
	}
	// Into an empty table static addresses first: they may not lose their place.
	tab, pin := s.emptyTable(len(s.tab.words)), entry(w, p.index, 0)
	s.refill(tab, func(e uint64) bool { return entryEpoch(e) == 0 && e&macMask != w })
	tab.learn(pin)
	s.refill(tab, func(e uint64) bool { return entryEpoch(e) != 0 && e&macMask != w })
	if tab.lookup(w) != pin {
		return fmt.Errorf("pin %v on switch %q: other static addresses occupy its place in the table", m, s.name)
	}
	s.tab = tab
	s.publish()
	return nil
}

// Forget removes an address, learned or static, and reports whether it was there.
func (s *Switch) Forget(m MAC) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := m.word()
	if s.tab.lookup(w) == 0 {
		return false
	}
	s.rebuild(len(s.tab.words), func(e uint64) bool { return e&macMask != w })
	s.publish()
	return true
}

// SetAge changes Options.Age.
func (s *Switch) SetAge(age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Age, s.stepped = age, time.Time{} // the next Maintain begins to count
}

// Maintain does the work that lcores leave to the control plane: it grows the
// table, and lets addresses age. Call it when Options.Wanted says so and, if
// Options.Age is set, some ten times in that time.
func (s *Switch) Maintain(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.age(now)
	if s.tab.crowded() {
		s.rebuild(2*len(s.tab.words), func(uint64) bool { return true })
		changed = true
	}
	if changed {
		s.publish()
	}
}

// age begins a new epoch for every fifth of Options.Age that passed. Epochs are
// numbers modulo 7; an entry is dropped as soon as it is six epochs old, that
// is, when it has not been seen for at least five fifths of Age.
func (s *Switch) age(now time.Time) (changed bool) {
	step := s.opt.Age / 5
	if step <= 0 || s.opt.Compat {
		return false
	}
	if s.stepped.IsZero() {
		s.stepped = now
	}
	for range epochs {
		if now.Sub(s.stepped) < step {
			return changed
		}
		s.stepped = s.stepped.Add(step)
		s.epoch = s.epoch%epochs + 1
		expired := s.epoch%epochs + 1 // six steps back is one step ahead
		s.rebuild(len(s.tab.words), func(e uint64) bool { return entryEpoch(e) != expired })
		changed = true
	}
	s.stepped = now // a whole cycle passed: everything has expired
	return changed
}

// emptyTable makes a table of at least size addresses, as the options want it.
func (s *Switch) emptyTable(size int) *table {
	if s.opt.Compat {
		return newCompatTable()
	}
	return newTable(size, size >= s.opt.MaxAddresses)
}

// rebuild replaces the table by one of the given size with the entries that
// keep accepts.
func (s *Switch) rebuild(size int, keep func(e uint64) bool) {
	tab := s.emptyTable(size)
	s.refill(tab, func(e uint64) bool { return entryEpoch(e) == 0 && keep(e) })
	s.refill(tab, func(e uint64) bool { return entryEpoch(e) != 0 && keep(e) })
	s.tab = tab
}

// refill copies those entries of the table to tab that keep accepts.
func (s *Switch) refill(tab *table, keep func(e uint64) bool) {
	s.tab.each(func(e uint64) {
		if keep(e) {
			tab.learn(e)
		}
	})
}
