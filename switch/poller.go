package vale

import (
	"slices"
	"sync/atomic"

	"github.com/netmapd/netmapd/ring"
)

// Source is where frames enter a switch: a client's TX ring, or a device.
type Source interface {
	// Next fills b with up to b.Limit slots of whole frames, setting Base, N,
	// Multi and Frags, and returns the number of slots it took, those of frames
	// it refused (b.Drop) included; 0 means that there is nothing.
	Next(b *Batch) int

	// Done says that the batch of the last Next has been delivered and
	// published: its slots go back to the sender.
	Done(b *Batch)
}

// Sink is where frames leave a switch: a client's RX ring, or a device.
type Sink interface {
	// Deliver sends the frames of b whose first fragments are listed, in this
	// order, and wakes the receiver. Frames it does not take are added to d.
	// list may be used as scratch memory only until Deliver returns, and is
	// read-only. One call is made per batch and destination ring.
	Deliver(b *Batch, list []uint16, d *Drops) (frames, bytes uint64)
}

// Armer is a Source that can ask to be told of new frames; see lcore.Unit.
// An lcore that polls other sources has to look at them by timer.
type Armer interface {
	Arm() bool
	Disarm()
}

// Failer is a Source or Sink that tells its client when it stopped for good.
type Failer interface{ Fail(err error) }

// source is a Source with its place.
type source struct {
	tx *ring.Ring // nil unless the source takes from one
	Source
	armer Armer // nil when the source has no wake-up
	port  *Port
	ctr   *Counters
	ring  int

	// Where its last frames went; sink is nil unless that was one client's ring. It holds for that view only.
	view  *view
	group uint16
	sink  *RxSink
}

// Poller is the set of sources of one switch that one lcore polls; it is an
// lcore.Unit.
type Poller struct {
	sw         *Switch
	view       atomic.Pointer[view]
	sources    []source
	sending    *dest // whom a frame is being delivered to
	scattering *view // to whose ports frames are being delivered by scatter
	many       int   // receivers that scatter is for
	err        error

	batch Batch
	work  work
	conv  *converter // nil while no port has a header

	stages stopwatch
}

const manyReceivers = 6

// smallBatch is how many slots a batch has whose frames wait for each line in turn: there are no others to work on meanwhile.
const smallBatch = 4

// went notes where frames of the source went.
func (s *source) went(v *view, group uint16) {
	if s.view != v || s.group != group {
		s.view, s.group, s.sink = v, group, v.rxSink(group, s.ring)
	}
}

// view is what a poller knows of its switch: written by the control plane
// before it is published, except for the scratch memory, which is the poller's.
type view struct {
	tab    *table
	epoch  uint64
	dest   []dest   // by port index
	active []uint16 // indices in use, ascending
	group  []uint16 // by port index + 1, as entries of the table have it: where its frames go; first those of unknown addresses
	stray  uint16   // where those for ports go that are not in here

	// Scratch of one batch, by port index; the element after the last port is
	// the flood's, and then of count comes that of ports that left.
	count   []uint16 // frames
	first   []uint16 // where they begin in work.order
	targets []target // the flood has none
}

// dest is a port as a destination; port is nil where the index is vacant.
type dest struct {
	port   *Port
	sinks  []Sink
	ctr    *Counters
	header uint16 // length of the virtio-net header of its frames
	most   uint16 // bytes of the longest frame it gets when a packet is cut
	slot   uint16 // bytes that one of its slots holds

	// As a source.
	noLearning bool
	floods     *bucket // nil: no limit
}

// Add makes the poller poll src, which is ring number ring of port p.
func (pl *Poller) Add(p *Port, ring int, src Source) {
	s := source{Source: src, port: p, ctr: pl.share(p), ring: ring}
	s.armer, _ = src.(Armer)
	if tx, ok := src.(*TxSource); ok {
		s.tx = tx.r
	}
	pl.sources = append(pl.sources, s)
}

// Remove takes all sources of a port off the poller.
func (pl *Poller) Remove(p *Port) {
	pl.sources = slices.DeleteFunc(pl.sources, func(s source) bool { return s.port == p })
}

