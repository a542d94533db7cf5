package lcore

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// fds are the descriptors an lcore sleeps on.
type fds struct {
	epoll  int
	event  int // woken by commands; watched edge-triggered, never read
	timer  int // wakes for silent units. Not the time-out of epoll_wait, which counts in milliseconds
	closed bool
}

// openFDs makes the descriptors and puts the event and the timer into the epoll set.
func openFDs() (f fds, err error) {
	f = fds{epoll: -1, event: -1, timer: -1}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return f, fmt.Errorf("epoll_create1: %w", err)
	}
	if f.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return f, fmt.Errorf("eventfd: %w", err)
	}
	if f.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return f, fmt.Errorf("timerfd_create: %w", err)
	}
	return f, errors.Join(f.watch(f.event), f.watch(f.timer))
}

// close closes what is open.
func (f *fds) close() {
	f.closed = true
	for _, fd := range []int{f.epoll, f.event, f.timer} {
		if fd >= 0 {
			_ = unix.Close(fd) // of no consequence for descriptors without data
		}
	}
}

// watch adds a wake source. Edge-triggered, because nobody ever reads it: each write wakes once.
func (f *fds) watch(fd int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

// Watch makes the descriptor (a session's kick eventfd, a device's socket) wake the lcore, once for
// each time it becomes or is made readable again. It is never read. The descriptor must be taken
// back with Unwatch before it is closed: the kernel would otherwise keep on watching what it refers to for
// as long as another process has it open.
func (l *Lcore) Watch(fd int) error {
	return l.withFDs(func() error { return l.fds.watch(fd) })
}

// Unwatch takes a descriptor back that was given to Watch.
func (l *Lcore) Unwatch(fd int) error {
	return l.withFDs(func() error {
		if err := unix.EpollCtl(l.fds.epoll, unix.EPOLL_CTL_DEL, fd, nil); err != nil {
			return fmt.Errorf("unwatch descriptor %d: %w", fd, err)
		}
		return nil
	})
}

// withFDs calls fn while the descriptors cannot be closed.
func (l *Lcore) withFDs(fn func() error) error {
	l.fdMu.RLock()
	defer l.fdMu.RUnlock()
	err := ErrStopped
	if !l.fds.closed {
		err = fn()
	}
	if err != nil {
		return fmt.Errorf("lcore %d: %w", l.cfg.ID, err)
	}
	return nil
}

// sleep blocks until there is something to do, if all agree to it, and returns the cycles when it is over.
func (l *Lcore) sleep(now uint64) uint64 {
	silent, agreed := l.arm()
	if !agreed {
		l.disarm()
		l.quiet = now // the work is seen by the next poll; do not ask at each iteration until it is
		return Cycles()
	}
	// After Arm, so that a unit that hangs in it does not look asleep to the monitor.
	l.asleep.Swap(true) // a full barrier, under the race detector too, which a store is not (abi.Fence)
	if l.commands.empty() {
		now = l.block(silent)
	}
	l.asleep.Store(false)
	l.disarm()
	return now
}

// arm asks the units whether all may be left alone, and whether one needs the timer.
func (l *Lcore) arm() (silent, agreed bool) {
	agreed = true
	for i := 0; i < len(l.units) && agreed; i++ {
		l.current = i
		silent = l.units[i].Silent() || silent
		agreed = l.units[i].Arm()
		l.armed = i + 1
	}
	l.current = noUnit
	return silent, agreed
}

// disarm undoes arm. It counts down before each call: should one panic, the next disarm does the rest.
func (l *Lcore) disarm() {
	for l.armed > 0 {
		l.armed--
		l.current = l.armed
		l.units[l.current].Disarm()
	}
	l.current = noUnit
}

// block waits in epoll, with a silent unit for a time that doubles from one idle wake-up to the
// next, and returns the cycles when it woke.
func (l *Lcore) block(silent bool) uint64 {
	before := Cycles()
	l.stats.Sleeps++
	if silent {
		l.setTimer()
	}
	// An ordinary system call, so that Go's scheduler knows that this thread waits: the collector
	// would wait for one in a raw system call.
	n, err := unix.EpollWait(l.fds.epoll, l.events[:], -1)
	for err == unix.EINTR {
		n, err = unix.EpollWait(l.fds.epoll, l.events[:], -1)
	}
	now := Cycles()
	l.stats.SleepCycles += now - before
	if err != nil {
		l.cfg.Logger.Error("the lcore cannot sleep", "err", err)
		return now
	}
	for i := range n {
		if int(l.events[i].Fd) != l.fds.timer {
			l.stats.Wakeups++
			l.quiet = now // somebody wants something: spin again
			return now
		}
	}
	l.stats.TimerWakeups++ // only a look: if it finds nothing, on to the next sleep at once
	return now
}

// setTimer arms the timer for the next timed sleep and doubles the one after.
func (l *Lcore) setTimer() {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(l.backoff)}
	if err := unix.TimerfdSettime(l.fds.timer, 0, &spec, nil); err != nil {
		// Impossible for a valid time on our own descriptor.
		l.cfg.Logger.Error("the lcore cannot set its timer", "err", err)
	}
	l.backoff = min(2*l.backoff, int64(l.cfg.MaxBackoff))
}
