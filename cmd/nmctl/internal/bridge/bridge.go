// Package bridge is nmctl bridge: it carries frames between two ports in both
// directions, as netmap's bridge does (NC F.2).
package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Options are those of bridge, with their letters.
type Options struct {
	Interfaces []string // -i, twice
	Burst      int      // -b: slots carried at once
	Wait       float64  // -w: seconds before the start
	Copy       bool     // -c: copy even where buffers could be swapped
	Verbose    bool     // -v
}

// Limits of the options (NC F.2).
const (
	maxBurst = 8192
	maxWait  = 100
)

// Default are the values of netmap's bridge, but that a switch port, which has
// no link to wait for, is not waited for.
func Default() Options { return Options{Burst: 1024, Wait: -1} }

// AddFlags registers the flags; what o holds are the defaults.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.Interfaces, "interface", "i", o.Interfaces, "port, given twice; netmap: is added to a plain name")
	f.IntVarP(&o.Burst, "burst", "b", o.Burst, "slots carried at once, 1 to 8192")
	f.Float64VarP(&o.Wait, "wait", "w", o.Wait, "seconds to wait before the start (default 4, for two switch ports 0)")
	f.BoolVarP(&o.Copy, "copy", "c", o.Copy, "copy frames even where buffers could be swapped")
	f.BoolVarP(&o.Verbose, "verbose", "v", o.Verbose, "print a line each second")
}

// Validate refuses what cannot be and completes the rest.
func (o *Options) Validate() error {
	if len(o.Interfaces) == 1 || len(o.Interfaces) == 2 && o.Interfaces[0] == o.Interfaces[1] {
		return fmt.Errorf("%s alone would be bridged to its host rings, which netmapd does not have yet; name two ports", o.Interfaces[0])
	}
	if len(o.Interfaces) != 2 {
		return fmt.Errorf("expected two ports, found %d; write for example -i vale0:a -i vale1:b", len(o.Interfaces))
	}
	if o.Burst < 1 || o.Burst > maxBurst {
		return fmt.Errorf("-b %d: expected 1 to %d slots", o.Burst, maxBurst)
	}
	if o.Wait > maxWait || math.IsNaN(o.Wait) {
		return fmt.Errorf("-w %v: expected 0 to %d seconds", o.Wait, maxWait)
	}
	links := false
	for i, name := range o.Interfaces {
		if !strings.HasPrefix(name, "vale") {
			links = true
			if !strings.HasPrefix(name, "netmap:") {
				o.Interfaces[i] = "netmap:" + name
			}
		}
	}
	if o.Wait < 0 {
		o.Wait = 0
		if links {
			o.Wait = 4
		}
	}
	return nil
}

// Result is what was carried: [0] from the first port to the second, [1] back.
type Result struct {
	Frames [2]uint64
}

// Run bridges the two ports until the context ends, which is an ordinary end,
// or a port is gone.
func Run(ctx context.Context, o Options, out io.Writer, opts ...netmap.Option) (res Result, err error) {
	if err := o.Validate(); err != nil {
		return res, err
	}
	var ports [2]*netmap.Desc
	for i, name := range o.Interfaces {
		d, err := netmap.Open(ctx, name, opts...)
		if err != nil {
			return res, err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		if len(d.TxRings()) == 0 || len(d.RxRings()) == 0 {
			return res, fmt.Errorf("%s: %d TX and %d RX rings are bound, a bridge needs both; leave /T and /R out of the name", name, len(d.TxRings()), len(d.RxRings()))
		}
		ports[i] = d
	}
	swap := ports[0].Region() == ports[1].Region() && !o.Copy
	fmt.Fprintf(out, "%s <-> %s, zero copy %s\n", o.Interfaces[0], o.Interfaces[1], map[bool]string{true: "supported", false: "not supported: frames are copied"}[swap])
	if !pause(ctx, o.Wait) {
		return res, nil
	}
	ways := [2]*way{
		{from: ports[0], to: ports[1], swap: swap, burst: uint32(o.Burst)},
		{from: ports[1], to: ports[0], swap: swap, burst: uint32(o.Burst)},
	}
	err = runBoth(ctx, ways, out, o.Verbose)
	for i, w := range ways {
		res.Frames[i] = w.frames.Load()
		fmt.Fprintf(out, "%s -> %s: %d frames\n", o.Interfaces[i], o.Interfaces[1-i], res.Frames[i])
	}
	return res, err
}

func pause(ctx context.Context, seconds float64) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(seconds * float64(time.Second))):
		return true
	}
}

// runBoth runs one goroutine for each way; a way uses the RX rings of one port
// and the TX rings of the other, so that no ring has two users.
func runBoth(parent context.Context, ways [2]*way, out io.Writer, verbose bool) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var wg sync.WaitGroup
	var errs [2]error
	for i, w := range ways {
		wg.Go(func() {
			errs[i] = w.run(ctx)
			cancel() // a bridge with one way is none
		})
	}
	if verbose {
		wg.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					fmt.Fprintf(out, "%d -> , <- %d frames\n", ways[0].frames.Load(), ways[1].frames.Load())
				}
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if errors.Is(err, context.Canceled) {
			errs[i] = nil
		}
	}
	return errors.Join(errs[:]...)
}

// A way carries frames in one direction.
type way struct {
	from, to *netmap.Desc
	swap     bool
	burst    uint32
	frames   atomic.Uint64
}

// run waits for what is missing, and only for that: frames while there are
// none, room while there are.
func (w *way) run(ctx context.Context) error {
	for {
		waitFor, ev := w.from, netmap.PollIn
		if w.ready() {
			waitFor, ev = w.to, netmap.PollOut
		}
		// A ring in an illegal state (PollErr) has been put right; go on.
		if _, err := waitFor.Poll(ctx, ev); err != nil {
			return err
		}
		if w.carry() > 0 {
			// No event: this only hands over what was carried.
			if _, err := w.to.PollTimeout(0, 0); err != nil {
				return err
			}
		}
	}
}

// ready reports whether there is something to carry.
func (w *way) ready() bool {
	for _, r := range w.from.RxRings() {
		if !r.Empty() {
			return true
		}
	}
	return false
}

// carry moves what there is and what there is room for, ring by ring.
func (w *way) carry() (slots uint32) {
	rx, tx := w.from.RxRings(), w.to.TxRings()
	for i, k := 0, 0; i < len(rx) && k < len(tx); {
		slots += w.move(rx[i], tx[k])
		if rx[i].Empty() {
			i++
		} else {
			k++ // full, or one burst done
		}
	}
	return slots
}

// move carries up to a burst of slots from one ring to another.
func (w *way) move(rx *netmap.RxRing, tx *netmap.TxRing) uint32 {
	n := min(w.burst, rx.Space(), tx.Space())
	i, k, frames := rx.Head(), tx.Head(), uint64(0)
	for range n {
		from, to := rx.Slot(i), tx.Slot(k)
		more := from.Flags & abi.NSMoreFrag
		to.Len, to.Flags = from.Len, more
		if w.swap {
			from.BufIdx, to.BufIdx = to.BufIdx, from.BufIdx
			from.Flags |= abi.NSBufChanged
			to.Flags |= abi.NSBufChanged
		} else {
			to.Len = uint16(copy(tx.Buf(to), rx.Frame(i)))
		}
		if more == 0 {
			frames++
		}
		i, k = rx.Next(i), tx.Next(k)
	}
	rx.Advance(i)
	tx.Advance(k)
	w.frames.Add(frames)
	return n
}
