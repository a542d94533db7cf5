package name

import (
	"strings"
)

// CoreKind says what a core name stands for.
type CoreKind int

// The kinds of names the core tells apart (NC C.5).
const (
	Interface  CoreKind = iota // an interface of the host, a configured or a persistent port
	SwitchPort                 // a port of a VALE switch
	Pipe                       // one end of a pipe
)

// Limits of names inside the core (NC C.5, A.1).
const (
	// MaxInterfaceLen is the longest interface name.
	MaxInterfaceLen = 15
	// MaxSwitchLen is the longest name of a switch: its colon is within the first 16 characters.
	MaxSwitchLen = 15
	// MaxPortLen is the longest name of a port on a switch: with its colon it has 16 characters.
	MaxPortLen = 15
)

// Core is what the core makes of a name.
type Core struct {
	Kind   CoreKind
	Name   string // the whole name
	Switch string // SwitchPort: everything before the colon, "vale0"
	Port   string // SwitchPort: everything after it, "1"; any text, even none
	Parent *Core  // Pipe: what it hangs on, possibly a pipe again
	PipeID string // Pipe: equal ids on one parent form one pipe; "01" and "1" differ
	Master bool   // Pipe: written with "{", the slave with "}"
}

// ParseCore tells what a name means to the core. Every error is an [*Error]
// whose Errno a request can return as it is. The name in a NULL-mode request
// is only for display and need not pass here (NC E.9).
func ParseCore(name string) (Core, error) {
	if len(name) > MaxLen {
		return Core{}, errorAt(TooLong, name, MaxLen, "a name has at most %d bytes, this one has %d; use a shorter one", MaxLen, len(name))
	}
	c, err := parseCore(name)
	if err != nil {
		err.Name = name // of the pipe, where only its parent is wrong
		return Core{}, err
	}
	return c, nil
}

func parseCore(name string) (Core, *Error) {
	brace := strings.LastIndexByte(name, '{')
	if brace < 0 {
		brace = strings.LastIndexByte(name, '}')
	}
	if brace >= 0 {
		return parsePipe(name, brace)
	}
	// The reference takes every name in "val" for a switch port, so that a NIC
	// called valid0 cannot be opened; NC C.5 recommends to ask for more.
	if colon := strings.IndexByte(name, ':'); colon >= 0 && strings.HasPrefix(name, "vale") {
		return parseSwitchPort(name, colon)
	}
	if err := checkInterface(name); err != nil {
		return Core{}, err
	}
	return Core{Kind: Interface, Name: name}, nil
}

func parsePipe(name string, brace int) (Core, *Error) {
	switch brace {
	case 0:
		return Core{}, errorAt(Malformed, name, 0, "expected the port a pipe hangs on before %q; write for example eth0%s", name[:1], name)
	case len(name) - 1:
		return Core{}, errorAt(Malformed, name, brace, "expected the identifier of a pipe after %q; write for example %s1", name[brace:], name)
	}
	parent, err := parseCore(name[:brace])
	if err != nil {
		return Core{}, err
	}
	return Core{
		Kind: Pipe, Name: name,
		Parent: &parent, PipeID: name[brace+1:], Master: name[brace] == '{',
	}, nil
}

func parseSwitchPort(name string, colon int) (Core, *Error) {
	sw, port := name[:colon], name[colon+1:]
	if err := checkSwitch(sw); err != nil {
		return Core{}, err
	}
	if len(port) > MaxPortLen {
		return Core{}, errorAt(BadSwitchPort, name, colon+1+MaxPortLen, "the port's name after the colon has at most %d characters, this one has %d; use a shorter one", MaxPortLen, len(port))
	}
	return Core{Kind: SwitchPort, Name: name, Switch: sw, Port: port}, nil
}

// CheckSwitch says whether a switch can have this name: "vale" and letters,
// digits and "_", at most MaxSwitchLen characters in all.
func CheckSwitch(name string) error {
	if err := checkSwitch(name); err != nil {
		return err
	}
	return nil
}

func checkSwitch(name string) *Error {
	if !strings.HasPrefix(name, "vale") {
		return errorAt(BadSwitchPort, name, 0, `the name of a switch begins with "vale"; write for example vale0`)
	}
	if bad := badIdentifierByte(name); bad >= 0 {
		return errorAt(BadSwitchPort, name, bad, `the name of a switch is "vale" and letters, digits and "_" only, found %q`, name[bad:bad+1])
	}
	if len(name) > MaxSwitchLen {
		return errorAt(BadSwitchPort, name, MaxSwitchLen, "the name of a switch has at most %d characters, this one has %d; use a shorter one", MaxSwitchLen, len(name))
	}
	return nil
}

// CheckInterface says whether Linux could have an interface of this name.
func CheckInterface(name string) error {
	if err := checkInterface(name); err != nil {
		return err
	}
	return nil
}

func checkInterface(name string) *Error {
	if name == "" || name == "." || name == ".." {
		return errorAt(BadInterface, name, 0, "no interface can be called %q; write for example eth0", name)
	}
	if len(name) > MaxInterfaceLen {
		return errorAt(BadInterface, name, MaxInterfaceLen, "the name of an interface has at most %d characters, this one has %d", MaxInterfaceLen, len(name))
	}
	// The set of the kernel's dev_valid_name; NUL would end the name in C. 0xa0
	// is a space to the kernel, which classifies bytes as Latin-1.
	if bad := strings.IndexFunc(name, func(r rune) bool { return r < 0x80 && strings.ContainsRune("/: \t\n\v\f\r\x00", r) }); bad >= 0 {
		return errorAt(BadInterface, name, bad, `no interface name holds %q; a switch port is written vale0:1`, name[bad:bad+1])
	}
	if bad := strings.IndexByte(name, 0xa0); bad >= 0 {
		return errorAt(BadInterface, name, bad, "no interface name holds %q", name[bad:bad+1])
	}
	return nil
}
