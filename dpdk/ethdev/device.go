package ethdev

/*
#include <stdlib.h>
#include <rte_dev.h>
#include "burst.h"
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/common"
	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/mbuf"
	"github.com/netmapd/netmapd/dpdk/mempool"
)

// Device is a device that was plugged in with Attach.
//
// Its life is Attach, Configure, Start, Stop, Close. Control methods may be called from any goroutine; RxBurst and TxBurst
// only by the lcore that owns the queue, between Start and Stop. Whoever stops a device makes sure that its lcores have
// let go of it before.
//
// A device of a kernel interface lives in the network namespace of the thread that attached it, and its driver looks the
// interface up again when it is configured and closed: do that in the same namespace.
type Device struct {
	name    string
	devargs string
	h       C.uintptr_t // of c, for the burst calls
	c       *C.struct_netmapd_dev

	mu      sync.Mutex
	state   devState
	port    Port
	info    Info
	cfg     Config
	pool    *mempool.Mempool
	sockets []int
	left    leftovers
	promisc bool // we switched it on
}

type devState int

const (
	attached devState = iota
	configured
	started
	stoppedDev
	failed // half configured: it can only be closed
	closedDev
)

func (s devState) String() string {
	return [...]string{"attached", "configured", "started", "stopped", "half configured", "closed"}[s]
}

// plug serialises what changes the set of devices or of descriptors: DPDK wants it, and so do we, to tell by the
// difference which ones a driver made.
var plug sync.Mutex

// The kernel frees the queue of a closed XDP socket a little later (10 to 50 ms here), and until then nobody can bind to
// it. The driver cannot be asked to try again, because a failed try leaves its rings unusable.
const xdpGrace = 200 * time.Millisecond

// xdpClosed is when the last XDP socket was closed. Guarded by plug.
var xdpClosed time.Time

// poolSeq numbers the pools: a name must not come again while an old pool of it could still be there.
var poolSeq atomic.Uint32

// Attach plugs in the device that devargs describe, for example "net_null0,size=60", "net_tap0,iface=dtap0" or a PCI
// address, and returns it unconfigured. For kernel interfaces InterfaceDevargs makes the string.
//
// Errors: EEXIST if the name is taken, ENODEV if no driver wants it, EINVAL for bad parameters, with what the driver logged.
func Attach(devargs string) (*Device, error) {
	name, _, _ := strings.Cut(devargs, ",")
	if err := eal.Started("rte_dev_probe", devargs); err != nil {
		return nil, err
	}
	plug.Lock()
	defer plug.Unlock()
	if _, err := GetPortByName(name); err == nil {
		return nil, common.New("rte_dev_probe", devargs, int(syscall.EEXIST), "a device of this name is attached")
	}
	if addr, ok := PCIAddress(devargs); ok {
		if err := checkPCI(sysPCI, addr); err != nil {
			return nil, err
		}
	}
	fdsBefore := openFDs()
	port, err := probe(devargs)
	if err != nil {
		return nil, err
	}
	d := &Device{name: name, devargs: devargs, port: port}
	if d.info, err = port.InfoGet(); err == nil {
		d.sockets = newPacketSockets(fdsBefore, d.info.IfIndex)
		err = d.filterSockets()
	}
	if err != nil {
		_ = detach(port) // the first error says more
		return nil, err
	}
	d.c = (*C.struct_netmapd_dev)(C.calloc(1, C.sizeof_struct_netmapd_dev))
	d.c.port = C.uint16_t(port)
	d.h = C.uintptr_t(uintptr(unsafe.Pointer(d.c)))
	live[d] = true
	return d, nil
}

// probe plugs a device in and finds the port that this made.
func probe(devargs string) (Port, error) {
	cargs := C.CString(devargs)
	defer C.free(unsafe.Pointer(cargs))
	before := ports()
	if err := eal.Call("rte_dev_probe", devargs, func() int { return int(C.rte_dev_probe(cargs)) }); err != nil {
		err = explain(err, devargs)
		if addr, ok := PCIAddress(devargs); ok {
			err = explainPCI(err, sysPCI, addr)
		}
		return 0, err
	}
	after := ports()
	for id := range Port(MaxPorts) {
		if after[id/64]&^before[id/64]>>(id%64)&1 == 1 {
			return id, nil
		}
	}
	return 0, common.New("rte_dev_probe", devargs, int(syscall.ENODEV), "the device was taken but made no Ethernet port")
}

const portWords = (MaxPorts + 63) / 64

func ports() (words [portWords]uint64) {
	C.netmapd_ports((*C.uint64_t)(unsafe.Pointer(&words[0])))
	return words
}

func detach(p Port) error {
	return p.call("rte_dev_remove", func(id C.uint16_t) C.int { return C.netmapd_detach(id) })
}

// Config is how a device is set up. Zero values mean the default.
type Config struct {
	RxQueues, TxQueues uint16 // default 1
	RxDesc, TxDesc     uint16 // descriptors per queue, default 1024; brought into the device's limits
	MTU                uint16 // bytes of payload, default: as it is
	Promiscuous        bool   // receive frames for any address
	BufSize            uint16 // data bytes of an mbuf, default 2048 or what the device needs
	Bufs               uint32 // mbufs of the device's pool, default: what the queues can hold and four bursts of 256 each

	// Pinned, if set, is what the receive queues are filled from instead of the device's pool: see NewZeroRx.
	Pinned *mempool.Pinned
	// TxEach has the device report every transmitted frame: see NewZeroTx.
	TxEach bool
}

// deepestQueue is what a driver may keep in a queue whatever the number of descriptors: af_xdp always fills 2048.
const deepestQueue = 2048

func (c Config) withDefaults(d *Device) Config {
	c.RxQueues, c.TxQueues = orDefault(c.RxQueues, 1), orDefault(c.TxQueues, 1)
	c.RxDesc, c.TxDesc = orDefault(c.RxDesc, 1024), orDefault(c.TxDesc, 1024)
	c.BufSize = orDefault(c.BufSize, max(mbuf.DefaultDataRoom, min(frameSize(d.devargs), mbuf.MaxDataRoom)))
	if c.Bufs == 0 {
		rx, tx := uint32(max(c.RxDesc, deepestQueue))+512, uint32(c.TxDesc)+512
		c.Bufs = uint32(c.RxQueues)*rx + uint32(c.TxQueues)*tx
	}
	return c
}

func orDefault(v, def uint16) uint16 {
	if v == 0 {
		return def
	}
	return v
}

// Configure gives a device its queues and its pool of mbufs. It can be done once.
func (d *Device) Configure(cfg Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.want("configure", attached); err != nil {
		return err
	}
	plug.Lock() // drivers open sockets in here
	defer plug.Unlock()
	cfg = cfg.withDefaults(d)
	if cfg.RxQueues > d.info.MaxRxQueues || cfg.TxQueues > d.info.MaxTxQueues {
		return common.New("configure", d.name, int(syscall.EINVAL),
			fmt.Sprintf("%d receive and %d transmit queues were asked for, the device has %d and %d",
				cfg.RxQueues, cfg.TxQueues, d.info.MaxRxQueues, d.info.MaxTxQueues))
	}
	if d.info.Driver == driverAFXDP {
		time.Sleep(time.Until(xdpClosed.Add(xdpGrace)))
	}
	fdsBefore := openFDs()
	err := d.setup(&cfg)
	d.sockets = append(d.sockets, newQueueFDs(fdsBefore)...)
	d.left = newLeftovers(fdsBefore)
	d.cfg, d.state = cfg, configured
	if err == nil {
		err = d.measure()
	}
	if err != nil {
		d.state = failed
	}
	return err
}

func (d *Device) setup(cfg *Config) (err error) {
	conf := DevConf{RxQueues: cfg.RxQueues, TxQueues: cfg.TxQueues}
	if d.isPCI() {
		conf.MTU = cfg.MTU
	}
	conf.Scatter = d.info.ScatterRx && int(cfg.MTU)+frameOverhead > int(cfg.BufSize)
	if err = d.port.DevConfigure(conf); err != nil {
		return err
	}
	if cfg.RxDesc, cfg.TxDesc, err = d.port.AdjustDesc(cfg.RxDesc, cfg.TxDesc); err != nil {
		return err
	}
	if cfg.MTU != 0 {
		if err = d.port.SetMTU(cfg.MTU); err != nil && !(d.isPCI() && errors.Is(err, syscall.ENOTSUP)) {
			return err
		}
	}
	cache := min(256, cfg.Bufs/4, mempool.MaxCache)
	pool := fmt.Sprintf("netmapd%d", poolSeq.Add(1))
	d.pool, err = mempool.CreateMbufPool(pool, cfg.Bufs, cfg.BufSize+mbuf.Headroom, mempool.OptCacheSize(cache))
	if err != nil {
		return fmt.Errorf("mbufs of %s: %w", d.name, err)
	}
	receive := d.pool
	if cfg.Pinned != nil {
		receive = cfg.Pinned.Pool()
	}
	for q := range cfg.RxQueues {
		if err = d.port.RxqSetup(q, cfg.RxDesc, receive); err != nil {
			return err
		}
	}
	for q := range cfg.TxQueues {
		if err = d.port.TxqSetup(q, cfg.TxDesc, cfg.TxEach); err != nil {
			return err
		}
	}
	return nil
}

// isPCI tells whether the device is hardware, or looks like it.
func (d *Device) isPCI() bool { return d.info.Bus == "pci" }

// frameOverhead is what a frame has beside its payload: an Ethernet header, a VLAN tag, a checksum.
const frameOverhead = C.RTE_ETHER_HDR_LEN + C.RTE_VLAN_HLEN + C.RTE_ETHER_CRC_LEN

// measure tells the burst functions what the device takes. A frame that is too long must not reach a driver: tap would
// stop at it for ever.
func (d *Device) measure() error {
	mtu, err := d.mtu()
	if err != nil {
		return err
	}
	d.c.pool = (*C.struct_rte_mempool)(d.pool.Handle())
	d.c.room = C.uint16_t(d.cfg.BufSize)
	d.c.max_frame = C.uint32_t(mtu) + C.RTE_ETHER_HDR_LEN + C.RTE_VLAN_HLEN
	d.c.max_segs = 1
	if d.cfg.Pinned != nil {
		d.c.pinned = d.cfg.Pinned.Pool().Handle()
	}
	d.c.at_once = C.bool(d.ZeroCopy().AtOnce)
	if d.cfg.TxEach {
		d.c.sent = (*C.uint32_t)(C.calloc(C.size_t(d.cfg.TxQueues), C.sizeof_uint32_t))
	}
	if d.info.MultiSegTx || d.info.Driver == "net_ring" || d.info.Driver == "net_null" {
		d.c.max_segs = maxChain // these two pass or drop mbufs without looking at them
	}
	return nil
}

// Start begins receiving and transmitting. What reached the device before is thrown away.
func (d *Device) Start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.want("start", configured, stoppedDev); err != nil {
		return err
	}
	if d.state == stoppedDev && d.info.Driver == driverAFPacket {
		return common.New("rte_eth_dev_start", d.name, int(syscall.EBADF),
			"af_packet closes its sockets when it is stopped: close the device and attach it again")
	}
	if err := d.port.Start(); err != nil {
		return err
	}
	if d.cfg.Promiscuous && !d.promisc {
		if err := d.port.PromiscEnable(); err != nil {
			_ = d.port.Stop() // the first error says more
			return err
		}
		d.promisc = true
	}
	d.state = started
	if d.info.Driver == driverAFPacket {
		d.drain() // its ring runs since Attach, and was not filtered from the first moment
	}
	return nil
}

// drain throws away what waits in the receive queues, within the size of the pool: net_null never ends.
func (d *Device) drain() {
	for q := range d.cfg.RxQueues {
		C.netmapd_drain(C.uint16_t(d.port), C.uint16_t(q), C.uint32_t(d.pool.Size()))
	}
}

// Stop ends receiving and transmitting. The lcores must not use the device any more.
func (d *Device) Stop() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.want("stop", started); err != nil {
		return err
	}
	return d.stop()
}

func (d *Device) stop() error {
	d.drain() // mbufs that wait in a software ring would be missing in the pool
	if d.promisc {
		// The setting may be the kernel interface's own; leave it as we found it.
		if err := d.port.PromiscDisable(); err == nil {
			d.promisc = false
		}
	}
	if err := d.port.Stop(); err != nil {
		return err
	}
	d.state = stoppedDev
	if d.info.Driver == driverAFPacket {
		d.sockets = nil // closed by the driver, and their numbers may come again
	}
	return nil
}

// Restart stops a started device and starts it again, as a device that has to be reset wants it.
func (d *Device) Restart() error {
	if err := d.Stop(); err != nil {
		return err
	}
	return d.Start()
}

// Close stops the device if it runs, and unplugs it; its sockets and memory are freed. It fails with EBUSY while a receive
// batch holds mbufs of the device. Closing a closed device does nothing.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == closedDev {
		return nil
	}
	if n := atomic.LoadUint32((*uint32)(&d.c.held)); n > 0 {
		return common.New("rte_dev_remove", d.name, int(syscall.EBUSY),
			fmt.Sprintf("receive batches hold %d of its frames: reset them first", n))
	}
	if d.state == started {
		if err := d.stop(); err != nil {
			return err
		}
	}
	plug.Lock()
	defer plug.Unlock()
	fdsBefore := openFDs()
	err := detach(d.port)
	if d.port.IsValid() {
		return err // still there, and with it its pool
	}
	if d.info.Driver == driverAFXDP {
		d.left.close()
		newLeftovers(fdsBefore).close()
		xdpClosed = time.Now()
	}
	d.state, d.sockets = closedDev, nil
	lent := bool(d.c.lent)
	C.free(unsafe.Pointer(d.c.sent))
	C.free(unsafe.Pointer(d.c))
	d.c, d.h = nil, 0
	delete(live, d)
	bury(d.pool, lent)
	return err
}

// live are the devices that are attached, and graveyard the pools of closed ones whose mbufs others may have, to be sent.
// Both are guarded by plug.
var (
	live      = map[*Device]bool{}
	graveyard []grave
)

// grave is a pool that waits for its mbufs.
type grave struct {
	pool    *mempool.Mempool
	holders map[*Device]bool // devices that may have some
}

// bury frees a pool: at once, unless other devices were lent mbufs of it, and else when all are back, or all those devices
// are closed. The count of mbufs alone does not tell: some drivers keep a few for good.
func bury(pool *mempool.Mempool, lent bool) {
	if pool != nil {
		g := grave{pool: pool}
		if lent {
			g.holders = maps.Clone(live)
		}
		graveyard = append(graveyard, g)
	}
	graveyard = slices.DeleteFunc(graveyard, func(g grave) bool {
		maps.DeleteFunc(g.holders, func(d *Device, _ bool) bool { return !live[d] })
		return (len(g.holders) == 0 || g.pool.InUseCount() == 0) && g.pool.Free() == nil
	})
}

// Detach is Close.
func (d *Device) Detach() error { return d.Close() }

// want fails with EINVAL unless the device is in one of the states.
func (d *Device) want(what string, states ...devState) error {
	var names []string
	for _, s := range states {
		if d.state == s {
			return nil
		}
		names = append(names, s.String())
	}
	return common.New(what, d.name, int(syscall.EINVAL),
		fmt.Sprintf("the device is %v, it must be %s", d.state, strings.Join(names, " or ")))
}

// Name is the name of the device, for example "net_null0".
func (d *Device) Name() string { return d.name }

// Devargs is the string that Attach was given.
func (d *Device) Devargs() string { return d.devargs }

// Port is the number of the device.
func (d *Device) Port() Port { return d.port }

// Info describes the device as it was attached.
func (d *Device) Info() Info { return d.info }

// Config is the configuration in effect, with the defaults filled in.
func (d *Device) Config() Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg
}

// Pool is the device's pool of mbufs, nil before Configure.
func (d *Device) Pool() *mempool.Mempool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pool
}

// Sockets are the descriptors that become readable when a frame waits: AF_PACKET and AF_XDP sockets, and the queues of a
// tap. They are complete after Configure, belong to the driver, and are closed by Stop or Close: take them out of an epoll
// set before. An empty answer means that the device can only be polled.
func (d *Device) Sockets() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]int(nil), d.sockets...)
}

// FillPool writes frame into every mbuf of the device: see mempool.Fill. Call it between Configure and Start.
func (d *Device) FillPool(frame []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.want("fill the pool", configured, stoppedDev); err != nil {
		return err
	}
	return d.pool.Fill(frame)
}

// use runs fn on the port unless the device is closed.
func use[T any](d *Device, call string, fn func(Port) (T, error)) (T, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == closedDev {
		var zero T
		return zero, common.New(call, d.name, int(syscall.ENODEV), "the device was closed")
	}
	return fn(d.port)
}

// Stats reads the counters that every driver has.
func (d *Device) Stats() (GoStats, error) { return use(d, "rte_eth_stats_get", Port.StatsGet) }

// Xstats reads the counters of the driver.
func (d *Device) Xstats() ([]Xstat, error) { return use(d, "rte_eth_xstats_get", Port.XstatsGet) }

// Link reads the link without waiting.
func (d *Device) Link() (EthLink, error) {
	return use(d, "rte_eth_link_get_nowait", Port.EthLinkGetNowait)
}

// MAC is the hardware address.
func (d *Device) MAC() (net.HardwareAddr, error) { return use(d, "rte_eth_macaddr_get", Port.MACAddr) }

// MTU is the largest payload in bytes: the kernel interface's where there is one, else as DPDK knows it.
func (d *Device) MTU() (uint16, error) {
	return use(d, "rte_eth_dev_get_mtu", func(Port) (uint16, error) { return d.mtu() })
}

// MaxMTU is the largest payload that the device was set up to carry: af_packet's ring slots, say, may be smaller than the
// frames of the interface, and such frames are lost without a count.
func (d *Device) MaxMTU() int {
	if d.info.Driver == driverAFPacket {
		return int(frameSize(d.devargs)) - slotOverhead - C.RTE_ETHER_HDR_LEN
	}
	return int(d.info.MaxMTU)
}

func (d *Device) mtu() (uint16, error) {
	if d.info.IfIndex > 0 {
		if ifi, err := net.InterfaceByIndex(d.info.IfIndex); err == nil {
			return uint16(min(ifi.MTU, 0xffff)), nil
		}
	}
	return d.port.MTU()
}

// Promiscuous switches the receiving of frames for any address on or off.
func (d *Device) Promiscuous(on bool) error {
	_, err := use(d, "rte_eth_promiscuous_enable", func(p Port) (struct{}, error) {
		if d.cfg.Promiscuous = on; d.state != started {
			return struct{}{}, nil // Start does it
		}
		d.promisc = on
		if on {
			return struct{}{}, p.PromiscEnable()
		}
		return struct{}{}, p.PromiscDisable()
	})
	return err
}
