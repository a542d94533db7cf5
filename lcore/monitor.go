package lcore

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// stuckLooks is the number of looks in a row without progress that make an lcore stuck.
const stuckLooks = 2

// monitor judges progress from what it is shown, one look after the other. It knows no time.
type monitor struct {
	last  uint64
	looks int // in a row without progress
	stuck atomic.Bool
}

// look takes in the loop's iterations so far and whether it sleeps; changed says that stuck is
// another than before.
func (m *monitor) look(beat uint64, asleep bool) (changed bool) {
	if asleep || beat != m.last {
		m.last, m.looks = beat, 0
		return m.stuck.Swap(false)
	}
	m.looks++
	return m.looks >= stuckLooks && !m.stuck.Swap(true)
}

// Stuck says that the lcore has made no progress for a while although it does not sleep: a unit
// or a command does not return. It becomes false by itself when the lcore goes on.
func (l *Lcore) Stuck() bool { return l.Alive() && l.mon.stuck.Load() }

// Alive says that the lcore's thread has not ended.
func (l *Lcore) Alive() bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// Progress returns the number of loop iterations so far and whether the lcore sleeps, in which case
// the number does not grow.
func (l *Lcore) Progress() (iterations uint64, asleep bool) {
	// The mark first: taken the other way round, an lcore that falls asleep and wakes between the two would be missed.
	asleep = l.asleep.Load()
	return l.beat.Load(), asleep
}

// monitor looks at the lcore until it ends.
func (l *Lcore) monitor() {
	tick := time.NewTicker(l.cfg.StuckInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-tick.C:
			l.look()
		}
	}
}

// look lets the monitor judge and reports what it found.
func (l *Lcore) look() {
	if !l.mon.look(l.Progress()) {
		return
	}
	if !l.mon.stuck.Load() {
		l.cfg.Logger.Warn("the lcore makes progress again")
		return
	}
	hint := threadState(l.tid)
	l.cfg.Logger.Error("the lcore makes no progress", "hint", hint)
	if l.cfg.OnStuck != nil {
		l.cfg.OnStuck(l, hint)
	}
}

// threadState tells what the kernel knows of a thread. Go's own stack dump would stop the world, and
// if the thread hangs where Go cannot stop it, hang everything with it.
func threadState(tid int) string {
	read := func(name string) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/%s", tid, name))
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(text))
	}
	state := "unknown"
	for line := range strings.Lines(read("status")) {
		if value, ok := strings.CutPrefix(line, "State:"); ok {
			state = strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("thread %d: state %s, waits in %s, system call %s", tid, state, read("wchan"), read("syscall"))
}
