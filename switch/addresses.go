package vale

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
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

	// Age is how long ago the last frame came from there, at most, to a fifth of
	// Options.Age; 0 for static addresses and where none age.
	Age time.Duration
}

// Addresses lists the forwarding table, sorted by address.
func (s *Switch) Addresses() []Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Address
	s.tab.each(func(e uint64) {
		list = append(list, Address{macOf(e & macMask), entryPort(e), entryEpoch(e) == 0, s.ageOf(e)})
	})
	slices.SortFunc(list, func(a, b Address) int {
		return cmp.Or(slices.Compare(a.MAC[:], b.MAC[:]), cmp.Compare(a.Index, b.Index))
	})
	return list
}

// ageOf is the age of an entry.
func (s *Switch) ageOf(e uint64) time.Duration {
	if entryEpoch(e) == 0 || s.opt.Compat {
		return 0
	}
	steps := (s.epoch + epochs - entryEpoch(e)) % epochs
	return time.Duration(steps) * s.opt.Age / 5
}

// TableStats describe the forwarding table.
type TableStats struct {
	Size      int    // slots
	Used      int    // addresses, Static ones included
	Static    int    // addresses that were pinned
	Displaced int    // addresses that do not lie in the first slot they want, and cost a longer search
	Evicted   uint64 // addresses that lost their place to another since the switch was made
	Age       time.Duration
	Limit     int // of Size
}

// Table describes the forwarding table.
func (s *Switch) Table() TableStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tab
	st := TableStats{Size: len(t.words), Evicted: s.evicted + t.evicted.Load(), Age: s.opt.Age, Limit: s.opt.MaxAddresses}
	for i := range t.words {
		e := atomic.LoadUint64(&t.words[i])
		if e == 0 {
			continue
		}
		st.Used++
		if entryEpoch(e) == 0 {
			st.Static++
		}
		if t.place(e&macMask)&uint64(len(t.words)-1) != uint64(i) {
			st.Displaced++
		}
	}
	if s.opt.Compat {
		st.Limit = compatSize
	}
	return st
}

// Flush forgets all learned addresses, or those of one port when p is not nil;
// static ones stay. It returns how many there were.
func (s *Switch) Flush(p *Port) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rebuild(len(s.tab.words), func(e uint64) bool {
		if entryEpoch(e) == 0 || p != nil && (!s.has(p) || entryPort(e) != p.index) {
			return true
		}
		n++
		return false
	})
	s.publish()
	return n
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
	other := func(e uint64) bool { return e&macMask != w }
	s.refill(tab, func(e uint64) bool { return entryEpoch(e) == 0 && other(e) })
	tab.learn(pin)
	s.refill(tab, func(e uint64) bool { return entryEpoch(e) != 0 && other(e) })
	if tab.lookup(w) != pin {
		return fmt.Errorf("pin %v on switch %q: other static addresses occupy its place in the table", m, s.name)
	}
	s.replace(tab, other)
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
	s.catchUp()
	changed := s.age(now)
	if s.tab.crowded() {
		s.rebuild(s.tab.grown(s.opt.MaxAddresses), func(uint64) bool { return true })
		changed = true
	}
	if changed {
		s.publish()
		if s.opt.Wanted != nil {
			s.opt.Wanted() // to catch up as soon as the pollers use the new table
		}
	}
}

// grace is how long a poller may go on with a table that has been replaced: its CPU may be somebody else's in the middle of a batch.
const grace = time.Second

// catchUp brings what pollers learned into the last table, while it was being replaced, into the one that replaced it.
func (s *Switch) catchUp() {
	if s.last == nil {
		return
	}
	s.last.each(s.bring)
	s.last.waiting(s.bring)
	if time.Since(s.replaced) > grace {
		s.last = nil
	}
}

// bring learns an entry of the last table, unless there is news of that address.
func (s *Switch) bring(e uint64) {
	if s.kept(e) && s.tab.lookup(e&macMask) == 0 {
		s.tab.learn(e)
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
// keep accepts, now or at the next catchUp.
func (s *Switch) rebuild(size int, keep func(e uint64) bool) {
	s.catchUp()
	tab := s.emptyTable(size)
	s.refill(tab, func(e uint64) bool { return entryEpoch(e) == 0 && keep(e) })
	s.refill(tab, func(e uint64) bool { return entryEpoch(e) != 0 && keep(e) })
	s.replace(tab, keep)
}

// replace takes another table into use. What keep accepts of the old one's, and is not in it, follows.
func (s *Switch) replace(tab *table, keep func(e uint64) bool) {
	last := s.tab
	s.evicted += last.evicted.Load()
	s.tab, s.last = tab, nil
	if !tab.full { // or others would lose their places
		s.last, s.kept, s.replaced = last, keep, time.Now()
		last.waiting(s.bring)
	}
}

// refill copies those entries of the table to tab that keep accepts.
func (s *Switch) refill(tab *table, keep func(e uint64) bool) {
	s.tab.each(func(e uint64) {
		if keep(e) {
			tab.learn(e)
		}
	})
}
