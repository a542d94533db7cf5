package attach

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// conn is one connection. Its goroutine handles requests one after the other,
// so that what a descriptor is bound to needs no lock.
type conn struct {
	srv  *Server
	unix *net.UnixConn
	who  port.Caller
	log  *slog.Logger

	// What the connection has become: a session, a descriptor, or nothing yet.
	sess       *port.Session
	token      uint64
	descriptor bool
	desc       *port.Desc   // bound
	reg        abi.Register // what it was bound with, as answered
	ctl        wire.Control // and the header of that answer
}

// result is what a request is answered with.
type result struct {
	body []byte // encoded, all parts
	fds  []int
	done func() // after sending; may be nil
}

// run serves the connection until its end and undoes what it did.
func (c *conn) run() {
	defer c.close()
	buf := make([]byte, wire.MaxMessage+1)
	for {
		m, err := receive(c.unix, buf)
		if err != nil && m.reply < 0 {
			if !isEnd(err) {
				c.log.Warn("attach connection ended", "err", err)
			}
			return
		}
		malformed := errors.Is(err, wire.ErrMalformed)
		var res result
		if err == nil {
			res, err = c.handle(m)
			malformed = errors.Is(err, wire.ErrMalformed)
		}
		c.respond(m, res, err)
		if malformed {
			c.log.Warn("attach connection ended", "err", err)
			return
		}
	}
}

// respond sends the answer, or the error as errno and text.
func (c *conn) respond(m message, res result, err error) {
	typ := m.header.Type | wire.Answer
	var b []byte
	if err != nil {
		b = wire.Append(nil, typ, uint32(errnoOf(err)), nil, []byte(err.Error()))
	} else {
		b = wire.Append(nil, typ, 0, nil, res.body)
	}
	if serr := answer(m.reply, b, res.fds...); serr != nil {
		c.log.Warn("attach request not answered", "err", serr)
	}
	if res.done != nil {
		res.done()
	}
	_ = unix.Close(m.reply)
}

// errnoOf finds what a netmap program will see; an error without one is ours.
func errnoOf(err error) unix.Errno {
	var errno unix.Errno
	switch {
	case errors.Is(err, wire.ErrMalformed):
		return unix.EINVAL
	case errors.As(err, &errno) && errno != 0:
		return errno
	case errors.Is(err, context.DeadlineExceeded):
		return unix.ETIMEDOUT
	}
	return unix.EIO
}

func (c *conn) handle(m message) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.srv.timeout)
	defer cancel()
	switch m.header.Type {
	case wire.TypeSession:
		return c.openSession(m.rest)
	case wire.TypeControl:
		return c.control(ctx, m.rest)
	case wire.TypeJoin:
		return c.join(ctx, m.rest)
	case wire.TypeRedeem:
		return c.redeem(ctx, m.rest)
	}
	return result{}, fmt.Errorf("%w: no request has type %d", wire.ErrMalformed, m.header.Type)
}

func (c *conn) openSession(rest []byte) (result, error) {
	switch {
	case len(rest) != 0:
		return result{}, fmt.Errorf("%w: a session request has no body, this one has %d bytes", wire.ErrMalformed, len(rest))
	case c.sess != nil || c.descriptor:
		return result{}, fmt.Errorf("%w: a session is the first request of a connection and its only one", wire.ErrMalformed)
	}
	sess, token, err := c.srv.newSession(c.who)
	if err != nil {
		return result{}, err
	}
	c.sess, c.token = sess, token
	return result{
		body: abi.Encode(nil, wire.SessionAnswer{Token: token, ID: sess.ID}),
		fds:  []int{sess.Kick()},
	}, nil
}

// asDescriptor turns the connection into a descriptor at its first request of
// that kind, and finds the session in whose name it speaks.
func (c *conn) asDescriptor(token uint64) (*port.Session, error) {
	if c.sess != nil {
		return nil, fmt.Errorf("%w: this connection is a session; a descriptor is a connection of its own", wire.ErrMalformed)
	}
	sess, err := c.srv.session(token)
	if err != nil {
		return nil, err
	}
	if !c.descriptor {
		if err := c.srv.count(c.who.UID, "descriptor", c.srv.limits.Descriptors, descriptorsOf); err != nil {
			return nil, err
		}
		c.descriptor = true
	}
	return sess, nil
}

