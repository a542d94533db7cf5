// Package lb is nmctl lb: netmap's load balancer, which spreads the frames of
// a port over pipes so that the frames of a connection stay together and in
// order (NC F.4).
package lb

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/tool"
)

// Options are those of lb, with their letters.
type Options struct {
	Interface string   // -i: where frames come from
	Groups    []string // -p [name:]number, one behind the other
	ExtraBufs uint32   // -B
	Batch     uint32   // -b: frames between two looks at the input
	Wait      float64  // -w: seconds before the start
	Busy      bool     // -W: never sleep
	Syslog    uint     // -s: seconds between statistics on syslog, 0 for none
	Stdout    uint     // -o: the same on standard output
	groups    []groupSpec
}

// A groupSpec is one -p.
type groupSpec struct {
	name  string // "" for the input's
	pipes int
}

// Limits and defaults (NC F.4).
const (
	maxPipes  = 64
	maxBatch  = 1 << 20
	maxExtra  = 1 << 24
	linkWait  = 2
	stdBatch  = 2048
	stdPipes  = 2
	nameLimit = 63
)

// Default are the values of netmap's lb, but that a port without a link is not
// waited for.
func Default() Options { return Options{Batch: stdBatch, Wait: -1} }

// AddFlags registers the flags; what o holds are the defaults.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Interface, "interface", "i", o.Interface, "port that frames come from; netmap: is added to a plain name")
	f.StringArrayVarP(&o.Groups, "pipes", "p", o.Groups, "group of pipes, [name:]number; again for a group behind it (default 2 pipes with the port's name)")
	f.Uint32VarP(&o.ExtraBufs, "extra-bufs", "B", o.ExtraBufs, "buffers for frames whose pipe is full")
	f.Uint32VarP(&o.Batch, "batch", "b", o.Batch, "frames between two looks at the port")
	f.Float64VarP(&o.Wait, "wait", "w", o.Wait, "seconds to wait before the start (default 2, for ports without a link 0)")
	f.BoolVarP(&o.Busy, "busy-wait", "W", o.Busy, "look for frames without ever sleeping")
	f.UintVarP(&o.Syslog, "syslog", "s", o.Syslog, "seconds between statistics in syslog, 0 for none")
	// The name hides nmctl's own -o, which means nothing here.
	f.UintVarP(&o.Stdout, "output", "o", o.Stdout, "seconds between statistics on standard output, 0 for none")
}

// Validate refuses what cannot be and completes the rest.
func (o *Options) Validate() (err error) {
	switch {
	case o.Interface == "":
		return fmt.Errorf("no port given; write for example -i netmap:eth0")
	case o.Batch < 1 || o.Batch > maxBatch:
		return fmt.Errorf("-b %d: expected 1 to %d frames", o.Batch, maxBatch)
	case o.ExtraBufs > maxExtra:
		return fmt.Errorf("-B %d: expected at most %d buffers", o.ExtraBufs, maxExtra)
	}
	o.Interface = tool.PortName(o.Interface)
	if o.Wait, err = tool.LinkWait(o.Wait, linkWait, o.Interface); err != nil {
		return err
	}
	o.groups = nil
	for _, g := range o.Groups {
		spec, err := parseGroup(g)
		if err != nil {
			return err
		}
		o.groups = append(o.groups, spec)
	}
	if len(o.groups) == 0 {
		o.groups = []groupSpec{{pipes: stdPipes}}
	}
	return nil
}

// parseGroup reads [name:]number; a switch port as a name has a colon itself.
func parseGroup(s string) (g groupSpec, err error) {
	number := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		g.name, number = strings.TrimPrefix(s[:i], "netmap:"), s[i+1:]
		if g.name == "" {
			return g, fmt.Errorf("-p %s: expected a name before the colon", s)
		}
	}
	if len(g.name) > nameLimit {
		return g, fmt.Errorf("-p %s: the name has %d characters, at most %d are possible", s, len(g.name), nameLimit)
	}
	g.pipes, err = strconv.Atoi(number)
	if err != nil || g.pipes < 1 || g.pipes > maxPipes {
		return g, fmt.Errorf("-p %s: expected [name:]number with 1 to %d pipes", s, maxPipes)
	}
	return g, nil
}
