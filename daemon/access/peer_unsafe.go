package access

import (
	"errors"
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PeerOf asks the kernel who connected a Unix socket: the process as it was then. A process that passes its
// connection on passes its identity with it.
func PeerOf(conn *net.UnixConn) (Identity, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Identity{}, err
	}
	var id Identity
	cerr := raw.Control(func(fd uintptr) { id, err = peerOf(int(fd)) })
	if err = errors.Join(cerr, err); err != nil {
		return Identity{}, fmt.Errorf("read peer credentials: %w", err)
	}
	return id, nil
}

func peerOf(fd int) (Identity, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Local: true, UID: int(cred.Uid), PID: int(cred.Pid), Groups: []int{int(cred.Gid)}}
	more, err := peerGroups(fd)
	for _, g := range more {
		id.Groups = append(id.Groups, int(g))
	}
	return id, err
}

// peerGroups reads SO_PEERGROUPS, the supplementary groups (socket(7)); x/sys has no call for it.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups)) * 4
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			return groups[:size/4], nil
		case unix.ERANGE: // size says how much it takes
			groups = make([]uint32, size/4)
		default:
			return nil, errno
		}
	}
}
