package port

import (
	"context"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/ring"
	vale "github.com/netmapd/netmapd/switch"
)

// backend is what stands behind a port: everything in which the kinds differ.
// The registry calls it under its lock; what an lcore uses, a backend changes by
// commands to that lcore. A kind embeds plain and says only what is its own.
type backend interface {
	// admit says whether a registration fits the port, before anything is done.
	admit(full string, req *abi.Register) error

	// open gets ready for the first descriptor, before its rings start. close
	// undoes it once the last descriptor's rings have stopped; it is called again
	// before the port goes, should it have failed.
	open(ctx context.Context) error
	close(ctx context.Context) error

	// start makes an lcore serve a ring that got its first user.
	start(ctx context.Context, k *kring) error

	// stop delivers what was published on a ring that loses a user. With the last
	// one no lcore begins to serve the ring again; the caller quiesces them.
	stop(ctx context.Context, k *kring, last bool) error

	// keeps says that rings stay as they are between users; resume then prepares
	// one for its next first user.
	keeps() bool
	resume(ctx context.Context, k *kring) error

	// wakeFDs go with the answer to every process that joins, after those that all
	// ports have.
	wakeFDs() []int

	// ended is told of a process that had the port open and is gone.
	ended()

	// leave takes a port that nobody has open out of what it is part of, and says
	// whether it may go now.
	leave(ctx context.Context) bool

	// free gives back what is the kind's own. No lcore knows the port any more.
	free()

	// features are what the libraries of its clients have to know (wire.FeatureIndirect).
	features() uint16

	// offsets says whether packets may begin anywhere in the port's buffers (NC A.8).
	offsets() bool

	// setOffsets gives a ring without users its offsets, nil for none, and its slots
	// the initial one. It waits for syncs of a pipe until then at most.
	setOffsets(ctx context.Context, k *kring, o *ring.Offsets, initial uint64, until time.Time) error

	// monitored is called before the first monitor looks at the port's rings,
	// unmonitored after the last one did.
	monitored(ctx context.Context) error
	unmonitored(ctx context.Context)

	// describe adds what only the kind knows, and driver its name for it.
	describe(i *Info)
	driver() string

	// counters are the driver's own; nil for kinds without.
	counters() map[string]uint64
}

// attachable is a backend whose port an operator, or a client by VALE_ATTACH,
// can put on a switch.
type attachable interface {
	backend

	// plug gets ready for a switch, and says what that delivers to. unplug undoes
	// it; no lcore uses the sinks and sources any more.
	plug() ([]vale.Sink, error)
	unplug()

	// sources are what the switch takes frames from as long as the port is on it;
	// the place of one is its ring. Rings that clients have open come by start.
	sources() []vale.Source
}

// plain is a backend that does nothing.
type plain struct {
	g *Registry
	p *port
}

func (plain) admit(string, *abi.Register) error        { return nil }
func (plain) open(context.Context) error               { return nil }
func (plain) close(context.Context) error              { return nil }
func (plain) start(context.Context, *kring) error      { return nil }
func (plain) stop(context.Context, *kring, bool) error { return nil }
func (plain) keeps() bool                              { return false }
func (plain) resume(context.Context, *kring) error     { return nil }
func (plain) wakeFDs() []int                           { return nil }
func (plain) ended()                                   {}
func (plain) leave(context.Context) bool               { return true }
func (plain) free()                                    {}
func (plain) features() uint16                         { return wire.FeatureIndirect }
func (plain) offsets() bool                            { return true }
func (plain) describe(*Info)                           {}
func (plain) driver() string                           { return "" }
func (plain) monitored(context.Context) error          { return nil }
func (plain) unmonitored(context.Context)              {}
func (plain) counters() map[string]uint64              { return nil }
