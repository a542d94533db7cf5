package netmap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/netmap/wire"
)

// answerTime is how long the daemon may take where the context sets no limit.
const answerTime = 5 * time.Second

// A session is this process to one daemon, shared by all its descriptors. Its
// connection lives as long as the process uses the daemon: that it ends tells
// the daemon that the process is gone, and the process that the daemon is.
type session struct {
	path   string
	conn   *net.UnixConn
	id     uint32 // what we write into busy words
	token  uint64
	kickFD int
	dead   atomic.Bool // the daemon is gone
	refs   int         // under sessions.mu

	mu       sync.Mutex
	wakes    map[*wake]struct{} // of the descriptors, to be told when the daemon ends
	sleepers map[*sleeper]struct{}
}

// sessions are the live ones by socket.
var sessions = struct {
	mu sync.Mutex
	m  map[string]*session
}{m: map[string]*session{}}

// openSession returns the process's session with the daemon in the given
// runtime directory; release gives it back.
func openSession(ctx context.Context, runtimeDir string) (*session, error) {
	dir, err := rundir.Find(runtimeDir)
	if err != nil {
		return nil, err
	}
	path := rundir.AttachSocket(dir)
	sessions.mu.Lock()
	defer sessions.mu.Unlock()
	if s := sessions.m[path]; s != nil && !s.dead.Load() {
		s.refs++
		return s, nil
	}
	s, err := newSession(ctx, path)
	if err != nil {
		return nil, err
	}
	s.refs = 1
	sessions.m[path] = s
	return s, nil
}

func newSession(ctx context.Context, path string) (*session, error) {
	conn, err := dial(ctx, path)
	if err != nil {
		return nil, err
	}
	a, err := request(ctx, conn, wire.Append(nil, wire.TypeSession, 0, nil, nil), -1, 1)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start a session with netmapd at %s: %w", path, err)
	}
	defer a.closeFDs()
	ans, err := parseSession(a.body)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start a session with netmapd at %s: %w", path, err)
	}
	s := &session{path: path, conn: conn, id: ans.ID, token: ans.Token, kickFD: a.take(0), wakes: map[*wake]struct{}{}, sleepers: map[*sleeper]struct{}{}}
	go s.watch()
	return s, nil
}

var kickWord = [8]byte{1} // little-endian, as the machines that netmapd runs on

// kick makes a daemon that sleeps look at the rings. It cannot block: nobody
// reads the eventfd, and its counter holds 2^64 kicks.
func (s *session) kick() { _, _ = unix.Write(s.kickFD, kickWord[:]) }

// watch waits for the daemon to end. It never says anything on this connection.
func (s *session) watch() {
	var b [1]byte
	for {
		if n, err := s.conn.Read(b[:]); n == 0 || err != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead.Store(true)
	for w := range s.wakes {
		w.hangup()
	}
}

// enlist has the waiters of w told when the daemon ends; dismiss undoes it.
func (s *session) enlist(w *wake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakes[w] = struct{}{}
	if s.dead.Load() {
		w.hangup()
	}
}

func (s *session) dismiss(w *wake) {
	s.mu.Lock()
	delete(s.wakes, w)
	for sl := range s.sleepers {
		if sl.d.wake == w {
			delete(s.sleepers, sl)
		}
	}
	s.mu.Unlock()
	s.rouse() // the event that nobody took may have been meant for others, too
}

// A sleeper is a poll that sleeps, or is about to.
//
// A process with several descriptors is woken for one of the rings that change together (abi.AskProcess). Whoever finds a mark
// gone that it, or another poll of the descriptor, had set there wakes all others that have something to look at. It finds
// that when it arms its rings again, or when it leaves; and then it lowers marks that are still there, since it will not
// be woken for others any more (package ring/model).
type sleeper struct {
	d    *Desc
	want Events
	ask  uint32 // what its marks ask for
}

// sleeps counts a poll among those who sleep, and lists it unless the process has no other descriptor, so
// that there is nobody to be woken for.
func (s *session) sleeps(d *Desc, want Events) *sleeper {
	sl := &sleeper{d, want, abi.AskDescriptor}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.wake.sleepers++
	if len(s.wakes) > 1 && !d.pipe { // at the other end of a pipe is no lcore
		sl.ask = abi.AskProcess
		s.sleepers[sl] = struct{}{}
	}
	return sl
}

// arm arms the rings of a sleeper, again or for the first time.
func (s *session) arm(sl *sleeper, again bool) {
	taken := false
	sl.d.waited(sl.want, func(r *Ring) { taken = !r.blk.ArmClient(sl.ask) || taken })
	if !taken {
		return
	}
	s.mu.Lock()
	again = again || sl.d.wake.sleepers > 1
	s.mu.Unlock()
	if again {
		s.rouse()
	}
}

// leaves is the end of it.
func (s *session) leaves(sl *sleeper) {
	taken := false
	s.mu.Lock()
	sl.d.wake.sleepers--
	if _, there := s.sleepers[sl]; there { // and so are its rings
		delete(s.sleepers, sl)
		left := uint32(abi.AskOthers)
		if sl.d.wake.sleepers > 0 {
			left = abi.AskDescriptor
		}
		sl.d.waited(sl.want, func(r *Ring) { taken = !r.blk.LowerClientMark(left) || taken })
	}
	s.mu.Unlock()
	if taken {
		s.rouse()
	}
}

// beside counts who sleeps on a descriptor without being in the list: 1 to begin, -1 to end.
func (s *session) beside(w *wake, n int) {
	s.mu.Lock()
	w.sleepers += n
	s.mu.Unlock()
}

// rouse ends the waits of all sleepers that have something to look at.
func (s *session) rouse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sl := range s.sleepers {
		if sl.d.news(sl.want) {
			sl.d.wake.nudge()
		}
	}
}