// Poll takes a batch from every source and returns the number of frames moved
// or dropped.
func (pl *Poller) Poll() (frames int) {
	v := pl.view.Load()
	for i := range pl.sources {
		s := &pl.sources[i]
		if s.tx != nil && s.tx.Quiet() {
			continue // as nearly all of many are
		}
		_, n := pl.turn(v, s)
		frames += n
	}
	return frames
}

// drainLimit bounds what a client that goes on sending can make Drain do, while
// all other ports of the lcore wait; no ring of a switch has more slots (NC E.4).
const drainLimit = 4096

// Drain delivers what is published on one ring of a port, before it is closed
// (NC D.8).
func (pl *Poller) Drain(p *Port, ring int) (frames int) {
	v := pl.view.Load()
	for i := range pl.sources {
		if s := &pl.sources[i]; s.port != p || s.ring != ring {
			continue
		}
		for taken := 0; taken < drainLimit; {
			slots, n := pl.turn(v, &pl.sources[i])
			if slots == 0 {
				break
			}
			taken += slots
			frames += n
		}
	}
	return frames
}

// turn moves one batch of one source.
func (pl *Poller) turn(v *view, s *source) (slots, frames int) {
	from := &v.dest[s.port.index]
	if from.port != s.port {
		return 0, 0 // detached with its sources still here
	}
	b := &pl.batch
	b.N, b.Multi, b.ctr, b.header, b.Origin = 0, false, s.ctr, from.header, nil
	before := s.ctr.Tx.Frames
	if slots = s.Next(b); slots == 0 {
		return 0, 0
	}
	if b.N != 0 {
		if slots <= smallBatch && s.view == v && s.sink != nil {
			pl.sending = &v.dest[s.group]
			s.sink.expect()
			pl.sending = nil
		}
		pl.forward(v, s)
	}
	s.Done(b)
	b.Settle()
	return slots, int(s.ctr.Tx.Frames - before)
}

// Arm asks all sources for a wake-up and reports whether the lcore may sleep.
func (pl *Poller) Arm() bool {
	for i := range pl.sources {
		if a := pl.sources[i].armer; a != nil && !a.Arm() {
			return false
		}
	}
	return true
}

// Disarm takes the requests back.
func (pl *Poller) Disarm() {
	for i := range pl.sources {
		if a := pl.sources[i].armer; a != nil {
			a.Disarm()
		}
	}
}

// Silent says that some source cannot wake the lcore.
func (pl *Poller) Silent() bool {
	for i := range pl.sources {
		if pl.sources[i].armer == nil {
			return true
		}
	}
	return false
}

// Fail stops the sources of the poller and the sinks of their ports, and tells
// their clients; also the sinks of a port that was being delivered to, whose
// ring may have been left half filled. Who was delivered to before is woken. The poller polls nothing afterwards.
func (pl *Poller) Fail(err error) {
	pl.err = err
	for i := range pl.sources {
		fail(pl.sources[i].Source, err)
		failSinks(pl.sources[i].port.sinks, err)
	}
	if pl.sending != nil {
		failSinks(pl.sending.sinks, err)
	}
	if pl.scattering != nil {
		for _, g := range pl.work.touched {
			failSinks(pl.scattering.dest[g].sinks, err)
		}
	}
	pl.sources, pl.sending, pl.scattering = nil, nil, nil
	pl.batch.Settle()
}

func failSinks(sinks []Sink, err error) {
	for _, s := range sinks {
		fail(s, err)
	}
}

func fail(x any, err error) {
	if f, ok := x.(Failer); ok {
		f.Fail(err)
	}
}

// Err is what Fail was told, nil for a healthy poller.
func (pl *Poller) Err() error { return pl.err }

// Share adds to c what this poller counted for port p.
func (pl *Poller) Share(p *Port, c *Counters) {
	if share := pl.share(p); share != nil {
		c.Add(share)
	}
}

// share is where the poller counts for a port: in its view, so that its lcore
// need not wait for the control plane; elsewhere only once the port has left.
func (pl *Poller) share(p *Port) *Counters {
	if v := pl.view.Load(); p.index < len(v.dest) && v.dest[p.index].port == p {
		return v.dest[p.index].ctr
	}
	pl.sw.mu.Lock()
	defer pl.sw.mu.Unlock()
	return p.shares[pl]
}
