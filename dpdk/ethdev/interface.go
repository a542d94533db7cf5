package ethdev

import (
	"fmt"
	"math/bits"
	"net"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/common"
)

// Drivers of kernel interfaces.
const (
	driverAFPacket = "net_af_packet"
	driverAFXDP    = "net_af_xdp"
)

// afPacketFrame is the size of a slot of the packet socket's ring: a frame of up to 1982 bytes and what the kernel keeps
// with it. The driver copies a slot into one mbuf, so this is also the size of mbuf it needs.
const afPacketFrame = 2048

// afPacketBlock is the size of the pieces that the ring is made of.
const afPacketBlock = 64 << 10

var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.@-]+$`)

// InterfaceDevargs describes a kernel interface for Attach. driver is "af_packet" or "af_xdp", with or without "net_";
// queues and slots (the frames that a receive queue can hold, rounded up to a power of 2) may be 0 for 1 and 1024.
//
// Both copy. With af_packet the host goes on seeing the frames; frames longer than 1982 bytes are dropped, so switch off
// the offloads that merge segments (GRO, and TSO and GSO on a veth's peer). With af_xdp the host does not see them, and the
// interface's MTU must be below about 3500 bytes; its slots are fixed by the driver.
func InterfaceDevargs(driver, ifname string, queues, slots int) (string, error) {
	if len(ifname) >= unix.IFNAMSIZ || !interfaceName.MatchString(ifname) {
		return "", fmt.Errorf("ethdev: interface name %q: want 1 to %d of the characters A-Z a-z 0-9 _ . @ -", ifname, unix.IFNAMSIZ-1)
	}
	queues = max(queues, 1)
	if slots <= 0 {
		slots = 1024
	}
	slots = 1 << bits.Len(uint(max(slots, afPacketBlock/afPacketFrame)-1))
	driver = "net_" + strings.TrimPrefix(driver, "net_")
	switch driver {
	case driverAFPacket:
		// qdisc_bypass: what we send is not the host's, so the hooks and queues of the host's traffic control are not for it.
		return fmt.Sprintf("%s_%s,iface=%s,qpairs=%d,blocksz=%d,framesz=%d,framecnt=%d,qdisc_bypass=1",
			driver, ifname, ifname, queues, afPacketBlock, afPacketFrame, slots), nil
	case driverAFXDP:
		// force_copy: we copy anyhow, and zero copy does not work on every interface. busy_budget=0: busy polling would cost a
		// system call for every empty poll, and our lcores sleep on the socket instead.
		return fmt.Sprintf("%s_%s,iface=%s,start_queue=0,queue_count=%d,force_copy=1,busy_budget=0",
			driver, ifname, ifname, queues), nil
	}
	return "", fmt.Errorf("ethdev: driver %q of interface %s: want af_packet or af_xdp", driver, ifname)
}

// frameSize is the slot size in the devargs of an af_packet device, or its default; for others it is 2048 too.
func frameSize(devargs string) uint16 {
	for arg := range strings.SplitSeq(devargs, ",") {
		if v, ok := strings.CutPrefix(arg, "framesz="); ok {
			if n, err := strconv.ParseUint(v, 10, 16); err == nil && n > slotOverhead {
				return uint16(n)
			}
		}
	}
	return afPacketFrame
}

// explain makes the error of a device that could not be attached name the cause where DPDK does not.
func explain(err error, devargs string) error {
	e, ok := err.(*common.Error) //nolint:errorlint // made by eal.Call just now
	if !ok {
		return err
	}
	switch {
	case e.Errno == unix.EFAULT:
		e.Errno = unix.ENODEV // what DPDK means when no bus or driver knows the name
	case e.Errno == unix.EPERM && !strings.Contains(e.Detail, unix.EPERM.Error()) && !strings.Contains(e.Detail, "Operation not permitted"):
		e.Errno = 0 // drivers return -1 for any failure, and the log has the cause
		if _, params, some := strings.Cut(devargs, ","); some {
			e.Errno = unix.EINVAL
			e.Detail = strings.TrimPrefix(e.Detail+"; is anything wrong with its parameters "+params+"?", "; ")
		}
	}
	if !strings.HasPrefix(devargs, driverAFPacket) && !strings.HasPrefix(devargs, driverAFXDP) {
		return err
	}
	for arg := range strings.SplitSeq(devargs, ",") {
		if name, ok := strings.CutPrefix(arg, "iface="); ok {
			if _, err := net.InterfaceByName(name); err != nil {
				e.Errno = unix.ENODEV
				e.Detail = strings.TrimPrefix(e.Detail+"; no interface "+name+" in this network namespace", "; ")
			}
		}
	}
	return e
}
