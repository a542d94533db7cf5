package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// burst is a frame many times over, as sendmmsg wants it. The system call is here because golang.org/x/sys has none.
type burst struct {
	frame []byte
	iov   unix.Iovec
	msgs  []mmsghdr
}

func newBurst(frame []byte, n int) *burst {
	b := &burst{frame: frame, msgs: make([]mmsghdr, n)}
	b.iov.Base = &frame[0]
	b.iov.SetLen(len(frame))
	for i := range b.msgs {
		b.msgs[i].hdr.Iov = &b.iov
		b.msgs[i].hdr.SetIovlen(1)
	}
	return b
}

// send returns how many frames the kernel took.
func (b *burst) send(fd int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.msgs[0])), uintptr(len(b.msgs)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
