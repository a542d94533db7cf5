package ethdev

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/common"
)

// openFDs are the descriptors of this process and what each refers to (sockets have a number of their own there). A driver
// does not tell which ones it opened, so we compare before and after; the number alone could have been used again meanwhile.
func openFDs() map[int]string {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	fds := make(map[int]string, len(dir))
	for _, e := range dir {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			fds[fd] = fdTarget(fd)
		}
	}
	return fds
}

// newPacketSockets are the packet sockets on an interface that were opened since before was taken. Another part of the
// process may open descriptors at the same time; one on the same interface is the only kind that could be mistaken.
func newPacketSockets(before map[int]string, ifindex int) []int {
	return newFDs(before, func(fd int, _ string) bool {
		if domain(fd) != unix.AF_PACKET {
			return false
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			return false
		}
		ll, ok := sa.(*unix.SockaddrLinklayer)
		return ok && ll.Ifindex == ifindex
	})
}

// newQueueFDs are the descriptors of queues that were opened since before was taken: AF_XDP sockets and queues of a tap.
func newQueueFDs(before map[int]string) []int {
	return newFDs(before, func(fd int, target string) bool {
		return target == "/dev/net/tun" || domain(fd) == unix.AF_XDP
	})
}

func newFDs(before map[int]string, keep func(fd int, target string) bool) []int {
	var fds []int
	for fd, target := range openFDs() {
		if before[fd] != target && keep(fd, target) {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	return fds
}

// domain is the address family of a socket, -1 if fd is none.
func domain(fd int) int {
	d, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return -1
	}
	return d
}

// filterSockets makes the device's packet sockets deliver what netmap would: frames that come in, whole.
//
// A packet socket also sees what the host sends. PACKET_IGNORE_OUTGOING exists for that but does nothing here, because the
// driver has put its sockets in a fanout group, whose own setting counts instead (tried). And a frame longer than a slot of
// the driver's ring would be cut silently. A socket filter drops both, and what has the mark HostMark.
func (d *Device) filterSockets() error {
	if d.info.Driver != driverAFPacket {
		return nil
	}
	prog, err := bpf.Assemble(packetFilter(uint32(frameSize(d.devargs)) - slotOverhead))
	if err != nil {
		return &common.Error{Call: "socket filter", Device: d.name, Detail: err.Error()}
	}
	filter := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		filter[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	for _, fd := range d.sockets {
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog); err != nil {
			return &common.Error{Call: "setsockopt SO_ATTACH_FILTER", Device: d.name, Errno: errno(err)}
		}
	}
	return nil
}

// slotOverhead is what the kernel keeps of a ring slot of packet socket version 2 in front of an Ethernet frame.
const slotOverhead = 66

// HostMark is the socket mark of frames that are given to the host as if an interface had received them. They did not come
// in there, so its packet sockets leave them alone. The value is any that nobody else is likely to use.
const HostMark = 0x6e6d6864

// packetFilter accepts incoming frames of up to maxLen bytes.
func packetFilter(maxLen uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtMark},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: HostMark, SkipTrue: 5},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 3},
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: maxLen, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 18},
		bpf.RetConstant{Val: 0},
	}
}

func errno(err error) unix.Errno {
	if e, ok := err.(unix.Errno); ok { //nolint:errorlint // x/sys returns it bare
		return e
	}
	return 0
}
