// Package pktgen is nmctl pkt-gen: netmap's traffic generator and sink, with
// the options of the original for its common uses (NC F.1). It is a netmap
// program like any other: all it needs of the daemon is the attach socket.
package pktgen

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// The functions that -f chooses.
const (
	FuncTx   = "tx"
	FuncRx   = "rx"
	FuncPing = "ping"
	FuncPong = "pong"
)

// Functions are all of them.
var Functions = []string{FuncTx, FuncRx, FuncPing, FuncPong}

// Options are those of pkt-gen that are had here, with their letters.
type Options struct {
	Interface string        // -i
	Function  string        // -f
	Count     Number        // -n: frames, 0 for no end
	Length    int           // -l: without CRC
	Burst     int           // -b: frames between two looks at the ring, 0 for the default
	Rate      Number        // -R: frames a second, 0 for no limit
	Src, Dst  string        // -s, -d: address[:port][-address[:port]]
	SrcMAC    string        // -S
	DstMAC    string        // -D
	Wait      float64       // -w: seconds before the start, negative for the default
	Period    time.Duration // -T: between two lines, given in milliseconds
	WhenIdle  bool          // -W: rx ends when nothing comes any more
	Verbose   bool          // -v
}

// Default are the values of pkt-gen.
func Default() Options {
	return Options{
		Function: FuncRx, Length: 60, Src: "10.0.0.1", Dst: "10.1.0.1",
		DstMAC: "ff:ff:ff:ff:ff:ff", Wait: -1, Period: time.Second,
	}
}

// AddFlags registers the flags; what o holds are the defaults.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Interface, "interface", "i", o.Interface, "port, such as vale0:1 or netmap:eth0; netmap: is added to a plain name")
	f.StringVarP(&o.Function, "function", "f", o.Function, "what to do: "+strings.Join(Functions, ", "))
	f.VarP(&o.Count, "count", "n", "frames to send or receive, with K, M or G; 0 for no end")
	f.IntVarP(&o.Length, "length", "l", o.Length, "length of a frame in bytes, without CRC")
	f.IntVarP(&o.Burst, "burst", "b", o.Burst, "frames handed over at once (default 512, for ping and pong 1)")
	f.VarP(&o.Rate, "rate", "R", "frames a second, with K, M or G; 0 for no limit")
	f.StringVarP(&o.Src, "src-ip", "s", o.Src, "source address[:port], or a range of them with -")
	f.StringVarP(&o.Dst, "dst-ip", "d", o.Dst, "destination address[:port], or a range of them with -")
	f.StringVarP(&o.SrcMAC, "src-mac", "S", o.SrcMAC, "source MAC address (default the interface's, else zeros)")
	f.StringVarP(&o.DstMAC, "dst-mac", "D", o.DstMAC, "destination MAC address")
	f.Float64VarP(&o.Wait, "wait", "w", o.Wait, "seconds to wait before the start (default 2, for switch ports 0)")
	f.VarP((*millis)(&o.Period), "report", "T", "milliseconds between two lines of the report")
	f.BoolVarP(&o.WhenIdle, "when-idle", "W", o.WhenIdle, "rx: end when a second passes without a frame, once the first has come")
	f.BoolVarP(&o.Verbose, "verbose", "v", o.Verbose, "tell more")
}

// Frames are at most what fits a slot's 16-bit length; the buffer size, known
// after opening, sets the real limit.
const (
	minLength  = 16
	maxBurst   = 1 << 16
	burstFlood = 512
)

// Validate fills in what depends on other options and refuses what cannot be.
func (o *Options) Validate() error {
	switch {
	case o.Interface == "":
		return fmt.Errorf("no port given; write for example -i vale0:1")
	case !has(Functions, o.Function):
		return fmt.Errorf("-f %q: expected one of %s", o.Function, strings.Join(Functions, ", "))
	case o.Length < minLength || o.Length > math.MaxUint16:
		return fmt.Errorf("-l %d: expected %d to %d bytes", o.Length, minLength, math.MaxUint16)
	case o.Function == FuncPing && o.Length < headersLen+pingLen:
		return fmt.Errorf("-l %d: a ping carries its number and time, expected at least %d bytes", o.Length, headersLen+pingLen)
	case o.Burst < 0 || o.Burst > maxBurst:
		return fmt.Errorf("-b %d: expected 1 to %d frames", o.Burst, maxBurst)
	case o.Period <= 0:
		return fmt.Errorf("-T: expected a time above 0")
	case math.IsNaN(o.Wait) || o.Wait > 3600:
		return fmt.Errorf("-w %v: expected at most 3600 seconds", o.Wait)
	}
	o.Interface = PortName(o.Interface)
	if o.Burst == 0 {
		o.Burst = burstFlood
		if o.Function == FuncPing || o.Function == FuncPong {
			o.Burst = 1
		}
	}
	if o.Wait < 0 {
		o.Wait = 2
		if strings.HasPrefix(o.Interface, "vale") {
			o.Wait = 0
		}
	}
	return nil
}

// PortName adds netmap: to a plain interface name, as pkt-gen does (NC F.1).
func PortName(s string) string {
	if strings.HasPrefix(s, "netmap:") || strings.HasPrefix(s, "vale") {
		return s
	}
	return "netmap:" + s
}

// interfaceMAC is the address of the host's interface of the port's name, or
// zeros where there is none.
func interfaceMAC(port string) net.HardwareAddr {
	plain, _ := strings.CutPrefix(port, "netmap:")
	if end := strings.IndexAny(plain, "-*^/@{}"); end >= 0 {
		plain = plain[:end]
	}
	if i, err := net.InterfaceByName(plain); err == nil && len(i.HardwareAddr) == 6 {
		return i.HardwareAddr
	}
	return make(net.HardwareAddr, 6)
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Number is a count with an optional decimal suffix: 10M, 1.5K.
type Number uint64

var suffixes = map[string]float64{"": 1, "k": 1e3, "m": 1e6, "g": 1e9}

// Set parses it.
func (n *Number) Set(s string) error {
	if plain, err := strconv.ParseUint(s, 10, 64); err == nil {
		*n = Number(plain)
		return nil
	}
	digits := strings.TrimRight(s, "kKmMgG")
	f, err := strconv.ParseFloat(digits, 64)
	scale, ok := suffixes[strings.ToLower(s[len(digits):])]
	if v := f * scale; err == nil && ok && v >= 0 && v < math.MaxInt64 {
		*n = Number(math.Round(v))
		return nil
	}
	return fmt.Errorf("expected a number, with K, M or G behind it or not")
}

func (n *Number) String() string { return strconv.FormatUint(uint64(*n), 10) }

// Type is how help calls the value.
func (*Number) Type() string { return "number" }

// millis is a duration given in milliseconds.
type millis time.Duration

func (m *millis) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return fmt.Errorf("expected milliseconds above 0")
	}
	*m = millis(time.Duration(n) * time.Millisecond)
	return nil
}

func (m *millis) String() string { return strconv.FormatInt(time.Duration(*m).Milliseconds(), 10) }
func (*millis) Type() string     { return "ms" }
