package vale

import (
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/switch/offload"
)

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
	index        int
	header, most int
	tx           []*modelTx
	rx           []*modelRx
	ctr          Counters
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
	return 0, false
}

// behind is the frame behind its header: the fragments that are left.
func (f modelFrame) behind(header int) (rest modelFrame, why Reason, bad bool) {
	first := f[0]
	switch {
	case header != 0 && first.length == header && len(f) > 1:
		rest = f[1:]
	case header != 0 && first.length <= header:
		return nil, BadHeader, true
	default:
		first.data, first.length = first.data[header:], first.length-header
		rest = append(modelFrame{first}, f[1:]...)
	}
	return rest, TooShort, rest[0].length < 14
}

// convert makes what a port with another header length gets. What an offload
// comes to is the business of package offload, which has a model of its own.
func (f modelFrame) convert(from, to *modelPort) (out []modelFrame, why Reason, bad bool) {
	if from.header == to.header {
		return []modelFrame{f}, 0, false
	}
	rest, _, _ := f.behind(from.header)
	slot := to.rx[0].buf
	if to.header == 0 {
		return f.offload(rest, from.header, to.most, slot)
	}
	header := make([]byte, 12)
	copy(header[:10], f[0].data[:min(from.header, 10)])
	whole := string(header[:to.header])
	sizes := []int{to.header}
	if len(rest) == len(f) { // the header was not alone
		sizes = nil
	}
	for i, s := range rest {
		whole += s.data
		if i == 0 && sizes == nil {
			sizes = append(sizes, to.header+len(s.data))
			continue
		}
		sizes = append(sizes, len(s.data))
	}
	one := cut(whole, sizes, slot)
	return []modelFrame{one}, RxBadLength, len(one) > MaxFrags
}

func (f modelFrame) offload(rest modelFrame, header, most, slot int) (out []modelFrame, why Reason, bad bool) {
	request := offload.ParseHeader((*[10]byte)([]byte(f[0].data[:10])))
	var packet [][]byte
	var sizes []int
	total := most
	for _, s := range rest {
		packet = append(packet, []byte(s.data))
		sizes = append(sizes, len(s.data))
		total += len(s.data)
	}
	var s offload.Segmenter
	n, err := s.Begin(request, packet, most)
	if err != nil {
		return nil, BadOffload, true
	}
	for range n {
		buf := make([]byte, total)
		k := s.Next(buf)
		if request.GSO != 0 {
			sizes = []int{k}
		}
		out = append(out, cut(string(buf[:k]), sizes, slot))
	}
	return out, RxBadLength, n == 1 && len(out[0]) > MaxFrags
}

// cut makes slots of these sizes, none of them longer than a receiver's.
func cut(whole string, sizes []int, slot int) (f modelFrame) {
	for _, n := range sizes {
		for first := true; first || n > 0; first = false {
			k := min(n, slot)
			f = append(f, modelSlot{data: whole[:k], length: k})
			whole, n = whole[k:], n-k
		}
	}
	return f
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
		rest, why, bad := f.behind(t.port.header)
		if bad {
			src.Drops[why]++
			continue
		}
		dst, from := MAC([]byte(rest[0].data[:6])), MAC([]byte(rest[0].data[6:12]))
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
		var all []modelFrame
		for _, f := range frames {
			if len(d.port.rx) == 0 { // nobody looks at it
				all = append(all, f)
				continue
			}
			out, why, bad := f.convert(t.port, d.port)
			if bad {
				d.port.ctr.Drops[why]++
				continue
			}
			all = append(all, out...)
			m.owed += uint64(len(out) - 1)
		}
		d.port.deliver(d.ring, all)
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
