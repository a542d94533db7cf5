package port

import (
	"slices"
	"sync"
	"time"
)

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	EventPortCreated   EventKind = "port-created"
	EventPortGone      EventKind = "port-gone"
	EventOpened        EventKind = "opened" // by a client
	EventClosed        EventKind = "closed"
	EventAttached      EventKind = "attached" // to a switch
	EventDetached      EventKind = "detached"
	EventLinkUp        EventKind = "link-up"
	EventLinkDown      EventKind = "link-down"
	EventDeviceLost    EventKind = "device-lost"
	EventConfigApplied EventKind = "config-applied"

	// Errors.
	EventConfigRefused EventKind = "config-refused"
	EventDeviceFailed  EventKind = "device-failed"
	EventLcoreStuck    EventKind = "lcore-stuck"
	EventLcoreFailed   EventKind = "lcore-failed" // a unit of it panicked
)

// Event is something that happened to a port or switch, or to the daemon.
type Event struct {
	Time   time.Time
	Kind   EventKind
	Port   string // "" for events of none
	Switch string // EventAttached, EventDetached
	By     Caller // EventOpened, EventClosed
	Detail string // what went wrong, of errors
}

// eventsBehind is how far a subscriber may be behind.
const eventsBehind = 1024

// Events is a subscription. Nobody waits for its reader: one that is too far behind
// loses it.
type Events struct {
	C    <-chan Event // closed when the subscription is lost or ended
	c    chan Event
	from *publisher
}

// publisher hands events to subscribers.
type publisher struct {
	mu   sync.Mutex
	subs []*Events
}

// Watch subscribes to what happens from now on; End ends it.
func (g *Registry) Watch() *Events {
	c := make(chan Event, eventsBehind)
	e := &Events{C: c, c: c, from: &g.events}
	g.events.mu.Lock()
	defer g.events.mu.Unlock()
	g.events.subs = append(g.events.subs, e)
	return e
}

// End ends the subscription; it may be lost already.
func (e *Events) End() {
	e.from.mu.Lock()
	defer e.from.mu.Unlock()
	e.from.drop(e)
}

func (p *publisher) drop(e *Events) {
	if i := slices.Index(p.subs, e); i >= 0 {
		p.subs = slices.Delete(p.subs, i, i+1)
		close(e.c)
	}
}

// Announce tells the subscribers. It never waits.
func (g *Registry) Announce(e Event) {
	e.Time = time.Now()
	p := &g.events
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range slices.Clone(p.subs) {
		select {
		case s.c <- e:
		default:
			p.drop(s)
		}
	}
}

// happened announces an event of a port.
func (g *Registry) happened(kind EventKind, p *port) {
	e := Event{Kind: kind, Port: p.name}
	if p.sw != nil {
		e.Switch = p.sw.name
	}
	g.Announce(e)
}

// failed announces that the device of a port does not work.
func (g *Registry) failed(p *port, why string) {
	g.Announce(Event{Kind: EventDeviceFailed, Port: p.name, Detail: why})
}

// enlist makes a port known.
func (g *Registry) enlist(p *port) {
	g.ports[p.key()] = p
	g.happened(EventPortCreated, p)
}
