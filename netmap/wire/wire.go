// Package wire is the attach protocol: how a client process and netmapd talk
// over netmap.sock. It is spoken by the daemon, the Go client and the C
// library, and it is the only thing they must agree on beside package abi.
//
// # Connections
//
// The socket is a SOCK_SEQPACKET Unix socket: a message arrives whole or not at
// all. A connection becomes one of two things by its first request:
//
//   - a session, one for each process: it lives as long as the process does, and
//     its end tells the daemon to take the process out of every sync it was in;
//   - a descriptor, what open("/dev/netmap") returned: it binds at most one port,
//     may be shared by fork or SCM_RIGHTS, and its end unbinds the port.
//
// Nobody reads from a connection but the daemon. Each request carries the
// writing end of a socket pair of the client's own as its first descriptor, and
// the answer goes there, so that processes sharing a descriptor do not take each
// other's answers. Behind it a REGISTER with the EXTMEM option carries the memory: a
// memfd of the size that the option says, sealed against shrinking, growing and
// further seals. One with the CSB option, and without EXTMEM, may carry such a memfd of any size: then
// the option says where in it the two arrays begin, and lcores serve them; otherwise it
// says addresses, which are the library's business.
//
// # Messages
//
// A message is a Header, a body of fixed layout (little-endian), and a tail whose
// length follows from Header.Length. Lengths, counts and the number of
// descriptors are checked exactly; a message that is wrong in one of them ends
// the connection that it came on, after an answer where an answer is possible.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Identification of the protocol. The version is exact: daemon and library are
// built from one tree, and a clear refusal beats a guess.
const (
	Magic   = 0x31444d4e // "NMD1"
	Version = 2
)

// Limits of a message.
const (
	MaxMessage = 8192
	MaxFDs     = 6
)

// Message types. An answer has the type of its request with Answer set.
const (
	TypeSession = 1 // become the session of this process
	TypeControl = 2 // a netmap control request on a descriptor
	TypeJoin    = 3 // this process received a bound descriptor: hand out its parts
	TypeRedeem  = 4 // bind this descriptor as a ticket of the gRPC API says
	TypeLegacy  = 5 // a request of netmap's old interface (NC B.2)
	TypeIface   = 6 // what is known of the interface behind a port name
	TypeParam   = 7 // read and write netmap's module parameters (NC A.10, E.14)
	TypeUnbind  = 8 // undo the binding of a descriptor, which its library cannot use
	Answer      = 0x8000
)

// Header starts every message: 16 bytes.
type Header struct {
	Magic   uint32
	Version uint16
	Type    uint16
	Length  uint32 // of the whole message
	Errno   uint32 // answers: 0, or the errno, and then a text for people is all that follows
}

// HeaderSize is the size of Header.
const HeaderSize = 16

// SessionAnswer is the body of the answer to TypeSession (which has no body).
// One descriptor comes with it: the kick eventfd.
type SessionAnswer struct {
	Token uint64 // names the session in later requests; unguessable
	ID    uint32 // what the process writes into busy words; never 0
	_     uint32
}

// Control is the body of TypeControl; the request body follows as tail, and
// after it OptionBytes of options. A successful answer is a Control, for REGISTER
// a Bind, the request body, and the options with their statuses.
//
// A request with options is answered in this form also when it failed, since
// the statuses must reach the program: Errno is set then, no Bind follows, and
// after the options comes the text for people.
type Control struct {
	Token       uint64 // of the session
	ReqType     uint16 // abi.ReqRegister, ...
	Version     uint16 // netmap API version the client asked for
	OptionBytes uint16
	Errno       uint16 // answers
	Name        [abi.NameSize]byte
}

// Option starts an option in a request and its answer; Size bytes of option
// body follow, padded to a multiple of 8. The library has walked the program's
// list and made the checks of NC B.8; the daemon sets Status.
type Option struct {
	Type   uint32
	Status uint32
	Size   uint32
	_      uint32
}

// OptionSize is the size of Option.
const OptionSize = 16

// Legacy is the body of TypeLegacy; the program's argument follows as tail: an
// nmreq of 60 bytes, or the 272 bytes of NIOCCONFIG. The answer is a Legacy with
// Bound telling whether a Bind and a REGISTER body follow, and then the argument
// as it goes back.
type Legacy struct {
	Token uint64
	Ioctl uint32 // abi.NIOCREGIF, abi.NIOCGINFO, abi.NIOCCONFIG
	Bound uint32 // answers
}

// Iface is the body of TypeIface and of its answer: what programs ask the
// kernel about an interface, for ports that the kernel does not know. ENODEV
// where no port has the name.
type Iface struct {
	Token   uint64
	Name    [abi.NameSize]byte
	MAC     [6]byte
	Up      uint16 // link state
	MTU     uint32
	Index   uint32 // stands for the kernel's ifindex; no kernel interface has it
	TxRings uint16
	RxRings uint16
	TxSlots uint32
	RxSlots uint32
	_       uint32
}

// Param is the body of TypeParam and of its answer: what programs find under
// /sys/module/netmap/parameters. The answer to ParamGet and ParamSet has the value
// in force as decimal text, and says whether this client may set it; that to
// ParamList has as tail one line for each parameter, "NAME VALUE". ENOENT for
// a name there is not, EACCES for one that this client may not set, EINVAL for
// text that is no number of its range.
type Param struct {
	Token    uint64
	Op       uint32 // ParamGet, ...
	Writable uint32 // answers: 1 if this client may set it
	Name     [ParamNameSize]byte
	Value    [ParamValueSize]byte // ParamSet: with or without a newline
}

