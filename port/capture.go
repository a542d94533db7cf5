package port

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	vale "github.com/netmapd/netmapd/switch"
)

// maxCaptures bounds the captures at a time: each has a queue of some MB.
const maxCaptures = 16

// CaptureSpec says what a capture sees.
type CaptureSpec struct {
	Ports []string // names as of Ports; NAME^ are the host rings of NAME

	// Which way, as the port's user sees it; neither is both. What clients send, and
	// what is handed to the device of an attached port, goes out. What clients get, and
	// what such a device receives, comes in.
	In, Out bool
}

// Capture gets copies of the frames of some ports. Nobody waits for its reader:
// what the queue has no room for is counted. A port without captures pays nothing
// for the possibility.
type Capture struct {
	g      *Registry
	q      *captureQueue
	missed []atomic.Uint64 // as CaptureSpec.Ports
	ports  []*captured     // under the registry's lock

	end  sync.Once
	gone chan struct{}
}

// captured is a port as a capture sees it.
type captured struct {
	c       *Capture
	p       *port
	id      uint16       // place in CaptureSpec.Ports
	in, out bool         //
	host    bool         // the host rings, not the HW rings
	skip    atomic.Int32 // bytes of virtio-net header before the frame
}

// CapturedFrame is a frame as it passed.
type CapturedFrame struct {
	Time   time.Time // of its batch, to some microseconds
	Port   int       // place in CaptureSpec.Ports
	Out    bool      // see CaptureSpec
	Length int       // bytes of the frame
	Data   []byte    // its first 64 KB at most, good until the next call of Next
}

// Capture begins to capture. ENXIO when a port does not exist, EINVAL for one that
// is named twice or a pipe that nobody has open, EMFILE for too many captures.
func (g *Registry) Capture(ctx context.Context, spec CaptureSpec) (*Capture, error) {
	const op = "capture"
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.captures >= maxCaptures {
		return nil, refuse(op, strings.Join(spec.Ports, " "), unix.EMFILE, "%d captures are running, no more can; end one", g.captures)
	}
	if !spec.In && !spec.Out {
		spec.In, spec.Out = true, true
	}
	c := &Capture{g: g, gone: make(chan struct{})}
	for i, full := range spec.Ports {
		nic, host := strings.CutSuffix(full, "^")
		p := g.ports[nic]
		switch {
		case p == nil:
			return nil, refuse(op, full, unix.ENXIO, "no port has this name; nmctl port list shows those there are")
		case host && p.hostTx+p.hostRx == 0:
			return nil, refuse(op, full, unix.EINVAL, "the port has no host rings")
		case p.kind == KindPipe && len(p.descs) == 0:
			return nil, refuse(op, full, unix.EINVAL, "nobody has the pipe open, so there is nothing to see")
		case slices.Contains(spec.Ports[:i], full):
			return nil, refuse(op, full, unix.EINVAL, "it is named twice")
		}
		c.ports = append(c.ports, &captured{c: c, p: p, id: uint16(i), in: spec.In, out: spec.Out, host: host})
	}
	c.q, c.missed = newCaptureQueue(), make([]atomic.Uint64, len(spec.Ports))
	g.captures++
	for i, w := range c.ports {
		if err := g.look(ctx, w); err != nil {
			for _, begun := range c.ports[:i] {
				_ = g.lookAway(ctx, begun)
			}
			g.captures--
			return nil, refuseFor(op, spec.Ports[i], err)
		}
	}
	return c, nil
}

// look shows a capture the frames of a port.
func (g *Registry) look(ctx context.Context, w *captured) error {
	p := w.p
	if !p.watched() {
		if err := p.be.monitored(ctx); err != nil {
			return err
		}
	}
	p.captures = append(p.captures, w)
	p.tellCaptures()
	w.see()
	if err := g.refit(ctx, p); err != nil {
		_ = g.lookAway(ctx, w)
		return err
	}
	return nil
}

// lookAway takes it away again. After an error an lcore may still use the capture,
// which is harmless.
func (g *Registry) lookAway(ctx context.Context, w *captured) error {
	p := w.p
	w.blind()
	p.captures = slices.DeleteFunc(p.captures, func(o *captured) bool { return o == w })
	err := g.refit(ctx, p)
	if err == nil {
		err = g.quiesce(ctx)
	}
	if err == nil && !p.watched() {
		p.be.unmonitored(ctx)
	}
	return err
}

