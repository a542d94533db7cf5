// Package attach serves netmap.sock: client processes open sessions and
// descriptors there, bind descriptors to ports, and get the shared memory. The
// protocol is that of package wire.
//
// Everything that arrives is hostile. A message is checked whole before any of
// it is used, descriptors that come along are closed whatever happens, and
// nothing here ever waits for a client.
package attach

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/port"
)

// Limits of what one uid may hold. Zero means no limit.
type Limits struct {
	Sessions    int // per uid
	Descriptors int // per uid, bound or not
	AllSessions int // of all uids together
}

// Server is the attach server.
type Server struct {
	reg     *port.Registry
	tickets *Tickets
	guard   *access.Guard
	limits  Limits
	timeout time.Duration // for one request's work on the dataplane
	log     *slog.Logger

	refusals chan struct{} // refused connections being closed

	mu       sync.Mutex
	conns    map[*conn]struct{}
	sessions map[uint64]*port.Session
	perUID   map[int]*usage
	closing  bool
	wg       sync.WaitGroup
}

type usage struct{ sessions, descriptors, conns int }

// spareConns are connections beyond sessions and descriptors that a uid may
// have: those that have not become either yet.
const spareConns = 64

// conns limits the connections of a uid, so that one that opens them and says
// nothing does not use up what all need.
func (l Limits) conns() int {
	if l.Sessions == 0 || l.Descriptors == 0 {
		return 0
	}
	return l.Sessions + l.Descriptors + spareConns
}

// New makes a server over a registry. What clients do wrong is logged as often as they do it: the log is to be a limited
// one (package logs).
func New(reg *port.Registry, tickets *Tickets, guard *access.Guard, limits Limits, log *slog.Logger) *Server {
	return &Server{
		reg: reg, tickets: tickets, guard: guard, limits: limits, timeout: 5 * time.Second, log: log,
		refusals: make(chan struct{}, maxRefusals),
		conns:    map[*conn]struct{}{}, sessions: map[uint64]*port.Session{}, perUID: map[int]*usage{},
	}
}

// SetLimits changes what a uid may hold from now on; what is held stays.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
}

// Limits are those in force.
func (s *Server) Limits() Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limits
}

// Serve accepts until the listener is closed, then returns nil.
func (s *Server) Serve(ln *net.UnixListener) error {
	for {
		c, err := ln.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case isShortage(err):
			s.log.Warn("accept on the attach socket", "err", err)
			time.Sleep(100 * time.Millisecond) // somebody may give something back
			continue
		case err != nil:
			return fmt.Errorf("accept on the attach socket: %w", err)
		}
		s.start(c)
	}
}

