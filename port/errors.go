package port

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/name"
)

// Error is a refusal that a netmap program sees as Errno and a person reads as
// text: what was being done, to what, what was found and what to do about it.
type Error struct {
	Op    string     // "register", "attach", ...
	Name  string     // the port, switch or interface
	Errno unix.Errno // the value of NC B
	Why   string     // what was expected and found, and the remedy if there is one
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %q: %s (%v)", e.Op, e.Name, e.Why, e.Errno)
}

// Unwrap makes errors.Is(err, unix.EBUSY) work.
func (e *Error) Unwrap() error { return e.Errno }

func refuse(op, name string, errno unix.Errno, format string, args ...any) error {
	return &Error{Op: op, Name: name, Errno: errno, Why: fmt.Sprintf(format, args...)}
}

// refuseFor makes a refusal of what went wrong below.
func refuseFor(op, port string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Op: op, Name: port, Errno: e.Errno, Why: e.Why}
	}
	if e, ok := errors.AsType[*name.Error](err); ok {
		return &Error{Op: op, Name: port, Errno: e.Errno(true), Why: e.Why}
	}
	return refuse(op, port, errnoOf(err), "%v", err)
}

// errnoOf finds the errno in an error; what has none is ours.
func errnoOf(err error) unix.Errno {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return errno
	}
	return unix.EIO
}

// noRoom is the error of a port that could not be made: ENOMEM, unless it was
// refused.
func noRoom(op, port string, err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return refuseFor(op, port, err)
	}
	return refuse(op, port, unix.ENOMEM, "%v", err)
}
