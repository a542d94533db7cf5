package vale

import (
	"sync"
	"unsafe"
)

// Cable carries frames from one switch to another: a sink of the one and a
// source of the other, with memory of its own in between. What does not fit
// until the other one looks is dropped. It wakes nobody, so the lcore of its
// source looks by timer.
type Cable struct {
	mu  sync.Mutex // once a batch; the sink's lcores and the source's can differ
	in  *pile      // being filled
	out *pile      // being emptied, the source's own
	at  int        // first fragment of out that was not taken
}

// pile is frames with their bytes.
type pile struct {
	frags []Frag
	bytes []byte
}

// cableBytes is the memory of a pile.
const cableBytes = 1 << 20

// NewCable makes an empty cable.
func NewCable() *Cable {
	c := &Cable{}
	for _, p := range []**pile{&c.in, &c.out} {
		*p = &pile{frags: make([]Frag, 0, MaxBatch), bytes: make([]byte, 0, cableBytes)}
	}
	return c
}

// Deliver copies the frames in order until one does not fit.
func (c *Cable) Deliver(b *Batch, list []uint16, d *Drops) (frames, bytes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, i := range list {
		frags := b.Frags[i:]
		n, ok := c.in.add(b, frags[:frags[0].Slots])
		if !ok {
			d[RingFull] += uint64(len(list) - k)
			break
		}
		frames++
		bytes += n
	}
	return frames, bytes
}

func (p *pile) add(b *Batch, frags []Frag) (n uint64, ok bool) {
	for i := range frags {
		n += uint64(frags[i].Len)
	}
	at := len(p.bytes)
	if len(p.frags)+len(frags) > cap(p.frags) || at+int(n) > cap(p.bytes) {
		return 0, false
	}
	p.bytes = p.bytes[:at+int(n)]
	for i := range frags {
		f := frags[i]
		copyBytes(unsafe.Pointer(unsafe.SliceData(p.bytes[at:])), b.at(&f), uintptr(f.Len))
		f.Off = uint64(at)
		p.frags = append(p.frags, f)
		at += int(f.Len)
	}
	return n, true
}

// Next takes what has come.
func (c *Cable) Next(b *Batch) int {
	if c.at == len(c.out.frags) {
		c.mu.Lock()
		c.in, c.out, c.at = c.out, c.in, 0
		c.in.frags, c.in.bytes = c.in.frags[:0], c.in.bytes[:0]
		c.mu.Unlock()
	}
	b.Base = unsafe.Pointer(unsafe.SliceData(c.out.bytes))
	from := c.at
	for c.at < len(c.out.frags) {
		n := int(c.out.frags[c.at].Slots)
		if c.at-from+n > b.limit {
			break
		}
		copy(b.Frags[b.N:], c.out.frags[c.at:c.at+n])
		b.N += n
		b.Multi = b.Multi || n > 1
		c.at += n
	}
	return c.at - from
}

// Done has nothing to give back: the next swap does.
func (c *Cable) Done(*Batch) {}