// isShortage says that accepting failed for want of something that may be there
// in a moment.
func isShortage(err error) bool {
	for _, e := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Stop ends every connection, unbinding every port but those that the next daemon
// takes over, and waits as long as some of
// them end; not for ever, since a client can hold up the close of what it sent.
func (s *Server) Stop() {
	s.mu.Lock()
	s.closing = true
	for c := range s.conns {
		_ = c.unix.SetReadDeadline(time.Unix(1, 0)) // the connection closes itself
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	for left := s.connections(); ; {
		select {
		case <-ended:
			return
		case <-time.After(2 * s.timeout):
		}
		now := s.connections()
		if now == left { // none ended in all that time
			s.log.Error("stop the attach server: connections are left that their clients hold up", "connections", now)
			return
		}
		left = now
	}
}

func (s *Server) leaves() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

func (s *Server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Sessions counts the client processes.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

func (s *Server) start(u *net.UnixConn) {
	id, err := access.PeerOf(u)
	if err != nil {
		s.refuse(s.log, u, err)
		return
	}
	c := s.newConn(u, id)
	if err := s.count(c.who.UID, "connection", s.Limits().conns(), connsOf); err != nil {
		s.refuse(c.log, u, err)
		return
	}
	s.launch(c)
}

func (s *Server) newConn(u *net.UnixConn, id access.Identity) *conn {
	who := caller(id)
	return &conn{srv: s, unix: u, id: id, who: who, log: s.log.With("pid", who.PID, "uid", who.UID)}
}

// launch serves a connection that is in the account of its uid.
func (s *Server) launch(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		go c.unix.Close() //nolint:errcheck // the process ends
		return
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		c.run()
		s.uncount(c.who.UID, connsOf)
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

// maxRefusals bounds the refused connections that are being closed: to close one
// can take as long as its client likes (see conn.discard), and a thread.
const maxRefusals = 1024

// refuse closes a connection without serving it. The others wait for that only
// when a client holds up very many.
func (s *Server) refuse(log *slog.Logger, u *net.UnixConn, why error) {
	log.Warn("attach connection refused", "err", why)
	s.refusals <- struct{}{}
	go func() {
		_ = u.Close()
		<-s.refusals
	}()
}

// count charges the uid for a session or descriptor and enforces the limit.
func (s *Server) count(uid int, what string, limit int, field func(*usage) *int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.perUID[uid]
	if u == nil {
		u = &usage{}
		s.perUID[uid] = u
	}
	if n := field(u); limit > 0 && *n >= limit {
		return fmt.Errorf("uid %d holds %d %ss, the configured limit: %w", uid, *n, what, unix.EMFILE)
	}
	*field(u)++
	return nil
}

func (s *Server) uncount(uid int, field func(*usage) *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.perUID[uid]
	*field(u)--
	if *u == (usage{}) {
		delete(s.perUID, uid)
	}
}

func sessionsOf(u *usage) *int    { return &u.sessions }
func descriptorsOf(u *usage) *int { return &u.descriptors }
func connsOf(u *usage) *int       { return &u.conns }

// newSession opens a session under an unguessable token.
func (s *Server) newSession(who port.Caller) (*port.Session, uint64, error) {
	limits := s.Limits()
	if n := s.Sessions(); limits.AllSessions > 0 && n >= limits.AllSessions {
		return nil, 0, fmt.Errorf("%d processes have sessions, the configured limit: %w", n, unix.EMFILE)
	}
	if err := s.count(who.UID, "session", limits.Sessions, sessionsOf); err != nil {
		return nil, 0, err
	}
	sess, err := s.reg.NewSession(who)
	if err != nil {
		s.uncount(who.UID, sessionsOf)
		return nil, 0, err
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	token := binary.LittleEndian.Uint64(b[:])
	s.mu.Lock()
	s.sessions[token] = sess
	s.mu.Unlock()
	return sess, token, nil
}

func (s *Server) endSession(ctx context.Context, sess *port.Session, token uint64) {
	s.mu.Lock()
	delete(s.sessions, token)
	s.mu.Unlock()
	s.reg.EndSession(ctx, sess)
	s.uncount(sess.Caller.UID, sessionsOf)
}

// session finds a live session by its token, which is a secret of its process.
// Who the process is does not matter: a descriptor may have been passed to it.
func (s *Server) session(token uint64) (*port.Session, error) {
	s.mu.Lock()
	sess := s.sessions[token]
	s.mu.Unlock()
	if sess == nil {
		return nil, fmt.Errorf("no session has this token; a process opens its session before anything else: %w", unix.ENOTCONN)
	}
	return sess, nil
}

// caller is the peer as ports know their users.
func caller(id access.Identity) port.Caller {
	return port.Caller{PID: id.PID, UID: id.UID, Command: command(id.PID)}
}

// command is the name of a process, "" if it cannot be read. os.ReadFile takes four times as many system calls, for each connection.
func command(pid int) string {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/comm", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd) //nolint:errcheck // there was nothing to write
	var b [64]byte
	n, _ := unix.Read(fd, b[:])
	return strings.TrimSpace(string(b[:max(n, 0)]))
}

// isEnd says that a read error only means that the client is gone, or Stop called.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.ECONNRESET)
}
