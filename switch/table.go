package vale

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// An entry of a forwarding table is one word, so that lcores share the table
// without a lock:
//
//	bits 0-47   the address, first byte lowest
//	bits 48-60  port index + 1, so that no entry is zero
//	bits 61-63  epoch of the last frame seen, 1 to 7; 0 for a static entry
const (
	portShift  = 48
	portBits   = 13
	portMask   = 1<<portBits - 1
	epochShift = portShift + portBits
	epochs     = 7 // values that an epoch takes, from 1 on
)

// MaxPorts is how many ports a switch can have: as many as an entry of the
// table can tell apart. (The reference has 252, NC E.5.)
const MaxPorts = portMask

const (
	minTable = 1024
	maxProbe = 16   // slots that an address may lie away from its place
	maxLate  = 4096 // entries that can wait for a larger table
)

func entry(mac uint64, port int, epoch uint64) uint64 {
	return mac | uint64(port+1)<<portShift | epoch<<epochShift
}

func entryPort(e uint64) int     { return int(e>>portShift&portMask) - 1 }
func entryEpoch(e uint64) uint64 { return e >> epochShift }

// table is a hash table of addresses with open addressing. Lcores look up,
// insert and update; nothing is ever taken out of a table, which is why two
// lcores that insert one address cannot place it twice: both want the same
// first empty slot. To remove or to grow, the control plane fills a new table
// and gives it to the pollers; what is learned into the old one meanwhile follows
// (Switch.catchUp).
type table struct {
	words  []uint64  // a power of two of them
	probe  int       // slots looked at for one address
	seed   [2]uint64 // secret: a client cannot choose colliding addresses
	compat bool      // the reference's hash and one slot per address
	full   bool      // may not grow: the newcomer takes the place of another
	used   atomic.Int64
	late   []atomic.Uint64 // entries that found no place, until there is a larger table; nil if it may not grow
	lates  atomic.Int64
	wanted atomic.Bool // growth has been asked for

	evicted atomic.Uint64 // addresses that lost their place
}

// newTable makes a table for size addresses, a power of two.
func newTable(size int, full bool) *table {
	t := &table{
		words: make([]uint64, size),
		probe: min(maxProbe, size),
		seed:  [2]uint64{rand.Uint64(), rand.Uint64() | 1},
		full:  full,
	}
	if !full {
		t.late = make([]atomic.Uint64, maxLate)
	}
	return t
}

// newCompatTable makes the table of NC E.5.1.
func newCompatTable() *table {
	return &table{words: make([]uint64, compatSize), probe: 1, compat: true, full: true}
}

// place is where the search for an address starts, modulo the size of the table.
func (t *table) place(mac uint64) uint64 {
	if t.compat {
		return compatHash(mac)
	}
	return t.hash(mac)
}

// hash is place of tables that are not compatible; the compiler puts it where it is called.
func (t *table) hash(mac uint64) uint64 {
	// Twice: with one multiplication a few seeds in a thousand crowd stations that
	// are numbered in sequence, and then addresses find no place.
	hi, lo := bits.Mul64(mac^t.seed[0], t.seed[1])
	hi, lo = bits.Mul64(hi^lo, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

// lookup returns the entry of an address, or 0.
func (t *table) lookup(mac uint64) uint64 { return t.lookupAt(t.place(mac), mac) }

// word is the slot at a place. Reading it early makes the search that follows find it in the cache.
func (t *table) word(at uint64) uint64 { return atomic.LoadUint64(&t.words[at&uint64(len(t.words)-1)]) }

// lookupAt is lookup for an address whose place is known.
func (t *table) lookupAt(at, mac uint64) uint64 {
	words := t.words
	for range t.probe {
		e := atomic.LoadUint64(&words[at&uint64(len(words)-1)])
		if e&macMask == mac && e != 0 {
			return e
		}
		if e == 0 {
			return 0
		}
		at++
	}
	return 0
}

// learn notes that a frame from the address of e came from the port of e, at
// the epoch of e. It reports whether the table changed.
func (t *table) learn(e uint64) bool { return t.learnAt(t.place(e&macMask), e) }

// learnAt is learn for an address whose place is known.
func (t *table) learnAt(at, e uint64) bool {
	words, mac := t.words, e&macMask
	for range t.probe {
		w := &words[at&uint64(len(words)-1)]
		old := atomic.LoadUint64(w)
		if old == e {
			return false
		}
		if old == 0 {
			if atomic.CompareAndSwapUint64(w, 0, e) {
				t.used.Add(1)
				return true
			}
			old = atomic.LoadUint64(w) // another lcore was faster: whom did it put there?
		}
		if old&macMask == mac {
			if entryEpoch(old) == 0 {
				return false
			}
			// Should the exchange fail, another lcore has news about this
			// address, as good as ours.
			return atomic.CompareAndSwapUint64(w, old, e)
		}
		at++
	}
	if !t.full {
		if i := t.lates.Add(1) - 1; i < int64(len(t.late)) {
			t.late[i].Store(e)
		}
		return false // there will be room in the larger table
	}
	return t.evict(e)
}

// evict puts e in the place of the first address in its way that is not static.
func (t *table) evict(e uint64) bool {
	at := t.place(e & macMask)
	for range t.probe {
		w := &t.words[at&uint64(len(t.words)-1)]
		if old := atomic.LoadUint64(w); entryEpoch(old) != 0 {
			t.evicted.Add(1)
			return atomic.CompareAndSwapUint64(w, old, e)
		}
		at++
	}
	return false
}

// crowded says that a larger table would serve better.
func (t *table) crowded() bool {
	return !t.full && (t.used.Load() > int64(len(t.words)/2) || t.lates.Load() > 0)
}

// each calls f for every entry.
func (t *table) each(f func(e uint64)) {
	for i := range t.words {
		if e := atomic.LoadUint64(&t.words[i]); e != 0 {
			f(e)
		}
	}
}

// waiting calls f for the entries that found no place, the latest first.
func (t *table) waiting(f func(e uint64)) {
	for i := min(t.lates.Load(), int64(len(t.late))) - 1; i >= 0; i-- {
		if e := t.late[i].Load(); e != 0 { // 0: being written
			f(e)
		}
	}
}

// grown is how many slots a table should have that replaces this one, which is crowded; from limit on it is large enough.
func (t *table) grown(limit int) int {
	macs := map[uint64]bool{}
	t.waiting(func(e uint64) { macs[e&macMask] = true })
	size := 2 * len(t.words)
	for size < limit && int64(size) < 3*(t.used.Load()+int64(len(macs))) { // learned faster than it could grow
		size *= 2
	}
	return size
}

// compatSize is the number of entries of the reference's table.
const compatSize = 1024

// compatHash is the hash of NC E.5.1.
func compatHash(mac uint64) uint64 {
	a, b, c := uint32(0x9e3779b9), uint32(0x9e3779b9), uint32(0)
	b += uint32(mac >> 32 & 0xffff) // mac[5]*256 + mac[4]
	a += uint32(mac)
	a = (a - b - c) ^ c>>13
	b = (b - c - a) ^ a<<8
	c = (c - a - b) ^ b>>13
	a = (a - b - c) ^ c>>12
	b = (b - c - a) ^ a<<16
	c = (c - a - b) ^ b>>5
	a = (a - b - c) ^ c>>3
	b = (b - c - a) ^ a<<10
	c = (c - a - b) ^ b>>15
	return uint64(c & (compatSize - 1))
}
