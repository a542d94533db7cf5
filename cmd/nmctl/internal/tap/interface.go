package tap

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// openInterface makes a tap in the network namespace of the calling thread, or opens one that an administrator made for
// this user. It is up, and quiet until somebody gives it an address. The file is the other end of it.
func openInterface(name string, mac net.HardwareAddr, mtu int) (f *os.File, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make the tap interface %s: %w", name, err)
		}
	}()
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, fmt.Errorf("%w: a name has at most %d bytes", err, unix.IFNAMSIZ-1)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	switch err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EINVAL):
		return nil, fmt.Errorf("%w: the name is not a good one, or another process, or another kind of interface, has it", err)
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("%w: it takes CAP_NET_ADMIN, or a tap made for this user: ip tuntap add %s mode tap user NAME", err, name)
	case err != nil:
		return nil, err
	}
	if err := setUp(name, mac, mtu); err != nil {
		return nil, err
	}
	// Now, not before: Go's poller must not meet a tun descriptor that has no interface yet.
	return os.NewFile(uintptr(fd), name), nil
}

func setUp(name string, mac net.HardwareAddr, mtu int) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	// Otherwise it would send router solicitations. A kernel without IPv6 refuses, and has none to send.
	_ = netlink.LinkSetIP6AddrGenMode(l, nl.IN6_ADDR_GEN_MODE_NONE)
	if mac != nil {
		if err := netlink.LinkSetHardwareAddr(l, mac); err != nil {
			return fmt.Errorf("set its address to %s: %w", mac, err)
		}
	}
	if mtu > 0 {
		if err := netlink.LinkSetMTU(l, mtu); err != nil {
			return fmt.Errorf("set its MTU to %d: %w", mtu, err)
		}
	}
	if l.Attrs().Flags&net.FlagUp != 0 {
		return nil
	}
	return netlink.LinkSetUp(l)
}
