package attach

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/wire"
)

// message is one request as it came: still hostile.
type message struct {
	header wire.Header
	rest   []byte // after the header
	reply  int    // the client's end for the answer, -1 if it sent none
	memory int    // what it sent behind that, -1 for nothing
}

// discard closes what came along and was not used.
func (m *message) discard() {
	for _, fd := range []int{m.reply, m.memory} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	m.reply, m.memory = -1, -1
}

// takeMemory hands out the descriptor behind the reply socket as a file, nil if
// there is none.
func (m *message) takeMemory() *os.File {
	if m.memory < 0 {
		return nil
	}
	f := os.NewFile(uintptr(m.memory), "a client's memory")
	m.memory = -1
	return f
}

// receive reads the next request. An error that wraps wire.ErrMalformed comes
// with a message whose reply can be answered if it is not -1; io.EOF says that
// the last holder of the connection is gone. buf is reused by the next call.
func receive(conn *net.UnixConn, buf []byte) (m message, err error) {
	m.reply, m.memory = -1, -1
	// Room for two descriptors: the kernel drops the others before they get a number here.
	oob := make([]byte, unix.CmsgLen(8))
	n, oobn, flags, _, end := conn.ReadMsgUnix(buf, oob)
	// A message of no bytes reads as the end, and can bring descriptors all the same.
	fds, err := descriptors(oob[:oobn])
	if end != nil {
		discard(fds)
		return m, end
	}
	if len(fds) > 0 && isReplySocket(fds[0]) {
		m.reply, fds = fds[0], fds[1:]
		if len(fds) > 0 && isMemory(fds[0]) {
			m.memory, fds = fds[0], fds[1:]
		}
	}
	surplus := len(fds)
	discard(fds)
	switch {
	case err != nil:
		return m, fmt.Errorf("%w: control data: %w", wire.ErrMalformed, err)
	case flags&unix.MSG_TRUNC != 0 || n > wire.MaxMessage:
		return m, fmt.Errorf("%w: longer than %d bytes", wire.ErrMalformed, wire.MaxMessage)
	case flags&unix.MSG_CTRUNC != 0 || surplus > 0:
		return m, fmt.Errorf("%w: a request carries a SOCK_SEQPACKET Unix socket for the answer, and with the EXTMEM or the CSB option its memory; this one carries more or another", wire.ErrMalformed)
	case m.reply < 0:
		return m, fmt.Errorf("%w: no socket for the answer came with it", wire.ErrMalformed)
	}
	m.header, m.rest, err = wire.Parse(buf[:n])
	return m, err
}

// descriptors takes the file descriptors out of control data. On error those
// that were found are returned too, for closing.
func descriptors(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range cmsgs {
		if cmsgs[i].Header.Level != unix.SOL_SOCKET || cmsgs[i].Header.Type != unix.SCM_RIGHTS {
			err = errors.New("only SCM_RIGHTS is understood")
			continue
		}
		got, perr := unix.ParseUnixRights(&cmsgs[i])
		fds = append(fds, got...)
		if perr != nil {
			err = perr
		}
	}
	return fds, err
}

// isReplySocket checks the one kind of descriptor that is ever written to.
func isReplySocket(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_UNIX {
		return false
	}
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && typ == unix.SOCK_SEQPACKET
}

// isMemory checks the one kind of descriptor that is kept.
func isMemory(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil
}

// discard closes descriptors of unknown kind. Closing some takes as long as their
// maker likes (a FUSE file is flushed, a TCP socket lingers), and a thread. So it
// is the connection that waits, which is in its uid's account, and nobody else.
// At most two come with a message. Each one's number is free as soon as its close
// has begun, and none waits for another: nothing of a client's lies open here for
// longer.
func discard(fds []int) {
	var wg sync.WaitGroup
	for _, fd := range fds {
		wg.Go(func() { _ = unix.Close(fd) })
	}
	wg.Wait()
}

// answer sends b and fds to the client's reply socket, never waiting: a client
// that has filled it does not get its answer.
func answer(reply int, b []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	n, err := unix.SendmsgN(reply, b, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	return nil
}
