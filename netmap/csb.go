package netmap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// A CSB is how a program in CSB mode talks to lcores without a thread of its own in
// between (WithCSB): they look at App and fill in Kern themselves. Both have an entry for
// each bound ring, TX rings first, as EnableCSB says, with these differences: an lcore
// takes NeedKick back as it wakes the program, which sets it again before it waits; it
// does not look at Cur; slots with NS_INDIRECT are dropped, and frames flagged NS_FORWARD do
// not reach TX rings. Head, cur and tail in the rings are not used, so Send, Recv, Space and
// their like are not for this mode: Slot, Buf and Frame are.
//
// One goroutine at a time may use a ring.
type CSB struct {
	App  []CSBApp
	Kern []CSBKern

	d     *Desc
	pages [2][]byte
}

// csbFile is where the arrays lie.
type csbFile struct {
	file      *os.File
	app, kern int64 // offsets
}

// WithCSB has lcores serve the port in CSB mode (NC E.10) from arrays in f, which begin
// at these offsets and have an entry for each ring that is bound: Desc.CSB. The port is
// opened for exclusive use, and ends with the daemon. f is a memfd that belongs to this
// descriptor alone, sealed against shrinking, growing and further seals, of at most
// 64 MiB in ordinary pages, such as NewCSBFile makes; the package does not need it after Open.
//
// Open gives EINVAL for a file that is not like that, offsets that are no multiples of 64,
// and arrays that overlap or do not lie in it; EBUSY for one that another descriptor
// has; EOPNOTSUPP for pipes.
func WithCSB(f *os.File, app, kern int64) Option {
	return func(o *options) {
		o.csb = &csbFile{f, app, kern}
		o.flags |= abi.FlagExclusive
	}
}

// NewCSBFile makes a file for WithCSB, with arrays for n rings at the offsets that it
// returns.
func NewCSBFile(n int) (f *os.File, app, kern int64, err error) {
	fd, err := unix.MemfdCreate("netmap:csb", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("make the memory of a CSB: %w", err)
	}
	f = os.NewFile(uintptr(fd), "csb")
	if err = f.Truncate(int64(2 * n * abi.CSBAlign)); err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, 0, fmt.Errorf("make the memory of a CSB for %d rings: %w", n, err)
	}
	return f, 0, int64(n * abi.CSBAlign), nil
}

// CSB are the arrays that lcores serve, until Close; nil unless the port was opened WithCSB.
func (d *Desc) CSB() *CSB { return d.served }

// Publish gives the slots before head of a ring to the core; i is the ring's place in App.
func (c *CSB) Publish(i int, head uint32) {
	a := &c.App[i]
	atomic.StoreUint32(&a.Cur, head)
	// A full barrier: either the lcore sees it before it sleeps, or we see that it sleeps.
	atomic.SwapUint32(&a.Head, head)
	if atomic.LoadUint32(&c.Kern[i].NeedKick) != 0 {
		c.Kick()
	}
}

// Kick makes a daemon that sleeps look at the rings: for who stores in App without
// Publish, and finds NeedKick set in Kern afterwards.
func (c *CSB) Kick() { c.d.kick() }

// Taken is the first slot of a ring that was published, or will be, and not taken yet.
func (c *CSB) Taken(i int) uint32 { return atomic.LoadUint32(&c.Kern[i].HwCur) }

// Tail is the first slot of a ring that belongs to the core.
func (c *CSB) Tail(i int) uint32 { return atomic.LoadUint32(&c.Kern[i].HwTail) }

// Wait sets NeedKick of all TX rings (PollOut) or RX rings (PollIn) or both, looks once
// more whether the program is idle, and sleeps until one of these rings changes. It may
// return early. EIO: the port or the daemon is gone.
func (c *CSB) Wait(ctx context.Context, rings Events, idle func() bool) error {
	const op = "wait for"
	d := c.d
	gen := d.wake.generation()
	for i := range c.App {
		kind := PollOut
		if i >= len(d.tx) {
			kind = PollIn
		}
		if rings&kind != 0 {
			atomic.SwapUint32(&c.App[i].NeedKick, 1)
		}
	}
	if c.gone() {
		return d.goneError(op)
	}
	if !idle() {
		return nil
	}
	d.waits.Add(1)
	deadline, _ := ctx.Deadline()
	err := d.wake.wait(ctx, deadline, gen)
	switch {
	case c.gone():
		return d.goneError(op)
	case errors.Is(err, errTimeout):
		return context.DeadlineExceeded
	}
	return err
}

// gone reports whether nobody serves some ring any more: its lcore wakes whoever waits for it, of all the port's rings.
func (c *CSB) gone() bool {
	stopped := func(r *Ring) bool { return r.blk.State() == abi.RingStopped }
	return c.d.gone() || slices.ContainsFunc(c.d.tx, stopped) || slices.ContainsFunc(c.d.rx, stopped)
}

// mapCSB maps the arrays that the daemon has taken.
func (d *Desc) mapCSB(f *csbFile) error {
	if f == nil || len(d.tx)+len(d.rx) == 0 {
		return nil
	}
	d.served = &CSB{d: d}
	return d.served.mapArrays(*f, len(d.tx)+len(d.rx))
}

func (c *CSB) close() {
	for _, b := range c.pages {
		if b != nil {
			_ = unix.Munmap(b)
		}
	}
}

func (d *Desc) servedError(op string) error {
	return &Error{Op: op, Port: d.name, Errno: unix.EBUSY, Text: "lcores serve its CSB"}
}
