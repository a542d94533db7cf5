package name

import (
	"fmt"
	"syscall"
)

// Kind says what sort of mistake an Error reports.
type Kind int

// The kinds of mistakes.
const (
	// Malformed: the text is not in the grammar.
	Malformed Kind = iota
	// TooLong: the name has more than MaxLen bytes.
	TooLong
	// NotEnabled: an option that the program has not enabled.
	NotEnabled
	// BadSwitchPort: a name with "vale" and a colon that no switch port can have.
	BadSwitchPort
	// BadInterface: a name that no interface of the host can have.
	BadInterface
	// NotOurs: not the name of a netmap port at all, to the old grammar (NC C.4).
	NotOurs
)

// Error says what is wrong with a name and where.
type Error struct {
	Kind Kind
	Name string // the whole text that was parsed
	Pos  int    // offset in Name, in bytes, of what is wrong
	Why  string // what was expected, what was found, what to do
}

func (e *Error) Error() string {
	return fmt.Sprintf("port name %q, character %d: %s", e.Name, e.Pos+1, e.Why)
}

// Errno is what a netmap program is told. A switch port that cannot exist is
// "no such port" (ENXIO) to a look-up and "no room" (ENOMEM) to a request that
// would create it, hence the argument (NC C.5, E.5); it matters for no other kind.
// Only NotOurs is 0, which the old library gives to let others try.
func (e *Error) Errno(create bool) syscall.Errno {
	switch {
	case e.Kind == NotOurs:
		return 0
	case e.Kind == NotEnabled:
		return syscall.EOPNOTSUPP
	case e.Kind == BadSwitchPort && create:
		return syscall.ENOMEM
	case e.Kind == BadSwitchPort, e.Kind == BadInterface:
		return syscall.ENXIO
	default:
		return syscall.EINVAL
	}
}

func errorAt(kind Kind, name string, pos int, format string, args ...any) *Error {
	return &Error{Kind: kind, Name: name, Pos: pos, Why: fmt.Sprintf(format, args...)}
}
