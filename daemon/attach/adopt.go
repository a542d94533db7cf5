package attach

import (
	"context"
	"errors"
	"net"

	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/port"
)

// Adopt serves the connections of an earlier daemon. It goes before Serve. Limits
// hold for what comes after.
func (s *Server) Adopt(heirs []port.Heir) {
	for i := range heirs {
		h := &heirs[i]
		c, err := s.adopt(h)
		if err != nil {
			s.log.Warn("a connection to the netmapd before is not taken over", "err", err)
			s.decline(h)
			continue
		}
		s.launch(c)
	}
}

func (s *Server) adopt(h *port.Heir) (*conn, error) {
	u, err := net.FileConn(h.Conn)
	_ = h.Conn.Close() // u has a descriptor of its own
	if err != nil {
		return nil, err
	}
	conn, ok := u.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("it is no Unix socket"), u.Close())
	}
	id, err := access.PeerOf(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := s.newConn(conn, id)
	c.kept = true
	_ = s.count(c.who.UID, "connection", 0, connsOf)
	if h.Session != nil {
		c.sess, c.token = h.Session, h.Token
		_ = s.count(h.Session.Caller.UID, "session", 0, sessionsOf)
		s.mu.Lock()
		s.sessions[h.Token] = h.Session
		s.mu.Unlock()
		return c, nil
	}
	c.descriptor, c.desc, c.reg = true, h.Desc, h.Register
	_ = s.count(c.who.UID, "descriptor", 0, descriptorsOf)
	return c, nil
}

// decline ends what cannot be served.
func (s *Server) decline(h *port.Heir) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	if h.Session != nil {
		s.reg.EndSession(ctx, h.Session)
	} else if err := h.Desc.Close(ctx); err != nil {
		s.log.Error("unbind port", "port", h.Desc.Name(), "err", err)
	}
}