func (c *conn) control(ctx context.Context, rest []byte) (result, error) {
	var q wire.Control
	tail, err := wire.Take(rest, &q)
	if err != nil {
		return result{}, err
	}
	if want := abi.BodySize(q.ReqType); len(tail) != want {
		return result{}, fmt.Errorf("%w: request type %d has a body of %d bytes, this one has %d", wire.ErrMalformed, q.ReqType, want, len(tail))
	}
	sess, err := c.asDescriptor(q.Token)
	if err != nil {
		return result{}, err
	}
	q.Name[len(q.Name)-1] = 0
	switch {
	case q.Version < abi.MinAPIVersion || q.Version > abi.MaxAPIVersion:
		return result{}, fmt.Errorf("netmap API version %d, accepted are %d to %d: %w", q.Version, abi.MinAPIVersion, abi.MaxAPIVersion, unix.EINVAL)
	case q.ReqType == abi.ReqRegister:
		var reg abi.Register
		if err := abi.Decode(tail, &reg); err != nil {
			return result{}, err
		}
		if err := c.bind(ctx, abi.CString(q.Name[:]), &reg); err != nil {
			return result{}, err
		}
		c.ctl = q
		return c.bound(ctx, sess, true)
	}
	body, err := c.request(ctx, &q, tail)
	if err != nil {
		return result{}, err
	}
	return result{body: append(abi.Encode(nil, q), body...)}, nil
}

func (c *conn) bind(ctx context.Context, name string, reg *abi.Register) error {
	if c.desc != nil {
		return fmt.Errorf("register %q: the descriptor is bound to %q; open another: %w", name, c.desc.Name(), unix.EBUSY)
	}
	desc, err := c.srv.reg.Register(ctx, c.who, name, reg)
	if err != nil {
		return err
	}
	c.desc, c.reg = desc, *reg
	return nil
}

func (c *conn) join(ctx context.Context, rest []byte) (result, error) {
	var q wire.Join
	tail, err := wire.Take(rest, &q)
	if err != nil {
		return result{}, err
	}
	if len(tail) != 0 {
		return result{}, fmt.Errorf("%w: %d bytes after the body of a join", wire.ErrMalformed, len(tail))
	}
	sess, err := c.srv.session(q.Token)
	if err != nil {
		return result{}, err
	}
	if c.desc == nil {
		return result{}, fmt.Errorf("join: the descriptor is not bound to a port: %w", unix.ENXIO)
	}
	return c.bound(ctx, sess, false)
}

func (c *conn) redeem(ctx context.Context, rest []byte) (result, error) {
	var q wire.Redeem
	tail, err := wire.Take(rest, &q)
	if err != nil {
		return result{}, err
	}
	if len(tail) != 0 {
		return result{}, fmt.Errorf("%w: %d bytes after the body of a redeem", wire.ErrMalformed, len(tail))
	}
	sess, err := c.asDescriptor(q.Token)
	if err != nil {
		return result{}, err
	}
	t, err := c.srv.tickets.Redeem(q.Ticket, uint32(c.who.UID))
	if err != nil {
		return result{}, err
	}
	if err := c.bind(ctx, t.Name, &t.Register); err != nil {
		return result{}, err
	}
	return c.bound(ctx, sess, false)
}

// bound hands the parts of the bound port to a session. A failure right after
// the bind undoes it: the client was not told that it holds a port.
func (c *conn) bound(ctx context.Context, sess *port.Session, withControl bool) (result, error) {
	bind, fds, err := c.desc.Join(ctx, sess)
	if err != nil {
		if withControl {
			c.unbind()
		}
		return result{}, err
	}
	var res result
	if withControl {
		res.body = abi.Encode(nil, c.ctl)
	}
	res.body = abi.Encode(res.body, bind)
	res.body = abi.Encode(res.body, c.reg)
	res.fds = fds[:]
	wake := fds[wire.FDWake]
	res.done = func() { _ = unix.Close(wake) } // the client's end: now its own
	return res, nil
}

func (c *conn) unbind() {
	if c.desc == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.srv.timeout)
	defer cancel()
	if err := c.desc.Close(ctx); err != nil {
		c.log.Error("unbind port", "port", c.desc.Name(), "err", err)
	}
	c.desc = nil
}

func (c *conn) close() {
	c.unbind()
	if c.sess != nil {
		ctx, cancel := context.WithTimeout(context.Background(), c.srv.timeout)
		defer cancel()
		c.srv.endSession(ctx, c.sess, c.token)
	}
	if c.descriptor {
		c.srv.uncount(c.who.UID, descriptorsOf)
	}
	_ = c.unix.Close()
}
