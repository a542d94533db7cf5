package model

import (
	"fmt"
	"slices"
)

// A word is one shared variable's value; all values of the bounded model fit.
type word = uint8

// A loc is a shared variable: a word of the sync block, a slot, or a descriptor on
// which somebody blocks (a message sent is a store of 1, taking it stores 0).
type loc uint8

const (
	head loc = iota
	cur
	applNeedKick
	hwcur
	hwtail
	kernNeedKick
	busy
	kick                         // the session's eventfd: blocks the daemon
	wake0                        // wake descriptor of the first client
	wake1                        // and of the second
	slot0                        // and slot0+i: one data word per slot
	nLocs = slot0 + maxSlots + 3 // the last ones are those of pipes, pipe_test.go

	maxSlots = 3

	fence loc = 255 // in a store buffer: stores behind it may not pass it
)

var locNames = [nLocs]string{
	"head", "cur", "appl_need_kick", "hwcur", "hwtail", "kern_need_kick",
	"busy", "kick", "wake0", "wake1", "slot0", "slot1", "slot2",
	"mode", "busy of RX", "head of RX",
}

// A place names a variable, fixed (loc) or chosen by a register (slotAtPos).
type place interface{ at(r *regs) loc }

func (l loc) at(*regs) loc { return l }

// regs are the private variables of one side.
type regs struct {
	pos   word // next slot to handle; absolute, never wraps: the slot is pos modulo the ring's size
	limit word // first slot that is not ours
	head  word // daemon: the head it loaded last
	v     word // the value loaded last; dead at the next load
}

// A history holds the values of one variable, oldest first, that some thread may still
// read; the last is the newest.
type history struct {
	n uint8
	v [8]word
}

func (h *history) newest() word { return h.v[h.n-1] }

type pending struct {
	at loc
	v  word
}

// A thread's loads may be early: a load returns any value not older than the thread
// has seen. Its stores may be late: they wait in buf, in any order but for fences and
// for stores to the same variable.
type thread struct {
	pc   uint8
	r    regs
	seen [nLocs]uint8 // index into the history; only of variables the thread loads
	nbuf uint8
	buf  [12]pending
}

// state is comparable, with unused parts zero: it is its own key in the visited set.
type state struct {
	mem [nLocs]history
	th  [3]thread
}

type violation string

type op uint8

const (
	opLoad op = iota
	opStore
	opStoreBarrier
	opLoadBarrier
	opFullBarrier
	opUpdate // atomic: load, and store what is made of that; a full barrier
	opTake   // wait until the variable is `want`, then set it to the other value
	opLocal  // registers only
	opBranch // to target when cond
	opAssert // cond, else a violation
	opDone
)

type step struct {
	op     op
	place  place
	value  func(r *regs) word
	update func(old word) word
	local  func(r *regs)
	cond   func(r *regs) bool
	want   word
	bad    violation
	target string
}

// A program is what one side executes; it is written with the methods below.
type program struct {
	name   string
	steps  []step
	labels map[string]uint8
	live   [][nLocs]bool // per step: may it be followed by a load without a barrier before?
}

func (p *program) label(name string) {
	if p.labels == nil {
		p.labels = map[string]uint8{}
	}
	p.labels[name] = uint8(len(p.steps))
}

func (p *program) add(s step) { p.steps = append(p.steps, s) }

func (p *program) load(from place) { p.add(step{op: opLoad, place: from}) }
func (p *program) store(to place, value func(r *regs) word) {
	p.add(step{op: opStore, place: to, value: value})
}

func (p *program) update(l loc, f func(old word) word) {
	p.add(step{op: opUpdate, place: l, update: f})
}
func (p *program) put(to loc, v word)     { p.store(to, func(*regs) word { return v }) }
func (p *program) do(local func(r *regs)) { p.add(step{op: opLocal, local: local}) }
func (p *program) jump(to string)         { p.branch(to, func(*regs) bool { return true }) }
func (p *program) branch(to string, c func(*regs) bool) {
	p.add(step{op: opBranch, target: to, cond: c})
}

func (p *program) assert(bad violation, c func(*regs) bool) {
	p.add(step{op: opAssert, bad: bad, cond: c})
}

// block waits for a message and takes it; lock is a compare-and-swap of 0 with acquire order.
func (p *program) block(on loc) { p.add(step{op: opTake, place: on, want: 1}) }
func (p *program) lock(l loc)   { p.add(step{op: opTake, place: l}); p.barrier(opLoadBarrier) }
func (p *program) unlock(l loc) { p.barrier(opStoreBarrier); p.put(l, 0) }
func (p *program) barrier(o op) { p.add(step{op: o}) }
func (p *program) done()        { p.add(step{op: opDone}) }

