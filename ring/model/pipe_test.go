package model

import (
	"fmt"
	"strings"
	"testing"
)

// The variables of a pipe, under the names they have in the model of a ring where they have the same part: the TX ring's
// are head and busy; what the sender publishes is hwtail and what the receiver releases is hwcur.
//
// A slot stands for the two slots of one number in both rings: what a side leaves in it is what it copies into the ring
// at the other end.
const (
	published    = hwtail       // by the sender, in the block of the RX ring
	released     = hwcur        // by the receiver, in the block of the TX ring
	senderMark   = cur          // appl_need_kick of the TX ring
	receiverMark = applNeedKick // and of the RX ring
	senderWake   = wake1
	receiverWake = wake0

	mode   = slot0 + maxSlots + iota - 6 // 0 direct, 1 carried
	busyRx                               // busy of the RX ring
	headRx                               // what the receiver publishes in a carried pipe
)

const (
	pipeStoreBarrier part = "an end: store barrier between slots and index"
	pipeWakeBarrier  part = "an end: full barrier between index and the other's mark"
	pipeClearFirst   part = "an end: the mark is cleared before the eventfd is written, not after"
	pipeLoadBarrier  part = "an end: load barrier between the other's index and slots"
	pipeSleepBarrier part = "an end: full barrier between mark and the re-check"
	pipeRecheck      part = "an end: re-check of the other's index before it blocks"
	pipeLocks        part = "daemon: both busy words are held while the mode changes"
	pipeRereadMode   part = "an end: the mode is read inside the busy word"
	pipeHandsOver    part = "daemon: what was published to it is taken before the ends move slots again"
	pipeWakesAll     part = "daemon: everybody is woken when the mode has changed"
)

// A pipeModel is one bounded instance: a sender, a receiver, and a daemon that takes the pipe over, if at all, at any
// moment, and may give it back.
type pipeModel struct {
	slots, items word
	over, back   bool
	without      []part
}

func (pm pipeModel) side(name string) *side {
	return &side{program{name: name}, model{slots: pm.slots, items: pm.items, without: pm.without}}
}

// An end is what differs between sender and receiver.
type end struct {
	sender              bool
	own, others         loc // indices: what this end publishes, and what the other does
	ownMark, othersMark loc
	ownWake, othersWake loc
	busy, head          loc
}

var (
	sender = end{
		true, published, released, senderMark, receiverMark, senderWake, receiverWake, busy, head,
	}
	receiver = end{
		false, released, published, receiverMark, senderMark, receiverWake, senderWake, busyRx, headRx,
	}
)

// limit is the first position that an end may not touch, given the other's index.
func (pm pipeModel) limit(e end, other word) word {
	if e.sender {
		return min(other+pm.slots-1, pm.items)
	}
	return other
}

func (pm pipeModel) end(name string, e end) *program {
	sd := pm.side(name)
	expect, leave := daemonWord, clientWord
	if !e.sender {
		expect, leave = clientWord, daemonWord
	}
	sd.label("sync")
	if !sd.has(pipeRereadMode) {
		sd.load(mode)
		sd.do(func(r *regs) { r.head = r.v })
	}
	sd.lock(e.busy)
	if sd.has(pipeRereadMode) {
		sd.load(mode)
		sd.do(func(r *regs) { r.head = r.v })
	}
	sd.load(e.others)
	sd.do(func(r *regs) { r.limit = pm.limit(e, r.v) })
	sd.barrierIf(pipeLoadBarrier, opLoadBarrier)
	sd.branch("idle", func(r *regs) bool { return r.pos >= r.limit })
	sd.handle(expect, leave, e.sender)
	sd.barrierIf(pipeStoreBarrier, opStoreBarrier)
	sd.branch("carried", func(r *regs) bool { return r.head == 1 })
	sd.store(e.own, position)
	sd.barrierIf(pipeWakeBarrier, opFullBarrier)
	sd.load(e.othersMark)
	sd.branch("published", func(r *regs) bool { return r.v == 0 })
	sd.wakeOne(e.othersMark, e.othersWake, pipeClearFirst)
	sd.label("published")
	sd.unlock(e.busy)
	sd.jump("sync")

	sd.label("carried") // as on any ring, where the daemon always wants a kick: its marks are not the matter here
	sd.store(e.head, position)
	sd.barrier(opStoreBarrier)
	sd.put(kick, 1)
	sd.jump("published")

	sd.label("idle")
	sd.unlock(e.busy)
	sd.branch("done", func(r *regs) bool { return r.pos == pm.items })
	sd.put(e.ownMark, 1)
	sd.barrierIf(pipeSleepBarrier, opFullBarrier)
	if sd.has(pipeRecheck) {
		sd.load(e.others)
		sd.branch("sync", func(r *regs) bool { return pm.limit(e, r.v) > r.pos })
	}
	sd.block(e.ownWake)
	sd.jump("sync")
	sd.label("done")
	sd.done()
	return &sd.program
}

// wakeOne clears a mark and wakes who left it.
func (sd *side) wakeOne(mark, wake loc, clearFirst part) {
	if sd.has(clearFirst) {
		sd.put(mark, 0)
		sd.barrier(opStoreBarrier)
		sd.put(wake, 1)
		return
	}
	sd.put(wake, 1)
	sd.barrier(opStoreBarrier)
	sd.put(mark, 0)
}

