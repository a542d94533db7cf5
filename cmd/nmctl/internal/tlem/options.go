package tlem

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/linkmodel"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/tool"
)

// Options are those of tlem, with their letters. Those of a link are given once
// for both directions, or twice, first for the frames that the first port
// receives.
type Options struct {
	Interfaces []string // -i, twice
	Rate       []string // -B
	Delay      []string // -D
	Loss       []string // -L
	Hold       []string // -R
	Queue      []string // -Q
	Burst      int      // -b: frames handed over at once
	Wait       float64  // -w: seconds before the start
	CPUs       string   // -C
	Copy       bool     // -c: copy even where buffers could be swapped
	Quiet      bool     // -q
	links      [2]linkmodel.Link
	cpus       []int
}

// Limits and defaults (NC F.6).
const (
	stdBurst = 1024
	maxBurst = 8192
	linkWait = 2
	stdQueue = 50000 // bytes, where there is a bandwidth to wait for
)

// Default passes everything at once.
func Default() Options { return Options{Burst: stdBurst, Wait: -1} }

// AddFlags registers the flags; what o holds are the defaults.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.Interfaces, "interface", "i", o.Interfaces, "port, given twice; netmap: is added to a plain name")
	f.StringArrayVarP(&o.Rate, "bandwidth", "B", o.Rate, "bits a second: [constant,]BPS, or ether,BPS to count framing and CRC too; 0 for no limit")
	f.StringArrayVarP(&o.Delay, "delay", "D", o.Delay, "time under way: [constant,]T, uniform,MIN,MAX or exp,MIN,MEAN")
	f.StringArrayVarP(&o.Loss, "loss", "L", o.Loss, "part of the frames, plr,X, or of the bits, ber,X, that get lost")
	f.StringArrayVarP(&o.Hold, "reorder", "R", o.Hold, "const,P,T: that part of the frames is held back for that time")
	f.StringArrayVarP(&o.Queue, "queue", "Q", o.Queue, "bytes that wait for the bandwidth, 0 for no limit (default 50k)")
	f.IntVarP(&o.Burst, "burst", "b", o.Burst, "frames handed over at once, 1 to 8192")
	f.Float64VarP(&o.Wait, "wait", "w", o.Wait, "seconds to wait before the start (default 2, for ports without a link 0)")
	f.StringVarP(&o.CPUs, "cpus", "C", o.CPUs, "CPUs for the two directions, separated by commas")
	f.BoolVarP(&o.Copy, "copy", "c", o.Copy, "copy frames even where buffers could be swapped")
	f.BoolVarP(&o.Quiet, "quiet", "q", o.Quiet, "print the sums at the end only")
}

// Validate refuses what cannot be and completes the rest.
func (o *Options) Validate() (err error) {
	if len(o.Interfaces) != 2 || o.Interfaces[0] == o.Interfaces[1] {
		return fmt.Errorf("expected two different ports, found %q; write for example -i vale0:a -i vale1:b", o.Interfaces)
	}
	if o.Burst < 1 || o.Burst > maxBurst {
		return fmt.Errorf("-b %d: expected 1 to %d frames", o.Burst, maxBurst)
	}
	for i, name := range o.Interfaces {
		o.Interfaces[i] = tool.PortName(name)
	}
	if o.Wait, err = tool.LinkWait(o.Wait, linkWait, o.Interfaces...); err != nil {
		return err
	}
	if o.cpus, err = tool.CPUs(o.CPUs); err != nil {
		return fmt.Errorf("-C: %w", err)
	}
	for i := range o.links {
		l := &o.links[i]
		*l = linkmodel.Link{Queue: stdQueue}
		for _, err := range []error{
			set("-B", &l.Rate, o.Rate, i, linkmodel.ParseRate), set("-D", &l.Delay, o.Delay, i, linkmodel.ParseDelay),
			set("-L", &l.Loss, o.Loss, i, linkmodel.ParseLoss), set("-R", &l.Hold, o.Hold, i, linkmodel.ParseHold),
			set("-Q", &l.Queue, o.Queue, i, linkmodel.ParseQueue),
		} {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// set takes the i-th of the words, or the only one for both directions.
func set[T any](flag string, to *T, words []string, i int, parse func(string) (T, error)) error {
	switch len(words) {
	case 0:
		return nil
	case 1, 2:
		v, err := parse(words[min(i, len(words)-1)])
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		*to = v
		return nil
	}
	return fmt.Errorf("%s is given %d times; there are two directions", flag, len(words))
}