// A machine runs programs against one memory.
type machine struct {
	programs []*program
	init     [nLocs]word
	final    func(m *machine, s *state) violation // judges a state in which no thread can go on
	sought   violation                            // when set, others are overlooked
	log      *[]string                            // when set, what each step did
}

// step returns the step that thread t is at.
func (m *machine) step(s *state, t int) *step { return &m.programs[t].steps[s.th[t].pc] }

func (m *machine) logf(t int, format string, args ...any) {
	if m.log != nil {
		*m.log = append(*m.log, fmt.Sprintf("%-7s ", m.programs[t].name)+fmt.Sprintf(format, args...))
	}
}

func (m *machine) start() (state, violation) {
	var s state
	for l, v := range m.init {
		s.mem[l].n, s.mem[l].v[0] = 1, v
	}
	for _, p := range m.programs {
		p.findLive()
	}
	for t := range m.programs {
		if bad := m.goOn(&s, t); bad != "" {
			return s, bad
		}
	}
	return s, ""
}

// findLive computes, backwards to a fixed point, which variables a thread at a step may
// still load old values of. All others need no history on its account.
func (p *program) findLive() {
	p.live = make([][nLocs]bool, len(p.steps)+1)
	for changed := true; changed; {
		changed = false
		for pc, st := range slices.Backward(p.steps) {
			var live [nLocs]bool
			switch st.op {
			case opLoadBarrier, opFullBarrier, opUpdate, opDone:
			case opBranch:
				live = p.live[pc+1]
				for l, on := range p.live[p.labels[st.target]] {
					live[l] = live[l] || on
				}
			default:
				live = p.live[pc+1]
			}
			for pos := word(0); st.op == opLoad && pos < maxSlots; pos++ {
				live[st.place.at(&regs{pos: pos})] = true
			}
			changed = changed || live != p.live[pc]
			p.live[pc] = live
		}
	}
}

// successors calls visit for every state that one transition leads to. Transitions are
// what other threads can notice or influence: a store leaving a buffer, a load, a take.
// All else is done at once by runLocal, which loses no behaviour: a buffered store can
// still be as late as it likes, and a barrier executed early forbids less.
func (m *machine) successors(s *state, visit func(*state, violation)) {
	for t := range m.programs {
		th := &s.th[t]
		for i := range th.nbuf {
			if !th.mayDrain(i) {
				continue
			}
			next := *s
			st := next.th[t].remove(i)
			m.logf(t, "      ... %s=%s reaches memory", locNames[st.at], show(st.at, st.v))
			m.write(&next, t, st.at, st.v)
			visit(&next, m.goOn(&next, t))
		}
		st := m.step(s, t)
		switch st.op {
		case opLoad:
			m.loads(s, t, st.place.at(&th.r), visit)
		case opUpdate:
			if th.nbuf > 0 {
				continue
			}
			next, l := *s, st.place.at(&th.r)
			old := s.mem[l].newest()
			m.logf(t, "update %s from %s to %s", locNames[l], show(l, old), show(l, st.update(old)))
			m.write(&next, t, l, st.update(old))
			m.seeAll(&next, t)
			next.th[t].r.v = old
			next.th[t].pc++
			visit(&next, m.goOn(&next, t))
		case opTake:
			l := st.place.at(&th.r)
			if s.mem[l].newest() != st.want || th.find(l) >= 0 {
				continue
			}
			next := *s
			m.logf(t, "take %s", locNames[l])
			m.write(&next, t, l, 1-st.want)
			next.th[t].pc++
			visit(&next, m.goOn(&next, t))
		}
	}
}

// loads visits one state per value that thread t may load from l.
func (m *machine) loads(s *state, t int, l loc, visit func(*state, violation)) {
	th, h := &s.th[t], &s.mem[l]
	from, forwarded := th.seen[l], th.find(l)
	if forwarded >= 0 {
		from = h.n - 1 // one turn of the loop, whose value the buffer gives
	}
	for i := from; i < h.n; i++ {
		next := *s
		v, age := h.v[i], ""
		if forwarded >= 0 {
			v, age = th.buf[forwarded].v, " (own buffer)"
		} else {
			next.th[t].seen[l] = i
			if v != h.newest() {
				age = " (early: newest is " + show(l, h.newest()) + ")"
			}
		}
		m.logf(t, "load %s -> %s%s", locNames[l], show(l, v), age)
		next.th[t].r.v = v
		next.th[t].pc++
		visit(&next, m.goOn(&next, t))
	}
}