// daemon takes over, carries, and perhaps gives back. pos is what it took from the sender, limit what from the receiver.
func (pm pipeModel) daemon() *program {
	sd := pm.side("daemon")
	if !pm.over {
		sd.done()
		return &sd.program
	}
	locked := func(change func()) {
		if sd.has(pipeLocks) {
			sd.lock(busy)
			sd.lock(busyRx)
		}
		change()
		if sd.has(pipeLocks) {
			sd.unlock(busy)
			sd.unlock(busyRx)
		}
		if sd.has(pipeWakesAll) {
			sd.put(senderWake, 1)
			sd.put(receiverWake, 1)
		}
	}
	locked(func() {
		sd.load(published)
		sd.do(func(r *regs) { r.pos = r.v })
		sd.load(released)
		sd.do(func(r *regs) { r.limit = r.v })
		sd.store(head, position)
		sd.store(headRx, limit)
		sd.barrier(opStoreBarrier)
		sd.put(mode, 1)
	})
	sd.label("poll")
	pm.turn(sd, "")
	if pm.back {
		locked(func() {
			if sd.has(pipeHandsOver) {
				pm.turn(sd, " last")
			}
			sd.barrier(opStoreBarrier)
			sd.put(mode, 0)
		})
		sd.done()
		return &sd.program
	}
	sd.block(kick)
	sd.barrier(opLoadBarrier)
	sd.jump("poll")
	return &sd.program
}

func limit(r *regs) word { return r.limit }

// turn carries what there is, both ways.
func (pm pipeModel) turn(sd *side, name string) {
	pass := func(from, mark, wake loc, last func(*regs) *word) {
		skip := locNames[from] + name
		sd.load(from)
		sd.branch(skip, func(r *regs) bool { return r.v == *last(r) })
		sd.do(func(r *regs) { *last(r) = r.v })
		sd.barrier(opLoadBarrier)
		sd.barrier(opStoreBarrier)
		// Both, since both stand in what is published of either ring.
		sd.store(published, position)
		sd.store(released, limit)
		sd.barrier(opFullBarrier)
		sd.load(mark)
		sd.branch(skip, func(r *regs) bool { return r.v == 0 })
		sd.wakeOne(mark, wake, daemonClearFirst)
		sd.label(skip)
	}
	pass(head, receiverMark, receiverWake, func(r *regs) *word { return &r.pos })
	pass(headRx, senderMark, senderWake, func(r *regs) *word { return &r.limit })
}

// machine builds the initial state: an empty, direct pipe.
func (pm pipeModel) machine() *machine {
	m := &machine{final: pm.everythingArrived}
	for i := range pm.slots {
		m.init[slot0+loc(i)] = daemonWord(i)
	}
	m.programs = []*program{pm.end("sender", sender), pm.end("recv", receiver), pm.daemon()}
	return m
}

// everythingArrived judges a state in which nobody can go on.
func (pm pipeModel) everythingArrived(m *machine, s *state) violation {
	for t := range 2 {
		if s.th[t].r.pos != pm.items || m.step(s, t).op != opDone {
			return lostWakeup
		}
	}
	return ""
}

func (pm pipeModel) String() string {
	who := "direct"
	if pm.over {
		who = "taken over"
	}
	if pm.back {
		who = "taken over and given back"
	}
	return fmt.Sprintf("%d slots, %d items, %s", pm.slots, pm.items, who)
}

func (pm pipeModel) run(t *testing.T, sought violation) result {
	t.Helper()
	m := pm.machine()
	m.sought = sought
	got := m.check()
	t.Logf("%d states", got.states)
	return got
}

// Nobody depends on being woken at a change of mode: who sleeps has left a mark, which is looked at in both modes. So most
// models do without.
func TestPipe(t *testing.T) {
	alone := []part{pipeWakesAll} // with it there are five times as many states
	for _, pm := range []pipeModel{
		{slots: 2, items: 3},
		{slots: 3, items: 5},
		{slots: 2, items: 2, over: true, without: alone},
		{slots: 2, items: 2, over: true, back: true, without: alone},
		{slots: 3, items: 3, over: true, without: alone},
		{slots: 3, items: 3, over: true, back: true, without: alone},
		{slots: 2, items: 2, over: true},
	} {
		t.Run(pm.String(), func(t *testing.T) {
			if testing.Short() && pm.over && (pm.slots > 2 || pm.without == nil) {
				t.Skip("many states: not with -short")
			}
			if got := pm.run(t, ""); got.bad != "" {
				t.Errorf("%s:\n%s", got.bad, strings.Join(got.trace, "\n"))
			}
		})
	}
}

func TestPipeWithoutAPart(t *testing.T) {
	direct := pipeModel{slots: 2, items: 3}
	batch := pipeModel{slots: 3, items: 4}
	over := pipeModel{slots: 2, items: 2, over: true}
	back := pipeModel{slots: 2, items: 2, over: true, back: true}
	for _, tt := range []struct {
		name   string
		bounds pipeModel
		remove []part
		want   violation
	}{
		{"store barrier", batch, []part{pipeStoreBarrier}, slotData},
		{"wake barrier", direct, []part{pipeWakeBarrier}, lostWakeup},
		{"clears first", direct, []part{pipeClearFirst}, lostWakeup},
		{"load barrier", batch, []part{pipeLoadBarrier}, slotData},
		{"sleep barrier", direct, []part{pipeSleepBarrier}, lostWakeup},
		{"re-check", direct, []part{pipeRecheck}, lostWakeup},
		{"locks", over, []part{pipeLocks}, ""},
		{"mode inside", over, []part{pipeRereadMode}, ""},
		{"hands over", back, []part{pipeHandsOver}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pm := tt.bounds
			pm.without = append([]part{pipeWakesAll}, tt.remove...)
			got := pm.run(t, tt.want)
			if got.bad == "" || tt.want != "" && got.bad != tt.want {
				t.Fatalf("without %q nothing was found: the part is superfluous, or the model too strong or too small", tt.remove)
			}
			t.Logf("without %q: %s\n%s", tt.remove, got.bad, strings.Join(got.trace, "\n"))
		})
	}
}
