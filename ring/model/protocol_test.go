package model

// A part of the protocol that a test can take away.
type part string

const (
	clientSlotBarrier  part = "client: store barrier between slots and cur"
	clientHeadBarrier  part = "client: store barrier between cur and head"
	clientKickBarrier  part = "client: full barrier between head and kern_need_kick"
	clientTailBarrier  part = "client: load barrier between hwtail and hwcur"
	clientSleepBarrier part = "client: full barrier between appl_need_kick and the re-check"
	clientRecheck      part = "client: re-check of hwtail before it blocks"
	clientLeavesMark   part = "client: appl_need_kick is left alone after waking"

	daemonHeadBarrier  part = "daemon: load barrier between head and cur"
	daemonSlotBarrier  part = "daemon: store barrier between slots and hwcur"
	daemonTailBarrier  part = "daemon: store barrier between hwcur and hwtail"
	daemonWakeBarrier  part = "daemon: full barrier between hwtail and appl_need_kick"
	daemonClearFirst   part = "daemon: appl_need_kick is cleared before the wake message, not after"
	daemonClearBarrier part = "daemon: store barrier between clearing and the wake message"
	daemonWakesAll     part = "daemon: every descriptor bound to the ring is woken"
	daemonSleepBarrier part = "daemon: full barrier between kern_need_kick and the re-check"
	daemonRecheck      part = "daemon: re-check of head before it blocks"
)

// What a model can violate.
const (
	lostWakeup violation = "lost wake-up"
	indexOrder violation = "index seen out of order"
	slotData   violation = "slot content does not belong to its index"
)

// A model is one bounded instance of the protocol.
type model struct {
	rx      bool // receive ring (the daemon produces) or transmit ring
	slots   word // 2 or 3; one always stays unused (NC D.1)
	items   word // packets that pass
	clients int  // 1, or 2 that share the ring; the first of two leaves after one sync
	without []part
}

func (md model) has(p part) bool {
	for _, w := range md.without {
		if w == p {
			return false
		}
	}
	return true
}

// A side is a program under construction that knows which parts are taken away.
type side struct {
	program
	model
}

func (sd *side) barrierIf(p part, o op) {
	if sd.has(p) {
		sd.barrier(o)
	}
}

// slotAtPos is the slot of the side's position.
type slotAtPos struct{ slots word }

func (p slotAtPos) at(r *regs) loc { return slot0 + loc(r.pos%p.slots) }

// The word a side leaves in a slot when it hands it over as position i. The other side
// expects exactly this word: an older one means that it reads too early, a newer one
// that somebody overwrote what it still owns.
func clientWord(i word) word { return 2 * i }
func daemonWord(i word) word { return 2*i + 1 }

// lap says for which position a slot is handed over: a producer fills it for the one it
// is at, a consumer gives it back for the next time round.
func (md model) lap(producer bool) word {
	if producer {
		return 0
	}
	return md.slots
}

// handle lets a side go through its slots [pos, limit): read what the other left, write its own.
func (sd *side) handle(expect, leave func(word) word, producer bool) {
	slot := slotAtPos{sd.slots}
	sd.label("slot")
	sd.load(slot)
	sd.assert(slotData, func(r *regs) bool { return r.v == expect(r.pos) })
	sd.store(slot, func(r *regs) word { return leave(r.pos + sd.lap(producer)) })
	sd.do(func(r *regs) { r.pos++ })
	sd.branch("slot", func(r *regs) bool { return r.pos < r.limit })
}

func (md model) client(id int) *program {
	sd := &side{program{name: [...]string{"client", "client2"}[id]}, md}
	shared := md.clients > 1
	sd.label("sync")
	if shared { // the other may have moved on: position comes from the ring, under the busy word
		sd.lock(busy)
		sd.load(head)
		sd.do(func(r *regs) { r.pos = r.v })
	}
	sd.load(hwtail)
	sd.do(func(r *regs) { r.limit = r.v })
	sd.barrierIf(clientTailBarrier, opLoadBarrier)
	sd.load(hwcur)
	sd.assert(indexOrder, func(r *regs) bool { return r.limit < r.v+md.slots })
	sd.do(func(r *regs) { r.limit = min(r.limit, md.items) })
	sd.branch("idle", func(r *regs) bool { return r.pos >= r.limit })
	sd.handle(daemonWord, clientWord, !md.rx)
	sd.barrierIf(clientSlotBarrier, opStoreBarrier)
	sd.store(cur, position)
	sd.barrierIf(clientHeadBarrier, opStoreBarrier)
	sd.store(head, position)
	sd.barrierIf(clientKickBarrier, opFullBarrier)
	sd.load(kernNeedKick)
	sd.branch("published", func(r *regs) bool { return r.v == 0 })
	sd.put(kick, 1)
	sd.label("published")
	if shared {
		sd.unlock(busy)
	}
	sd.branch("done", func(*regs) bool { return shared && id == 0 })
	sd.jump("sync")

	sd.label("idle")
	if shared {
		sd.unlock(busy)
	}
	sd.branch("done", func(r *regs) bool { return r.pos == md.items })
	sd.put(applNeedKick, 1)
	sd.barrierIf(clientSleepBarrier, opFullBarrier)
	if sd.has(clientRecheck) {
		sd.load(hwtail)
		sd.branch("awake", func(r *regs) bool { return r.v > r.pos })
	}
	sd.block(wake0 + loc(id))
	sd.label("awake")
	if !sd.has(clientLeavesMark) {
		sd.put(applNeedKick, 0)
	}
	sd.jump("sync")
	sd.label("done")
	sd.done()
	return &sd.program
}

