package attach

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// conn is one connection. Its goroutine handles requests one after the other,
// so that what a descriptor is bound to needs no lock.
type conn struct {
	srv  *Server
	unix *net.UnixConn
	id   access.Identity
	who  port.Caller
	log  *slog.Logger

	// What the connection has become: a session, a descriptor, or nothing yet.
	sess       *port.Session
	token      uint64
	descriptor bool
	desc       *port.Desc   // bound
	reg        abi.Register // what it was bound with, as answered
	kept       bool         // what it is now outlives the daemon

	unanswered bool // that an answer was not taken has been said
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
			res, err = c.handle(&m)
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
	if serr := answer(m.reply, b, res.fds...); serr != nil && !c.unanswered {
		c.unanswered = true // once: it is the client's choice how often it asks
		c.log.Warn("attach request not answered", "err", serr)
	}
	if res.done != nil {
		res.done()
	}
	m.discard()
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

func (c *conn) handle(m *message) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.srv.timeout)
	defer cancel()
	if m.memory >= 0 && m.header.Type != wire.TypeControl {
		return result{}, fmt.Errorf("%w: a descriptor beside the socket for the answer goes with the EXTMEM or the CSB option only", wire.ErrMalformed)
	}
	switch m.header.Type {
	case wire.TypeSession:
		return c.openSession(m.rest)
	case wire.TypeControl:
		return c.control(ctx, m)
	case wire.TypeJoin:
		return c.join(ctx, m.rest)
	case wire.TypeUnbind:
		return c.undo(m.rest)
	case wire.TypeRedeem:
		return c.redeem(ctx, m.rest)
	case wire.TypeLegacy:
		return c.legacy(ctx, m.rest)
	case wire.TypeIface:
		return c.iface(ctx, m.rest)
	case wire.TypeParam:
		return c.param(m.rest)
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
	c.keep(func(fd int) bool { return c.srv.reg.KeepSession(sess, fd, token) })
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
		if err := c.srv.count(c.who.UID, "descriptor", c.srv.Limits().Descriptors, descriptorsOf); err != nil {
			return nil, err
		}
		c.descriptor = true
	}
	return sess, nil
}

func (c *conn) control(ctx context.Context, m *message) (result, error) {
	var q wire.Control
	tail, err := wire.Take(m.rest, &q)
	if err != nil {
		return result{}, err
	}
	size := abi.BodySize(q.ReqType)
	if have := len(tail) - int(q.OptionBytes); have != size {
		return result{}, fmt.Errorf("%w: request type %d has a body of %d bytes, this one has %d", wire.ErrMalformed, q.ReqType, size, have)
	}
	opts, err := parseOptions(tail[size:])
	if err == nil {
		err = opts.forPort(q.ReqType, m)
	}
	defer opts.discard()
	if err != nil {
		return result{}, err
	}
	sess, err := c.asDescriptor(q.Token)
	if err != nil {
		return result{}, err
	}
	q.Name[len(q.Name)-1] = 0
	q.Errno = 0
	res, err := c.serve(ctx, sess, &q, tail[:size], opts)
	if err == nil {
		res.body = append(res.body, opts.blob...)
	} else if len(opts.blob) > 0 && !errors.Is(err, wire.ErrMalformed) {
		q.Errno = uint16(errnoOf(err))
		res.body = append(abi.Encode(nil, q), tail[:size]...)
		res.body = append(append(res.body, opts.blob...), err.Error()...)
		err = nil
	}
	return res, err
}

// serve carries out one request of the new interface.
func (c *conn) serve(ctx context.Context, sess *port.Session, q *wire.Control, body []byte, opts *options) (result, error) {
	if q.Version < abi.MinAPIVersion || q.Version > abi.MaxAPIVersion {
		return result{}, fmt.Errorf("netmap API version %d, accepted are %d to %d: %w", q.Version, abi.MinAPIVersion, abi.MaxAPIVersion, unix.EINVAL)
	}
	if q.ReqType != abi.ReqRegister {
		out, err := c.request(ctx, q, body)
		return result{body: append(abi.Encode(nil, q), out...)}, err
	}
	var reg abi.Register
	if err := abi.Decode(body, &reg); err != nil {
		return result{}, err
	}
	// An option that nobody took is the last thing to go wrong (NC B.5).
	res, err := c.bindFor(ctx, sess, abi.CString(q.Name[:]), &reg, opts)
	if err != nil {
		return result{}, err
	}
	res.body = append(abi.Encode(nil, q), res.body...)
	return res, nil
}

