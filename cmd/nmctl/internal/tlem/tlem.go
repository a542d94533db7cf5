// Package tlem is nmctl tlem: netmap's link emulator, which joins two ports
// and delays, limits, loses and reorders the frames between them, in each
// direction on its own (NC F.6).
package tlem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/linkmodel"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/tool"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Counts are what became of the frames of one direction.
type Counts struct {
	Received, Sent uint64
	Lost, Full     uint64 // by chance, and because the queue or our memory was full
	Held           uint64 // reordered
	Bytes          uint64 // sent
}

// Result has [0] for the frames from the first port to the second, [1] for those back.
type Result [2]Counts

// Run emulates until the context ends, which is an ordinary end, or a port is gone.
func Run(ctx context.Context, o Options, out io.Writer, opts ...netmap.Option) (res Result, err error) {
	if err := o.Validate(); err != nil {
		return res, err
	}
	var ports [2]*netmap.Desc
	for i, name := range o.Interfaces {
		d, err := netmap.Open(ctx, name, opts...)
		if err != nil {
			return res, err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		if len(d.TxRings()) == 0 || len(d.RxRings()) == 0 {
			return res, fmt.Errorf("%s: %d TX and %d RX rings are bound, a link needs both; leave /T and /R out of the name", name, len(d.TxRings()), len(d.RxRings()))
		}
		ports[i] = d
	}
	if !o.Quiet {
		fmt.Fprintf(out, "%s -> %s: %s\n%s -> %s: %s\n", o.Interfaces[0], o.Interfaces[1], describe(&o.links[0]), o.Interfaces[1], o.Interfaces[0], describe(&o.links[1]))
	}
	if !tool.Sleep(ctx, tool.Seconds(o.Wait)) {
		return res, nil
	}
	start := time.Now()
	var ways [2]*way
	for i := range ways {
		ways[i] = newWay(ports[i], ports[1-i], &o.links[i], o.Burst, o.Copy, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
		ways[i].now = func() time.Duration { return time.Since(start) }
	}
	err = runBoth(ctx, &o, ways, out)
	for i, w := range ways {
		res[i] = w.counts.load()
		fmt.Fprintf(out, "%s -> %s: received %d, sent %d, lost %d, queue full %d, held %d\n", o.Interfaces[i], o.Interfaces[1-i], res[i].Received, res[i].Sent, res[i].Lost, res[i].Full, res[i].Held)
	}
	return res, err
}

func describe(l *linkmodel.Link) string {
	if l.Transparent() {
		return "passes everything at once"
	}
	s := fmt.Sprintf("bandwidth %g bps, delay %v", l.Rate.Bits, l.Delay.Min)
	if l.Delay.Max > 0 {
		s += fmt.Sprintf(" %s %v", l.Delay.Kind, l.Delay.Max)
	}
	return s + fmt.Sprintf(", loss %g, held %g for %v, queue %d bytes", l.Loss.Rate, l.Hold.Rate, l.Hold.Time, l.Queue)
}

// runBoth runs one goroutine for each direction; it uses the RX rings of one port
// and the TX rings of the other, so that no ring has two users.
func runBoth(parent context.Context, o *Options, ways [2]*way, out io.Writer) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var wg sync.WaitGroup
	var errs [2]error
	for i, w := range ways {
		wg.Go(func() {
			defer cancel() // a link with one direction is none
			if errs[i] = tool.Pin(o.cpus, i); errs[i] == nil {
				errs[i] = w.run(ctx)
			}
		})
	}
	if !o.Quiet {
		wg.Go(func() { report(ctx, ways, out) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// report prints a line each second.
func report(ctx context.Context, ways [2]*way, out io.Writer) {
	var last Result
	for tool.Sleep(ctx, time.Second) {
		for i, w := range ways {
			c := w.counts.load()
			fmt.Fprintf(out, "%s %d pps in, %d pps out, %.3f Gbps, %d dropped\n", [2]string{"->", "<-"}[i], c.Received-last[i].Received,
				c.Sent-last[i].Sent, float64(c.Bytes-last[i].Bytes)*8/1e9, c.Lost+c.Full-last[i].Lost-last[i].Full)
			last[i] = c
		}
	}
}

// counters are written by one goroutine and read by others.
type counters struct {
	received, sent, lost, full, held, bytes atomic.Uint64
}

func (c *counters) load() Counts {
	return Counts{c.received.Load(), c.sent.Load(), c.lost.Load(), c.full.Load(), c.held.Load(), c.bytes.Load()}
}

// add counts what a turn counted, at once: an atomic for each frame would cost
// more than the frame.
func (c *counters) add(t *Counts) {
	for _, p := range [...]struct {
		to *atomic.Uint64
		n  uint64
	}{{&c.received, t.Received}, {&c.sent, t.Sent}, {&c.lost, t.Lost}, {&c.full, t.Full}, {&c.held, t.Held}, {&c.bytes, t.Bytes}} {
		if p.n != 0 {
			p.to.Add(p.n)
		}
	}
	*t = Counts{}
}

// A way is one direction.
type way struct {
	from, to *netmap.Desc
	link     *linkmodel.Link
	schedule *linkmodel.Schedule
	line     *line
	arrivals arrivals
	swap     bool // frames pass at once, and buffers can be swapped
	burst    uint32
	now      func() time.Duration
	turn     Counts
	counts   counters
	frame    []byte
}

func newWay(from, to *netmap.Desc, l *linkmodel.Link, burst int, noSwap bool, r *rand.Rand) *way {
	return &way{
		from: from, to: to, link: l, schedule: linkmodel.NewSchedule(l, r), line: newLine(),
		swap: l.Transparent() && from.Region() == to.Region() && !noSwap, burst: uint32(burst),
	}
}

// spin is what is waited without sleeping, as sleeps take longer than asked for.
const spin = 60 * time.Microsecond

// longest is the longest sleep: an interrupt is noticed so soon.
const longest = 50 * time.Millisecond

func (w *way) run(ctx context.Context) error {
	for ctx.Err() == nil {
		moved := w.swap && w.pass()
		if !w.swap {
			in, out := w.takeIn(w.now()), w.sendOut(w.now())
			moved = in || out
		}
		w.counts.add(&w.turn)
		if moved {
			if _, err := w.to.PollTimeout(0, 0); err != nil { // hands over
				return err
			}
		}
		if err := w.await(moved); err != nil {
			return err
		}
	}
	return nil
}

// await syncs the ports, and sleeps until there is a frame to take in or one to
// send out, unless something moved right now.
func (w *way) await(moved bool) error {
	limit := longest
	if at, ok := w.line.next(); ok {
		limit = min(longest, at-w.now()-spin)
	}
	if moved || limit < 0 {
		limit = 0
	}
	// A ring in an illegal state (PollErr) has been put right; go on.
	if w.stuck() {
		// Meanwhile frames come in and are dropped in time.
		if _, err := w.to.PollTimeout(time.Millisecond, netmap.PollOut); err != nil {
			return err
		}
		limit = 0
	}
	if ev, err := w.from.PollTimeout(0, netmap.PollIn); err != nil || ev != 0 || limit == 0 {
		return err
	}
	until := w.now() + limit
	_, err := w.from.PollTimeout(limit, netmap.PollIn)
	w.arrivals.idle(min(until, w.now()))
	return err
}

// stuck reports that something should go out and there is no room.
func (w *way) stuck() bool {
	for _, r := range w.to.TxRings() {
		if r.Space() > 0 {
			return false
		}
	}
	at, ok := w.line.next()
	return ok && at <= w.now() || w.swap
}

// takeIn reads what has come, and decides what becomes of it.
func (w *way) takeIn(now time.Duration) bool {
	before := w.turn.Received
	waiting := uint32(0)
	for _, r := range w.from.RxRings() {
		waiting += r.Space()
	}
	w.arrivals.look(now, waiting)
	for _, r := range w.from.RxRings() {
		for range w.burst {
			space := r.Space()
			frame, ok := w.read(r)
			if !ok {
				break
			}
			w.turn.Received++
			at, fate := w.schedule.Frame(w.arrivals.take(space-r.Space()), len(frame))
			switch {
			case fate == linkmodel.Lost:
				w.turn.Lost++
				continue
			case fate == linkmodel.Full || !w.line.put(at, fate == linkmodel.Held, frame):
				w.turn.Full++
				continue
			case fate == linkmodel.Held:
				w.turn.Held++
			}
		}
	}
	return w.turn.Received != before
}

// read is the next frame: the buffer itself where it lies in one slot, which is
// given back at the next sync only.
func (w *way) read(r *netmap.RxRing) ([]byte, bool) {
	if i := r.Head(); r.Space() > 0 && r.Slot(i).Flags&abi.NSMoreFrag == 0 {
		f := r.Frame(i)
		r.Advance(r.Next(i))
		return f, true
	}
	if w.frame == nil {
		w.frame = make([]byte, abi.MaxFragments*int(r.BufSize()))
	}
	n, ok := r.Recv(w.frame)
	return w.frame[:min(n, len(w.frame))], ok
}

// sendOut sends what is due, as long as there is room.
func (w *way) sendOut(now time.Duration) bool {
	before := w.turn.Sent
	rings, k := w.to.TxRings(), 0
	for n := uint32(0); n < w.burst; n++ {
		frame, ok := w.line.due(now)
		if !ok {
			break
		}
		for k < len(rings) && !rings[k].Send(frame) {
			k++
		}
		if k == len(rings) {
			if len(frame) <= int(rings[0].BufSize())*int(min(abi.MaxFragments, rings[0].NumSlots()-1)) {
				break // no room now
			}
			w.turn.Full++ // never
			k = 0
		} else {
			w.turn.Sent++
			w.turn.Bytes += uint64(len(frame))
		}
		w.line.done()
	}
	return w.turn.Sent != before
}

// pass swaps buffers from ring to ring: nothing is decided about any frame.
func (w *way) pass() bool {
	before := w.turn.Sent
	rx, tx := w.from.RxRings(), w.to.TxRings()
	for i, k := 0, 0; i < len(rx) && k < len(tx); {
		w.swapRing(rx[i], tx[k])
		if rx[i].Empty() {
			i++
		} else {
			k++
		}
	}
	return w.turn.Sent != before
}

func (w *way) swapRing(rx *netmap.RxRing, tx *netmap.TxRing) {
	i, k := rx.Head(), tx.Head()
	for range min(w.burst, rx.Space(), tx.Space()) {
		from, to := rx.Slot(i), tx.Slot(k)
		more := from.Flags & abi.NSMoreFrag
		from.BufIdx, to.BufIdx = to.BufIdx, from.BufIdx
		to.Len, to.Flags, from.Flags = from.Len, more|abi.NSBufChanged, abi.NSBufChanged
		w.turn.Bytes += uint64(to.Len)
		if more == 0 {
			w.turn.Received++
			w.turn.Sent++
		}
		i, k = rx.Next(i), tx.Next(k)
	}
	rx.Advance(i)
	tx.Advance(k)
}
