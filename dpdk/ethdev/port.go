// Package ethdev drives DPDK's Ethernet devices. Port is the thin layer, with go-dpdk's names; Device is what netmapd uses:
// a hot-plugged device with its own mbuf pool, known descriptors, serialised control and burst input and output by copy.
package ethdev

/*
#cgo pkg-config: libdpdk
#cgo CFLAGS: -O3 -DALLOW_EXPERIMENTAL_API

#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"net"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/mempool"
)

// Port is the number of an Ethernet device. Its methods are single DPDK calls and take no lock.
type Port uint16

// MaxPorts is the number of ports that DPDK can have.
const MaxPorts = C.RTE_MAX_ETHPORTS

// CountAvail is the number of ports that can be used.
func CountAvail() int { return int(C.rte_eth_dev_count_avail()) }

// CountTotal is the number of ports that exist.
func CountTotal() int { return int(C.rte_eth_dev_count_total()) }

// GetPortByName finds a port by its device name, for example "net_null0" or "0000:01:00.0". Error: ENODEV.
func GetPortByName(name string) (Port, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	var id C.uint16_t
	err := eal.Call("rte_eth_dev_get_port_by_name", name, func() int {
		return int(C.rte_eth_dev_get_port_by_name(cname, &id))
	})
	return Port(id), err
}

// call runs one DPDK call on the port and names the device in its error.
func (p Port) call(name string, fn func(C.uint16_t) C.int) error {
	return eal.Call(name, p.String(), func() int { return int(fn(C.uint16_t(p))) })
}

// IsValid tells whether the port exists.
func (p Port) IsValid() bool { return C.rte_eth_dev_is_valid_port(C.uint16_t(p)) != 0 }

// Name is the name of the port's device.
func (p Port) Name() (string, error) {
	var buf [C.RTE_ETH_NAME_MAX_LEN]C.char
	rc := C.rte_eth_dev_get_name_by_port(C.uint16_t(p), &buf[0])
	if rc < 0 {
		return "", eal.Call("rte_eth_dev_get_name_by_port", "", func() int { return int(rc) })
	}
	return C.GoString(&buf[0]), nil
}

// String is the name, or a number for a port that does not exist.
func (p Port) String() string {
	if name, err := p.Name(); err == nil {
		return name
	}
	return "port " + itoa(uint64(p))
}

// Info describes a port's hardware or what stands for it.
type Info struct {
	Driver    string // for example "net_af_packet"
	Bus       string // for example "vdev" or "pci"
	Device    string // the bus's name of the device: a PCI address, or the vdev's name
	Interface string // kernel interface behind it; empty if there is none
	IfIndex   int    // its index in the network namespace of the device; 0 if there is none
	NUMA      int    // NUMA node, -1 if unknown

	MaxRxQueues, MaxTxQueues uint16
	MinMTU, MaxMTU           uint16 // bytes of payload
	MaxRxFrame               uint32 // bytes, with Ethernet header
	MultiSegTx               bool   // takes chained mbufs
	ScatterRx                bool   // spreads a long frame over several buffers
	RSS                      uint64 // hash types, DPDK's RTE_ETH_RSS_* bits

	MaxRxDesc, MaxTxDesc uint16 // descriptors in a queue
	MinRxDesc, MinTxDesc uint16
	RxDesc, TxDesc       uint16 // that the driver recommends; 0: any number
	LinkInterrupt        bool   // tells of link changes
	RemovalInterrupt     bool   // tells when it is removed
}

// driverEM is for Intel's older and smaller gigabit chips.
const driverEM = "net_e1000_em"

// muteLink are drivers that offer an interrupt for link changes which is of no use: their link is read when somebody asks.
// virtio's shares a line that cannot be masked under VFIO, vmxnet3's does not come.
var muteLink = map[string]bool{"net_virtio": true, "net_vmxnet3": true}

// paddedFrom are drivers of chips that fill short frames up to 60 bytes, and hang at those that lack even this many: the
// driver leaves it to its user to hold them back (i40e by rte_eth_tx_prepare, others not even there).
var paddedFrom = map[string]int{driverEM: 17, "net_e1000_igb": 17, "net_igc": 17, "net_i40e": 17}

// MinFrame is the number of bytes of the shortest frame that the device sends.
func (i Info) MinFrame() int { return max(paddedFrom[i.Driver], etherHeader) }

const etherHeader = 14

// InfoGet describes the port.
func (p Port) InfoGet() (Info, error) {
	var c C.struct_netmapd_info
	err := p.call("rte_eth_dev_info_get", func(id C.uint16_t) C.int { return C.netmapd_info_get(id, &c) })
	if err != nil {
		return Info{}, err
	}
	if C.GoString(c.driver) == driverEM {
		// It says two for every chip. The older ones send nothing from the second, and none spreads what it receives.
		c.max_rx_queues, c.max_tx_queues = 1, 1
	}
	info := Info{
		Driver: C.GoString(c.driver), Bus: C.GoString(c.bus), Device: C.GoString(c.device),
		IfIndex: int(c.if_index), NUMA: int(c.numa),
		MaxRxQueues: uint16(c.max_rx_queues), MaxTxQueues: uint16(c.max_tx_queues),
		MinMTU: uint16(c.min_mtu), MaxMTU: uint16(c.max_mtu), MaxRxFrame: uint32(c.max_rx_pktlen),
		MultiSegTx: c.tx_offload_capa&C.RTE_ETH_TX_OFFLOAD_MULTI_SEGS != 0,
		ScatterRx:  c.rx_offload_capa&C.RTE_ETH_RX_OFFLOAD_SCATTER != 0,
		RSS:        uint64(c.rss),
		MaxRxDesc:  uint16(c.max_rx_desc), MaxTxDesc: uint16(c.max_tx_desc),
		MinRxDesc: uint16(c.min_rx_desc), MinTxDesc: uint16(c.min_tx_desc),
		RxDesc: uint16(c.rx_desc), TxDesc: uint16(c.tx_desc),
		LinkInterrupt: c.lsc != 0, RemovalInterrupt: c.rmv != 0,
	}
	if info.IfIndex > 0 {
		if ifi, err := net.InterfaceByIndex(info.IfIndex); err == nil {
			info.Interface = ifi.Name
		}
	}
	return info, nil
}

// DevConf is what DevConfigure asks for.
type DevConf struct {
	RxQueues, TxQueues uint16
	MTU                uint16 // bytes of payload; 0 leaves it as it is
	Scatter            bool   // frames longer than a buffer come in several
}

// DevConfigure sets the number of queues. The only offloads asked for are chained mbufs, on transmit where there are and on
// receive where they are needed, and spreading over the queues by hash where there are several: frames arrive as they were
// on the wire, VLAN tags included. Interrupts for the link and for removal are on where the driver has them.
func (p Port) DevConfigure(cfg DevConf) error {
	info, err := p.InfoGet()
	if err != nil {
		return err
	}
	c := C.struct_netmapd_conf{nrxq: C.uint16_t(cfg.RxQueues), ntxq: C.uint16_t(cfg.TxQueues), mtu: C.uint32_t(cfg.MTU)}
	if info.MultiSegTx {
		c.tx_offloads = C.RTE_ETH_TX_OFFLOAD_MULTI_SEGS
	}
	if cfg.Scatter {
		c.rx_offloads = C.RTE_ETH_RX_OFFLOAD_SCATTER
	}
	c.lsc, c.rmv = C.uint8_t(btoi(info.LinkInterrupt && !muteLink[info.Driver])), C.uint8_t(btoi(info.RemovalInterrupt))
	c.rss = C.uint64_t(info.RSS) & (C.RTE_ETH_RSS_IP | C.RTE_ETH_RSS_TCP | C.RTE_ETH_RSS_UDP)
	return p.call("rte_eth_dev_configure", func(id C.uint16_t) C.int { return C.netmapd_configure(id, &c) })
}

// AdjustDesc brings numbers of descriptors into the limits of the device.
func (p Port) AdjustDesc(rx, tx uint16) (uint16, uint16, error) {
	r, t := C.uint16_t(rx), C.uint16_t(tx)
	err := p.call("rte_eth_dev_adjust_nb_rx_tx_desc", func(id C.uint16_t) C.int {
		return C.rte_eth_dev_adjust_nb_rx_tx_desc(id, &r, &t)
	})
	return uint16(r), uint16(t), err
}

// RxqSetup sets up receive queue qid with nDesc descriptors, taking mbufs from mp.
func (p Port) RxqSetup(qid, nDesc uint16, mp *mempool.Mempool) error {
	return p.call("rte_eth_rx_queue_setup", func(id C.uint16_t) C.int {
		return C.rte_eth_rx_queue_setup(id, C.uint16_t(qid), C.uint16_t(nDesc), C.SOCKET_ID_ANY&0xffffffff, nil,
			(*C.struct_rte_mempool)(mp.Handle()))
	})
}

// TxqSetup sets up transmit queue qid with nDesc descriptors. With each the device reports every frame as done, instead of
// one in a batch of the driver's choice.
func (p Port) TxqSetup(qid, nDesc uint16, each bool) error {
	return p.call("rte_eth_tx_queue_setup", func(id C.uint16_t) C.int {
		return C.netmapd_txq_setup(id, C.uint16_t(qid), C.uint16_t(nDesc), C.uint16_t(btoi(each)))
	})
}

// Start begins receiving and transmitting.
func (p Port) Start() error {
	return p.call("rte_eth_dev_start", func(id C.uint16_t) C.int { return C.rte_eth_dev_start(id) })
}

// Stop ends it.
func (p Port) Stop() error {
	return p.call("rte_eth_dev_stop", func(id C.uint16_t) C.int { return C.rte_eth_dev_stop(id) })
}

// Close frees a stopped port. It cannot be used after.
func (p Port) Close() error {
	return p.call("rte_eth_dev_close", func(id C.uint16_t) C.int { return C.rte_eth_dev_close(id) })
}

// PromiscEnable receives frames for any address.
func (p Port) PromiscEnable() error {
	return p.call("rte_eth_promiscuous_enable", func(id C.uint16_t) C.int { return C.rte_eth_promiscuous_enable(id) })
}

// PromiscDisable receives only what is for the port.
func (p Port) PromiscDisable() error {
	return p.call("rte_eth_promiscuous_disable", func(id C.uint16_t) C.int { return C.rte_eth_promiscuous_disable(id) })
}

// PromiscGet tells whether frames for any address are received.
func (p Port) PromiscGet() bool { return C.rte_eth_promiscuous_get(C.uint16_t(p)) == 1 }

// MACAddr is the port's hardware address.
func (p Port) MACAddr() (net.HardwareAddr, error) {
	var a C.struct_rte_ether_addr
	err := p.call("rte_eth_macaddr_get", func(id C.uint16_t) C.int { return C.rte_eth_macaddr_get(id, &a) })
	if err != nil {
		return nil, err
	}
	return C.GoBytes(unsafe.Pointer(&a.addr_bytes[0]), C.RTE_ETHER_ADDR_LEN), nil
}

// MTU is the largest payload in bytes, as DPDK knows it; for a kernel interface see Device.MTU.
func (p Port) MTU() (uint16, error) {
	var mtu C.uint16_t
	err := p.call("rte_eth_dev_get_mtu", func(id C.uint16_t) C.int { return C.rte_eth_dev_get_mtu(id, &mtu) })
	return uint16(mtu), err
}

// SetMTU changes the largest payload in bytes. For af_packet, af_xdp and tap that is the kernel interface's own MTU.
func (p Port) SetMTU(mtu uint16) error {
	return p.call("rte_eth_dev_set_mtu", func(id C.uint16_t) C.int { return C.rte_eth_dev_set_mtu(id, C.uint16_t(mtu)) })
}

// EthLink is the state of a link.
type EthLink struct {
	Up         bool
	Speed      uint32 // Mbit/s; 0 or 4294967295 if unknown
	FullDuplex bool
	AutoNeg    bool
}

// EthLinkGet reads the link, waiting up to 9 s for a negotiation.
func (p Port) EthLinkGet() (EthLink, error) { return p.link("rte_eth_link_get", 1) }

// EthLinkGetNowait reads the link without waiting.
func (p Port) EthLinkGetNowait() (EthLink, error) { return p.link("rte_eth_link_get_nowait", 0) }

func (p Port) link(call string, wait C.int) (EthLink, error) {
	var l C.struct_netmapd_link
	err := p.call(call, func(id C.uint16_t) C.int { return C.netmapd_link_get(id, wait, &l) })
	return EthLink{Up: l.up != 0, Speed: uint32(l.speed), FullDuplex: l.full_duplex != 0, AutoNeg: l.autoneg != 0}, err
}

// SetLinkUp and SetLinkDown change the link administratively.
func (p Port) SetLinkUp() error {
	return p.call("rte_eth_dev_set_link_up", func(id C.uint16_t) C.int { return C.rte_eth_dev_set_link_up(id) })
}

// SetLinkDown is the opposite of SetLinkUp.
func (p Port) SetLinkDown() error {
	return p.call("rte_eth_dev_set_link_down", func(id C.uint16_t) C.int { return C.rte_eth_dev_set_link_down(id) })
}
