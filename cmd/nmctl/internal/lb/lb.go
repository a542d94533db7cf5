package lb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/tool"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Result is what a run counted, in slots.
type Result struct {
	Received, Forwarded, Dropped, NonIP uint64
	Lost                                uint64 // of frames longer than the ring they came in
}

// A balancer is one run.
type balancer struct {
	o       *Options
	ctx     context.Context
	in      *netmap.Desc
	frame   []packet // the one in hand
	groups  [][]*output
	outputs []*output // all of them
	free    *fifo     // extra buffers that hold nothing
	res     Result
	stats   *reporter
	rest    tool.Pause
}

// Run spreads frames until the context ends, which is an ordinary end, or a
// port is gone.
func Run(ctx context.Context, o Options, out io.Writer, opts ...netmap.Option) (res Result, err error) {
	if err := o.Validate(); err != nil {
		return res, err
	}
	b := &balancer{o: &o, ctx: ctx}
	if b.in, err = netmap.Open(ctx, o.Interface, append(opts, netmap.WithExtraBufs(o.ExtraBufs))...); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if len(b.in.RxRings()) == 0 {
		return res, fmt.Errorf("%s: no RX ring is bound; leave /T out of the name", o.Interface)
	}
	b.takeExtra(out)
	if err := b.openPipes(opts); err != nil {
		return res, err
	}
	for _, p := range b.outputs {
		fmt.Fprintf(out, "pipe %s, %d slots, zero copy\n", p.name, p.ring.NumSlots())
	}
	fmt.Fprintf(out, "%s spread over %d pipes in %d groups, %d extra buffers\n", o.Interface, len(b.outputs), len(b.groups), b.extra())
	if b.stats, err = newReporter(&o, out); err != nil {
		return res, err
	}
	defer b.stats.close()
	if !tool.Sleep(ctx, tool.Seconds(o.Wait)) {
		return res, nil
	}
	err = b.run()
	b.total()
	fmt.Fprintf(out, "%d packets forwarded. %d packets dropped. Total %d\n", b.res.Forwarded, b.res.Dropped, b.res.Forwarded+b.res.Dropped)
	return b.res, err
}

// takeExtra takes the extra buffers off the descriptor's list.
func (b *balancer) takeExtra(out io.Writer) {
	list := b.in.ExtraBufs()
	if len(list) < int(b.o.ExtraBufs) {
		fmt.Fprintf(out, "%d of %d extra buffers were had\n", len(list), b.o.ExtraBufs)
	}
	if len(list) == 0 {
		return
	}
	b.free = newFifo(len(list))
	for _, buf := range list {
		b.free.push(packet{buf: buf})
	}
}

func (b *balancer) extra() int {
	if b.free == nil {
		return 0
	}
	return b.free.size
}

// openPipes opens our ends. Groups of one name number their pipes through.
func (b *balancer) openPipes(opts []netmap.Option) error {
	next := map[string]int{}
	for _, g := range b.o.groups {
		if g.name == "" {
			g.name, _, _ = strings.Cut(strings.ReplaceAll(b.in.PortName(), "}", "{"), "{")
		}
		var group []*output
		for range g.pipes {
			name := fmt.Sprintf("%s{%d/xT@%d", g.name, next[g.name], b.in.Region().ID())
			if !strings.HasPrefix(name, "vale") {
				name = "netmap:" + name
			}
			next[g.name]++
			d, err := netmap.Open(b.ctx, name, opts...)
			if err != nil {
				return err
			}
			if d.Region() != b.in.Region() {
				return errors.Join(fmt.Errorf("%s: the pipe lives in another region than %s, so frames cannot be handed over without a copy; close the programs that use either end and try again", name, b.o.Interface), d.Close())
			}
			p := newOutput(name, d, b.extra())
			group, b.outputs = append(group, p), append(b.outputs, p)
		}
		b.groups = append(b.groups, group)
	}
	return nil
}

// close gives back everything: each extra buffer, and those that took the place
// of one, are in a queue now.
func (b *balancer) close() (err error) {
	if b.free != nil {
		var list []uint32
		queues := []*fifo{b.free}
		for _, p := range b.outputs {
			queues = append(queues, p.overflow)
		}
		for _, q := range queues {
			for q.n > 0 {
				list = append(list, q.pop().buf)
			}
		}
		err = b.in.SetExtraBufs(list)
	}
	for _, p := range b.outputs {
		err = errors.Join(err, p.d.Close())
	}
	return errors.Join(err, b.in.Close())
}

func (b *balancer) run() error {
	for b.ctx.Err() == nil {
		moved, err := b.turn()
		if err != nil {
			return err
		}
		b.stats.due(b)
		limit := time.Duration(0)
		if !moved && !b.o.Busy {
			limit = b.patience()
		}
		// A ring in an illegal state (PollErr) has been put right; go on.
		if _, err := b.in.PollTimeout(limit, netmap.PollIn); err != nil {
			return err
		}
	}
	return b.sync()
}

// patience is how long to wait for frames. Who waits for frames does not notice
// that a pipe has room, so that is looked for from time to time.
func (b *balancer) patience() time.Duration {
	for i, g := range b.groups {
		for _, p := range g {
			if p.waits() || i+1 < len(b.groups) && !p.idle() {
				return b.rest.Next(false)
			}
		}
	}
	const interrupts = 50 * time.Millisecond // are noticed so soon
	return interrupts
}

