package vale

import "github.com/netmapd/netmapd/netmap/abi"

// model is the switch again, written to be read and not to be fast: slices of
// strings, a map, no index arithmetic, no batches beyond what NC E.5.2 makes
// visible. The property test steps it beside the real one.
type model struct {
	opt     Options
	ports   map[int]*modelPort
	sources []*modelTx // in the order of Poller.Add
	table   map[uint64]modelEntry

	routed uint64 // frames that found a destination or were flooded
	owed   uint64 // what they came to: one for a unicast, others for a flood
}

type modelEntry struct {
	mac    MAC
	index  int
	static bool
}

type modelPort struct {
	index int
	tx    []*modelTx
	rx    []*modelRx
	ctr   Counters
}

// modelSlot is a slot that a client sends.
type modelSlot struct {
	data   string
	length int // as the slot says; len(data) if the slot is good
	more   bool
	bad    bool
	why    Reason // if bad
}

type modelTx struct {
	port      *modelPort
	ring      int
	published []modelSlot
	frozen    bool // the last head was illegal
}

// modelRx is a receiving ring.
type modelRx struct {
	num, buf int
	bound    bool
	next     int    // slot that the next fragment goes to
	spoiled  []bool // slots with a bad buffer index
	queue    []slot // delivered and not released
}

func newModel(opt Options) *model {
	return &model{opt: opt, ports: map[int]*modelPort{}, table: map[uint64]modelEntry{}}
}

// key is the place of an address in the table.
func (m *model) key(mac MAC) uint64 {
	if m.opt.Compat {
		return compatHash(mac.word())
	}
	return mac.word()
}

func (m *model) learn(mac MAC, index int) {
	if mac[0]&1 == 0 && !m.table[m.key(mac)].static {
		m.table[m.key(mac)] = modelEntry{mac, index, false}
	}
}

func (m *model) setStatic(mac MAC, index int) {
	if e := m.table[m.key(mac)]; !e.static || e.mac == mac {
		m.table[m.key(mac)] = modelEntry{mac, index, true}
	}
}

func (m *model) forget(mac MAC) bool {
	e, ok := m.table[m.key(mac)]
	if !ok || e.mac != mac {
		return false
	}
	delete(m.table, m.key(mac))
	return true
}

func (m *model) detach(p *modelPort) {
	delete(m.ports, p.index)
	var rest []*modelTx
	for _, t := range m.sources {
		if t.port != p {
			rest = append(rest, t)
		}
	}
	m.sources = rest
	for k, e := range m.table {
		if len(m.ports) == 0 || e.index == p.index && !m.opt.Compat {
			delete(m.table, k)
		}
	}
}

func (m *model) poll() {
	for _, t := range m.sources {
		m.turn(t)
	}
}

// modelFrame is a frame as sent.
type modelFrame []modelSlot

// take removes one batch from the ring: whole frames of at most Options.Batch
// slots together, but one frame at least.
func (m *model) take(t *modelTx) (batch []modelFrame) {
	if t.frozen {
		return nil
	}
	slots := 0
	for len(t.published) > 0 {
		n := 1
		for n < len(t.published) && t.published[n-1].more {
			n++
		}
		if slots > 0 && slots+n > m.opt.Batch {
			break
		}
		slots += n
		batch = append(batch, modelFrame(t.published[:n]))
		t.published = t.published[n:]
	}
	return batch
}

// refusal is the reason to drop a frame for what its slots are.
func (f modelFrame) refusal() (Reason, bool) {
	for i, s := range f {
		if i >= abi.MaxFragments {
			return TooManyFragments, true
		}
		if s.bad {
			return s.why, true
		}
	}
	return TooShort, f[0].length < 14
}

type modelDest struct {
	port *modelPort
	ring int
}

func (m *model) turn(t *modelTx) {
	src := &t.port.ctr
	to := map[modelDest][]modelFrame{}
	for _, f := range m.take(t) {
		src.Tx.Frames++
		for _, s := range f {
			src.Tx.Bytes += uint64(s.length)
		}
		if why, bad := f.refusal(); bad {
			src.Drops[why]++
			continue
		}
		dst, from := MAC([]byte(f[0].data[:6])), MAC([]byte(f[0].data[6:12]))
		m.learn(from, t.port.index)
		e, known := m.table[m.key(dst)]
		known = known && e.mac == dst && dst[0]&1 == 0
		switch {
		case known && e.index == t.port.index:
			src.Drops[OwnAddress]++
		case known && m.ports[e.index] == nil:
			src.Drops[VacantPort]++
		case known:
			d := modelDest{m.ports[e.index], 0}
			if n := len(d.port.rx); n > 0 {
				d.ring = t.ring % n
			}
			to[d] = append(to[d], f)
			m.routed++
			m.owed++
		case len(m.ports) == 1:
			src.Drops[NoDestination]++
		default:
			for _, p := range m.ports {
				if p != t.port {
					to[modelDest{p, 0}] = append(to[modelDest{p, 0}], f)
					m.owed++
				}
			}
			m.routed++
		}
	}
	for d, frames := range to {
		d.port.deliver(d.ring, frames)
	}
}

func (p *modelPort) deliver(ring int, frames []modelFrame) {
	if len(p.rx) == 0 || !p.rx[ring].bound {
		p.ctr.Drops[NotBound] += uint64(len(frames))
		return
	}
	r := p.rx[ring]
	for i, f := range frames {
		if len(r.queue)+len(f) > r.num-1 {
			p.ctr.Drops[RingFull] += uint64(len(frames) - i)
			return
		}
		r.put(f, &p.ctr)
	}
}

func (r *modelRx) put(f modelFrame, c *Counters) {
	var bytes uint64
	var why Reason
	lost := false
	for i, s := range f {
		flags := uint16(len(f)) * 256
		if i < len(f)-1 {
			flags |= abi.NSMoreFrag
		}
		data := s.data
		switch {
		case r.spoiled[r.next]:
			data, lost, why = "", true, RxBadIndex
		case len(data) > r.buf:
			data, lost, why = "", true, RxBadLength
		}
		bytes += uint64(len(data))
		r.queue = append(r.queue, slot{data, flags})
		r.next = (r.next + 1) % r.num
	}
	if lost {
		c.Drops[why]++
		return
	}
	c.Rx.Frames++
	c.Rx.Bytes += bytes
}