// What a Param asks for, and the sizes of its texts, zeros at their ends included.
const (
	ParamGet       = 1
	ParamSet       = 2
	ParamList      = 3
	ParamNameSize  = 32
	ParamValueSize = 64
)

// Join is the body of TypeJoin. The answer is a Bind and, as tail, the REGISTER
// body that the descriptor was bound with.
type Join struct {
	Token uint64
}

// Unbind is the body of TypeUnbind; the answer has none. The descriptor is then
// as it was before it was bound.
type Unbind struct {
	Token uint64
}

// Redeem is the body of TypeRedeem. The answer is that of TypeJoin.
type Redeem struct {
	Token  uint64
	Ticket [16]byte // single use
}

// Bind tells a process all it needs to use a bound descriptor. Three
// descriptors come with it, in this order: the region (a sealed memfd of
// RegionSize bytes), the port's sync blocks (a sealed memfd, one block for each
// entry of ring_ofs, in its order: NC A.4), and this process's end of the wake
// socket pair. A pipe has the blocks of both its ends in one file, and brings two
// more descriptors: an eventfd that the processes at the other end write to when
// they wake this one, and one to wake them. Both are watched edge-triggered and
// never read, since all processes of an end watch the same. The numbers repeat what the shared structures say, because
// those can be overwritten by whoever shares the region.
type Bind struct {
	PortID      uint64
	RegionSize  uint64
	IfOffset    uint64
	BufOffset   uint64 // of buffer 0 in the region
	BufCount    uint32
	BufSize     uint32
	TxRings     uint16 // HW rings
	RxRings     uint16
	HostTxRings uint16 // as netmap_if shows them: never 0
	HostRxRings uint16
	TxSlots     uint32
	RxSlots     uint32
	FirstTx     uint16 // bound rings [FirstTx, EndTx) counted with host rings after
	EndTx       uint16 // HW rings
	FirstRx     uint16
	EndRx       uint16
	MemID       uint16
	Features    uint16 // FeatureIndirect, ...
	Mode        uint32
	Flags       uint64
	Name        [abi.NameSize]byte // the port's own name
}

// Features of a port that its client's library must know of.
const (
	FeatureIndirect   = 1 << 0 // TX slots may be indirect: the library copies what they point to (NC D.7)
	FeatureSecondHalf = 1 << 1 // the slave of a pipe: its sync blocks follow as many of the master
)

// Indices of the descriptors that come with a Bind.
const (
	FDRegion = iota
	FDSync
	FDWake      // an epoll: readable when a ring changed that was armed, or on FDHangup
	FDHangup    // a socket that the daemon closes when the port or the daemon goes, or the descriptor is released
	BindFDs     // how many there are
	FDPipeSleep = iota - 1
	FDPipeWake
	PipeFDs // how many there are with a pipe
)

// What the events of FDWake say of their reason (epoll_event.data). Events that tell of rings are edges. Who gets FDPipeSleep,
// the eventfd by which the other end of a pipe says the same, adds it.
const (
	WakeRings  = 1
	WakeHangup = 2
	WakePipe   = 3
)

// ErrMalformed is wrapped by every error about the form of a message.
var ErrMalformed = errors.New("malformed message")

// Append builds a message: header, body (nil for none) and tail.
func Append(b []byte, typ uint16, errno uint32, body any, tail []byte) []byte {
	start := len(b)
	b = abi.Encode(b, Header{Magic: Magic, Version: Version, Type: typ, Errno: errno})
	if body != nil {
		b = abi.Encode(b, body)
	}
	b = append(b, tail...)
	binary.LittleEndian.PutUint32(b[start+8:], uint32(len(b)-start))
	return b
}

// Parse checks the header of a message and returns what follows it.
func Parse(msg []byte) (h Header, rest []byte, err error) {
	if len(msg) < HeaderSize {
		return h, nil, fmt.Errorf("%w: a header has %d bytes, have %d", ErrMalformed, HeaderSize, len(msg))
	}
	if err := abi.Decode(msg[:HeaderSize], &h); err != nil {
		return h, nil, err
	}
	switch {
	case h.Magic != Magic:
		return h, nil, fmt.Errorf("%w: magic is %#x, want %#x", ErrMalformed, h.Magic, uint32(Magic))
	case h.Version != Version:
		return h, nil, fmt.Errorf("%w: attach protocol version %d, this side speaks %d: client library and netmapd must be of one release", ErrMalformed, h.Version, Version)
	case int(h.Length) != len(msg):
		return h, nil, fmt.Errorf("%w: header says %d bytes, have %d", ErrMalformed, h.Length, len(msg))
	}
	return h, msg[HeaderSize:], nil
}

// Take decodes the fixed body at the start of rest and returns the tail.
func Take(rest []byte, body any) (tail []byte, err error) {
	n := binary.Size(body)
	if len(rest) < n {
		return nil, fmt.Errorf("%w: %T has %d bytes, have %d", ErrMalformed, body, n, len(rest))
	}
	return rest[n:], abi.Decode(rest[:n], body)
}
