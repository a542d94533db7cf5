package netmap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/wire"
)

// A wake is what this process sleeps on for a descriptor: an epoll that the daemon
// made, which says when a ring changes that somebody armed, and when the daemon let go of the descriptor.
//
// Several goroutines may wait. One of them, whoever holds the turn, waits for
// the epoll; it counts each event and tells the others, who wait for the turn. So an
// event wakes all that armed before it came.
type wake struct {
	f    *os.File // of the epoll
	hang int      // the socket in there that the daemon hangs up
	pipe int      // the eventfd by which the other end of a pipe wakes this one, -1 for none
	raw  syscall.RawConn
	turn chan struct{} // holds one token
	gen  atomic.Uint64 // events seen
	dead atomic.Bool   // the daemon hung up

	sleepers int // who sleeps on it; under the session's lock

	mu   sync.Mutex
	news chan struct{} // closed at the next event; nil unless somebody waits for the turn

	readFn func(fd uintptr) bool
}

var (
	errTimeout = errors.New("timeout")
	errHangup  = errors.New("netmapd is gone")
)

// newWake takes over the epoll, what the daemon hangs up, and the eventfd by which the other end of a pipe wakes
// this one, -1 for none. That one is shared by all processes of this end, so nobody reads it: each write is an edge
// that every epoll sees once.
func newWake(epoll, hang, pipe int) (*wake, error) {
	_ = unix.SetNonblock(epoll, true) // for NewFile, which else waits for it in a thread
	w := &wake{f: os.NewFile(uintptr(epoll), "wake"), hang: hang, pipe: pipe, turn: make(chan struct{}, 1)}
	w.turn <- struct{}{}
	w.readFn = w.drain
	if err := w.begin(epoll); err != nil {
		w.close()
		return nil, fmt.Errorf("use the wake descriptor: %w", err)
	}
	return w, nil
}

func (w *wake) begin(epoll int) (err error) {
	if w.pipe >= 0 {
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wire.WakePipe}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, w.pipe, &ev); err != nil {
			return err
		}
	}
	if w.raw, err = w.f.SyscallConn(); err != nil {
		return err
	}
	return w.f.SetReadDeadline(time.Time{}) // fails when the runtime cannot poll it
}

// drain takes all events there are; false lets the runtime wait for one.
func (w *wake) drain(fd uintptr) bool {
	var events [wire.WakePipe]unix.EpollEvent
	n, _ := unix.EpollWait(int(fd), events[:], 0)
	for _, e := range events[:max(n, 0)] {
		if e.Fd == wire.WakeHangup {
			w.dead.Store(true)
		}
	}
	return n > 0
}

// generation is what wait compares with: it is taken before a ring is armed.
func (w *wake) generation() uint64 { return w.gen.Load() }

// wait blocks until an event has come after generation gen was taken, until
// the deadline (zero for none), or until the context ends. The caller has armed
// its rings and looked at them once more.
func (w *wake) wait(ctx context.Context, deadline time.Time, gen uint64) error {
	if mine, err := w.takeTurn(ctx, deadline, gen); !mine {
		return err
	}
	defer func() { w.turn <- struct{}{} }()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, w.interrupt)()
	}
	for w.gen.Load() == gen {
		_ = w.f.SetReadDeadline(deadline)
		// What ends the wait early sets a deadline, which ours may just have undone.
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.dead.Load() {
			return errHangup
		}
		if w.gen.Load() != gen {
			break
		}
		err := w.raw.Read(w.readFn)
		switch {
		case err == nil:
			w.count()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err // closed
		case !deadline.IsZero() && !time.Now().Before(deadline):
			return errTimeout
		}
		// A deadline that an earlier holder of the turn left behind: once more.
	}
	return nil
}

// count counts an event, and tells those who wait for the turn.
func (w *wake) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gen.Add(1)
	if w.news != nil {
		close(w.news)
		w.news = nil
	}
}

// nudge is an event without the daemon.
func (w *wake) nudge() {
	w.count()
	w.interrupt()
}

// interrupt has whoever waits for the epoll look around.
func (w *wake) interrupt() { _ = w.f.SetReadDeadline(time.Unix(1, 0)) }

// after is a channel that is closed at the first event after generation gen; nil
// means that it has come.
func (w *wake) after(gen uint64) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gen.Load() != gen {
		return nil
	}
	if w.news == nil {
		w.news = make(chan struct{})
	}
	return w.news
}

// takeTurn waits for the turn; in the ordinary case of one waiter it is there. It is
// not mine when an event came before it, which is no error, or with an error. Who held the
// turn may have it again before the others have noticed: they must not wait for the
// event that it has taken.
func (w *wake) takeTurn(ctx context.Context, deadline time.Time, gen uint64) (mine bool, err error) {
	select {
	case <-w.turn:
		return true, nil
	default:
	}
	news := w.after(gen)
	if news == nil {
		return false, nil
	}
	var timeout <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-w.turn:
		return true, nil
	case <-news:
		return false, nil
	case <-timeout:
		return false, errTimeout
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// awaitHangup waits until the daemon has closed its end.
func (w *wake) awaitHangup(limit time.Duration) {
	for deadline := time.Now().Add(limit); !w.dead.Load(); {
		if err := w.wait(context.Background(), deadline, w.generation()); err != nil {
			return
		}
	}
}

// hangup ends all waits, now and later: the daemon is gone.
func (w *wake) hangup() {
	w.dead.Store(true)
	w.interrupt()
}

func (w *wake) close() {
	if w.f.Close() != nil {
		return // it is closed: its numbers may be somebody else's by now
	}
	_ = unix.Close(w.hang)
	if w.pipe >= 0 {
		_ = unix.Close(w.pipe)
	}
}
