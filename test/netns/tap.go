package netns

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// VnetHeaderLen is the length of the virtio-net header before each packet of a Tap.
const VnetHeaderLen = 12

// Tap makes a tap interface, which is up, and returns its other end as the monitor of a virtual machine has it: each
// packet begins with a virtio-net header, and the interface has its checksums and segmentation done (of TCP over both
// versions of IP), so that packets of up to 64 KiB come out.
func (n *NS) Tap(tb testing.TB, ifname string) *os.File {
	tb.Helper()
	var f *os.File
	n.Do(tb, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		defer func() {
			if f == nil {
				_ = unix.Close(fd)
			}
		}()
		req, err := unix.NewIfreq(ifname)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return fmt.Errorf("make tap %s: %w", ifname, err)
		}
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, VnetHeaderLen); err != nil {
			return fmt.Errorf("set the header length of tap %s: %w", ifname, err)
		}
		const offloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads); err != nil {
			return fmt.Errorf("set the offloads of tap %s: %w", ifname, err)
		}
		// Addresses are to be used at once. The namespace's own /proc/sys is that of the thread.
		_ = os.WriteFile("/proc/thread-self/root/proc/sys/net/ipv6/conf/"+ifname+"/accept_dad", []byte("0"), 0o600)
		f = os.NewFile(uintptr(fd), "tap "+ifname) // not before: a tap without interface cannot be polled
		return nil
	})
	tb.Cleanup(func() { _ = f.Close() })
	n.Up(tb, ifname)
	return f
}
