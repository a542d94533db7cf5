// Package flows makes numbered frames of many connections and checks what
// becomes of them: whether each arrives once, in the order of its connection,
// and each connection always at the same place.
package flows

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/netmapd/netmapd/netmap"
)

// Length is that of a frame: Ethernet, IPv4, UDP, then connection and number.
const Length = 60

const (
	ofsPort   = 34
	ofsFlow   = 42
	ofsNumber = 46
)

// Frame writes a frame: number seq of connection flow.
func Frame(f []byte, flow, seq uint32) {
	clear(f[:Length])
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00\x45\x00\x00\x2e\x00\x00\x00\x00\x40\x11")
	copy(f[26:], "\x0a\x00\x00\x01\x0a\x00\x00\x02")
	f[28] = byte(flow >> 16)
	binary.BigEndian.PutUint16(f[ofsPort:], uint16(flow))
	binary.BigEndian.PutUint16(f[ofsPort+2:], 9)
	binary.BigEndian.PutUint16(f[38:], Length-34)
	binary.BigEndian.PutUint32(f[ofsFlow:], flow)
	binary.BigEndian.PutUint32(f[ofsNumber:], seq)
}

// A Checker sees the frames that arrive anywhere.
type Checker struct {
	got atomic.Uint64

	mu                        sync.Mutex
	seen                      []state
	perSink                   []uint64
	reordered, moved, strange uint64
}

type state struct {
	next uint32 // the number that comes next
	sink int    // where the connection arrives, from 1
}

// NewChecker knows how many connections and places there are.
func NewChecker(flows, sinks int) *Checker {
	return &Checker{seen: make([]state, flows), perSink: make([]uint64, sinks)}
}

// Got is how many frames have arrived.
func (c *Checker) Got() uint64 { return c.got.Load() }

// take sees one frame; the lock is the caller's.
func (c *Checker) take(sink int, f []byte) {
	c.perSink[sink]++
	c.got.Add(1)
	if len(f) != Length || binary.BigEndian.Uint32(f[ofsFlow:]) >= uint32(len(c.seen)) {
		c.strange++
		return
	}
	s := &c.seen[binary.BigEndian.Uint32(f[ofsFlow:])]
	seq := binary.BigEndian.Uint32(f[ofsNumber:])
	if s.sink != 0 && s.sink != sink+1 {
		c.moved++
	}
	if seq < s.next {
		c.reordered++
	}
	s.sink, s.next = sink+1, seq+1
}

// Receive takes frames from a port until the context ends or the port is gone.
func (c *Checker) Receive(ctx context.Context, sink int, d *netmap.Desc) error {
	for {
		if _, err := d.Poll(ctx, netmap.PollIn); err != nil {
			if ctx.Err() != nil {
				return d.RxSync() // gives the last ones back
			}
			return err
		}
		c.mu.Lock()
		for _, r := range d.RxRings() {
			i := r.Head()
			for range r.Space() {
				c.take(sink, r.Frame(i))
				i = r.Next(i)
			}
			r.Advance(i)
		}
		c.mu.Unlock()
	}
}

// Reached is how many connections have come as far as frame seq.
func (c *Checker) Reached(seq uint32) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.seen {
		if s.next > seq {
			n++
		}
	}
	return n
}

// Result is what became of count frames.
type Result struct {
	Sent, Got uint64
	PerSink   []uint64
	Reordered uint64 // frames behind one of their connection that was sent later, or that came twice
	Moved     uint64 // frames elsewhere than the one before of their connection
	Strange   uint64 // frames that nobody sent so
}

// Result sums up.
func (c *Checker) Result(sent uint64) Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Result{sent, c.got.Load(), append([]uint64{}, c.perSink...), c.reordered, c.moved, c.strange}
}

// Err says what went wrong, if frames must neither be lost nor change order.
func (r Result) Err() error {
	var errs []error
	for what, n := range map[string]uint64{"reordered or doubled": r.Reordered, "elsewhere than others of their connection": r.Moved, "unlike any that was sent": r.Strange} {
		if n > 0 {
			errs = append(errs, fmt.Errorf("%d frames %s", n, what))
		}
	}
	if r.Sent != r.Got {
		errs = append(errs, fmt.Errorf("%d frames sent, %d received", r.Sent, r.Got))
	}
	return errors.Join(errs...)
}

// Send sends count frames, of each connection in turn. While a window is given,
// no more than so many are under way; got says how many have arrived.
func Send(ctx context.Context, d *netmap.Desc, flows int, count, window uint64, got func() uint64) (sent uint64, err error) {
	r := d.TxRings()[0]
	for sent < count {
		if _, err := d.Poll(ctx, netmap.PollOut); err != nil {
			return sent, err
		}
		n := min(uint64(r.Space()), count-sent)
		if window > 0 {
			n = min(n, window-min(window, sent-got()))
		}
		for range n {
			put(r, uint32(sent%uint64(flows)), uint32(sent/uint64(flows)))
			sent++
		}
		if n == 0 {
			if _, err := d.PollTimeout(0, 0); err != nil { // hands over, and lets others run
				return sent, err
			}
			yield()
		}
	}
	return sent, d.Flush(ctx)
}

// SendRound sends frame seq of each connection.
func SendRound(ctx context.Context, d *netmap.Desc, flows int, seq uint32) error {
	r := d.TxRings()[0]
	for flow := range uint32(flows) {
		if r.Space() == 0 {
			if _, err := d.Poll(ctx, netmap.PollOut); err != nil {
				return err
			}
		}
		put(r, flow, seq)
	}
	return d.Flush(ctx)
}

// put fills the next slot of a ring that has room.
func put(r *netmap.TxRing, flow, seq uint32) {
	i := r.Head()
	s := r.Slot(i)
	Frame(r.Buf(s), flow, seq)
	s.Len, s.Flags = Length, 0
	r.Advance(r.Next(i))
}
