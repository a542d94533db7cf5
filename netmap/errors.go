package netmap

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Error says which operation on which port failed and why. It unwraps to the
// errno of netmap's interface (NC B.7), so that errors.Is(err, unix.EBUSY) works.
type Error struct {
	Op    string     // "open", "join", "redeem", "sync", "poll"
	Port  string     // what the caller called the port
	Errno unix.Errno // ENXIO, EBUSY, EINVAL, ...
	Text  string     // for people: what was expected, what was found, what to do
	Err   error      // a cause beside the errno, or nil
}

func (e *Error) Error() string {
	s := "netmap: " + e.Op
	if e.Port != "" {
		s += " " + e.Port
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Errno != 0 {
		s += fmt.Sprintf(" (%s)", unix.ErrnoName(e.Errno))
	}
	return s
}

// Unwrap returns the errno, and the cause where there is one.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Errno != 0 {
		errs = append(errs, e.Errno)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// failed makes an Error of whatever went wrong, keeping what is one already.
func failed(op, port string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		named := *e
		named.Op, named.Port = op, port
		return &named
	}
	f := &Error{Op: op, Port: port, Text: err.Error(), Err: err}
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		f.Errno = errno
	}
	return f
}
