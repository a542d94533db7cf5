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
	extmem     *extmem
	offsets    *abi.Offsets
	csb        *csbFile
	parser     name.Parser
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

// WithExtmem has the port live in mem, which the program brings (NC B.9.1): what of
// it is whole pages becomes the region, with what is in it, and is mapped where it was. mem
// is a mapping of the program's own (unix.Mmap), never Go's heap, and stays as long as the
// port is open. Counts and sizes of 0 in pools mean netmap's defaults of private regions;
// Desc.Pools says what there is. Other ports opened with the same mem share the region.
//
// Open gives EINVAL for memory that does not begin at a page, EBUSY for a part of another
// region, and ENOMEM for pools that do not fit.
func WithExtmem(mem []byte, pools abi.PoolsInfo) Option {
	return func(o *options) { o.extmem = &extmem{mem: mem, pools: pools, fd: -1} }
}

// WithOffsets lets packets begin anywhere in their buffers (NC A.8, B.9.5): see
// Ring.Offset. Frame, Send, Recv and Frames honour offsets; who uses Buf adds them.
// Desc.Offsets says what was had. Open gives EINVAL for offsets that do not fit buffers
// or bits, EOPNOTSUPP for ports without, EBUSY for rings that are open with smaller ones.
func WithOffsets(offsets abi.Offsets) Option {
	return func(o *options) { o.offsets = &offsets }
}

// WithOffsetOption accepts @offset in the name, for programs that look for packets
// where Ring.Offset says, or only use Frame, Send, Recv and Frames (NC C.3).
func WithOffsetOption() Option {
	return func(o *options) { _ = o.parser.Enable("offset") } // it is an option
}

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
