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
)

// A wake is this process's end of a descriptor's wake socket: the daemon sends
// a message when a ring changes that somebody armed.
//
// Several goroutines may wait. One of them, whoever holds the turn, waits for
// the socket; it counts each message and tells the others, who wait for the turn. So a
// message wakes all that armed before it came.
type wake struct {
	f    *os.File // of the socket, or of an epoll with it
	sock int      // the socket, where f is an epoll, else -1
	pipe int      // with it in there
	raw  syscall.RawConn
	turn chan struct{} // holds one token
	gen  atomic.Uint64 // messages seen
	dead atomic.Bool   // the daemon hung up

	mu   sync.Mutex
	news chan struct{} // closed at the next message; nil unless somebody waits for the turn

	got    bool // by the holder of the turn
	readFn func(fd uintptr) bool
}

var (
	errTimeout = errors.New("timeout")
	errHangup  = errors.New("netmapd is gone")
)

// newWake takes over fd, and the eventfd by which the other end of a pipe wakes
// this one, -1 for none.
func newWake(fd, pipe int) (*wake, error) {
	if err := unix.SetNonblock(fd, true); err != nil { // ours alone; the daemon has its own end
		_, _ = unix.Close(fd), unix.Close(pipe)
		return nil, fmt.Errorf("set the wake socket non-blocking: %w", err)
	}
	w := &wake{turn: make(chan struct{}, 1), sock: -1, pipe: -1}
	w.turn <- struct{}{}
	if pipe < 0 {
		w.f = os.NewFile(uintptr(fd), "wake")
	} else if err := w.watchBoth(fd, pipe); err != nil {
		return nil, fmt.Errorf("watch the wake socket and the other end of the pipe: %w", err)
	}
	w.readFn = w.drain
	var err error
	if w.raw, err = w.f.SyscallConn(); err == nil {
		err = w.f.SetReadDeadline(time.Time{}) // fails when the runtime cannot poll it
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("use the wake socket: %w", err)
	}
	return w, nil
}

// watchBoth makes an epoll of the socket and a pipe's eventfd. The latter is
// shared by all processes of this end, so nobody reads it: each write is an edge
// that every epoll sees once.
func (w *wake) watchBoth(sock, pipe int) error {
	w.sock, w.pipe = sock, pipe
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		w.close()
		return err
	}
	err = errors.Join(
		unix.SetNonblock(ep, true),
		unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, sock, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(sock)}),
		unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, pipe, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(pipe)}))
	w.f = os.NewFile(uintptr(ep), "wake")
	if err != nil {
		w.close()
	}
	return err
}

// drain takes all messages there are; false lets the runtime wait for one.
func (w *wake) drain(fd uintptr) bool {
	w.got = false
	if w.sock < 0 {
		return w.read(int(fd))
	}
	var events [2]unix.EpollEvent
	n, _ := unix.EpollWait(int(fd), events[:], 0)
	for _, e := range events[:max(n, 0)] {
		if e.Events&unix.EPOLLIN != 0 {
			w.got = true
		}
	}
	return w.read(w.sock) || w.got
}

// read takes the messages of the daemon.
func (w *wake) read(fd int) bool {
	var b [16]byte
	for {
		n, err := unix.Read(fd, b[:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return w.got
		case err != nil || n == 0:
			w.dead.Store(true)
			return true
		}
		w.got = true
	}
}

// generation is what wait compares with: it is taken before a ring is armed.
func (w *wake) generation() uint64 { return w.gen.Load() }

// wait blocks until a message has come after generation gen was taken, until
// the deadline (zero for none), or until the context ends. The caller has armed
// its rings and looked at them once more.
func (w *wake) wait(ctx context.Context, deadline time.Time, gen uint64) error {
	if mine, err := w.takeTurn(ctx, deadline, gen); !mine {
		return err
	}
	defer func() { w.turn <- struct{}{} }()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { _ = w.f.SetReadDeadline(time.Unix(1, 0)) })()
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

// count counts a message, and tells those who wait for the turn.
func (w *wake) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gen.Add(1)
	if w.news != nil {
		close(w.news)
		w.news = nil
	}
}

// after is a channel that is closed at the first message after generation gen; nil
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
// not mine when a message came before it, which is no error, or with an error. Who held the
// turn may have it again before the others have noticed: they must not wait for the
// message that it has taken.
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
	_ = w.f.SetReadDeadline(time.Unix(1, 0))
}

func (w *wake) close() {
	if w.f != nil {
		_ = w.f.Close()
	}
	if w.sock >= 0 {
		_, _ = unix.Close(w.sock), unix.Close(w.pipe)
	}
}