// turn moves what can be moved. Groups are served from the last to the first,
// so that slots are emptied before they are filled again.
func (b *balancer) turn() (moved bool, err error) {
	if err := b.sync(); err != nil {
		return false, err
	}
	for g := len(b.groups) - 2; g >= 0; g-- {
		for _, p := range b.groups[g] {
			moved = b.passOn(p, g+1) || moved
		}
	}
	for _, p := range b.outputs {
		moved = b.unqueue(p) || moved
	}
	for _, r := range b.in.RxRings() {
		moved = b.take(r) || moved
	}
	if moved {
		b.rest.Next(true)
		err = b.sync() // hand over at once
	}
	return moved, err
}

// sync hands over what was put into pipes and looks for what came back. With no
// event asked for, rings that have nothing new for the other end were left out.
func (b *balancer) sync() error {
	for _, p := range b.outputs {
		if _, err := p.d.PollTimeout(0, netmap.PollOut); err != nil {
			return err
		}
	}
	return nil
}

// take spreads up to a batch of what has arrived.
func (b *balancer) take(r *netmap.RxRing) bool {
	i, left := r.Head(), r.Space()
	start := i
	for taken := uint32(0); taken < b.o.Batch; {
		n := collect(r, i, left, &b.frame)
		if n == 0 {
			if left < r.NumSlots()-1 {
				break // the rest of a frame is still to come
			}
			n = left // a frame longer than the ring: nobody can see it whole
			b.res.Lost += uint64(n)
			i = r.Tail()
			taken, left = taken+n, 0
			continue
		}
		h := flow(r.Frame(i))
		if h == 0 {
			b.res.NonIP++
		}
		for k := range b.frame {
			b.frame[k].ptr = uint64(h)
		}
		b.forward(0, b.frame)
		for _, p := range b.frame {
			s := r.Slot(i)
			s.BufIdx, s.Flags = p.buf, abi.NSBufChanged
			i = r.Next(i)
		}
		taken, left = taken+n, left-n
	}
	b.res.Received += uint64(r.Space() - left)
	r.Advance(i)
	return i != start
}

// A slotRing is a ring as far as collect needs it.
type slotRing interface {
	Slot(i uint32) *abi.Slot
	Next(i uint32) uint32
}

// collect copies the slots of the frame that begins at i, of which left are
// there, and counts them; 0 says that its end is not there yet.
func collect[R slotRing](r R, i, left uint32, frame *[]packet) (n uint32) {
	*frame = (*frame)[:0]
	for n < left {
		s := *r.Slot(i)
		*frame = append(*frame, packet{buf: s.BufIdx, len: s.Len, more: s.Flags & abi.NSMoreFrag, ptr: s.Ptr})
		n++
		if s.Flags&abi.NSMoreFrag == 0 {
			return n
		}
		i = r.Next(i)
	}
	return 0
}

// passOn hands what the other end of a pipe is done with to the next group. It
// looks at the slot at Tail too, which is not ours but was returned: the ring
// keeps one slot unused, and the last frame lies in it (NC F.4).
func (b *balancer) passOn(p *output, group int) (moved bool) {
	stop := p.ring.Next(p.ring.Tail())
	left := (stop + p.ring.NumSlots() - p.returned) % p.ring.NumSlots()
	for {
		n := collect(p.ring, p.returned, left, &b.frame)
		if n == 0 {
			return moved
		}
		b.forward(group, b.frame)
		for _, f := range b.frame {
			*p.ring.Slot(p.returned) = abi.Slot{BufIdx: f.buf, Flags: abi.NSBufChanged}
			p.returned = p.ring.Next(p.returned)
		}
		left -= n
		moved = true
	}
}

// forward hands a frame to its pipe in a group, and leaves buffers in it to
// take the place of its own. What a pipe has no room for goes to the group
// behind, if there is one, so that one that is stalled does not hide frames
// from others.
func (b *balancer) forward(group int, frame []packet) {
	for _, g := range b.groups[group:] {
		o := g[pick(uint32(frame[0].ptr), len(g))]
		switch {
		case !o.fits(len(frame)):
		case !o.waits() && o.room(len(frame)):
			o.send(frame)
			return
		case o.overflow != nil && b.reserve(len(frame)):
			for k, p := range frame {
				o.overflow.push(p)
				frame[k].buf = b.free.pop().buf
			}
			return
		}
		o.drop(frame)
	}
}

// revoked is how many buffers the longest queue loses when none is free.
const revoked = 200

// reserve makes sure that n extra buffers are free. If they are not, the oldest
// frames of the longest queue are dropped: new frames are worth more than old
// ones, and a pipe that is stalled cannot take all buffers.
func (b *balancer) reserve(n int) bool {
	if b.free.n >= n {
		return true
	}
	longest := b.outputs[0]
	for _, p := range b.outputs[1:] {
		if p.overflow.n > longest.overflow.n {
			longest = p
		}
	}
	for q := longest.overflow; q.n > 0 && b.free.n < max(n, min(revoked, b.free.size/2)); {
		for range q.frame() {
			p := q.pop()
			longest.drop([]packet{p})
			b.free.push(packet{buf: p.buf})
		}
	}
	return b.free.n >= n
}

// unqueue fills the room of a pipe with what waits for it.
func (b *balancer) unqueue(o *output) (moved bool) {
	for o.waits() {
		n := o.overflow.frame()
		if !o.room(n) {
			break
		}
		b.frame = b.frame[:0]
		for range n {
			b.frame = append(b.frame, o.overflow.pop())
		}
		o.send(b.frame)
		for _, p := range b.frame {
			b.free.push(packet{buf: p.buf})
		}
		moved = true
	}
	return moved
}

// total adds up the pipes' counters.
func (b *balancer) total() {
	b.res.Forwarded, b.res.Dropped = 0, 0
	for _, p := range b.outputs {
		b.res.Forwarded += p.packets
		b.res.Dropped += p.drops
	}
}
