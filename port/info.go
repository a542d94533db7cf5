// Package port holds the port kinds of netmapd and the registry that names
// them: ephemeral VALE ports, kernel interfaces driven through DPDK, and the
// switches that join them.
//
// Everything here is control plane. What moves packets is in packages ring,
// vale (folder switch) and lcore; a port only builds those pieces, hands them
// to their lcore by command, and takes them back.
package port

import (
	"time"

	vale "github.com/netmapd/netmapd/switch"
)

// Kind names what stands behind a port.
type Kind string

// The port kinds (NC E).
const (
	KindVALE      Kind = "vale"      // ephemeral port of a VALE switch (NC E.4)
	KindInterface Kind = "interface" // kernel interface, netmap's "emulated" mode (NC E.3)
	KindDevice    Kind = "device"    // any other DPDK device: null, ring, tap, a NIC (NC E.1)
	KindPipe      Kind = "pipe"      // one end of a pipe (NC E.7)
	KindImplicit  Kind = "implicit"  // what pipes hang on whose parent does not exist (NC E.6)

	// KindPersistent is a VALE port that stays when nobody has it open, and that
	// is put on switches and taken off (NC E.6).
	KindPersistent Kind = "persistent"
	// KindPatch is the second attachment of a persistent port, which ties two
	// switches together (NC B.7).
	KindPatch Kind = "patch"
	// KindHost are the host rings of an attached port as a second port of its
	// switch (vale-ctl -h).
	KindHost Kind = "host"
	// KindNull is a port that moves nothing and only holds memory (NC E.9).
	KindNull Kind = "null"
	// KindMonitor is a port that shows the traffic of another one (NC E.8).
	KindMonitor Kind = "monitor"
)

// Driver names how a kernel interface is reached.
type Driver string

// The drivers for kernel interfaces. DriverAuto takes af_xdp where it works
// and af_packet elsewhere.
const (
	DriverAuto     Driver = "auto"
	DriverAFXDP    Driver = "af_xdp"
	DriverAFPacket Driver = "af_packet"
)

// Spec asks for a configured (not client-created) port.
type Spec struct {
	Name    string // netmap name: what clients open as netmap:NAME
	Kind    Kind   // KindInterface, KindDevice or KindPersistent; the others appear when opened
	Ifname  string // KindInterface: kernel interface; empty means Name
	Driver  Driver // KindInterface
	Devargs string // KindDevice: a DPDK vdev string ("net_null0,size=60")
	Rings   int    // queue pairs, 0 means 1, or for hardware as many as it has, up to the number of CPUs
	Slots   int    // slots per ring, 0 means 1024
	MTU     int    // KindDevice: bytes of payload, 0 leaves it as the driver has it
	Fill    string // KindDevice: what the device's buffers hold at first; for net_null, which delivers them as they are

	// Host names the counterpart of a KindDevice in the host's network stack, an
	// interface that is made for it; "" means that it has none. A KindInterface is
	// its own. That of a KindPersistent only stands for the port, and discards what
	// the host sends (NC E.6).
	Host string

	// DropUnbound drops frames that arrive on queues whose rings no client has
	// bound, while the device is in use. Otherwise they go to the host, where there
	// is a way to it: always for a kernel interface, and for a device that has a
	// counterpart.
	DropUnbound bool
}

// Info describes a live port.
type Info struct {
	ID                                 uint64 // unique for the life of the daemon; 0 while the device is awaited
	Name                               string
	Kind                               Kind
	Driver                             string // DPDK driver name, "" for VALE ports
	Ephemeral                          bool   // goes away with its last descriptor
	Switch                             string // switch the port is attached to, "" for none
	Index                              int    // index on the switch, -1 for none, or while the device is awaited
	MAC                                string // "" when the port has none
	LinkUp                             bool
	MTU                                int
	TxRings, RxRings, TxSlots, RxSlots int
	RegionID                           uint16
	Lcore                              int   // id of the lcore that polls the port
	QueueLcores                        []int // of a device or interface: by queue pair, the lcore that polls it
	Users                              []User
	NIC                                *NIC // nil for ports without a device
	Created                            time.Time
}

