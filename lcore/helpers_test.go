package lcore

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for something that must happen; only a failing test uses it up.
const patience = 30 * time.Second

// start runs an lcore for the length of a test.
func start(tb testing.TB, cfg Config) *Lcore {
	tb.Helper()
	if cfg.CommandTimeout == 0 {
		cfg.CommandTimeout = patience
	}
	l, err := Start(cfg)
	if err != nil {
		tb.Fatalf("Start: %v", err)
	}
	tb.Cleanup(func() {
		if err := l.Stop(deadline(tb)); err != nil {
			tb.Errorf("Stop: %v", err)
		}
	})
	return l
}

// deadline returns a context for calls that are expected to return.
func deadline(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition that nothing announces.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			tb.Fatalf("waited in vain: %s", what)
		}
	}
}

// must fails the test on an error.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// stats takes the counters of a working lcore.
func stats(tb testing.TB, l *Lcore) Stats {
	tb.Helper()
	s, err := l.Stats(deadline(tb))
	must(tb, err)
	return s
}

// sleeping waits until the lcore is asleep.
func sleeping(tb testing.TB, l *Lcore) {
	tb.Helper()
	eventually(tb, "lcore asleep", func() bool { _, asleep := l.Progress(); return asleep })
}

// unit is scripted: what is nil does nothing and agrees to sleep.
type unit struct {
	poll   func() int
	arm    func() bool
	disarm func()
	fail   func(error)
	silent bool
	polls  atomic.Int64
}

func (u *unit) Poll() int {
	u.polls.Add(1)
	if u.poll == nil {
		return 0
	}
	return u.poll()
}

func (u *unit) Arm() bool { return u.arm == nil || u.arm() }

func (u *unit) Disarm() {
	if u.disarm != nil {
		u.disarm()
	}
}

func (u *unit) Fail(err error) {
	if u.fail != nil {
		u.fail(err)
	}
}

func (u *unit) Silent() bool { return u.silent }

// mailbox is a unit with a real producer side: packets are posted by any goroutine, which kicks only
// when the mark is set, as a client does.
type mailbox struct {
	unit
	posted   atomic.Int64
	taken    atomic.Int64
	needKick atomic.Bool
	kickFD   int
	kicks    atomic.Int64
}

// newMailbox makes a mailbox whose kicks wake the lcore.
func newMailbox(tb testing.TB, l *Lcore) *mailbox {
	tb.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	must(tb, err)
	m := &mailbox{kickFD: fd}
	m.poll = func() int {
		if m.posted.Load() == 0 {
			return 0
		}
		n := m.posted.Swap(0)
		m.taken.Add(n)
		return int(n)
	}
	m.arm = func() bool { m.needKick.Store(true); return m.posted.Load() == 0 }
	m.disarm = func() { m.needKick.Store(false) }
	must(tb, l.Watch(fd))
	must(tb, l.Add(deadline(tb), m))
	tb.Cleanup(func() {
		_ = l.Unwatch(fd) // the lcore may have been stopped by the test
		_ = unix.Close(fd)
	})
	return m
}

// post gives the mailbox n packets.
func (m *mailbox) post(tb testing.TB, n int64) {
	m.posted.Add(n)
	if m.needKick.Load() {
		m.kicks.Add(1)
		if _, err := unix.Write(m.kickFD, kickValue); err != nil {
			tb.Errorf("kick: %v", err)
		}
	}
}
