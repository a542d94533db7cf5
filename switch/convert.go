package vale

import "github.com/netmapd/netmapd/switch/offload"

// defaultMost is the longest frame that a port gets when a large packet is cut
// for it, unless SetHeader says otherwise (NC E.11: the maximum frame size).
const defaultMost = 1514

// arenaSize is room for the longest frame, 64 slots of 2 KiB, twice.
const arenaSize = 256 << 10

// SetHeader says that the frames of the port begin with a virtio-net header of
// length bytes: 0, 10 or 12 (NC E.11). Between ports whose lengths differ,
// headers are converted, and what they ask for is done in software where the
// destination has none. most is the longest frame then made for this port by
// cutting a larger packet, at most 65535.
func (p *Port) SetHeader(length, most int) {
	s := p.sw
	s.mu.Lock()
	defer s.mu.Unlock()
	p.header, p.most = uint16(length), uint16(most)
	s.publish()
}

// slotSize asks the sinks of a port how much one slot holds. Those that have no
// slots take pieces of any length.
func slotSize(sinks []Sink) uint16 {
	if len(sinks) > 0 {
		if s, ok := sinks[0].(interface{ SlotSize() int }); ok {
			return uint16(min(s.SlotSize(), 1<<16-1))
		}
	}
	return 2048
}

// prepare gives the poller what it needs to convert, once some port has a
// header. The lcore looks at it only where it sees such a port.
func (pl *Poller) prepare(ports []*Port) {
	if pl.conv != nil {
		return
	}
	for _, p := range ports {
		if p != nil && p.header != 0 {
			pl.conv = &converter{arena: make([]byte, arenaSize)}
			return
		}
	}
}

// classifyBehind is classify for frames that follow a header of the given length.
// The header is at the beginning of the first fragment, or is all of it (NC
// E.5.1 step 1).
func (w *work) classifyBehind(b *Batch, header uint16, c *Counters) {
	w.n, w.runs = 0, 0
	frags := b.Frags[:b.N]
	for i := 0; i < len(frags); i++ {
		f, skip := &frags[i], header
		c.Tx.Bytes += uint64(f.Len)
		if f.Slots == 0 {
			continue
		}
		c.Tx.Frames++
		if f.Len == header && f.Slots > 1 {
			f, skip = &frags[i+1], 0
		}
		switch {
		case f.Len < skip || f.Len == skip && skip != 0:
			c.Drops[BadHeader]++
			continue
		case f.Len-skip < 14:
			c.Drops[TooShort]++
			continue
		}
		dst, src := macs(b.behind(f, skip))
		w.add(i, dst, src)
	}
}

// converter makes frames for ports whose header length is not that of the port
// they come from. It works in private memory, from where sinks take the frames
// like any others: a second copy, on a path that has sums to compute besides.
type converter struct {
	arena []byte
	used  int   // bytes of it
	out   Batch // what lies in the arena
	first [MaxBatch]uint16
	n     int // frames of out

	seg    offload.Segmenter
	frags  [MaxFrags][]byte
	header [offload.HeaderLenMerged]byte // of the frame under way

	sink Sink
	to   *dest
	d    *Drops
	full bool   // the sink takes no more
	why  Reason // of what it did not take

	frames, bytes uint64
}

// deliver converts and sends the listed frames of b, as Sink.Deliver does. A
// packet that is cut counts as the frames it becomes. Other than NC E.11 says,
// those of them that the receiver has room for arrive: the protocols that are cut
// make use of them.
func (c *converter) deliver(b *Batch, list []uint16, to *dest, sink Sink) (frames, bytes uint64) {
	c.sink, c.to, c.d, c.full = sink, to, &to.ctr.Drops, false
	c.frames, c.bytes = 0, 0
	c.reset()
	for k, i := range list {
		if c.full {
			c.d[c.why] += uint64(len(list) - k)
			break
		}
		c.convert(b, b.Frags[i:][:b.Frags[i].Slots])
	}
	c.flush()
	c.out.Settle()
	c.sink, c.to, c.d = nil, nil, nil
	return c.frames, c.bytes
}

func (c *converter) reset() {
	c.used, c.n = 0, 0
	c.out.over(c.arena)
}

