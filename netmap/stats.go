package netmap

import "sync/atomic"

// ringCounters count what happens seldom: a sync that goes well counts nothing,
// and a program counts its own frames.
type ringCounters struct {
	bad, skipped atomic.Uint64
}

// DescStats are the counters of a descriptor at one moment.
type DescStats struct {
	Kicks uint64 // system calls made to wake the daemon
	Waits uint64 // times a call went to sleep
	Wakes uint64 // system calls made to wake the other end of a pipe
	Rings []RingReport
}

// RingReport are the counters of one ring.
type RingReport struct {
	Tx      bool
	ID      int
	Bad     uint64 // illegal states found, and repaired, by syncs of this process
	Skipped uint64 // syncs left out because another one was running on the ring
	// What the daemon refused by its own judgement: a number, and the last one.
	Refused                 uint32
	RefusedHead, RefusedCur uint32
}

// Stats reads the counters. Any goroutine may call it before Close.
func (d *Desc) Stats() DescStats {
	s := DescStats{Kicks: d.kicks.Load(), Waits: d.waits.Load(), Wakes: d.wakeups.Load()}
	for _, r := range d.tx {
		s.Rings = append(s.Rings, r.report(true))
	}
	for _, r := range d.rx {
		s.Rings = append(s.Rings, r.report(false))
	}
	return s
}

func (r *Ring) report(tx bool) RingReport {
	p := RingReport{Tx: tx, ID: r.ID(), Bad: r.stats.bad.Load(), Skipped: r.stats.skipped.Load()}
	p.Refused, p.RefusedHead, p.RefusedCur = r.blk.Bad()
	return p
}
