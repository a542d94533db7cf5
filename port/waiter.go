package port

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/wire"
)

// waiter is how the daemon wakes a process that sleeps on a descriptor, and how that one sees that the daemon, or the port, is gone.
//
// Lcores write an eventfd, which costs them half of what sending on a socket does, and the sleeper runs sooner (docs/performance.md).
// But a client that had it could make writing to it block. So it gets an epoll that watches it edge-triggered, through which
// it can be neither read nor written, and the counter, which nobody reads, does not fill up in the lifetime of a machine.
// An eventfd that goes says nothing to an epoll; therefore the socket, on which nobody sends, and which the epoll watches, too.
type waiter struct {
	event  int
	hangup int
}

// newWaiter makes one, and the two descriptors that the client gets.
func newWaiter() (w waiter, client wakeEnds, err error) {
	w, client = waiter{event: -1, hangup: -1}, wakeEnds{epoll: -1, hangup: -1}
	defer func() {
		if err != nil {
			w.close()
			client.close()
		}
	}()
	if w.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return w, client, err
	}
	// SEQPACKET, not DGRAM: the other end sees it when the daemon goes.
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return w, client, err
	}
	w.hangup, client.hangup = pair[0], pair[1]
	if client.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return w, client, err
	}
	return w, client, errors.Join(
		// Nobody reads our end. What a client sent there would be dropped when we close
		// it, and to drop a socket that lingers takes as long as its owner likes.
		unix.Shutdown(w.hangup, unix.SHUT_RD),
		unix.EpollCtl(client.epoll, unix.EPOLL_CTL_ADD, w.event, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wire.WakeRings}),
		unix.EpollCtl(client.epoll, unix.EPOLL_CTL_ADD, client.hangup, &unix.EpollEvent{Events: unix.EPOLLRDHUP, Fd: wire.WakeHangup}))
}

// close closes what is open. No lcore may be about to write.
func (w waiter) close() { closeAll(w.event, w.hangup) }

// wakeEnds is what a client gets of a waiter.
type wakeEnds struct{ epoll, hangup int }

func (e wakeEnds) close() { closeAll(e.epoll, e.hangup) }

func closeAll(fds ...int) {
	for _, fd := range fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
