package netns

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Commands of SIOCETHTOOL that switch one offload each.
const (
	ethtoolSTxCsum = 0x17
	ethtoolSTso    = 0x1f
	ethtoolSGso    = 0x24
	ethtoolSGro    = 0x2c
)

// ethtoolValue is struct ethtool_value, ifreqData a struct ifreq with a pointer in its union.
type ethtoolValue struct{ cmd, data uint32 }

type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// offloadsOff makes an interface of the calling thread's namespace send and receive frames as they are on a wire.
func offloadsOff(ifname string) error { return setOffloads(ifname, 0) }

// setOffloads switches all of them off (0), or those for sending on (1).
func setOffloads(ifname string, value uint32) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s) //nolint:errcheck // holds nothing
	cmds := []uint32{ethtoolSTso, ethtoolSGso, ethtoolSGro, ethtoolSTxCsum}
	if value != 0 {
		cmds = []uint32{ethtoolSTxCsum, ethtoolSGso, ethtoolSTso}
	}
	for _, cmd := range cmds {
		v := &ethtoolValue{cmd: cmd, data: value}
		req := ifreqData{data: unsafe.Pointer(v)}
		copy(req.name[:unix.IFNAMSIZ-1], ifname)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
			return fmt.Errorf("set offload %#x of %s to %d: %w", cmd, ifname, value, errno)
		}
	}
	return nil
}
