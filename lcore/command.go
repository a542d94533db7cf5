package lcore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Errors of commands.
var (
	// ErrStuck says that the lcore did not get to a command within Config.CommandTimeout.
	ErrStuck = errors.New("the lcore makes no progress")
	// ErrStopped says that the lcore was stopped and the command did not run.
	ErrStopped = errors.New("the lcore is stopped")
	// ErrMayRun is joined to the error of a command that had started when its caller gave up: it
	// may be running and may yet complete. Without it the command did not and will not run.
	ErrMayRun = errors.New("the command had started and may still complete")
	// ErrOnLcore says that a command was given by the lcore to itself, which would wait for ever.
	ErrOnLcore = errors.New("called on the lcore's own thread: call the function directly")
)

// States of a command. The step out of commandQueued decides between the lcore and a caller that gives up.
const (
	commandQueued uint32 = iota
	commandTaken
	commandCancelled
	commandDone
)

// command is a function on its way to an lcore and back.
type command struct {
	fn    func()
	state atomic.Uint32
	next  *command      // older command of the same queue
	err   error         // valid once it is done
	done  chan struct{} // closed by the lcore when fn returned or will not be run
}

// Commands come in series: to open a port takes several, each after the one before. So an lcore that got one stays
// awake for stay, and who gave it looks for as long as a wake-up takes before it sleeps for it: to be woken by an
// lcore costs Go's scheduler, which does not look at what belongs to a running thread at once, more than most commands.
const (
	stay = 200 * time.Microsecond
	look = 200 * time.Microsecond
)

// closedQueue in place of a queue's head says that nobody will look at it again.
var closedQueue = new(command)

// queue is a list of commands, the newest first: any goroutine pushes, only the lcore takes. It is
// a list and not a channel so that the loop sees with one load that there is nothing to do.
type queue struct{ head atomic.Pointer[command] }

// push appends a command; false if the queue has been closed.
func (q *queue) push(c *command) bool {
	for {
		head := q.head.Load()
		if head == closedQueue {
			return false
		}
		c.next = head
		if q.head.CompareAndSwap(head, c) {
			return true
		}
	}
}

// take empties the queue and returns its commands linked from the oldest to the newest. With
// closing set no command can be pushed any more.
func (q *queue) take(closing bool) *command {
	var replacement *command
	if closing {
		replacement = closedQueue
	}
	var oldest *command
	for c := q.head.Swap(replacement); c != nil && c != closedQueue; {
		c.next, oldest, c = oldest, c, c.next
	}
	return oldest
}

// empty costs one load: the loop asks it at each iteration.
func (q *queue) empty() bool { return q.head.Load() == nil }

