package lcore

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// noUnit in Lcore.current says that none of the units is being called.
const noUnit = -1

// Lcore is a running poll loop. Its methods may be called from any goroutine except its own.
//
// The fields are grouped by who writes them, a cache line or more apart, so that the loop does
// not share its lines with the goroutines that look at it.
type Lcore struct {
	// Constant after Start.
	cfg  Config
	spin int64  // Config.Spin in cycles
	stay uint64 // the constant in cycles
	tid  int
	done chan struct{} // closed when the thread is about to end
	mon  monitor

	fdMu sync.RWMutex // held for writing only to close
	fds  fds

	_ [64]byte

	// Written by those who give commands.
	commands queue

	_ [64]byte

	// Written by the lcore, read by others.
	beat   atomic.Uint64 // iterations so far: the progress that the monitor looks at
	asleep atomic.Bool   // about to block or blocked in epoll: kicks are needed

	_ [64]byte

	// Owned by the lcore.
	units    []Unit
	current  int    // index of the unit being called, or noUnit
	armed    int    // units[:armed] have had Arm and not yet Disarm
	start    uint64 // cycles at the start of this iteration
	quiet    uint64 // cycles when the lcore last had a reason to stay awake
	awake    uint64 // cycles until which it has one
	backoff  int64  // next timed sleep in nanoseconds
	slice    slice
	stats    Stats
	stopping bool
	events   [64]unix.EpollEvent
}

// Start starts an lcore and returns once its thread is pinned, registered and about to poll. It has
// no unit yet. Errors: an impossible Config, a CPU this process may not use, a failed Register, no descriptors left.
func Start(cfg Config) (*Lcore, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := newLcore(cfg.withDefaults())
	var err error
	if l.fds, err = openFDs(); err != nil {
		return nil, fmt.Errorf("lcore %d: %w", cfg.ID, err)
	}
	started := make(chan error, 1)
	go l.run(started)
	if err := <-started; err != nil {
		l.fds.close()
		return nil, fmt.Errorf("lcore %d: %w", cfg.ID, err)
	}
	go l.monitor()
	return l, nil
}

// newLcore makes an lcore that is not running.
func newLcore(cfg Config) *Lcore {
	return &Lcore{
		cfg:     cfg,
		spin:    int64(cyclesIn(cfg.Spin)),
		stay:    cyclesIn(stay),
		done:    make(chan struct{}),
		current: noUnit,
		backoff: int64(minBackoff),
	}
}

// ID returns the lcore's number.
func (l *Lcore) ID() int { return l.cfg.ID }

// CPU returns the CPU the lcore is pinned to; negative: none.
func (l *Lcore) CPU() int { return l.cfg.CPU }

// Mode returns whether the lcore sleeps when idle.
func (l *Lcore) Mode() Mode { return l.cfg.Mode }

// run is the lcore's goroutine.
func (l *Lcore) run(started chan<- error) {
	// Never unlocked: the thread's affinity and DPDK identity are changed for good, so it must
	// die with this goroutine instead of serving others.
	runtime.LockOSThread()
	debug.SetPanicOnFault(true)
	unregister, err := l.enter()
	if err != nil {
		started <- err
		return
	}
	defer l.leave(unregister)
	running.Add(1)
	defer running.Add(-1)
	if l.slice = newSlice(); !l.slice.known {
		l.cfg.Logger.Info("Go's scheduler stops this lcore now and then: lcores do not know how to ask this release for time", "go", runtime.Version(), "arch", runtime.GOARCH)
	}
	started <- nil
	for !l.stopping {
		l.loop()
	}
}

// enter makes the calling thread the lcore's.
func (l *Lcore) enter() (unregister func(), err error) {
	l.tid = unix.Gettid()
	// For top -H and perf; without /proc it stays unnamed.
	_ = os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", l.tid), fmt.Appendf(nil, "lcore-%d", l.cfg.ID), 0)
	if l.cfg.CPU >= 0 {
		if err := pin(l.cfg.CPU); err != nil {
			return nil, err
		}
	}
	if l.cfg.Register == nil {
		return nil, nil
	}
	if unregister, err = l.cfg.Register(); err != nil {
		return nil, fmt.Errorf("register thread: %w", err)
	}
	return unregister, nil
}

// leave ends the lcore: commands that came too late are refused, nobody is left waiting.
func (l *Lcore) leave(unregister func()) {
	if !l.stopping { // runtime.Goexit in a unit
		l.cfg.Logger.Error("lcore ended without having been stopped")
	}
	for c := l.commands.take(true); c != nil; {
		next := c.next
		c.refuse(ErrStopped)
		c = next
	}
	if unregister != nil {
		unregister()
	}
	l.fdMu.Lock()
	l.fds.close()
	l.fdMu.Unlock()
	close(l.done)
}

// Stop ends the lcore after the current poll and the commands queued so far, and waits for it. Units
// still on it are dropped without a word; their owner goes on alone. If ctx ends first its cause is
// returned and the lcore stops when it can. Stopping a stopped lcore does nothing.
func (l *Lcore) Stop(ctx context.Context) error {
	if unix.Gettid() == l.tid {
		return fmt.Errorf("lcore %d: stop: %w", l.cfg.ID, ErrOnLcore)
	}
	// Not with submit and await: a stop that has been asked for is not taken back.
	if l.commands.push(&command{fn: func() { l.stopping = true }, done: make(chan struct{})}) {
		l.kick()
	}
	if err := l.ended(ctx); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

// ended waits until the lcore has ended.
func (l *Lcore) ended(ctx context.Context) error {
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("lcore %d: has not ended: %w", l.cfg.ID, context.Cause(ctx))
	}
}

// pin binds the calling thread to a CPU.
func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin thread to CPU %d: %w; this process may use CPUs %v", cpu, err, allowedCPUs())
	}
	return nil
}

// allowedCPUs lists the CPUs of the calling thread's affinity.
func allowedCPUs() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}
