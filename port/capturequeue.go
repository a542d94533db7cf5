package port

import (
	"sync/atomic"
	"time"
)

// Size of a capture's queue: captureCells frames of up to cellSize bytes; longer
// ones take several cells.
const (
	captureCells = 1 << 12
	cellSize     = 2048
	maxCells     = 32 // of one frame: 64 KB
)

// captureQueue takes frames from any number of lcores and gives them to one
// reader. Writers reserve cells by moving tail and never wait: what has no room is
// counted. The first cell of a frame, marked last, makes it readable.
type captureQueue struct {
	cells []captureCell
	data  []byte // cellSize for each cell

	_    [64]byte
	tail atomic.Uint64
	_    [64]byte
	head atomic.Uint64

	frame []byte // the reader's copy
}

// captureCell describes the frame that begins in a cell.
type captureCell struct {
	ready  atomic.Uint64 // position of the cell, which only grows, and 1; then the rest is as it stays
	time   int64
	length uint32
	kept   uint32
	port   uint16
	cells  uint16
	out    bool
}

func newCaptureQueue() *captureQueue {
	return &captureQueue{
		cells: make([]captureCell, captureCells), data: make([]byte, captureCells*cellSize), frame: make([]byte, maxCells*cellSize),
	}
}

// put copies a frame without its first skip bytes; false if there is no room.
func (q *captureQueue) put(now int64, port uint16, out bool, frags [][]byte, skip int) bool {
	length := -skip
	for _, f := range frags {
		length += len(f)
	}
	length = max(length, 0)
	kept := min(length, maxCells*cellSize)
	cells := uint64(max((kept+cellSize-1)/cellSize, 1))
	at := q.tail.Load()
	for {
		if at+cells-q.head.Load() > captureCells {
			return false
		}
		if q.tail.CompareAndSwap(at, at+cells) {
			break
		}
		at = q.tail.Load()
	}
	to, left := at*cellSize, kept
	for _, f := range frags {
		drop := min(skip, len(f))
		skip, f = skip-drop, f[drop:]
		for len(f) > 0 && left > 0 {
			n := copy(q.data[to%uint64(len(q.data)):], f[:min(len(f), left)])
			to, left, f = to+uint64(n), left-n, f[n:]
		}
	}
	c := &q.cells[at%captureCells]
	c.time, c.port, c.out, c.length, c.kept, c.cells = now, port, out, uint32(length), uint32(kept), uint16(cells)
	c.ready.Store(at + 1)
	return true
}

// next takes the oldest frame.
func (q *captureQueue) next() (CapturedFrame, bool) {
	at := q.head.Load()
	c := &q.cells[at%captureCells]
	if c.ready.Load() != at+1 {
		return CapturedFrame{}, false
	}
	f := CapturedFrame{Time: time.Unix(0, c.time), Port: int(c.port), Out: c.out, Length: int(c.length)}
	from := at * cellSize % uint64(len(q.data))
	n := copy(q.frame[:c.kept], q.data[from:])
	copy(q.frame[n:c.kept], q.data)
	f.Data = q.frame[:c.kept]
	q.head.Store(at + uint64(c.cells))
	return f, true
}
