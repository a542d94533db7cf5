package lcore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCommandsRunOnTheLcoreBetweenPolls(t *testing.T) {
	for _, mode := range []Mode{Adaptive, Poll} {
		t.Run(mode.String(), func(t *testing.T) {
			l := start(t, Config{CPU: -1, Mode: mode})
			polling := false // not atomic: only the lcore's thread touches it
			u := &unit{poll: func() int {
				polling = true
				_ = Cycles()
				polling = false
				return 1
			}}
			must(t, l.Add(deadline(t), u))
			for range 100 {
				must(t, l.Do(deadline(t), func() {
					if polling {
						t.Error("a command ran in the middle of a poll")
					}
					if unix.Gettid() != l.tid {
						t.Errorf("a command ran on thread %d, the lcore is thread %d", unix.Gettid(), l.tid)
					}
				}))
			}
		})
	}
}

// Who gives one command after the other wakes the lcore for the first only.
func TestCommandsInSeriesFindTheLcoreAwake(t *testing.T) {
	l := start(t, Config{CPU: -1, Spin: -1})
	must(t, l.Add(deadline(t), &unit{}))
	const commands = 200
	before := stats(t, l)
	for range commands {
		must(t, l.Do(deadline(t), func() {}))
	}
	// On a machine with more to do some come too late.
	if n := stats(t, l).Wakeups - before.Wakeups; n > commands/2 {
		t.Errorf("%d commands woke the lcore %d times", commands, n)
	}
	sleeping(t, l)
}

func TestCommandsRunInOrder(t *testing.T) {
	l := start(t, Config{CPU: -1})
	const givers, each = 4, 500
	got := make([][]int, givers)
	var wg sync.WaitGroup
	for g := range givers {
		wg.Go(func() {
			var last *command
			for i := range each { // without waiting, so that they pile up
				c, err := l.submit(func() { got[g] = append(got[g], i) })
				if err != nil {
					t.Error(err)
					return
				}
				last = c
			}
			if err := l.await(deadline(t), last); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for g := range givers {
		if len(got[g]) != each || !slices.IsSorted(got[g]) {
			t.Errorf("goroutine %d: %d of %d commands, sorted: %v", g, len(got[g]), each, slices.IsSorted(got[g]))
		}
	}
}

// hang keeps the lcore in a command until release is called.
func hang(t *testing.T, l *Lcore) (release func()) {
	t.Helper()
	entered, gate := make(chan struct{}), make(chan struct{})
	_, err := l.submit(func() { close(entered); <-gate })
	must(t, err)
	<-entered
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	return release
}

func TestCommandGivenUpBeforeItStartedNeverRuns(t *testing.T) {
	cause := errors.New("the operator went home")
	for _, tc := range []struct {
		name    string
		timeout time.Duration
		ctx     func() context.Context
		want    error
	}{
		{"context", patience, func() context.Context {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(cause)
			return ctx
		}, cause},
		{"time limit", time.Millisecond, context.Background, ErrStuck},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := start(t, Config{CPU: -1, CommandTimeout: tc.timeout})
			release := hang(t, l)
			ran := false
			err := l.Do(tc.ctx(), func() { ran = true })
			if !errors.Is(err, tc.want) || errors.Is(err, ErrMayRun) {
				t.Errorf("got %v, want %v and not ErrMayRun", err, tc.want)
			}
			release()
			must(t, l.Stop(deadline(t))) // everything queued has been dealt with
			if ran {
				t.Error("the command ran after it was given up")
			}
		})
	}
}

func TestCommandGivenUpWhileItRunsSaysSo(t *testing.T) {
	l := start(t, Config{CPU: -1})
	ctx, cancel := context.WithCancel(context.Background())
	gate := make(chan struct{})
	err := l.Do(ctx, func() { cancel(); <-gate })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrMayRun) {
		t.Errorf("got %v, want context.Canceled and ErrMayRun", err)
	}
	close(gate)
}

func TestCommandEitherRunsOrIsGivenUp(t *testing.T) {
	l := start(t, Config{CPU: -1, Mode: Poll})
	must(t, l.Add(deadline(t), &unit{}))
	for i := range 2000 {
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan struct{})
		go cancel()
		err := l.Do(ctx, func() { close(ran) })
		switch {
		case err == nil || errors.Is(err, ErrMayRun):
			<-ran
		default:
			must(t, l.Do(deadline(t), func() {}))
			select {
			case <-ran:
				t.Fatalf("round %d: ran after %v", i, err)
			default:
			}
		}
	}
}

func TestPanicOfACommandIsItsCallersError(t *testing.T) {
	l := start(t, Config{CPU: -1})
	u := &unit{fail: func(error) { t.Error("a unit was blamed for a command") }}
	must(t, l.Add(deadline(t), u))
	err := l.Do(deadline(t), func() { panic("boom") })
	var p *PanicError
	if !errors.As(err, &p) || p.Value != "boom" || !strings.Contains(string(p.Stack), "TestPanicOfACommand") {
		t.Errorf("got %v, want a PanicError of boom with the stack", err)
	}
	if s := stats(t, l); s.Units != 1 {
		t.Errorf("%d units left, want 1", s.Units)
	}
}

