// Package controltest holds a [control.Plane] in memory, for tests of the API
// and of its clients that need no packets.
package controltest

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/port"
)

// Epoch is when everything in a Plane was created.
var Epoch = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Plane keeps ports and switches in slices and makes up plausible answers.
type Plane struct {
	mu    sync.Mutex
	state State
}

// New makes a plane of this state.
func New(state State) *Plane { return &Plane{state: state} }

// State is what a Plane answers.
type State struct {
	Ports         []port.Info
	Switches      []port.SwitchInfo
	Snapshot      port.Snapshot
	Info          control.Info
	Addresses     []port.Address       // of every switch
	Trace         port.Trace           // of every frame
	Frames        []port.CapturedFrame // of every capture
	Missed        []uint64             // by every capture
	KeepCapturing bool                 // captures do not end with State.Frames
	Events        []port.Event         // of every subscription
	Tickets       []Ticket             // those given, in order
	Config        control.Config
	Changes       control.Changes // of every configuration
	Wrong         []string        // what is wrong with every configuration
	Err           error           // not nil: every call fails with it
	Panic         any             // not nil: every call panics with it
	Block         chan struct{}   // not nil: every call waits until it is closed
	Entered       chan struct{}   // not nil: every call sends to it first
}

// Ticket is a ticket that was given.
type Ticket struct {
	UID     uint32
	Request control.TicketRequest
}

// Set changes the state under the lock.
func (p *Plane) Set(change func(*State)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.state)
}

// Get returns the state; its slices are the Plane's own.
func (p *Plane) Get() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// enter begins each call: it returns with the lock held, or with an error.
func (p *Plane) enter(ctx context.Context) error {
	state := p.Get()
	if state.Entered != nil {
		state.Entered <- struct{}{}
	}
	if state.Block != nil {
		select {
		case <-state.Block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if state.Panic != nil {
		panic(state.Panic)
	}
	if state.Err != nil {
		return state.Err
	}
	p.mu.Lock()
	return nil
}

func refuse(op, name string, errno unix.Errno, why string) error {
	return &port.Error{Op: op, Name: name, Errno: errno, Why: why}
}

func (p *Plane) findPort(name string) int {
	return slices.IndexFunc(p.state.Ports, func(i port.Info) bool { return i.Name == name })
}

func (p *Plane) findSwitch(name string) int {
	return slices.IndexFunc(p.state.Switches, func(i port.SwitchInfo) bool { return i.Name == name })
}
