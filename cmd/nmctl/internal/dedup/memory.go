package dedup

import (
	"bytes"
	"hash/maphash"
	"time"
)

// A memory holds the last frames, in the order they came, and finds one among
// them.
type memory struct {
	window  time.Duration
	seed    maphash.Seed
	entries []entry
	buckets []uint64 // 1 + the number of the newest entry there, 0 for none
	// Entries have numbers from 0; those in [first, next) are remembered.
	first, next uint64
}

type entry struct {
	at     time.Duration
	hash   uint64
	before uint64 // as in buckets: the entry before it in its bucket
	frame  []byte
	own    []byte // memory that frame may lie in
	slot   uint32 // with -H: the slot after the frame
}

func newMemory(size uint32, window time.Duration) *memory {
	buckets := uint32(16)
	for buckets < 2*size {
		buckets *= 2
	}
	return &memory{window: window, seed: maphash.MakeSeed(), entries: make([]entry, size), buckets: make([]uint64, buckets)}
}

func (m *memory) entry(n uint64) *entry    { return &m.entries[n%uint64(len(m.entries))] }
func (m *memory) bucket(h uint64) *uint64  { return &m.buckets[h&uint64(len(m.buckets)-1)] }
func (m *memory) full() bool               { return m.next-m.first == uint64(len(m.entries)) }
func (m *memory) hash(frame []byte) uint64 { return maphash.Bytes(m.seed, frame) }

// expire forgets what came before the window.
func (m *memory) expire(now time.Duration) {
	for m.first != m.next && m.entry(m.first).at < now-m.window {
		m.forget()
	}
}

// forget forgets the oldest. Its bucket may still name it, which number says.
func (m *memory) forget() { m.first++ }

// seen reports whether a frame is remembered.
func (m *memory) seen(frame []byte, hash uint64) bool {
	for n := *m.bucket(hash); n > m.first; {
		e := m.entry(n - 1)
		if e.hash == hash && bytes.Equal(e.frame, frame) {
			return true
		}
		n = e.before
	}
	return false
}

// add remembers a frame; who calls makes room before. The frame is copied
// unless it stays where it is.
func (m *memory) add(now time.Duration, frame []byte, hash uint64, stays bool) *entry {
	e, b := m.entry(m.next), m.bucket(hash)
	e.at, e.hash, e.before = now, hash, *b
	if stays {
		e.frame = frame
	} else {
		e.own = append(e.own[:0], frame...)
		e.frame = e.own
	}
	m.next++
	*b = m.next
	return e
}