func TestCommandToItselfIsRefused(t *testing.T) {
	l := start(t, Config{CPU: -1})
	var inner, stop error
	must(t, l.Do(deadline(t), func() {
		inner = l.Do(context.Background(), func() {})
		stop = l.Stop(context.Background())
	}))
	if !errors.Is(inner, ErrOnLcore) || !errors.Is(stop, ErrOnLcore) {
		t.Errorf("got %v and %v, want ErrOnLcore", inner, stop)
	}
}

func TestStop(t *testing.T) {
	t.Run("commands before it run, commands after it are refused", func(t *testing.T) {
		l := start(t, Config{CPU: -1})
		release := hang(t, l)
		ran := false
		before, err := l.submit(func() { ran = true })
		must(t, err)
		stopped := make(chan error)
		go func() { stopped <- l.Stop(deadline(t)) }()
		eventually(t, "stop queued", func() bool { return l.commands.head.Load() != before })
		after, err := l.submit(func() { t.Error("ran after Stop") })
		must(t, err)
		release()
		must(t, <-stopped)
		must(t, l.await(deadline(t), before))
		if err := l.await(deadline(t), after); !errors.Is(err, ErrStopped) || !ran {
			t.Errorf("ran %v, %v; want true, ErrStopped", ran, err)
		}
	})
	t.Run("everything is refused afterwards and Stop is idempotent", func(t *testing.T) {
		l := start(t, Config{CPU: -1})
		for range 2 {
			must(t, l.Stop(deadline(t)))
		}
		_, statsErr := l.Stats(deadline(t))
		for what, err := range map[string]error{
			"Do": l.Do(deadline(t), func() {}), "Add": l.Add(deadline(t), &unit{}), "Stats": statsErr,
			"Watch": l.Watch(0), "Unwatch": l.Unwatch(0),
		} {
			if !errors.Is(err, ErrStopped) {
				t.Errorf("%s: %v, want ErrStopped", what, err)
			}
		}
		if l.Alive() || l.Stuck() {
			t.Errorf("alive %v, stuck %v after Stop", l.Alive(), l.Stuck())
		}
	})
	t.Run("an impatient caller does not take it back", func(t *testing.T) {
		l := start(t, Config{CPU: -1})
		release := hang(t, l)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := l.Stop(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		release()
		must(t, l.ended(deadline(t)))
	})
	t.Run("races with commands", func(t *testing.T) {
		l := start(t, Config{CPU: -1})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					if err := l.Do(deadline(t), func() {}); err != nil {
						if !errors.Is(err, ErrStopped) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		must(t, l.Stop(deadline(t)))
		wg.Wait()
	})
}

func TestQuiesce(t *testing.T) {
	t.Run("returns after the poll that was under way", func(t *testing.T) {
		idle, busy, gone := start(t, Config{ID: 1, CPU: -1}), start(t, Config{ID: 2, CPU: -1}), start(t, Config{ID: 3, CPU: -1})
		must(t, gone.Stop(deadline(t)))
		entered, gate := make(chan struct{}), make(chan struct{})
		inUse := false
		u := &unit{}
		u.poll = func() int {
			if u.polls.Load() == 1 {
				inUse = true
				close(entered)
				<-gate
				inUse = false
			}
			return 1
		}
		must(t, busy.Add(deadline(t), u))
		<-entered
		result := make(chan error)
		go func() {
			err := Quiesce(deadline(t), idle, busy, gone)
			if inUse { // the race detector watches this read too
				err = errors.Join(err, errors.New("quiesced in the middle of a poll"))
			}
			result <- err
		}()
		eventually(t, "busy lcore asked", func() bool { return !busy.commands.empty() })
		close(gate)
		must(t, <-result)
	})
	t.Run("fails for an lcore that hangs", func(t *testing.T) {
		l := start(t, Config{ID: 7, CPU: -1, CommandTimeout: time.Millisecond})
		release := hang(t, l)
		err := Quiesce(deadline(t), l)
		if !errors.Is(err, ErrStuck) || !strings.Contains(fmt.Sprint(err), "lcore 7") {
			t.Errorf("got %v, want ErrStuck that names lcore 7", err)
		}
		release()
	})
	t.Run("waits for an lcore that is stopping", func(t *testing.T) {
		l := start(t, Config{CPU: -1})
		release := hang(t, l)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = l.Stop(ctx) // asked for; this caller does not wait
		result := make(chan error)
		go func() { result <- Quiesce(deadline(t), l) }()
		release()
		must(t, <-result)
		if l.Alive() {
			t.Error("quiesced before the stopping lcore ended")
		}
	})
}
