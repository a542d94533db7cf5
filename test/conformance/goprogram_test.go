package conformance

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/netmap/wire"
)

// goProgram makes requests byte by byte, as a library would, and syncs and polls with package netmap, which joins the
// descriptors that the requests bound.
type goProgram struct {
	e       *env
	dir     string
	session int
	token   uint64
	kick    int
	fds     map[int]*goDesc
	maps    map[int][]byte
	next    int
	jobs    map[int]chan unix.Errno
}

// goDesc is a descriptor: a connection, and when it is bound the descriptors of its memory.
type goDesc struct {
	conn  int
	parts []int
	size  uint64
	desc  *netmap.Desc
}

func newGoProgram(e *env) *goProgram {
	e.Helper()
	g := &goProgram{e: e, dir: e.daemon.dir, fds: map[int]*goDesc{}, maps: map[int][]byte{}, next: 3, jobs: map[int]chan unix.Errno{}}
	g.session = g.dial()
	a := g.ask(g.session, wire.Append(nil, wire.TypeSession, 0, nil, nil))
	var s wire.SessionAnswer
	_, err := wire.Take(a.rest, &s)
	e.must(errors.Join(err, a.errno()))
	g.token, g.kick = s.Token, a.fds[0]
	e.Cleanup(g.end)
	return g
}

func (g *goProgram) dial() int {
	g.e.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	g.e.must(err)
	g.e.must(again(func() error { return unix.Connect(fd, &unix.SockaddrUnix{Name: rundir.AttachSocket(g.dir)}) }))
	return fd
}

// again repeats a system call that a signal of the Go runtime interrupted.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// An answer as it came.
type answer struct {
	wire.Header
	rest []byte
	fds  []int
}

func (a *answer) errno() error {
	if a.Errno != 0 {
		return fmt.Errorf("%s: %w", a.rest, unix.Errno(a.Errno))
	}
	return nil
}

