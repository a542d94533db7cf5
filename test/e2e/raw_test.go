package e2e

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/netmap/wire"
)

// rawConn speaks the attach protocol byte by byte, so that it can be misspoken.
type rawConn struct{ fd int }

func dialRaw(dir string) (*rawConn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: rundir.AttachSocket(dir)}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &rawConn{fd}, nil
}

func (c *rawConn) close() { _ = unix.Close(c.fd) }

// send sends one message with descriptors, which stay the caller's.
func (c *rawConn) send(msg []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(c.fd, msg, oob, nil, unix.MSG_NOSIGNAL)
}

// answered is an answer as it came.
type answered struct {
	wire.Header
	rest []byte
	text string // of a refusal
	fds  []int
}

func (a *answered) close() {
	for _, fd := range a.fds {
		_ = unix.Close(fd)
	}
}

// errHungUp says that the daemon ended the conversation without an answer.
var errHungUp = errors.New("the daemon hung up")

// request sends msg with the way back and, behind it, more descriptors, and
// waits for the answer.
func (c *rawConn) request(msg []byte, more ...int) (*answered, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pair[0]) //nolint:errcheck // nothing was written
	err = c.send(msg, append([]int{pair[1]}, more...)...)
	_ = unix.Close(pair[1])
	if err != nil {
		return nil, err
	}
	return readAnswer(pair[0])
}

// readAnswer reads one answer with the tests' patience.
func readAnswer(fd int) (*answered, error) {
	tv := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return nil, err
	}
	buf, oob := make([]byte, wire.MaxMessage), make([]byte, unix.CmsgSpace(4*16))
	receive := func() (n, oobn int, err error) {
		for {
			n, oobn, _, _, err = unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
			if !errors.Is(err, unix.EINTR) { // Go's own signals; with a time limit the kernel does not go on by itself
				return n, oobn, err
			}
		}
	}
	n, oobn, err := receive()
	if err == nil && n == 0 { // the end, and perhaps the answer behind it (netmap, readAnswer)
		n, oobn, err = receive()
	}
	switch {
	case errors.Is(err, unix.ECONNRESET), err == nil && n == 0:
		return nil, errHungUp
	case err != nil:
		return nil, fmt.Errorf("read an answer: %w", err)
	}
	a := &answered{}
	if oobn > 0 {
		cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return nil, err
		}
		for i := range cmsgs {
			fds, err := unix.ParseUnixRights(&cmsgs[i])
			if err != nil {
				return nil, err
			}
			a.fds = append(a.fds, fds...)
		}
	}
	a.Header, a.rest, err = wire.Parse(buf[:n])
	if a.Errno != 0 {
		a.text = string(a.rest)
	}
	return a, err
}

// ended waits until the daemon has closed its end of the connection.
func (c *rawConn) ended() error {
	tv := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return err
	}
	var b [16]byte
	switch n, err := unix.Read(c.fd, b[:]); {
	case err == nil && n == 0, errors.Is(err, unix.ECONNRESET):
		return nil
	case err != nil:
		return fmt.Errorf("the connection is still there: %w", err)
	default:
		return fmt.Errorf("the daemon wrote %d bytes on the connection, which it never does", n)
	}
}

// Messages.

func sessionMessage() []byte { return wire.Append(nil, wire.TypeSession, 0, nil, nil) }

func controlMessage(token uint64, name string, req uint16, version uint16, body []byte) []byte {
	c := wire.Control{Token: token, ReqType: req, Version: version}
	copy(c.Name[:], name)
	return wire.Append(nil, wire.TypeControl, 0, c, body)
}

func registerMessage(token uint64, name string, reg abi.Register) []byte {
	return controlMessage(token, name, abi.ReqRegister, abi.APIVersion, abi.Encode(nil, reg))
}

func joinMessage(token uint64) []byte {
	return wire.Append(nil, wire.TypeJoin, 0, wire.Join{Token: token}, nil)
}

// rawSession is a session of which the caller knows all secrets.
type rawSession struct {
	*rawConn
	wire.SessionAnswer
	kick int
}