// see puts the capture on the port's rings.
func (w *captured) see() {
	for _, k := range w.rings() {
		k.watch.captures = append(k.watch.captures, &ringLens{k, w})
		k.SetWatch(k.watch.ring(k))
	}
}

// blind takes the capture off the port's rings.
func (w *captured) blind() {
	for _, k := range w.rings() {
		k.watch.captures = slices.DeleteFunc(k.watch.captures, func(l *ringLens) bool { return l.w == w })
		k.SetWatch(k.watch.ring(k))
	}
}

// rings are those of the port that the capture looks at.
func (w *captured) rings() (out []*kring) {
	p := w.p
	tx, rx := p.tx[:min(p.hwTx, len(p.tx))], p.rx[:min(p.hwRx, len(p.rx))]
	if w.host {
		tx, rx = p.tx[len(tx):], p.rx[len(rx):]
	}
	if w.out {
		out = append(out, tx...)
	}
	if w.in {
		out = append(out, rx...)
	}
	return out
}

// watched says that somebody looks at what passes on the port's rings.
func (p *port) watched() bool { return len(p.monitors)+len(p.captures) > 0 }

// tellCaptures tells captures where the frames of the port begin.
func (p *port) tellCaptures() {
	skip := 0
	if h := p.vnet(); h != nil {
		skip = h.length
	}
	for _, w := range p.captures {
		w.skip.Store(int32(skip))
	}
}

// loseCaptures is for a port that goes.
func (p *port) loseCaptures() {
	for _, w := range p.captures {
		w.blind()
		c := w.c
		if c.ports = slices.DeleteFunc(c.ports, func(o *captured) bool { return o == w }); len(c.ports) == 0 {
			close(c.gone)
		}
	}
	p.captures = nil
}

// Next takes the oldest frame out of the queue; false when it is empty. One
// goroutine calls it.
func (c *Capture) Next() (CapturedFrame, bool) { return c.q.next() }

// Missed counts the frames that found the queue full, for each port of the spec.
func (c *Capture) Missed() []uint64 {
	out := make([]uint64, len(c.missed))
	for i := range out {
		out[i] = c.missed[i].Load()
	}
	return out
}

// Gone is closed once none of the ports exists any more.
func (c *Capture) Gone() <-chan struct{} { return c.gone }

// Close ends the capture.
func (c *Capture) Close(ctx context.Context) {
	c.end.Do(func() {
		g := c.g
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, w := range c.ports {
			if err := g.lookAway(ctx, w); err != nil {
				g.log.Error("end a capture", "port", w.p.name, "err", err)
			}
		}
		c.ports = nil
		g.captures--
	})
}

// A ringLens shows a capture what passes on a ring (ring.Watch.Seen).
type ringLens struct {
	k *kring
	w *captured
}

// see gathers the frames of n slots, which a client may be writing to.
func (l *ringLens) see(from, n uint32) {
	var frags [vale.MaxFrags][]byte
	now := time.Now().UnixNano()
	r, out := l.k.Ring, l.k.Dir() == abi.DirTx
	for i, at := 0, from; n > 0; n-- {
		w := r.Slots().Load(at)
		frags[i] = contents(r, at, w, w.Len())
		at = r.Advance(at, 1)
		if i++; w.Flags()&abi.NSMoreFrag == 0 || i == len(frags) || n == 1 {
			l.w.put(now, out, frags[:i])
			i = 0
		}
	}
}

// put queues a frame.
func (w *captured) put(now int64, out bool, frags [][]byte) {
	if !w.c.q.put(now, w.id, out, frags, int(w.skip.Load())) {
		w.c.missed[w.id].Add(1)
	}
}

// seeBatch queues frames of a batch of a switch, which begin at the fragments first
// lists.
func (w *captured) seeBatch(b *vale.Batch, out bool, first []uint16) {
	var frags [vale.MaxFrags][]byte
	now := time.Now().UnixNano()
	for _, i := range first {
		n := min(int(b.Frags[i].Slots), len(frags))
		for k := range n {
			frags[k] = b.Bytes(int(i) + k)
		}
		w.put(now, out, frags[:n])
	}
}
