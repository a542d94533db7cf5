// Package replay is nmctl replay: netmap's nmreplay, which sends the frames of
// a pcap or pcapng file into a port, at their own pace or another (NC F.5).
package replay

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/linkmodel"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/tool"
)

// Options are those of nmreplay, with their letters.
type Options struct {
	File      string  // -f
	Interface string  // -i
	Rate      string  // -B: [constant,|ether,]BPS or real[,SPEED]
	Delay     string  // -D
	Loss      string  // -L
	Burst     int     // -b: frames handed over at once
	Wait      float64 // -w: seconds before the start
	CPUs      string  // -C
	Loops     uint64  // -n: times the file is sent, 0 for no end
	Verbose   bool    // -v
	pace      pace
	link      linkmodel.Link
	cpus      []int
}

// Limits and defaults (NC F.5).
const (
	maxBurst  = 8192
	hugeBurst = 1024 // what a burst out of range becomes
	stdBurst  = 128
	linkWait  = 2
	realPace  = "real"
	fastest   = 1e6
)

// Default sends once, at the pace of the file.
func Default() Options { return Options{Rate: realPace, Burst: stdBurst, Wait: -1, Loops: 1} }

// AddFlags registers the flags; what o holds are the defaults.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.File, "file", "f", o.File, "pcap or pcapng file, compressed with gzip or not")
	f.StringVarP(&o.Interface, "interface", "i", o.Interface, "port to send into; netmap: is added to a plain name")
	f.StringVarP(&o.Rate, "rate", "B", o.Rate, "real[,SPEED]: the pace of the file, or so many times faster; [constant,|ether,]BPS: bits a second; 0: as fast as the port takes them")
	f.StringVarP(&o.Delay, "delay", "D", o.Delay, "delay beside that: [constant,]T, uniform,MIN,MAX or exp,MIN,MEAN")
	f.StringVarP(&o.Loss, "loss", "L", o.Loss, "part of the frames, plr,X, or of the bits, ber,X, that get lost")
	f.IntVarP(&o.Burst, "burst", "b", o.Burst, "frames handed over at once, 1 to 8192 (others are 1024)")
	f.Float64VarP(&o.Wait, "wait", "w", o.Wait, "seconds to wait before the start (default 2, for ports without a link 0)")
	f.StringVarP(&o.CPUs, "cpus", "C", o.CPUs, "CPU to run on; of a list the first")
	f.Uint64VarP(&o.Loops, "loops", "n", o.Loops, "times to send the file, 0 for no end")
	f.BoolVarP(&o.Verbose, "verbose", "v", o.Verbose, "print a line each second")
}

// A pace says when frames of a file are sent.
type pace struct {
	real  bool
	speed float64 // times faster than the file
}

// Validate refuses what cannot be and completes the rest.
func (o *Options) Validate() (err error) {
	switch {
	case o.File == "":
		return fmt.Errorf("no file given; write for example -f trace.pcap")
	case o.Interface == "":
		return fmt.Errorf("no port given; write for example -i vale0:1")
	}
	o.Interface = tool.PortName(o.Interface)
	if o.Burst < 1 || o.Burst > maxBurst {
		o.Burst = hugeBurst
	}
	if o.Wait, err = tool.LinkWait(o.Wait, linkWait, o.Interface); err != nil {
		return err
	}
	if o.cpus, err = tool.CPUs(o.CPUs); err != nil {
		return fmt.Errorf("-C: %w", err)
	}
	o.link, o.pace = linkmodel.Link{}, pace{}
	if kind, speed, two := strings.Cut(o.Rate, ","); kind == realPace {
		o.pace = pace{true, 1}
		if two {
			if o.pace.speed, err = strconv.ParseFloat(speed, 64); err != nil || !(o.pace.speed >= 1/fastest && o.pace.speed <= fastest) {
				return fmt.Errorf("-B %s: expected a speed such as 2 or 0.5", o.Rate)
			}
		}
	} else if o.link.Rate, err = linkmodel.ParseRate(o.Rate); err != nil {
		return fmt.Errorf("-B: %w", err)
	}
	if o.Delay != "" {
		if o.link.Delay, err = linkmodel.ParseDelay(o.Delay); err != nil {
			return fmt.Errorf("-D: %w", err)
		}
	}
	if o.Loss != "" {
		if o.link.Loss, err = linkmodel.ParseLoss(o.Loss); err != nil {
			return fmt.Errorf("-L: %w", err)
		}
	}
	return nil
}