// User is one descriptor bound to a port.
type User struct {
	PID     int
	UID     int
	Command string
	Since   time.Time
	Mode    string   // "all-nic", "one-nic", ...
	Rings   []string // "tx0", "rx0", ...
}

// SwitchSpec is what an operator asks for in a switch.
type SwitchSpec struct {
	Name   string
	Age    *time.Duration // how long silent addresses are remembered, 0 for ever; nil means 300 s
	Compat bool           // the reference's table: 1024 addresses, no ageing, no flush when a port leaves (NC E.5.1)
}

// age is the ageing time that the spec asks for.
func (s SwitchSpec) age() time.Duration {
	switch {
	case s.Compat:
		return 0
	case s.Age == nil:
		return addressAge
	}
	return *s.Age
}

// SwitchInfo describes a switch.
type SwitchInfo struct {
	Name      string
	Ports     []SwitchPort // by ascending index
	Table     vale.TableStats
	Ephemeral bool // appeared because a program opened valeX:y
	Compat    bool // see SwitchSpec
	Created   time.Time
}

// SwitchPort is a port as its switch sees it.
type SwitchPort struct {
	Index   int
	Name    string
	Options vale.PortOptions
}

// Stats are the counters of one port since it was created. The books balance:
// over all ports of a switch, the sum of Tx.Frames equals what was delivered
// (unicast counted once, a broadcast once per receiver) plus the drops of each
// reason, see docs/architecture.md.
type Stats struct {
	ID       uint64
	Name     string
	Switch   string
	Gone     bool              // the port no longer exists; these are its last values
	Tx       Count             // frames that clients sent, or that arrived from the device for the switch
	Rx       Count             // frames delivered and taken (released) by the reader
	Drops    map[string]uint64 // by reason; see vale.Reason
	BadRings uint64            // illegal indices seen on any ring of the port (NC D.4)
	Device   map[string]uint64 // the PMD's own counters; nil for VALE ports
}

// Count counts frames and their bytes.
type Count struct{ Frames, Bytes uint64 }

// LcoreStats are the counters of one lcore since the daemon started.
type LcoreStats struct {
	ID, CPU    int
	Mode       string // "adaptive" or "poll"
	Units      int
	Packets    uint64
	BusyCycles uint64 // TSC cycles of polls that moved at least one packet
	IdleCycles uint64 // TSC cycles of polls that moved none
	Sleeps     uint64
	Wakeups    uint64
	Stuck      bool

	SilentUnits  int    // of the units: with one of these the lcore looks by timer
	SleepCycles  uint64 // TSC cycles asleep
	TimerWakeups uint64

	// BusyCycles by the stage of a packet, as far as units tell them apart.
	Stages StageCycles
}

// StageCycles are cycles by the stage of a packet.
type StageCycles struct {
	Poll     uint64 // looking for frames, and taking slots from senders: what is left
	Classify uint64 // reading headers
	Forward  uint64 // learning, looking up, grouping
	Copy     uint64 // to the receivers' rings
	Notify   uint64 // waking clients
}

// RegionStats tell how full a region is.
type RegionStats struct {
	ID            uint16
	Name          string
	Owner         int    // uid of the user whose port or memory made it; -1: it is there to be shared
	Size          uint64 // bytes, netmap's nr_memsize
	If, Ring, Buf PoolStats
	Orphans       uint64 // buffers that a dead client left in no slot and no list
	Lent          uint64 // buffers that devices receive into
	Users         int    // ports living in the region
}

// PoolStats count the objects of one pool.
type PoolStats struct{ Size, Total, Free uint64 }

// Snapshot is everything the statistics service reports, taken together so
// that its numbers agree with each other.
type Snapshot struct {
	Time                  time.Time
	TSCHz                 uint64
	Ports                 []Stats // live ports, then departed ones
	Lcores                []LcoreStats
	Regions               []RegionStats
	Sessions, Descriptors int
}