func position(r *regs) word { return r.pos }

// room is the first position the daemon may not touch, given the client's head.
func (md model) room(head word) word {
	if md.rx {
		return min(head+md.slots-1, md.items)
	}
	return head
}

func (md model) daemon() *program {
	sd := &side{program{name: "daemon"}, md}
	sd.label("poll")
	sd.load(head)
	sd.do(func(r *regs) { r.head, r.limit = r.v, md.room(r.v) })
	sd.barrierIf(daemonHeadBarrier, opLoadBarrier)
	sd.load(cur)
	sd.assert(indexOrder, func(r *regs) bool { return r.v >= r.head })
	sd.branch("idle", func(r *regs) bool { return r.pos >= r.limit })
	sd.handle(clientWord, daemonWord, md.rx)
	sd.barrierIf(daemonSlotBarrier, opStoreBarrier)
	sd.store(hwcur, func(r *regs) word { return r.head }) // on TX this is pos: all up to head is taken
	sd.barrierIf(daemonTailBarrier, opStoreBarrier)
	sd.store(hwtail, func(r *regs) word {
		if md.rx {
			return r.pos
		}
		return r.pos + md.slots - 1
	})
	sd.barrierIf(daemonWakeBarrier, opFullBarrier)
	sd.load(applNeedKick)
	sd.branch("poll", func(r *regs) bool { return r.v == 0 })
	sd.wake()
	sd.jump("poll")

	sd.label("idle")
	sd.put(kernNeedKick, 1)
	sd.barrierIf(daemonSleepBarrier, opFullBarrier)
	if sd.has(daemonRecheck) {
		sd.load(head)
		sd.branch("awake", func(r *regs) bool { return r.v != r.head })
	}
	sd.block(kick)
	sd.label("awake")
	sd.put(kernNeedKick, 0)
	sd.jump("poll")
	return &sd.program
}

// wake clears the one-shot mark, then wakes whoever is bound to the ring.
func (sd *side) wake() {
	clearFirst := sd.has(daemonClearFirst)
	if clearFirst {
		sd.put(applNeedKick, 0)
		sd.barrierIf(daemonClearBarrier, opStoreBarrier)
	}
	for i := range sd.clients {
		if i == 0 || sd.has(daemonWakesAll) {
			sd.put(wake0+loc(i), 1)
		}
	}
	if !clearFirst {
		sd.barrier(opStoreBarrier)
		sd.put(applNeedKick, 0)
	}
}

// machine builds the initial state: on a TX ring the client owns all slots but one, on
// an RX ring the daemon does.
func (md model) machine() *machine {
	m := &machine{final: md.nobodyForgotten}
	for i := range md.slots {
		if md.rx {
			m.init[slot0+loc(i)] = clientWord(i)
		} else {
			m.init[slot0+loc(i)] = daemonWord(i)
		}
	}
	if !md.rx {
		m.init[hwtail] = md.slots - 1
	}
	for id := range md.clients {
		m.programs = append(m.programs, md.client(id))
	}
	m.programs = append(m.programs, md.daemon())
	return m
}

// nobodyForgotten judges a state in which no side can go on: whoever is blocked must
// have nothing to do.
func (md model) nobodyForgotten(m *machine, s *state) violation {
	h, tail := s.mem[head].newest(), s.mem[hwtail].newest()
	for t := range m.programs {
		st := m.step(s, t)
		if st.op == opDone {
			continue
		}
		work := h < tail
		if t == md.clients {
			work = s.th[t].r.pos < md.room(h)
		}
		if st.op != opTake || work {
			return lostWakeup
		}
	}
	return ""
}
