// Package fdstore has the service manager keep descriptors for the next netmapd: systemd's file descriptor store
// (sd_pid_notify_with_fds(3), FileDescriptorStoreMax= in systemd.service(5)). What was put there is handed to every
// process of the service that starts afterwards, until it is removed or the service is stopped for good.
package fdstore

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// Store is the way to the service manager.
//
// A message is sent at once if it can be, so that what was put is kept from then on, whatever happens to this process.
// While the service manager is busy messages wait in order, and nobody waits for them.
type Store struct {
	log  *slog.Logger
	conn *net.UnixConn

	mu      sync.Mutex
	waiting []message
	working bool       // work runs
	drained *sync.Cond // it ended
	failed  bool
}

// message puts the descriptor, or removes that of the name if there is none.
type message struct {
	name string
	fd   int // our own copy, if it waits; or none
}

const none = -1

func (m message) done() {
	if m.fd != none {
		_ = unix.Close(m.fd)
	}
}

// Open finds the service manager that started us; nil without an error where there is none.
func Open(log *slog.Logger) (*Store, error) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	s := &Store{log: log, conn: conn}
	s.drained = sync.NewCond(&s.mu)
	return s, nil
}

// Inherited is what the service manager kept from earlier processes, each file under its name. The caller owns it.
func Inherited() []*os.File { return activation.Files(true) }

// Put has a copy of a descriptor kept under a name, which no other has.
func (s *Store) Put(name string, fd int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent(message{name, fd}) {
		return
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) // the caller's may be gone when it is sent
	if err != nil {
		s.log.Warn("a descriptor is not kept for the next netmapd", "name", name, "err", err)
		return
	}
	s.wait(message{name, own})
}

// Remove ends the keeping of what has the name, if there is something.
func (s *Store) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.waiting, func(m message) bool { return m.name == name && m.fd != none })
	if at > 0 { // the first one is on its way
		s.waiting[at].done()
		s.waiting = slices.Delete(s.waiting, at, at+1)
		return
	}
	if m := (message{name, none}); !s.sent(m) {
		s.wait(m)
	}
}

// sent sends a message if that can be done at once, and says whether no more is to do.
func (s *Store) sent(m message) bool {
	return s.failed || !s.working && s.write(m, false) == nil
}

// wait has a message sent after those that wait.
func (s *Store) wait(m message) {
	s.waiting = append(s.waiting, m)
	if !s.working {
		s.working = true
		go s.work()
	}
}

// work sends what waits.
func (s *Store) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) > 0 {
		m := s.waiting[0]
		s.mu.Unlock()
		err := s.write(m, true)
		s.mu.Lock()
		m.done()
		s.waiting = s.waiting[1:]
		if err != nil {
			s.fail(err)
		}
	}
	s.working = false
	s.drained.Broadcast()
}

// fail gives up: who does not listen now will not later.
func (s *Store) fail(err error) {
	s.log.Warn("the service manager takes no more descriptors; a restart takes ports from clients", "err", err)
	s.failed = true
	for _, m := range s.waiting {
		m.done()
	}
	s.waiting = nil
}

// write sends one message; with wait it waits for the service manager, else it fails where it would have to.
func (s *Store) write(m message, wait bool) error {
	text, oob := "FDSTORE=1", []byte(nil)
	if m.fd == none {
		text = "FDSTOREREMOVE=1"
	} else {
		oob = unix.UnixRights(m.fd)
	}
	text += "\nFDNAME=" + m.name
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) (done bool) {
		sent = unix.Sendmsg(int(fd), []byte(text), oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return !wait || !errors.Is(sent, unix.EAGAIN)
	})
	return errors.Join(err, sent)
}

// Close waits until everything is sent, for so long at most.
func (s *Store) Close(limit time.Duration) {
	late := time.AfterFunc(limit, func() { _ = s.conn.Close() }) // ends a write that waits
	s.mu.Lock()
	for s.working {
		s.drained.Wait()
	}
	s.mu.Unlock()
	late.Stop()
	_ = s.conn.Close()
}