// ask sends a message with the way back and reads the answer.
func (g *goProgram) ask(conn int, msg []byte) *answer {
	g.e.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	g.e.must(err)
	defer unix.Close(pair[0]) //nolint:errcheck // nothing was written
	err = again(func() error { return unix.Sendmsg(conn, msg, unix.UnixRights(pair[1]), nil, unix.MSG_NOSIGNAL) })
	_ = unix.Close(pair[1])
	g.e.must(err)
	tv := unix.NsecToTimeval(patience.Nanoseconds())
	g.e.must(unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	buf, oob := make([]byte, wire.MaxMessage), make([]byte, unix.CmsgSpace(4*wire.MaxFDs))
	var n, oobn int
	g.e.must(again(func() (err error) {
		n, oobn, _, _, err = unix.Recvmsg(pair[0], buf, oob, unix.MSG_CMSG_CLOEXEC)
		if err == nil && n == 0 { // the end, and perhaps the answer behind it (netmap, readAnswer)
			n, oobn, _, _, err = unix.Recvmsg(pair[0], buf, oob, unix.MSG_CMSG_CLOEXEC)
		}
		return err
	}))
	a := &answer{}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	g.e.must(err)
	for i := range cmsgs {
		fds, err := unix.ParseUnixRights(&cmsgs[i])
		g.e.must(err)
		a.fds = append(a.fds, fds...)
	}
	a.Header, a.rest, err = wire.Parse(buf[:n])
	if err != nil {
		g.e.Fatalf("an answer of %d bytes: %v", n, err)
	}
	return a
}

func (g *goProgram) add(d *goDesc) int {
	g.next++
	g.fds[g.next] = d
	return g.next
}

func (g *goProgram) open() int { return g.add(&goDesc{conn: g.dial()}) }

func (g *goProgram) dup(fd int) int {
	g.e.Helper()
	conn, err := unix.FcntlInt(uintptr(g.fds[fd].conn), unix.F_DUPFD_CLOEXEC, 0)
	g.e.must(err)
	return g.add(&goDesc{conn: conn})
}

func (g *goProgram) close(fd int) {
	g.fds[fd].close()
	delete(g.fds, fd)
}

func (d *goDesc) close() {
	for _, fd := range append(d.parts, d.conn) {
		_ = unix.Close(fd)
	}
	if d.desc != nil { // the last one: it waits until the daemon has noticed
		_ = d.desc.Close()
	}
}

func (g *goProgram) end() {
	for fd := range g.fds {
		g.close(fd)
	}
	for base := range g.maps {
		g.munmap(base)
	}
	if g.session >= 0 {
		_ = unix.Close(g.session)
		_ = unix.Close(g.kick)
		g.session = -1
	}
}

func (g *goProgram) control(fd int, q *request) unix.Errno {
	g.e.Helper()
	if errno, ours := g.loopRequest(fd, q); ours {
		return errno
	}
	if o := q.option(abi.OptExtmem); o != nil && q.typ == abi.ReqRegister && len(q.options) == 1 {
		return g.openExtmem(fd, q, o)
	}
	errno := g.carryOut(fd, q)
	if errno == 0 && q.typ == abi.ReqRegister {
		errno = g.enableCSB(fd, q)
	}
	return errno
}

// carryOut has the daemon carry the request out.
func (g *goProgram) carryOut(fd int, q *request) unix.Errno {
	g.e.Helper()
	opts := encodeOptions(q.options)
	c := wire.Control{Token: g.token, ReqType: q.typ, Version: q.version, OptionBytes: uint16(len(opts)), Name: q.name}
	d := g.fds[fd]
	a := g.ask(d.conn, wire.Append(nil, wire.TypeControl, 0, c, append(append([]byte{}, q.body...), opts...)))
	if a.Errno != 0 {
		g.e.Logf("%v", a.errno())
		return unix.Errno(a.Errno)
	}
	rest, err := wire.Take(a.rest, &c)
	g.e.must(err)
	q.name = c.Name
	if c.Errno != 0 {
		g.decodeOptions(q, rest[len(q.body):])
		return unix.Errno(c.Errno)
	}
	if q.typ == abi.ReqRegister {
		rest = g.bound(d, a, rest)
	}
	copy(q.body, rest)
	g.decodeOptions(q, rest[len(q.body):])
	return 0
}

func encodeOptions(opts []option) (b []byte) {
	for _, o := range opts {
		b = abi.Encode(b, wire.Option{Type: o.typ, Status: o.status, Size: uint32(len(o.body))})
		b = append(b, o.body...)
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
	}
	return b
}

func (g *goProgram) decodeOptions(q *request, b []byte) {
	g.e.Helper()
	for i := range q.options {
		var o wire.Option
		var err error
		b, err = wire.Take(b, &o)
		g.e.must(err)
		q.options[i].status = o.Status
		if o.Status == 0 {
			copy(q.options[i].body, b)
		}
		b = b[(o.Size+7)&^7:]
	}
}

// bound takes the descriptors of a bound port and returns what follows the Bind.
func (g *goProgram) bound(d *goDesc, a *answer, rest []byte) []byte {
	g.e.Helper()
	var b wire.Bind
	rest, err := wire.Take(rest, &b)
	g.e.must(err)
	if len(a.fds) != wire.BindFDs && len(a.fds) != wire.PipeFDs {
		g.e.Fatalf("an answer about a bound port brings %d descriptors, want %d", len(a.fds), wire.BindFDs)
	}
	d.parts, d.size = a.fds, b.RegionSize
	return rest
}

// ensure asks for the parts of a descriptor that somebody else bound.
func (g *goProgram) ensure(d *goDesc) unix.Errno {
	g.e.Helper()
	if d.parts != nil {
		return 0
	}
	a := g.ask(d.conn, wire.Append(nil, wire.TypeJoin, 0, wire.Join{Token: g.token}, nil))
	if a.Errno == 0 {
		g.bound(d, a, a.rest)
	}
	return unix.Errno(a.Errno)
}

func (g *goProgram) legacy(fd int, ioctl uint64, arg []byte) unix.Errno {
	g.e.Helper()
	d := g.fds[fd]
	q := wire.Legacy{Token: g.token, Ioctl: uint32(ioctl)}
	a := g.ask(d.conn, wire.Append(nil, wire.TypeLegacy, 0, q, arg))
	if a.Errno != 0 {
		g.e.Logf("%v", a.errno())
		return unix.Errno(a.Errno)
	}
	rest, err := wire.Take(a.rest, &q)
	g.e.must(err)
	if q.Bound != 0 {
		rest = g.bound(d, a, rest)[abi.RegisterSize:]
	}
	if len(rest) != len(arg) {
		g.e.Errorf("the argument comes back with %d bytes, want %d", len(rest), len(arg))
	}
	copy(arg, rest)
	return 0
}

// joined is package netmap's view of a descriptor, nil for one that nobody bound.
func (g *goProgram) joined(fd int) *netmap.Desc {
	g.e.Helper()
	d := g.fds[fd]
	if d.desc != nil {
		return d.desc
	}
	if g.ensure(d) != 0 {
		return nil
	}
	conn, err := unix.FcntlInt(uintptr(d.conn), unix.F_DUPFD_CLOEXEC, 0)
	g.e.must(err)
	d.desc, err = netmap.Join(g.e.limited(), os.NewFile(uintptr(conn), "descriptor"), netmap.WithRuntimeDir(g.dir))
	g.e.must(err)
	return d.desc
}

func (g *goProgram) sync(fd int, sync func(*netmap.Desc) error) unix.Errno {
	g.e.Helper()
	d := g.joined(fd)
	if d == nil {
		return unix.ENXIO
	}
	errno, _ := errors.AsType[unix.Errno](sync(d))
	return errno
}

func (g *goProgram) txsync(fd int) unix.Errno {
	g.e.Helper()
	return g.sync(fd, (*netmap.Desc).TxSync)
}

func (g *goProgram) rxsync(fd int) unix.Errno {
	g.e.Helper()
	return g.sync(fd, (*netmap.Desc).RxSync)
}

func (g *goProgram) poll(fd int, events int16, limit time.Duration) int16 {
	g.e.Helper()
	d := g.joined(fd)
	if d == nil {
		return unix.POLLERR
	}
	// Package netmap knows POLLIN and POLLOUT with their synonyms only together.
	var want netmap.Events
	if events&unix.POLLIN != 0 {
		want |= netmap.PollIn
	}
	if events&unix.POLLOUT != 0 {
		want |= netmap.PollOut
	}
	re, err := d.PollTimeout(limit, want)
	if err != nil && re&netmap.PollErr == 0 {
		g.e.Errorf("poll: %v", err)
	}
	return int16(re) & (unix.POLLIN | unix.POLLOUT | unix.POLLERR)
}

func (g *goProgram) mmap(fd int, length, offset uint64) (int, unix.Errno) {
	g.e.Helper()
	d := g.fds[fd]
	if errno := g.ensure(d); errno != 0 {
		return 0, unix.EINVAL
	}
	if offset > d.size || length > d.size-offset {
		return 0, unix.EINVAL
	}
	m, err := unix.Mmap(d.parts[wire.FDRegion], int64(offset), int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	g.e.must(err)
	g.next++
	g.maps[g.next] = m
	return g.next, 0
}

func (g *goProgram) munmap(base int) {
	_ = unix.Munmap(g.maps[base])
	delete(g.maps, base)
}

func (g *goProgram) load(base int, off uint64, n int) []byte {
	return append([]byte{}, g.maps[base][off:off+uint64(n)]...)
}

func (g *goProgram) store(base int, off uint64, b []byte) { copy(g.maps[base][off:], b) }
