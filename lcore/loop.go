package lcore

import (
	"runtime/debug"
	"slices"
)

// loop iterates until the lcore is stopped or a unit panics; run enters it again then. One defer for
// the whole loop instead of one per poll.
func (l *Lcore) loop() {
	defer l.recovered()
	l.disarm() // what a panic in Arm or Disarm left
	l.start = Cycles()
	for {
		if !l.commands.empty() {
			l.runCommands()
			if l.stopping {
				return
			}
		}
		l.iterate()
	}
}

// iterate polls every unit once and sleeps if it has been quiet for long enough.
//
// Cycles are read once per iteration: the end of one is the start of the next.
func (l *Lcore) iterate() {
	moved := 0
	for i := range l.units {
		l.current = i
		moved += l.units[i].Poll()
	}
	l.current = noUnit
	l.stats.Polls++
	l.beat.Store(l.stats.Polls)

	now := Cycles()
	l.slice.keep(now)
	switch {
	case moved > 0:
		l.stats.Packets += uint64(moved)
		l.stats.BusyCycles += now - l.start
		l.quiet = now
		l.backoff = int64(minBackoff)
	default:
		l.stats.IdleCycles += now - l.start
		if l.maySleep(now) {
			now = l.sleep(now)
		}
	}
	l.start = now
}

// maySleep says whether an idle lcore is due for a sleep. With no unit there is nothing to be late
// for, so that not even a Poll lcore spins.
func (l *Lcore) maySleep(now uint64) bool {
	if int64(now-l.awake) < 0 {
		return false
	}
	return len(l.units) == 0 || l.cfg.Mode == Adaptive && int64(now-l.quiet) >= l.spin
}

// recovered takes the unit that panicked off the lcore and tells it.
func (l *Lcore) recovered() {
	v := recover()
	if v == nil {
		return
	}
	if l.current == noUnit {
		panic(v) // a bug in this package: hiding it would hide corrupted state
	}
	err := &PanicError{Value: v, Stack: debug.Stack()}
	u := l.units[l.current]
	l.units = slices.Delete(l.units, l.current, l.current+1)
	l.stats.fold(u)
	l.current = noUnit
	l.asleep.Store(false)
	l.stats.Panics++
	l.cfg.Logger.Error("a unit panicked and is taken off the lcore", "err", err, "stack", string(err.Stack))
	if l.cfg.OnPanic != nil {
		l.cfg.OnPanic(l, err)
	}
	defer func() {
		if v := recover(); v != nil {
			l.cfg.Logger.Error("the panicked unit panicked again when told", "err", v, "stack", string(debug.Stack()))
		}
	}()
	u.Fail(err)
}
