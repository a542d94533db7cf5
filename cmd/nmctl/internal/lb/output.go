package lb

import (
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// A packet is a slot that left its ring: a buffer with what the slot said. ptr
// carries the flow, through the pipes to the groups behind (NC F.4).
type packet struct {
	buf  uint32
	len  uint16
	more uint16 // NSMoreFrag or 0
	ptr  uint64
}

// A fifo holds up to a fixed number of packets.
type fifo struct {
	items   []packet
	first   int
	n, size int
}

func newFifo(size int) *fifo { return &fifo{items: make([]packet, size), size: size} }

// push needs room: every fifo can hold all extra buffers.
func (q *fifo) push(p packet) {
	q.items[(q.first+q.n)%q.size] = p
	q.n++
}

func (q *fifo) pop() packet {
	p := q.items[q.first]
	q.first = (q.first + 1) % q.size
	q.n--
	return p
}

// frame is how many packets the first frame has.
func (q *fifo) frame() (n int) {
	for n < q.n {
		n++
		if q.items[(q.first+n-1)%q.size].more == 0 {
			break
		}
	}
	return n
}

// counts are what is told of a pipe, in slots and bytes.
type counts struct {
	packets, bytes uint64
	drops, dropped uint64
}

// An output is our end of a pipe. Frames enter and leave it whole.
type output struct {
	name     string
	d        *netmap.Desc
	ring     *netmap.TxRing
	returned uint32 // first slot that the other end has not returned yet, as far as we looked
	overflow *fifo  // what waits for room, nil without extra buffers
	counts
}

func newOutput(name string, d *netmap.Desc, extra int) *output {
	r := d.TxRings()[0]
	o := &output{name: name, d: d, ring: r, returned: r.Next(r.Tail())}
	if extra > 0 {
		o.overflow = newFifo(extra)
	}
	return o
}

// fits reports whether the ring could ever hold n slots.
func (o *output) fits(n int) bool { return n < int(o.ring.NumSlots()) }

// room reports whether n slots are free.
func (o *output) room(n int) bool { return n <= int(o.ring.Space()) }

// waits reports whether frames wait for room.
func (o *output) waits() bool { return o.overflow != nil && o.overflow.n > 0 }

// put fills slot i and returns the buffer that was there.
func (o *output) put(i uint32, p packet) (free uint32) {
	s := o.ring.Slot(i)
	free = s.BufIdx
	*s = abi.Slot{BufIdx: p.buf, Len: p.len, Flags: p.more | abi.NSBufChanged, Ptr: p.ptr}
	o.packets++
	o.bytes += uint64(p.len)
	return free
}

// send fills slots with a frame that has room, and leaves their buffers in it.
func (o *output) send(frame []packet) {
	i := o.ring.Head()
	for k := range frame {
		frame[k].buf = o.put(i, frame[k])
		i = o.ring.Next(i)
	}
	o.ring.Advance(i)
}

func (o *output) drop(frame []packet) {
	for _, p := range frame {
		o.drops++
		o.dropped += uint64(p.len)
	}
}

// idle reports whether nothing is under way: the other end returned everything
// and nothing waits.
func (o *output) idle() bool { return !o.waits() && o.ring.Space() == o.ring.NumSlots()-1 }
