package model

import "testing"

const forbidden violation = "forbidden outcome"

// The memory model itself is put to the classic litmus tests: without barriers it must
// show each reordering, with them none. A model that cannot reorder proves nothing.
func TestMemoryModel(t *testing.T) {
	const x, y = head, cur
	keep := func(r *regs) { r.limit = r.v }
	maybe := func(p *program, on bool, o op) {
		if on {
			p.barrier(o)
		}
	}
	// Both store, then look at the other's variable: may both miss the other's store?
	storeBuffering := func(first, second bool) *machine {
		side := func(mine, other loc, fenced bool) *program {
			p := &program{name: locNames[mine]}
			p.put(mine, 1)
			maybe(p, fenced, opFullBarrier)
			p.load(other)
			p.do(func(r *regs) { r.pos = 1 - r.v })
			p.done()
			return p
		}
		m := &machine{programs: []*program{side(x, y, first), side(y, x, second)}}
		m.final = func(_ *machine, s *state) violation {
			if s.th[0].r.pos == 1 && s.th[1].r.pos == 1 {
				return forbidden
			}
			return ""
		}
		return m
	}
	// x is the message, y says that it is there: may a reader of y miss x?
	messagePassing := func(writer, reader bool) *machine {
		w, r := &program{name: "writer"}, &program{name: "reader"}
		w.put(x, 1)
		maybe(w, writer, opStoreBarrier)
		w.put(y, 1)
		w.done()
		r.load(y)
		r.do(keep)
		maybe(r, reader, opLoadBarrier)
		r.load(x)
		r.assert(forbidden, func(r *regs) bool { return r.v >= r.limit })
		r.done()
		return &machine{programs: []*program{w, r}}
	}
	// One variable never goes back, and a thread sees its own stores.
	coherence := func() *machine {
		w, r := &program{name: "writer"}, &program{name: "reader"}
		w.put(x, 1)
		w.put(x, 2)
		w.load(x)
		w.assert(forbidden, func(r *regs) bool { return r.v == 2 })
		w.done()
		r.load(x)
		r.do(keep)
		r.load(x)
		r.assert(forbidden, func(r *regs) bool { return r.v >= r.limit })
		r.done()
		return &machine{programs: []*program{w, r}}
	}
	tests := []struct {
		name string
		m    *machine
		want violation
	}{
		{"store buffering, no barrier", storeBuffering(false, false), forbidden},
		{"store buffering, one full barrier", storeBuffering(true, false), forbidden},
		{"store buffering, two full barriers", storeBuffering(true, true), ""},
		{"message passing, no barrier", messagePassing(false, false), forbidden},
		{"message passing, store barrier only", messagePassing(true, false), forbidden},
		{"message passing, load barrier only", messagePassing(false, true), forbidden},
		{"message passing, both", messagePassing(true, true), ""},
		{"coherence", coherence(), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.m.check(); got.bad != tt.want {
				t.Errorf("found %q in %d states, want %q", got.bad, got.states, tt.want)
			}
		})
	}
}
