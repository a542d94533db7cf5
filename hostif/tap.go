package hostif

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Tap is a kernel interface whose other end is descriptors of ours, one for each
// queue. Reading one takes a frame that the host sent, writing one gives the host
// a frame, as if received.
type Tap struct {
	name   string
	index  int
	queues []int
	vhosts []*Vhost // of the queues; nil if those are read and written
	vhost  int      // as in TapConfig
}

// TapConfig says how a tap is made.
type TapConfig struct {
	Name   string           // the interface; with %d in it, the kernel puts a free number there
	Queues int              // at least 1
	MAC    net.HardwareAddr // nil: a random one
	MTU    int              // 0: 1500
	Hidden bool             // for our own use: up at once, and without an address of IPv6
	Vhost  int              // not 0: frames pass through a Vhost for each queue, made for this many bytes
}

// OpenTap makes a tap in the network namespace of the calling thread, or opens a
// persistent one that an administrator made for this user (ip tuntap add). It
// needs CAP_NET_ADMIN otherwise.
func OpenTap(c TapConfig) (t *Tap, err error) {
	t = &Tap{name: c.Name, vhost: c.Vhost}
	defer func() {
		if err != nil {
			t.Close()
			t, err = nil, fmt.Errorf("make the tap interface %s: %w", c.Name, err)
		}
	}()
	if err := t.SetQueues(max(c.Queues, 1)); err != nil {
		return t, err
	}
	l, err := netlink.LinkByName(t.name)
	if err != nil {
		return t, err
	}
	t.index = l.Attrs().Index
	if c.Hidden {
		// Otherwise it would send router solicitations and the like into host rings.
		// A kernel without IPv6 refuses, and has none to send.
		_ = netlink.LinkSetIP6AddrGenMode(l, nl.IN6_ADDR_GEN_MODE_NONE)
	}
	if err := t.match(l, c.MAC, c.MTU); err != nil {
		return t, err
	}
	// What is too much shall be dropped by us, who count it.
	if l.Attrs().TxQLen < queueLength {
		_ = netlink.LinkSetTxQLen(l, queueLength) // else it is dropped there, sooner
	}
	if c.Hidden {
		return t, netlink.LinkSetUp(l)
	}
	return t, nil
}

// match gives the interface the address and the MTU of what stands behind it.
func (t *Tap) match(l netlink.Link, mac net.HardwareAddr, mtu int) error {
	if len(mac) == 6 && !bytes.Equal(mac, l.Attrs().HardwareAddr) {
		if err := netlink.LinkSetHardwareAddr(l, mac); err != nil {
			return fmt.Errorf("set its address to %s: %w", mac, err)
		}
	}
	if mtu > 0 && mtu != l.Attrs().MTU {
		if err := netlink.LinkSetMTU(l, mtu); err != nil {
			return fmt.Errorf("set its MTU to %d: %w", mtu, err)
		}
	}
	return nil
}

// queueLength is how many frames of the host wait in the kernel until they are
// read.
const queueLength = 4096

// SetQueues adds queues, or takes the last ones away. Nobody may be using those.
// The kernel spreads what the host sends over all of them by flow.
func (t *Tap) SetQueues(n int) error {
	for len(t.queues) > max(n, 1) {
		last := len(t.queues) - 1
		if t.vhosts != nil {
			t.vhosts[last].close()
			t.vhosts = t.vhosts[:last]
		}
		if err := unix.Close(t.queues[last]); err != nil {
			return err
		}
		t.queues = t.queues[:last]
	}
	for len(t.queues) < n {
		if err := t.addQueue(); err != nil {
			return fmt.Errorf("queue %d: %w", len(t.queues), err)
		}
	}
	return nil
}

func (t *Tap) addQueue() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(t.name)
	if err == nil {
		flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_MULTI_QUEUE)
		if t.vhost > 0 {
			flags |= unix.IFF_VNET_HDR
		}
		ifr.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		_ = unix.Close(fd)
		switch {
		case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EINVAL):
			return fmt.Errorf("%w: the name is not a good one, or another process, or another kind of interface, has it", err)
		case errors.Is(err, unix.EPERM):
			return fmt.Errorf("%w: it takes CAP_NET_ADMIN, or a tap made for this user: ip tuntap add %s mode tap multi_queue user NAME", err, t.name)
		}
		return err
	}
	t.name = ifr.Name()
	if t.vhost > 0 {
		v, err := newVhost(fd, t.vhost)
		if err != nil {
			_ = unix.Close(fd)
			return err
		}
		t.vhosts = append(t.vhosts, v)
	}
	t.queues = append(t.queues, fd)
	return nil
}

// Name is the interface's.
func (t *Tap) Name() string { return t.name }

// Index is the interface's.
func (t *Tap) Index() int { return t.index }

// Queues are the descriptors, non-blocking. Without a Vhost they become readable when the host
// sends; a write fails with EIO while the interface is down. Close and SetQueues
// close them.
func (t *Tap) Queues() []int { return t.queues }

// Vhosts are what frames pass through instead, one for each queue, if the tap was
// made so. Close and SetQueues close them.
func (t *Tap) Vhosts() []*Vhost { return t.vhosts }

// SetCarrier tells the host whether the link is up (kernel 5.0 and later).
func (t *Tap) SetCarrier(up bool) error {
	on := 0
	if up {
		on = 1
	}
	if err := unix.IoctlSetPointerInt(t.queues[0], unix.TUNSETCARRIER, on); err != nil {
		return fmt.Errorf("set the carrier of %s: %w", t.name, err)
	}
	return nil
}

// Close ends the interface, unless it was made persistent by somebody else.
func (t *Tap) Close() {
	for _, v := range t.vhosts {
		v.close()
	}
	for _, fd := range t.queues {
		_ = unix.Close(fd) // nothing that could be lost
	}
	t.queues, t.vhosts = nil, nil
}
