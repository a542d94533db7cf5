// Package dedup is nmctl dedup: netmap's dedup, which carries frames from one
// port to another and leaves out those that it has seen a moment before (NC F.7).
package dedup

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/tool"
)

// Options are those of dedup, with their letters.
type Options struct {
	Interfaces []string // -i, twice: in, out
	Window     uint32   // -W: microseconds
	Fifo       uint32   // -F: frames remembered
	Hold       bool     // -H: frames stay until they leave the window
	Copy       bool     // -c: copy even where buffers could be swapped
	Wait       float64  // -w: seconds before the start
	Verbose    bool     // -v
}

// Limits and defaults (NC F.7).
const (
	stdWindow = 50
	stdFifo   = 10
	maxWindow = 3600 * 1000 * 1000
	maxFifo   = 1 << 14
	linkWait  = 2
)

// Default are the values of netmap's dedup, but that a port without a link is
// not waited for.
func Default() Options { return Options{Window: stdWindow, Fifo: stdFifo, Wait: -1} }

// AddFlags registers the flags; what o holds are the defaults.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.Interfaces, "interface", "i", o.Interfaces, "port, given twice: where frames come from, where they go; netmap: is added to a plain name")
	f.Uint32VarP(&o.Window, "window", "W", o.Window, "microseconds for which a frame is remembered")
	f.Uint32VarP(&o.Fifo, "fifo", "F", o.Fifo, "frames remembered at most")
	f.BoolVarP(&o.Hold, "hold", "H", o.Hold, "hold frames back for the window, instead of remembering a copy")
	f.BoolVarP(&o.Copy, "copy", "c", o.Copy, "copy frames even where buffers could be swapped")
	f.Float64VarP(&o.Wait, "wait", "w", o.Wait, "seconds to wait before the start (default 2, for ports without a link 0)")
	f.BoolVarP(&o.Verbose, "verbose", "v", o.Verbose, "print a line each second")
}

// Validate refuses what cannot be and completes the rest.
func (o *Options) Validate() (err error) {
	switch {
	case len(o.Interfaces) != 2 || o.Interfaces[0] == o.Interfaces[1]:
		return fmt.Errorf("expected two different ports, found %q; write for example -i vale0:in -i vale1:out", o.Interfaces)
	case o.Window > maxWindow:
		return fmt.Errorf("-W %d: expected at most %d microseconds", o.Window, maxWindow)
	case o.Fifo < 1 || o.Fifo > maxFifo:
		return fmt.Errorf("-F %d: expected 1 to %d frames", o.Fifo, maxFifo)
	}
	for i, name := range o.Interfaces {
		o.Interfaces[i] = tool.PortName(name)
	}
	o.Wait, err = tool.LinkWait(o.Wait, linkWait, o.Interfaces...)
	return err
}

func (o *Options) window() time.Duration { return time.Duration(o.Window) * time.Microsecond }
