package vale

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Errors of the control plane.
var (
	ErrFull   = errors.New("the switch has no free port index")
	ErrExists = errors.New("the switch has a port of this name")
	ErrNoPort = errors.New("the port is not on this switch")
)

// Options of a switch. The zero value is a good switch.
type Options struct {
	// Compat brings back the reference's table of 1024 addresses, without ageing,
	// growth, or flush when a port leaves, and its limit of 252 ports (NC E.5.1).
	Compat bool

	// Age is how long an address is kept after its last frame; the error is at
	// most a fifth more. 0 keeps addresses for ever, as the reference does.
	Age time.Duration

	// MaxPorts bounds the number of ports; 0 means MaxPorts, or 252 with Compat.
	MaxPorts int

	// MaxAddresses is where the table stops growing, rounded up to a power of
	// two and to 1024; from there on new addresses displace old ones, pinned ones
	// excepted. 0 means 2097152, 16 MB.
	MaxAddresses int

	// Batch is the number of slots taken from a source at a time, at most
	// MaxBatch, which is the reference's default; 0 means DefaultBatch.
	Batch int

	// Wanted is called, once for each table, when the table should grow, and when
	// it did. It is called on an lcore and must neither block nor allocate; it should
	// make somebody call Maintain soon. Maintain works without it, a little later.
	Wanted func()

	// Clock is what pollers time the stages of their work with, a cycle counter; nil: they do not. See Poller.Stages.
	Clock func() uint64
}

const (
	compatPorts         = 252
	defaultMaxAddresses = 1 << 21
)

// Switch is the control plane of a learning switch. Its methods may be called
// on any goroutine.
type Switch struct {
	name string
	opt  Options

	mu       sync.Mutex
	ports    []*Port  // by index, nil where vacant
	order    []uint16 // port indices: those in use, then those that were
	active   int      // how many of order are in use
	tab      *table
	last     *table              // the one before, until catchUp
	kept     func(e uint64) bool // which of its entries stay
	replaced time.Time           // when
	epoch    uint64              // 1 to epochs
	stepped  time.Time
	evicted  uint64 // by tables before tab
	pollers  []*Poller
}

// Port is a port of a switch.
type Port struct {
	name  string
	sw    *Switch
	index int
	sinks []Sink

	slot uint16 // bytes that a slot of its sinks holds

	// Under the switch's lock.
	header uint16 // see SetHeader
	most   uint16
	opt    PortOptions
	floods map[*Poller]*bucket   // each used by one lcore only; nil without a limit
	shares map[*Poller]*Counters // each written by one lcore only
	base   Counters              // what closed pollers counted, and Unread
}

// New makes a switch without ports.
func New(name string, opt Options) *Switch {
	limit := MaxPorts
	if opt.Compat {
		limit = compatPorts
	}
	if opt.MaxPorts <= 0 || opt.MaxPorts > limit {
		opt.MaxPorts = limit
	}
	if opt.MaxAddresses <= 0 {
		opt.MaxAddresses = defaultMaxAddresses
	}
	if opt.Batch <= 0 {
		opt.Batch = DefaultBatch
	}
	opt.Batch = min(max(opt.Batch, MaxFrags), MaxBatch)
	s := &Switch{name: name, opt: opt, epoch: 1}
	s.tab = s.emptyTable(minTable)
	return s
}

// Name of the switch.
func (s *Switch) Name() string { return s.name }

// Attach adds a port. Frames for it leave through sinks, one for each RX ring;
// they may do so as soon as Attach has begun.
//
// The port gets the index that a detached port left last, else the lowest one
// never used (NC E.5).
func (s *Switch) Attach(name string, sinks []Sink) (*Port, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(name) != nil {
		return nil, fmt.Errorf("attach %q to switch %q: %w", name, s.name, ErrExists)
	}
	if s.active >= s.opt.MaxPorts {
		return nil, fmt.Errorf("attach %q to switch %q: %w: it has %d of %d ports", name, s.name, ErrFull, s.active, s.opt.MaxPorts)
	}
	if s.active == len(s.order) {
		s.order = append(s.order, uint16(s.active))
		s.ports = append(s.ports, nil)
	}
	p := &Port{
		name: name, sw: s, index: int(s.order[s.active]), sinks: slices.Clone(sinks),
		slot: slotSize(sinks), most: defaultMost, shares: make(map[*Poller]*Counters),
	}
	for _, pl := range s.pollers {
		p.shares[pl] = new(Counters)
	}
	s.ports[p.index] = p
	s.active++
	s.publish()
	return p, nil
}

// SetSinks gives a port other sinks. The old ones may be called until each lcore
// of the switch has passed a poll boundary.
func (s *Switch) SetSinks(p *Port, sinks []Sink) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.has(p) {
		return fmt.Errorf("change the sinks of %q on switch %q: %w", p.name, s.name, ErrNoPort)
	}
	p.sinks = slices.Clone(sinks)
	s.publish()
	return nil
}

