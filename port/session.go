package port

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
)

// Caller is who stands at the other end of a socket, as the kernel tells.
type Caller struct {
	PID, UID int
	Command  string
}

// Session is one client process. It has one kick eventfd, which the process
// writes to when an lcore that it needs sleeps. The daemon watches the eventfd
// edge-triggered and never reads it, so nothing that the process does to the
// shared file description can block the daemon.
type Session struct {
	ID     uint32 // in busy words; never 0
	Caller Caller
	kick   int
	lcores map[*lcore.Lcore]struct{} // that watch the kick
}

// Kick is the eventfd, owned by the session.
func (s *Session) Kick() int { return s.kick }

// NewSession opens a session for a client process.
func (g *Registry) NewSession(who Caller) (*Session, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make the kick eventfd of pid %d: %w", who.PID, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.nextSess++; g.nextSess == 0 {
		g.nextSess++
	}
	s := &Session{ID: g.nextSess, Caller: who, kick: fd, lcores: map[*lcore.Lcore]struct{}{}}
	g.sessions[s] = struct{}{}
	return s, nil
}

// EndSession takes a dead process out of every sync that it was in, and out of
// the waiters of every ring.
func (g *Registry) EndSession(ctx context.Context, s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s)
	g.unput(s.ID, "session", "kick", "token")
	for l := range s.lcores {
		if err := l.Unwatch(s.kick); err != nil {
			g.log.Warn("unwatch a session's kick", "pid", s.Caller.PID, "err", err)
		}
	}
	var gone []waiter
	for _, p := range g.ports {
		p.evict(s.ID)
		had := false
		for d := range p.descs {
			if w, ok := d.wakes[s.ID]; ok {
				g.unputWake(d, s.ID)
				delete(d.wakes, s.ID)
				gone = append(gone, w)
				had = true
			}
		}
		if had {
			p.refreshWaiters()
			p.be.ended()
		}
	}
	g.closeWaiters(ctx, gone)
	_ = unix.Close(s.kick)
}

// watch makes the lcore wake at the session's kicks.
func (s *Session) watch(l *lcore.Lcore) error {
	if _, ok := s.lcores[l]; ok {
		return nil
	}
	if err := l.Watch(s.kick); err != nil {
		return fmt.Errorf("watch the kick of pid %d: %w", s.Caller.PID, err)
	}
	s.lcores[l] = struct{}{}
	return nil
}

// closeWaiters closes waiters once no lcore can be about to write to them:
// the number could be somebody else's by then. While an
// lcore is stuck they stay open; Tend tries again.
func (g *Registry) closeWaiters(ctx context.Context, gone []waiter) {
	if g.gone = append(g.gone, gone...); len(g.gone) == 0 {
		return
	}
	if err := g.quiesce(ctx); err != nil {
		g.log.Warn("wake descriptors left open for now", "descriptors", len(g.gone), "err", err)
		return
	}
	for _, w := range g.gone {
		if g.cfg.Keeper != nil { // what is kept is open for longer
			_ = unix.Shutdown(w.hangup, unix.SHUT_RDWR)
		}
		w.close()
	}
	g.gone = nil
}
