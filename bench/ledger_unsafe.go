package main

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ledger is where receivers count what they have taken, in memory that they share with the sender. With it a sender
// on the same CPU does not fill rings whose reader cannot run: dropped frames cost less than delivered ones, and what
// a delivered one costs is the question.
type ledger struct {
	taken []*atomic.Uint64
}

const (
	ledgerLine = 128  // bytes from counter to counter
	ledgerSize = 8192 // bytes of the file
	minRoom    = 256  // frames: below, it is better to let receivers work than to send a few
	slack      = 16   // frames that came from elsewhere, such as those that teach the switch
)

// ledger makes the file.
func (h *harness) ledger() (string, error) {
	f, err := os.CreateTemp(h.dir, "ledger")
	if err != nil {
		return "", fmt.Errorf("a ledger: %w", err)
	}
	return f.Name(), errors.Join(f.Truncate(ledgerSize), f.Close())
}

// openLedger maps n counters of the file; no file gives none.
func openLedger(path string, n int) (*ledger, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("the ledger: %w", err)
	}
	defer f.Close() //nolint:errcheck // the mapping stays
	mem, err := unix.Mmap(int(f.Fd()), 0, ledgerSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil || n*ledgerLine > len(mem) {
		return nil, fmt.Errorf("map %d counters of a ledger: %w", n, err)
	}
	l := &ledger{}
	for i := range n {
		l.taken = append(l.taken, (*atomic.Uint64)(unsafe.Pointer(&mem[i*ledgerLine])))
	}
	return l, nil
}

// counter is that of reader i; without a ledger one that nobody sees.
func (l *ledger) counter(i int) *atomic.Uint64 {
	if l == nil {
		return new(atomic.Uint64)
	}
	return l.taken[i]
}

// inFlight is how many frames may be under way to the rings of this sender's readers: as many as one of these holds, as any of
// them may be the one that cannot run. One that serves all its rings in turn leaves none behind: then a quarter of their
// slots, which no ring gets too many of by chance.
func (s *roleSpec) inFlight(slots uint32) uint64 {
	limit := uint64(slots) - 1 - slack
	if s.InTurn {
		limit = max(limit, uint64(s.Readers)*limit/4)
	}
	return limit
}

// room is how many frames may follow the sent ones, if limit may be under way, 0 for too few. Each reader gets all frames, or they
// share them evenly.
func (l *ledger) room(sent, limit uint64, all bool) uint32 {
	var sum uint64
	least := ^uint64(0)
	for _, c := range l.taken {
		n := c.Load()
		sum, least = sum+n, min(least, n)
	}
	done := sum
	if all {
		done = least
	}
	if under := sent - min(done, sent); under+min(minRoom, limit/2) <= limit {
		return uint32(limit - under)
	}
	return 0
}