// Detach removes a port, and the addresses learned there unless the switch is a
// compatible one. The port's sources must have been removed from their pollers
// before. Its sinks may be called until each lcore of the switch has passed a
// poll boundary.
func (s *Switch) Detach(p *Port) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.has(p) {
		return fmt.Errorf("detach %q from switch %q: %w", p.name, s.name, ErrNoPort)
	}
	at := slices.Index(s.order[:s.active], uint16(p.index))
	s.active--
	s.order[at], s.order[s.active] = s.order[s.active], s.order[at]
	s.ports[p.index] = nil
	switch {
	case s.active == 0:
		s.replace(s.emptyTable(minTable), func(uint64) bool { return false }) // nobody is left to remember for (VAL-23)
	case !s.opt.Compat:
		s.rebuild(len(s.tab.words), func(e uint64) bool { return entryPort(e) != p.index })
	}
	s.publish()
	return nil
}

// Ports lists the ports by ascending index.
func (s *Switch) Ports() []*Port {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Port, 0, s.active)
	for _, p := range s.ports {
		if p != nil {
			list = append(list, p)
		}
	}
	return list
}

func (s *Switch) find(name string) *Port {
	for _, p := range s.ports {
		if p != nil && p.name == name {
			return p
		}
	}
	return nil
}

func (s *Switch) has(p *Port) bool {
	return p != nil && p.index < len(s.ports) && s.ports[p.index] == p
}

// NewPoller makes a poller without sources. A switch may have several, one for
// each of its lcores; then the RX rings of its ports must be shared
// (ring.Ring.Share) before a second poller has sources.
func (s *Switch) NewPoller() *Poller {
	s.mu.Lock()
	defer s.mu.Unlock()
	pl := &Poller{sw: s, many: manyReceivers}
	pl.batch.limit = s.opt.Batch
	pl.batch.stages, pl.stages.clock = &pl.stages, s.opt.Clock
	pl.work.touched = make([]uint16, 0, MaxBatch+1)
	for _, p := range s.ports {
		if p != nil {
			p.shares[pl] = new(Counters)
			p.limitFloods(pl)
		}
	}
	s.pollers = append(s.pollers, pl)
	s.publish()
	return pl
}

// Pollers lists the pollers of the switch.
func (s *Switch) Pollers() []*Poller {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pollers)
}

// ClosePoller forgets a poller that no lcore runs any more; what it counted
// stays with the ports.
func (s *Switch) ClosePoller(pl *Poller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pollers = slices.DeleteFunc(s.pollers, func(x *Poller) bool { return x == pl })
	for _, p := range s.ports {
		if p == nil {
			continue
		}
		if c := p.shares[pl]; c != nil {
			p.base.Add(c)
			delete(p.shares, pl)
			delete(p.floods, pl)
		}
	}
}

// publish gives every poller a new view.
func (s *Switch) publish() {
	for _, pl := range s.pollers {
		pl.prepare(s.ports)
		v := &view{
			tab: s.tab, epoch: s.epoch,
			dest:    make([]dest, len(s.ports)),
			count:   make([]uint16, len(s.ports)+2),
			first:   make([]uint16, len(s.ports)+1),
			targets: make([]target, len(s.ports)),
		}
		for i, p := range s.ports {
			if p != nil {
				v.dest[i] = dest{
					port: p, sinks: p.sinks, ctr: p.shares[pl], header: p.header, most: p.most, slot: p.slot,
					noLearning: p.opt.NoLearning, floods: p.floods[pl],
				}
				v.active = append(v.active, uint16(i))
			}
		}
		v.setGroups()
		pl.view.Store(v)
	}
}

// Name of the port.
func (p *Port) Name() string { return p.name }

// Index of the port on its switch.
func (p *Port) Index() int { return p.index }

// Unread books frames that were delivered to the port and never read: they are
// no longer Rx but drops. The numbers come from memory that the client wrote, so
// they are believed only as far as something was delivered: rx is the port's
// count so far (Settled, and Poller.Share on each lcore).
func (p *Port) Unread(frames, bytes uint64, rx Count) {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	frames = min(frames, rx.Frames)
	// Unsigned arithmetic: the sum with what the pollers counted is right.
	p.base.Rx.Frames -= frames
	p.base.Rx.Bytes -= min(bytes, rx.Bytes)
	p.base.Drops[Unread] += frames
}

// Counters sums what all pollers counted for the port. No poller of the switch
// may be running, except the one on whose lcore this is called; to read the
// books of a switch that is spread over lcores, call Settled once and
// Poller.Share on each lcore.
func (p *Port) Counters() Counters {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return p.total()
}

// Settled is the part of the counters that no poller holds.
func (p *Port) Settled() Counters {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return p.base
}

func (p *Port) total() Counters {
	sum := p.base
	for _, c := range p.shares {
		sum.Add(c)
	}
	return sum
}
