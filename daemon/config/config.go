// Package config is the configuration of netmapd: typed, versioned, and refused
// as a whole, with every problem at once, before anything is touched.
//
// The structs below are the schema. Their tags name the keys and limit the
// values; configs/default.yaml holds the defaults and the text for people. So a
// new key is one field with its tags, and one commented line in that file; its
// flag and its environment variable follow from both.
//
// Layers, weakest first: the embedded default, the file, the environment
// (NETMAPD_LOG_LEVEL for log.level), flags (--log-level). Lists of sections come
// from the file only.
//
// Version history: 1, the first.
package config

import (
	"encoding/hex"
	"time"
)

// Version is the version of the schema that this package reads.
const Version = 1

// What the keys with a choice can say.
const (
	ModeAdaptive = "adaptive" // Lcore.Mode: sleeps when idle
	ModePoll     = "poll"     // Lcore.Mode: never sleeps

	Auto    = "auto"    // DPDK.Hugepages, Interfaces.Open, drivers: what works
	Never   = "never"   // DPDK.Hugepages, Interfaces.Open
	Require = "require" // DPDK.Hugepages: fail without

	KindInterface  = "interface"  // Port.Kind: a kernel interface
	KindDevice     = "device"     // Port.Kind: a DPDK device
	KindPersistent = "persistent" // Port.Kind: a VALE port that stays

	DriverAFXDP    = "af_xdp"    // drivers for kernel interfaces
	DriverAFPacket = "af_packet" // drivers for kernel interfaces
)

// Config is the configuration as it holds after all layers.
//
// Tags: oneof and range limit a value; required and default (for the elements
// of lists, which the embedded default cannot give) say what happens without it.
type Config struct {
	Version    int        `mapstructure:"version"`
	RuntimeDir string     `mapstructure:"runtime-dir"` // for rundir.Resolve, which knows what "" means
	Log        Log        `mapstructure:"log"`
	Lcores     []Lcore    `mapstructure:"lcores"` // see ResolveLcores for what none means
	DPDK       DPDK       `mapstructure:"dpdk"`
	Interfaces Interfaces `mapstructure:"interfaces"`
	Memory     Memory     `mapstructure:"memory"`
	Ports      []Port     `mapstructure:"ports"`
	Switches   []Switch   `mapstructure:"switches"`
	Limits     Limits     `mapstructure:"limits"`
	Access     Access     `mapstructure:"access"`
	Control    Control    `mapstructure:"control"`
	Metrics    Metrics    `mapstructure:"metrics"`
	Telemetry  Telemetry  `mapstructure:"telemetry"`

	origins origins
}

// Log says what is logged and how.
type Log struct {
	Level  string `mapstructure:"level" oneof:"debug info warn error"`
	Format string `mapstructure:"format" oneof:"text json"`
}

// Lcore is a thread that moves packets.
type Lcore struct {
	CPU  int           `mapstructure:"cpu" range:"0..4095" required:"true"`
	Mode string        `mapstructure:"mode" oneof:"adaptive poll" default:"adaptive"`
	Spin time.Duration `mapstructure:"spin" range:"0s..1s" default:"50us"` // polling without work before sleeping
}

// DPDK says what of the machine DPDK may use.
type DPDK struct {
	Hugepages string   `mapstructure:"hugepages" oneof:"auto never require"`
	MemoryMB  int      `mapstructure:"memory-mb" range:"64..1048576"` // for DPDK's own pools
	PCI       bool     `mapstructure:"pci"`                           // whether it looks for PCI devices
	ExtraArgs []string `mapstructure:"extra-args"`                    // EAL arguments behind the planned ones
}

// Interfaces says what happens when a program opens netmap:NAME and NAME is a
// kernel interface that is no configured port (NC E.3).
type Interfaces struct {
	Open   string   `mapstructure:"open" oneof:"auto never"`
	Allow  []string `mapstructure:"allow"` // patterns of path.Match; none means nothing may be opened
	Driver string   `mapstructure:"driver" oneof:"auto af_xdp af_packet"`
}

// Memory describes the regions.
type Memory struct {
	Global Region `mapstructure:"global"` // the region with memory id 1 (NC A.11)

	// Users, by name or uid, whose own VALE ports get hugepages: whoever maps
	// such memory can make the daemon's next access to it a fault.
	HugepageUsers []string `mapstructure:"hugepage-users"`

	Regions []NamedRegion `mapstructure:"regions"` // memory ids 2, 3, ...
}

// NamedRegion is a region beside the global one, for ports that are to share
// buffers with each other and with nobody else. Its numbers are those of Region.
type NamedRegion struct {
	Name  string   `mapstructure:"name" required:"true"`
	Ports []string `mapstructure:"ports"` // which live in it: patterns of path.Match; the first region that matches
	Users []string `mapstructure:"users"` // by name or uid, who may use it; none means everybody

	IfNum     int  `mapstructure:"if-num" range:"10..10000" default:"100"`
	RingNum   int  `mapstructure:"ring-num" range:"2..1024" default:"200"`
	RingSize  int  `mapstructure:"ring-size" range:"256..131072" default:"36864"`
	BufNum    int  `mapstructure:"buf-num" range:"4..1000000" default:"163840"`
	BufSize   int  `mapstructure:"buf-size" range:"64..65536" default:"2048"`
	Hugepages bool `mapstructure:"hugepages" default:"false"`
}

