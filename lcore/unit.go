package lcore

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Unit is something an lcore polls: the rings of a switch, the queues of a device. All methods are
// called on the lcore's thread, by the owning lcore only. A unit must be comparable (a pointer).
type Unit interface {
	// Poll does one bounded pass and returns the number of packets it moved (0: idle).
	Poll() int
	// Arm is called before the lcore sleeps: the unit sets its need-kick marks and, after a full
	// barrier, looks for work once more. It returns false when there is work; then the lcore does not sleep.
	Arm() bool
	// Disarm takes the marks back. It follows every Arm that returned, whatever Arm said: after the
	// lcore woke, or because this unit or another one refused to sleep.
	Disarm()
	// Fail says that another method panicked and that the unit has been taken off the lcore; err is
	// a *PanicError. It must not block, and it cannot use Do on its own lcore.
	Fail(err error)
	// Silent says that nothing wakes the lcore for this unit, so that an idle lcore has to poll it by timer.
	Silent() bool
}

// Errors of Add and Remove.
var (
	ErrUnitExists = errors.New("the unit is on this lcore already")
	ErrNoUnit     = errors.New("the unit is not on this lcore (removed before, or it has failed)")
)

// PanicError is a panic of a unit or of a command.
type PanicError struct {
	Value any    // what was given to panic; a runtime.Error for faults
	Stack []byte // of the panicking goroutine, innermost call first
}

// Error tells the panic's value, not the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the panic's value if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Add puts a unit on the lcore; it is polled from the next iteration on. ErrUnitExists if it is there
// already; otherwise the errors of Do.
func (l *Lcore) Add(ctx context.Context, u Unit) error {
	return l.change(ctx, "add unit", func() error {
		if slices.Contains(l.units, u) {
			return ErrUnitExists
		}
		l.units = append(l.units, u)
		return nil
	})
}

// Remove takes a unit off the lcore: once it returned nil no method of the unit is called again. ErrNoUnit
// if it is not there; otherwise the errors of Do.
func (l *Lcore) Remove(ctx context.Context, u Unit) error {
	return l.change(ctx, "remove unit", func() error {
		i := slices.Index(l.units, u)
		if i < 0 {
			return ErrNoUnit
		}
		l.units = slices.Delete(l.units, i, i+1)
		l.stats.fold(u)
		return nil
	})
}

// change runs a fallible command.
func (l *Lcore) change(ctx context.Context, what string, fn func() error) error {
	var err error
	if doErr := l.Do(ctx, func() { err = fn() }); doErr != nil {
		// err belongs to a command that may still be running.
		return fmt.Errorf("%s: %w", what, doErr)
	}
	if err != nil {
		return fmt.Errorf("lcore %d: %s: %w", l.cfg.ID, what, err)
	}
	return nil
}
