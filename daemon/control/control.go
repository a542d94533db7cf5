// Package control serves the gRPC API netmapd.v1: it checks requests, turns them
// into calls on a [Plane], and turns results and errors back. It decides nothing.
//
// Handlers return the domain's errors as they are; one interceptor turns them
// into statuses (errors.go), so that every service reports alike.
package control

import (
	"context"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
)

// Plane is what the services need of the daemon. Its methods are called from
// many goroutines. Errors that are, or wrap, a [port.Error] or a unix.Errno
// reach the caller with the matching code; others are internal errors.
type Plane interface {
	// Ports returns the live ports in any order.
	Ports(ctx context.Context) ([]port.Info, error)
	// Port returns the live port of this name, or ENXIO.
	Port(ctx context.Context, name string) (port.Info, error)
	// CreatePort makes a configured port, or EEXIST, ENODEV, EBUSY, ENOMEM.
	CreatePort(ctx context.Context, spec port.Spec) (port.Info, error)
	// DeletePort removes a configured port, or ENXIO, EBUSY.
	DeletePort(ctx context.Context, name string) error

	// Switches returns the switches in any order.
	Switches(ctx context.Context) ([]port.SwitchInfo, error)
	// CreateSwitch makes a switch, or EEXIST when there is another one of its name.
	CreateSwitch(ctx context.Context, spec port.SwitchSpec) (port.SwitchInfo, error)
	// DeleteSwitch removes a switch, or ENXIO, EBUSY.
	DeleteSwitch(ctx context.Context, name string) error
	// Attach puts a port on a switch, or ENXIO, EBUSY.
	Attach(ctx context.Context, sw, portName string) (port.SwitchPort, error)
	// Detach takes a port off a switch, or ENXIO.
	Detach(ctx context.Context, sw, portName string) error

	Forwarding
	Capturing

	// Watch subscribes to events.
	Watch() *port.Events
	// MovePort gives a port that is not in use to another lcore, or ENXIO, EBUSY.
	MovePort(ctx context.Context, portName string, lcore int) error

	// Snapshot returns all counters, taken together.
	Snapshot(ctx context.Context) (port.Snapshot, error)
	// Ticket stores the request and returns what redeems it at the attach
	// socket: 128 random bits, good once, for this uid, until expires.
	Ticket(ctx context.Context, uid uint32, req TicketRequest) (token [16]byte, expires time.Time, err error)
	// Info describes the daemon.
	Info() Info
	// SetLogLevel takes one of LogLevels.
	SetLogLevel(level string)

	Configuration
}

// TicketRequest is the registration that a ticket stands for.
type TicketRequest struct {
	Name     string       // core name of the port, checked against the grammar (NC C.5)
	Register abi.Register // mode, ring, flags and wishes; the out fields are zero (NC B.5)
}

// Info describes the running daemon.
type Info struct {
	Version      string
	DPDKVersion  string
	PID          int
	Started      time.Time
	EALArgs      []string
	Notes        []string // what this configuration does without and why, a sentence each
	RuntimeDir   string
	AttachSocket string // path
	LogLevel     string // one of LogLevels
	Limits       Limits
}

// Limits are what clients are granted at most; see the configuration.
type Limits struct {
	DescriptorsPerUID int
	ExtraBufsPerUID   int
	MemoryMBPerUID    int
	SessionsPerUID    int
	Sessions          int
	ControlTimeout    time.Duration
}