func openRawSession(dir string) (*rawSession, error) {
	c, err := dialRaw(dir)
	if err != nil {
		return nil, err
	}
	a, err := c.request(sessionMessage())
	if err == nil && (a.Errno != 0 || len(a.fds) != 1) {
		err = fmt.Errorf("no session: %d %s, %d descriptors", a.Errno, a.text, len(a.fds))
	}
	s := &rawSession{rawConn: c}
	if err == nil {
		s.kick = a.fds[0]
		_, err = wire.Take(a.rest, &s.SessionAnswer)
	}
	return s, err
}

func (s *rawSession) close() {
	_ = unix.Close(s.kick)
	s.rawConn.close()
}

// rawPort is a bound port with its memory mapped and its descriptors in hand.
type rawPort struct {
	*rawConn
	session          *rawSession
	bind             wire.Bind
	regionFD, syncFD int
	wakeFD, hangupFD int
	pipeFDs          []int
	region, sync     []byte
	tx, rx           abi.Ring // the first ones
	txBlock, rxBlock *abi.SyncBlock
	bufs             abi.Bufs
}

// openRaw opens a session and a port and maps everything.
func openRaw(dir, name string, reg abi.Register) (p *rawPort, err error) {
	p = &rawPort{}
	if p.session, err = openRawSession(dir); err != nil {
		return nil, err
	}
	if p.rawConn, err = dialRaw(dir); err != nil {
		return nil, err
	}
	a, err := p.request(registerMessage(p.session.Token, name, reg))
	if err != nil {
		return nil, err
	}
	if a.Errno != 0 || len(a.fds) != wire.BindFDs && len(a.fds) != wire.PipeFDs {
		return nil, fmt.Errorf("register %s: %w: %s", name, unix.Errno(a.Errno), a.text)
	}
	p.regionFD, p.syncFD = a.fds[wire.FDRegion], a.fds[wire.FDSync]
	p.wakeFD, p.hangupFD = a.fds[wire.FDWake], a.fds[wire.FDHangup]
	p.pipeFDs = a.fds[wire.BindFDs:]
	var ctl wire.Control
	rest, err := wire.Take(a.rest, &ctl)
	if err == nil {
		_, err = wire.Take(rest, &p.bind)
	}
	if err != nil {
		return nil, err
	}
	return p, p.mapAll()
}

func (p *rawPort) mapAll() (err error) {
	b := &p.bind
	if p.region, err = mapFile(p.regionFD); err != nil {
		return err
	}
	if p.sync, err = mapFile(p.syncFD); err != nil {
		return err
	}
	mem := abi.NewMem(p.region)
	if p.bufs, err = mem.Bufs(b.BufOffset, b.BufCount, b.BufSize); err != nil {
		return err
	}
	firstRx := int(b.TxRings + b.HostTxRings)
	ni, err := mem.If(b.IfOffset, firstRx+int(b.RxRings+b.HostRxRings))
	if err != nil {
		return err
	}
	if p.tx, err = mem.Ring(uint64(int64(b.IfOffset)+ni.RingOfs[0]), b.TxSlots); err != nil {
		return err
	}
	if p.rx, err = mem.Ring(uint64(int64(b.IfOffset)+ni.RingOfs[firstRx]), b.RxSlots); err != nil {
		return err
	}
	if p.txBlock, err = abi.NewMem(p.sync).SyncBlock(0); err != nil {
		return err
	}
	p.rxBlock, err = abi.NewMem(p.sync).SyncBlock(firstRx)
	return err
}

func mapFile(fd int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	return unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (p *rawPort) close() {
	_ = unix.Munmap(p.region)
	_ = unix.Munmap(p.sync)
	for _, fd := range append(p.pipeFDs, p.regionFD, p.syncFD, p.wakeFD, p.hangupFD) {
		_ = unix.Close(fd)
	}
	p.rawConn.close()
	p.session.close()
}

// wakeDaemon is a kick.
func (p *rawPort) wakeDaemon() { _, _ = unix.Write(p.session.kick, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// publish publishes a TX head without any of the library's checks.
func (p *rawPort) publish(head, cur uint32) {
	p.txBlock.PublishClient(head, cur)
	p.wakeDaemon()
}

// runtimeDir of the daemon, in a client process.
func runtimeDir() string { return os.Getenv(rundir.Env) }
