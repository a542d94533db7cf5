package tlem

import (
	"container/heap"
	"time"
)

// A line holds the frames that are under way. Those that stay in order lie one
// behind the other in blocks; those that are held, few, are sorted by time.
type line struct {
	blocks []*block
	spare  []*block
	held   heldHeap
	bytes  int
	fromH  bool // the frame that due showed was a held one
}

// A block is a piece of memory that frames are put into from the front.
type block struct {
	data   []byte
	frames []waiting
	first  int // frame to come out next
}

type waiting struct {
	at         time.Duration
	start, end int
}

type heldFrame struct {
	at    time.Duration
	frame []byte
}

const (
	blockSize = 1 << 20
	maxSpare  = 64
	// maxBytes is how much may be under way: 40 Gbit/s for 200 ms.
	maxBytes = 1 << 30
)

func newLine() *line { return &line{} }

// put takes a copy of a frame; false means that there is no memory for it.
func (l *line) put(at time.Duration, held bool, frame []byte) bool {
	if l.bytes+len(frame) > maxBytes {
		return false
	}
	l.bytes += len(frame)
	if held {
		heap.Push(&l.held, heldFrame{at, append([]byte(nil), frame...)})
		return true
	}
	n := len(l.blocks)
	if n == 0 || len(l.blocks[n-1].data)+len(frame) > cap(l.blocks[n-1].data) {
		l.blocks = append(l.blocks, l.block(len(frame)))
		n = len(l.blocks)
	}
	b := l.blocks[n-1]
	start := len(b.data)
	b.data = append(b.data, frame...)
	b.frames = append(b.frames, waiting{at, start, len(b.data)})
	return true
}

func (l *line) block(atLeast int) *block {
	if n := len(l.spare); n > 0 && cap(l.spare[n-1].data) >= atLeast {
		b := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return b
	}
	return &block{data: make([]byte, 0, max(blockSize, atLeast))}
}

// next is when the next frame comes out.
func (l *line) next() (at time.Duration, ok bool) {
	at, ok = l.front()
	if len(l.held) > 0 && (!ok || l.held[0].at < at) {
		return l.held[0].at, true
	}
	return at, ok
}

// front is when the next frame comes out that stayed in order.
func (l *line) front() (at time.Duration, ok bool) {
	for len(l.blocks) > 0 {
		b := l.blocks[0]
		if b.first < len(b.frames) {
			return b.frames[b.first].at, true
		}
		if len(l.blocks) == 1 {
			b.reset() // and stays in use
			return 0, false
		}
		l.blocks = l.blocks[:copy(l.blocks, l.blocks[1:])]
		if len(l.spare) < maxSpare {
			b.reset()
			l.spare = append(l.spare, b)
		}
	}
	return 0, false
}

func (b *block) reset() { b.data, b.frames, b.first = b.data[:0], b.frames[:0], 0 }

// due is the next frame that should be out by now; done takes it away.
func (l *line) due(now time.Duration) (frame []byte, ok bool) {
	at, there := l.next()
	if !there || at > now {
		return nil, false
	}
	front, inOrder := l.front()
	if l.fromH = !inOrder || len(l.held) > 0 && l.held[0].at < front; l.fromH {
		return l.held[0].frame, true
	}
	b := l.blocks[0]
	w := b.frames[b.first]
	return b.data[w.start:w.end], true
}

func (l *line) done() {
	if l.fromH {
		l.bytes -= len(heap.Pop(&l.held).(heldFrame).frame)
		return
	}
	b := l.blocks[0]
	l.bytes -= b.frames[b.first].end - b.frames[b.first].start
	b.first++
}

// heldHeap is sorted by time.
type heldHeap []heldFrame

func (h heldHeap) Len() int           { return len(h) }
func (h heldHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h heldHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heldHeap) Push(x any)        { *h = append(*h, x.(heldFrame)) }

func (h *heldHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = heldFrame{}
	*h = old[:len(old)-1]
	return x
}