// run executes the command unless its caller gave up.
func (c *command) run() {
	if !c.state.CompareAndSwap(commandQueued, commandTaken) {
		return
	}
	defer c.end()
	defer func() {
		if v := recover(); v != nil {
			c.err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	c.fn()
}

// end tells who waits that the command is over.
func (c *command) end() {
	c.state.Store(commandDone)
	close(c.done)
}

// refuse ends a command that will not be run.
func (c *command) refuse(err error) {
	if c.state.CompareAndSwap(commandQueued, commandTaken) {
		c.err = err
		c.end()
	}
}

// cancel takes back a command that has not been started; false if it is too late for that.
func (c *command) cancel() bool {
	if !c.state.CompareAndSwap(commandQueued, commandCancelled) {
		return false
	}
	c.fn = nil // the shell may stay in a stuck lcore's queue; what fn refers to need not
	return true
}

// soon reports whether the command is over before look is.
func (c *command) soon() bool {
	for start := time.Now(); time.Since(start) < look; {
		for range 64 { // looks to one at the clock
			if c.state.Load() == commandDone {
				return true
			}
		}
	}
	return false
}

// Do runs fn on the lcore between two polls and waits for it. Commands of one goroutine run in the
// order given. fn should be short: no packet moves meanwhile.
//
// A caller gives up when ctx ends (its cause is returned) or after Config.CommandTimeout (ErrStuck), and at
// once while the lcore is known to be stuck.
// If fn had not been started by then, it never will be; otherwise the error is also ErrMayRun.
// ErrStopped: the lcore has been stopped and fn did not run. A panic of fn comes back as *PanicError.
func (l *Lcore) Do(ctx context.Context, fn func()) error {
	c, err := l.submit(fn)
	if err != nil {
		return err
	}
	return l.await(ctx, c)
}

// submit queues fn and wakes the lcore if it sleeps.
func (l *Lcore) submit(fn func()) (*command, error) {
	if unix.Gettid() == l.tid { // the lcore's goroutine never leaves its thread
		return nil, fmt.Errorf("lcore %d: %w", l.cfg.ID, ErrOnLcore)
	}
	c := &command{fn: fn, done: make(chan struct{})}
	if !l.commands.push(c) {
		return nil, fmt.Errorf("lcore %d: %w", l.cfg.ID, ErrStopped)
	}
	l.kick()
	return c, nil
}

// await waits for a submitted command.
func (l *Lcore) await(ctx context.Context, c *command) error {
	// Known to be stuck: the commands before this one have waited long enough.
	if l.Stuck() && c.cancel() {
		return fmt.Errorf("lcore %d: command not started: %w", l.cfg.ID, ErrStuck)
	}
	if !c.soon() {
		if err := l.sleepFor(ctx, c); err != nil {
			return err
		}
	}
	if c.err != nil {
		return fmt.Errorf("lcore %d: command: %w", l.cfg.ID, c.err)
	}
	return nil
}

// sleepFor is await without looking. Its errors are those of who gives up.
func (l *Lcore) sleepFor(ctx context.Context, c *command) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.cfg.CommandTimeout, ErrStuck)
	defer cancel()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	if c.cancel() {
		return fmt.Errorf("lcore %d: command given up before it started: %w", l.cfg.ID, context.Cause(ctx))
	}
	select {
	case <-c.done: // it finished meanwhile
		return nil
	default:
		return fmt.Errorf("lcore %d: command given up: %w: %w", l.cfg.ID, context.Cause(ctx), ErrMayRun)
	}
}

// kickValue is what is added to the lcore's eventfd, which nobody reads.
var kickValue = binary.NativeEndian.AppendUint64(nil, 1)

// kick wakes the lcore if it sleeps. The caller has published its work with an atomic operation, so
// either it sees the mark here or the lcore sees the work before it blocks.
func (l *Lcore) kick() {
	if !l.asleep.Load() {
		return
	}
	l.fdMu.RLock()
	defer l.fdMu.RUnlock()
	if l.fds.closed {
		return
	}
	if _, err := unix.Write(l.fds.event, kickValue); err != nil {
		l.cfg.Logger.Error("cannot wake the lcore", "err", err)
	}
}

// runCommands runs what has been queued, oldest first.
func (l *Lcore) runCommands() {
	now := Cycles()
	l.awake = now + l.stay
	l.slice.giveWay(now)
	for c := l.commands.take(false); c != nil; {
		next := c.next
		if l.stopping {
			c.refuse(ErrStopped)
		} else {
			c.run()
			l.stats.Commands++
		}
		c = next
	}
}

// Quiesce returns nil once every lcore has passed a boundary between two polls, or has ended: what
// was taken out of their sight before the call is no longer used by any of them after it. The lcores are
// asked all at once. An error names the first lcore that could not be waited for; then nothing may be freed.
func Quiesce(ctx context.Context, lcores ...*Lcore) error {
	asked := make([]*command, len(lcores))
	for i, l := range lcores {
		c, err := l.submit(func() {})
		if err != nil && !errors.Is(err, ErrStopped) {
			return fmt.Errorf("quiesce: %w", err)
		}
		asked[i] = c
	}
	for i, l := range lcores {
		err := ErrStopped
		if asked[i] != nil {
			err = l.await(ctx, asked[i])
		}
		if errors.Is(err, ErrStopped) {
			err = l.ended(ctx) // it may be in its last poll
		}
		if err != nil {
			return fmt.Errorf("quiesce: %w", err)
		}
	}
	return nil
}
