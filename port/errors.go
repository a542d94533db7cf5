package port

import (
	"fmt"

	"golang.org/x/sys/unix"
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