// Region is the geometry of a region, with the limits of NC A.10.
type Region struct {
	IfNum    int `mapstructure:"if-num" range:"10..10000"`
	RingNum  int `mapstructure:"ring-num" range:"2..1024"`
	RingSize int `mapstructure:"ring-size" range:"256..131072"` // bytes
	BufNum   int `mapstructure:"buf-num" range:"4..1000000"`
	BufSize  int `mapstructure:"buf-size" range:"64..65536"` // bytes

	// Hugepages has the region consist of them, which NICs need where there is no
	// IOMMU: who maps it can make the daemon's next access to it a fault.
	Hugepages bool `mapstructure:"hugepages"`
}

// Port is a port that exists from the start.
type Port struct {
	Name    string `mapstructure:"name" required:"true"` // programs open netmap:NAME
	Kind    string `mapstructure:"kind" oneof:"interface device persistent" required:"true"`
	Ifname  string `mapstructure:"ifname"` // KindInterface; never empty after Load
	Driver  string `mapstructure:"driver" oneof:"auto af_xdp af_packet" default:"auto"`
	Devargs string `mapstructure:"devargs"`                           // KindDevice: "net_null0,size=60"
	Rings   int    `mapstructure:"rings" range:"0..64" default:"0"`   // per direction; 0 is 1, or what hardware has
	Slots   int    `mapstructure:"slots" range:"0..8176" default:"0"` // per ring; 0 is 1024, or of a device what its queues have
	MTU     int    `mapstructure:"mtu" range:"0..65535" default:"0"`  // KindDevice; 0 leaves it as it is
	Fill    string `mapstructure:"fill"`                              // KindDevice: a frame in hexadecimal digits, for net_null
	Host    string `mapstructure:"host"`                              // KindDevice, KindPersistent: its interface in the host
	Unbound string `mapstructure:"unbound" oneof:"host drop" default:"host"`
}

// Switch is a switch that exists from the start.
type Switch struct {
	Name  string   `mapstructure:"name" required:"true"`
	Ports []string `mapstructure:"ports"` // names of configured ports or of kernel interfaces; NAME* has its host rings there too

	Ageing  time.Duration   `mapstructure:"ageing" range:"0s..1000000s" default:"300s"` // of silent addresses; 0s: never
	Compat  bool            `mapstructure:"compat" default:"false"`                     // a table like netmap's (NC E.5.1)
	Static  []StaticAddress `mapstructure:"static"`
	Options []PortOptions   `mapstructure:"options"`
}

// StaticAddress pins an address to a port of its switch.
type StaticAddress struct {
	MAC  string `mapstructure:"mac" required:"true"`
	Port string `mapstructure:"port" required:"true"`
}

// PortOptions is what a port of a switch may do.
type PortOptions struct {
	Port       string `mapstructure:"port" required:"true"`
	Learning   bool   `mapstructure:"learning" default:"true"`
	FloodLimit int    `mapstructure:"flood-limit" range:"0..1000000000" default:"0"` // frames a second; 0: any number
}

// Limits bound what clients can take.
type Limits struct {
	DescriptorsPerUID int           `mapstructure:"descriptors-per-uid" range:"1..1000000"`
	ExtraBufsPerUID   int           `mapstructure:"extra-bufs-per-uid" range:"1..1000000000"`
	MemoryMBPerUID    int           `mapstructure:"memory-mb-per-uid" range:"1..1073741824"` // regions of one user's own
	SessionsPerUID    int           `mapstructure:"sessions-per-uid" range:"1..1000000"`
	Sessions          int           `mapstructure:"sessions" range:"1..1000000"`
	ControlTimeout    time.Duration `mapstructure:"control-timeout" range:"10ms..10m"` // a control operation waiting for an lcore
}

// Access says who, beside root and the user that netmapd runs as, may do what.
type Access struct {
	Group string `mapstructure:"group"` // may connect to the sockets; "" for nobody else
	Rules []Rule `mapstructure:"rules"`

	// SeparateUsers keeps different users of one pipe out of each other's memory.
	SeparateUsers bool `mapstructure:"separate-users"`
}

// Rule grants what May lists to each of Who.
type Rule struct {
	Who   []string `mapstructure:"who" required:"true"` // users, "@" and a group, "cert:" and a common name
	May   []string `mapstructure:"may" required:"true"` // view, attach, monitor, administer
	Ports []string `mapstructure:"ports"`               // patterns of path.Match; none means all
}

// Control is the API's listener beside the Unix socket.
type Control struct {
	Listen      string `mapstructure:"listen"`      // host:port, "" for none
	Certificate string `mapstructure:"certificate"` // PEM file
	Key         string `mapstructure:"key"`         // PEM file
	ClientCA    string `mapstructure:"client-ca"`   // PEM file: who signs the certificates of clients
}

// Metrics is where Prometheus finds the counters.
type Metrics struct {
	Listen  string `mapstructure:"listen"`  // unix:PATH or a loopback host:port, "" for nowhere
	Profile bool   `mapstructure:"profile"` // Go's profiles there too
}

// Telemetry is where spans of the API's calls go.
type Telemetry struct {
	Endpoint string `mapstructure:"endpoint"` // unix:PATH, http:// or https://HOST:PORT, "" for nowhere
}

// Where says where the value of a key was set, for messages about it:
// "netmapd.yaml:12", "NETMAPD_LOG_LEVEL", "--log-level" or "the default". Keys
// are written as in messages: "log.level", "ports[1].driver".
func (c *Config) Where(key string) string { return c.origins.of(key).String() }

// FillBytes is Fill decoded; what is no hexadecimal number is nothing.
func (p *Port) FillBytes() string {
	b, err := hex.DecodeString(p.Fill)
	if err != nil {
		return ""
	}
	return string(b)
}