// goOn completes a transition of thread t.
func (m *machine) goOn(s *state, t int) violation {
	bad := m.runLocal(s, t)
	m.tidy(s)
	return bad
}

// runLocal executes steps of thread t up to the next one that others can notice.
func (m *machine) runLocal(s *state, t int) violation {
	th, p := &s.th[t], m.programs[t]
	for {
		st := m.step(s, t)
		switch st.op {
		case opStore:
			if int(th.nbuf) > len(th.buf)-2 {
				return "" // full; goes on after the next drain
			}
			l, v := st.place.at(&th.r), st.value(&th.r)
			m.logf(t, "store %s=%s", locNames[l], show(l, v))
			th.push(pending{l, v})
		case opStoreBarrier:
			m.logf(t, "store barrier")
			if th.nbuf > 0 && th.buf[th.nbuf-1].at != fence {
				th.push(pending{at: fence})
			}
		case opFullBarrier:
			if th.nbuf > 0 {
				return ""
			}
			m.logf(t, "full barrier")
			m.seeAll(s, t)
		case opLoadBarrier:
			m.logf(t, "load barrier")
			m.seeAll(s, t)
		case opLocal:
			st.local(&th.r)
		case opAssert:
			if !st.cond(&th.r) && m.counts(st.bad) {
				return st.bad
			}
		case opBranch:
			if st.cond(&th.r) {
				th.pc = p.labels[st.target]
				continue
			}
		default: // opLoad, opUpdate, opTake: a transition; opDone: the end
			th.r.v = 0
			return ""
		}
		th.pc++
	}
}

// write makes v the newest value of l, written by thread t.
func (m *machine) write(s *state, t int, l loc, v word) {
	h := &s.mem[l]
	if h.newest() != v { // a repeated value cannot be told from the first
		if int(h.n) == len(h.v) {
			panic("model: history of " + locNames[l] + " is too short for this model")
		}
		h.v[h.n] = v
		h.n++
	}
	s.th[t].seen[l] = h.n - 1
}

// seeAll lets later loads of thread t return nothing older than what is newest now.
func (m *machine) seeAll(s *state, t int) {
	for l := range nLocs {
		s.th[t].seen[l] = s.mem[l].n - 1
	}
}

// tidy forgets values that no thread can load any more, so that states that differ only
// in their past are one.
func (m *machine) tidy(s *state) {
	for l := range nLocs {
		h := &s.mem[l]
		oldest := h.n - 1
		for t, p := range m.programs {
			if th := &s.th[t]; p.live[th.pc][l] {
				oldest = min(oldest, th.seen[l])
			}
		}
		kept := history{n: h.n - oldest}
		copy(kept.v[:], h.v[oldest:h.n])
		*h = kept
		for t, p := range m.programs {
			if th := &s.th[t]; p.live[th.pc][l] {
				th.seen[l] -= oldest
			} else {
				th.seen[l] = 0
			}
		}
	}
}

func (th *thread) push(st pending) {
	th.buf[th.nbuf] = st
	th.nbuf++
}

// mayDrain: entry i is a store with neither a fence nor a store to the same variable before it.
func (th *thread) mayDrain(i uint8) bool {
	return th.buf[i].at != fence && !slices.ContainsFunc(th.buf[:i], func(e pending) bool {
		return e.at == fence || e.at == th.buf[i].at
	})
}

// remove takes entry i out of the buffer, and a fence that nothing waits for any more.
func (th *thread) remove(i uint8) pending {
	st := th.buf[i]
	n := copy(th.buf[i:th.nbuf], th.buf[i+1:th.nbuf]) + int(i)
	if n > 0 && th.buf[0].at == fence {
		n = copy(th.buf[:n], th.buf[1:n])
	}
	clear(th.buf[n:])
	th.nbuf = uint8(n)
	return st
}

// find returns the index of the youngest buffered store to l, or -1.
func (th *thread) find(l loc) int {
	for i := int(th.nbuf) - 1; i >= 0; i-- {
		if th.buf[i].at == l {
			return i
		}
	}
	return -1
}

// show prints slot words as who wrote them for which position, all others as numbers.
func show(l loc, v word) string {
	switch {
	case l < slot0 || l >= slot0+maxSlots:
		return fmt.Sprint(v)
	case v%2 == 0:
		return fmt.Sprintf("client's %d", v/2)
	default:
		return fmt.Sprintf("daemon's %d", v/2)
	}
}
