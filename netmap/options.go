package netmap

import (
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
)

// options are what the With functions set.
type options struct {
	runtimeDir string
	extraBufs  uint32
	flags      uint64
	conf       name.Conf // what is not 0 overrides the name's @conf
}

// An Option shapes what Open asks for. What the name itself says, it says too.
type Option func(*options)

// WithRuntimeDir names the directory of the daemon's sockets. Without it, it
// is found as the daemon finds it: NETMAPD_RUNTIME_DIR, else /run/netmapd for
// root and a directory of the user's otherwise.
func WithRuntimeDir(dir string) Option { return func(o *options) { o.runtimeDir = dir } }

// WithSlots wishes for the number of slots of each TX and RX ring, 0 for the
// port's own. A port that exists already has what it has: see Ring.NumSlots.
func WithSlots(tx, rx uint32) Option {
	return func(o *options) { o.conf.TxSlots, o.conf.RxSlots = tx, rx }
}

// WithRings wishes for the number of TX and RX rings, 0 for the port's own.
func WithRings(tx, rx uint16) Option {
	return func(o *options) { o.conf.TxRings, o.conf.RxRings = tx, rx }
}

// WithExtraBufs asks for buffers beside those in the rings (NC A.9);
// Desc.ExtraBufs lists those that were had.
func WithExtraBufs(n uint32) Option { return func(o *options) { o.extraBufs = n } }

// WithFlags adds flags of the REGISTER request: abi.FlagExclusive, ... (NC B.5).
func WithFlags(flags uint64) Option { return func(o *options) { o.flags |= flags } }

// WithNoTxPoll keeps Poll without PollOut from transmitting (NC D.6).
func WithNoTxPoll() Option { return WithFlags(abi.FlagNoTxPoll) }

func gather(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// register is the body of the REGISTER request for a parsed name.
func (o *options) register(s name.Spec) abi.Register {
	pick := func(o, s uint16) uint16 {
		if o != 0 {
			return o
		}
		return s
	}
	r := abi.Register{
		TxRings: pick(o.conf.TxRings, s.Conf.TxRings), RxRings: pick(o.conf.RxRings, s.Conf.RxRings),
		HostTxRings: s.Conf.HostTxRings, HostRxRings: s.Conf.HostRxRings,
		TxSlots: s.Conf.TxSlots, RxSlots: s.Conf.RxSlots,
		MemID: s.MemID, RingID: s.RingID, Mode: s.Mode, ExtraBufs: o.extraBufs, Flags: s.Flags | o.flags,
	}
	if o.conf.TxSlots != 0 {
		r.TxSlots = o.conf.TxSlots
	}
	if o.conf.RxSlots != 0 {
		r.RxSlots = o.conf.RxSlots
	}
	return r
}