// bindFor binds the descriptor and hands the parts to the session. When an option
// is left, or the handing over fails, the descriptor is as before: the client is
// not told that it holds a port.
func (c *conn) bindFor(ctx context.Context, sess *port.Session, name string, reg *abi.Register, opts *options) (result, error) {
	err := c.bind(ctx, name, reg, &opts.port)
	opts.store(err)
	if err != nil {
		return result{}, err
	}
	err = opts.unprocessed()
	var res result
	if err == nil {
		c.keep(func(fd int) bool { return c.desc.Keep(fd, &c.reg) })
		res, err = c.bound(ctx, sess)
	}
	if err != nil {
		c.unbind()
		return result{}, err
	}
	return res, nil
}

func (c *conn) bind(ctx context.Context, name string, reg *abi.Register, opts *port.Options) error {
	if c.desc != nil {
		return fmt.Errorf("register %q: the descriptor is bound to %q; open another: %w", name, c.desc.Name(), unix.EBUSY)
	}
	verb := access.Attach
	if reg.Flags&(abi.FlagMonitorTx|abi.FlagMonitorRx|abi.FlagZcopyMon) != 0 {
		verb = access.Monitor
	}
	if err := c.may(verb, name); err != nil {
		return fmt.Errorf("register %q: %w", name, err)
	}
	desc, err := c.srv.reg.RegisterWith(ctx, c.who, name, reg, opts)
	if err != nil {
		return err
	}
	c.desc, c.reg = desc, *reg
	return nil
}

// takeAll decodes a body that nothing may follow; what names the request.
func takeAll(rest []byte, body any, what string) error {
	tail, err := wire.Take(rest, body)
	if err == nil && len(tail) != 0 {
		err = fmt.Errorf("%w: %d bytes after the body of a %s", wire.ErrMalformed, len(tail), what)
	}
	return err
}

func (c *conn) join(ctx context.Context, rest []byte) (result, error) {
	var q wire.Join
	if err := takeAll(rest, &q, "join"); err != nil {
		return result{}, err
	}
	sess, err := c.srv.session(q.Token)
	if err != nil {
		return result{}, err
	}
	if c.desc == nil {
		return result{}, fmt.Errorf("join: the descriptor is not bound to a port: %w", unix.ENXIO)
	}
	return c.bound(ctx, sess)
}

// undo makes the descriptor one that is bound to nothing, as it was before a
// registration that its library could not use.
func (c *conn) undo(rest []byte) (result, error) {
	var q wire.Unbind
	if err := takeAll(rest, &q, "unbind"); err != nil {
		return result{}, err
	}
	if _, err := c.srv.session(q.Token); err != nil {
		return result{}, err
	}
	c.unbind()
	return result{}, nil
}

func (c *conn) redeem(ctx context.Context, rest []byte) (result, error) {
	var q wire.Redeem
	if err := takeAll(rest, &q, "redeem"); err != nil {
		return result{}, err
	}
	sess, err := c.asDescriptor(q.Token)
	if err != nil {
		return result{}, err
	}
	t, err := c.srv.tickets.Redeem(q.Ticket, uint32(c.who.UID))
	if err != nil {
		return result{}, err
	}
	return c.bindFor(ctx, sess, t.Name, &t.Register, &options{})
}

// bound hands the parts of the bound port to a session.
func (c *conn) bound(ctx context.Context, sess *port.Session) (result, error) {
	bind, fds, err := c.desc.Join(ctx, sess)
	if err != nil {
		return result{}, err
	}
	wake, hangup := fds[wire.FDWake], fds[wire.FDHangup]
	return result{
		body: abi.Encode(abi.Encode(nil, bind), c.reg),
		fds:  fds[:],
		done: func() { _, _ = unix.Close(wake), unix.Close(hangup) }, // the client's: now its own
	}, nil
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
	c.desc, c.kept = nil, false
}

// keep has fn, which gets the connection, keep for the next daemon what it is.
func (c *conn) keep(fn func(fd int) bool) {
	raw, err := c.unix.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { c.kept = fn(int(fd)) })
	}
	if err != nil {
		c.log.Warn("a connection is not kept for the next netmapd", "err", err)
	}
}

func (c *conn) close() {
	if c.kept && c.srv.leaves() {
		_ = c.unix.Close() // the next daemon goes on with it
		return
	}
	c.unbind()
	if c.sess != nil {
		ctx, cancel := context.WithTimeout(context.Background(), c.srv.timeout)
		defer cancel()
		c.srv.endSession(ctx, c.sess, c.token)
	}
	if c.descriptor {
		c.srv.uncount(c.who.UID, descriptorsOf)
	}
	if c.srv.reg.Keeps() { // what is kept is open for a while longer, and the client shall know now
		_, _ = c.unix.CloseRead(), c.unix.CloseWrite()
	}
	_ = c.unix.Close()
}
