package e2e

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendEmpty sends a message of no bytes with descriptors, which the libraries
// of Go do not let one do.
func (c *rawConn) sendEmpty(fds ...int) error {
	var hdr unix.Msghdr
	oob := unix.UnixRights(fds...)
	hdr.Control = unsafe.SliceData(oob)
	hdr.SetControllen(len(oob))
	_, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&hdr)), unix.MSG_NOSIGNAL)
	runtime.KeepAlive(oob)
	if errno != 0 {
		return errno
	}
	return nil
}