// flush sends what lies in the arena.
func (c *converter) flush() {
	if c.n == 0 {
		return
	}
	before := *c.d
	frames, bytes := c.sink.Deliver(&c.out, c.first[:c.n], c.d)
	c.frames += frames
	c.bytes += bytes
	for _, r := range [...]Reason{RingFull, NotBound} {
		if c.d[r] != before[r] {
			c.full, c.why = true, r
		}
	}
	c.reset()
}

// convert puts one frame, or those that it is cut into, in the arena.
func (c *converter) convert(b *Batch, frags []Frag) {
	var request offload.Header
	packet := c.split(b, frags, int(b.header))
	if b.header != 0 && c.to.header == 0 {
		request = offload.ParseHeader((*[offload.HeaderLen]byte)(c.header[:]))
	}
	n, err := c.seg.Begin(request, packet, int(c.to.most))
	if err != nil {
		c.d[BadOffload]++
		return
	}
	if request.GSO == offload.GSONone {
		c.whole(b, frags)
		return
	}
	for ; n > 0; n-- {
		if !c.room(int(c.to.most), slotsOf(int(c.to.most), c.to.slot)) {
			c.d[c.why] += uint64(n)
			return
		}
		length := c.seg.Next(c.arena[c.used:])
		c.begin()
		c.slots(length)
	}
}

// split separates a frame from its header, of which the first 10 bytes are kept:
// more say nothing.
func (c *converter) split(b *Batch, frags []Frag, header int) (packet [][]byte) {
	clear(c.header[:])
	for i := range frags {
		c.frags[i] = b.bytes(&frags[i])
	}
	packet = c.frags[:len(frags)]
	if header == 0 {
		return packet
	}
	copy(c.header[:offload.HeaderLen], packet[0])
	if packet[0] = packet[0][header:]; len(packet[0]) == 0 {
		packet = packet[1:]
	}
	return packet
}

// whole puts a frame in the arena that is not cut. Its slots are those of the
// source, as far as the receiver's are long enough.
func (c *converter) whole(b *Batch, frags []Frag) {
	grow := int(c.to.header) - int(b.header)
	length, slots := 0, 0
	for i := range frags {
		n, ok := piece(frags, i, grow)
		length += n
		if ok {
			slots += slotsOf(n, c.to.slot)
		}
	}
	if slots > MaxFrags || length > len(c.arena) {
		c.d[RxBadLength]++
		return
	}
	if !c.room(length, slots) {
		c.d[c.why]++
		return
	}
	at := copy(c.arena[c.used:], c.header[:c.to.header])
	c.seg.Next(c.arena[c.used+at:])
	c.begin()
	for i := range frags {
		if n, ok := piece(frags, i, grow); ok {
			c.slots(n)
		}
	}
}

// piece is the length of a fragment when its frame has grown by a header, at the
// beginning; not ok if it was the header, and nothing is left.
func piece(frags []Frag, i, grow int) (n int, ok bool) {
	n = int(frags[i].Len)
	if i > 0 {
		return n, true
	}
	return n + grow, n+grow > 0
}

// begin starts a frame in the batch.
func (c *converter) begin() {
	c.first[c.n] = uint16(c.out.N)
	c.n++
}

// slots adds the next n bytes of the arena to the frame that was begun.
func (c *converter) slots(n int) {
	f := &c.out.Frags[c.first[c.n-1]]
	for more := true; more; more = n > 0 {
		part := min(n, int(c.to.slot))
		c.out.Frags[c.out.N] = Frag{Off: uint64(c.used), Len: uint16(part)}
		c.out.N++
		f.Slots++
		if f.Slots > 1 {
			c.out.Multi = true
		}
		c.used += part
		n -= part
	}
}

// slotsOf is how many slots n bytes need.
func slotsOf(n int, slot uint16) int { return max(1, (n+int(slot)-1)/int(slot)) }

// room makes room for one more frame and says whether the sink still takes any.
func (c *converter) room(bytes, slots int) bool {
	if c.used+bytes > len(c.arena) || c.out.N+slots > MaxBatch || c.n == MaxBatch {
		c.flush()
	}
	return !c.full
}