// release gives the session back; the last one ends it.
func (s *session) release() {
	sessions.mu.Lock()
	defer sessions.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return
	}
	if sessions.m[s.path] == s {
		delete(sessions.m, s.path)
	}
	_ = s.conn.Close()
	_ = unix.Close(s.kickFD)
}

// dial connects to the attach socket.
func dial(ctx context.Context, path string) (*net.UnixConn, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unixpacket", path)
		switch {
		case err == nil:
			return c.(*net.UnixConn), nil
		case errors.Is(err, unix.EAGAIN): // the listener's queue is full: it is alive
			select {
			case <-time.After(5 * time.Millisecond):
				continue
			case <-ctx.Done():
			}
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
			errno, _ := errors.AsType[unix.Errno](err)
			return nil, &Error{Errno: errno, Text: fmt.Sprintf("no netmapd answers at %s; start one with «netmapd» or «systemctl start netmapd», "+
				"or name the directory of a running one by --runtime-dir or NETMAPD_RUNTIME_DIR", path)}
		case errors.Is(err, unix.EACCES):
			return nil, &Error{Errno: unix.EACCES, Text: fmt.Sprintf("not allowed to connect to netmapd at %s; run as the user that netmapd runs as, or as a member of the group that access.group names", path)}
		}
		return nil, fmt.Errorf("connect to netmapd at %s: %w", path, err)
	}
}

func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, answerTime)
}

// request sends a message, with the way back as its descriptor and perhaps memory
// (a descriptor, or -1), and reads the answer, which must bring exactly wantFDs descriptors.
func request(ctx context.Context, conn *net.UnixConn, msg []byte, memory, wantFDs int) (*answer, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket pair for the answer: %w", err)
	}
	reply, err := packetConn(os.NewFile(uintptr(fds[0]), "answer"))
	if err != nil {
		_ = unix.Close(fds[1])
		return nil, err
	}
	defer reply.Close()
	stop := context.AfterFunc(ctx, func() { _ = reply.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	rights := []int{fds[1]}
	if memory >= 0 {
		rights = append(rights, memory)
	}
	_, _, err = conn.WriteMsgUnix(msg, unix.UnixRights(rights...), nil)
	// Ours must go, so that the end of the daemon ends the wait for its answer.
	_ = unix.Close(fds[1])
	if err != nil {
		return nil, fmt.Errorf("send a request to netmapd: %w", err)
	}
	a, err := readAnswer(reply, messageType(msg), wantFDs)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("wait for the answer of netmapd: %w", ctx.Err())
	}
	return a, err
}

// messageType is the type in a message of our own making.
func messageType(msg []byte) uint16 {
	h, _, _ := wire.Parse(msg)
	return h.Type
}

// packetConn makes a connection of a file and closes the file.
func packetConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use %s as a socket: %w", f.Name(), err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, fmt.Errorf("use %s as a socket: it is a %T, want a Unix socket", f.Name(), c)
	}
	return u, nil
}

// messages is a *net.UnixConn to read from.
type messages interface {
	ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error)
}

// readAnswer reads one message. All descriptors in it are taken, so that none
// leaks, and closed again unless the message is as it should be.
func readAnswer(c messages, typ uint16, wantFDs int) (*answer, error) {
	buf := make([]byte, wire.MaxMessage)
	oob := make([]byte, unix.CmsgSpace(4*(wire.MaxFDs+1))) // one more, to notice a surplus
	n, oobn, flags, _, err := c.ReadMsgUnix(buf, oob)
	if errors.Is(err, io.EOF) {
		// The kernel looks for a message first and then whether the other end is closed. What is sent and closed in between
		// reads as the end, with the answer behind it: a second look finds what there is.
		n, oobn, flags, _, err = c.ReadMsgUnix(buf, oob)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		return nil, errors.New("netmapd hung up instead of answering; its log says why")
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer of netmapd: %w", err)
	}
	a := &answer{}
	err = a.takeFDs(oob[:oobn])
	switch {
	case err != nil:
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = fmt.Errorf("%w: answer of more than %d bytes or %d descriptors", wire.ErrMalformed, wire.MaxMessage, wire.MaxFDs)
	default:
		a.body, err = parseAnswer(buf[:n], typ, len(a.fds), wantFDs)
	}
	if err != nil {
		a.closeFDs()
		return nil, err
	}
	return a, nil
}

// takeFDs takes the descriptors out of the control messages; they close on exec.
func (a *answer) takeFDs(oob []byte) error {
	if len(oob) == 0 {
		return nil
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("%w: control message: %w", wire.ErrMalformed, err)
	}
	for i := range cmsgs {
		fds, err := unix.ParseUnixRights(&cmsgs[i])
		if err != nil {
			continue // not descriptors: nothing to close
		}
		a.fds = append(a.fds, fds...)
	}
	return nil
}
