package attach

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/wire"
)

// holding is a reply socket whose last close waits: in its queue lies a TCP socket that
// lingers, because its peer reads nothing until the test is over.
func holding(t *testing.T) (reply int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	fd := lingering(t)
	must(t, unix.Sendmsg(pair[0], []byte{1}, unix.UnixRights(fd), nil, 0))
	must(t, unix.Close(fd))
	t.Cleanup(func() { _ = unix.Close(pair[0]) })
	return pair[1]
}

func lingering(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer ln.Close() //nolint:errcheck // a test's
	c, err := net.Dial("tcp4", ln.Addr().String())
	must(t, err)
	peer, err := ln.Accept()
	must(t, err)
	t.Cleanup(func() { // before Stop: what waits goes on
		_ = peer.SetReadDeadline(time.Now().Add(30 * time.Second))
		_, _ = io.Copy(io.Discard, peer)
		_ = peer.Close()
	})
	must(t, c.(*net.TCPConn).SetLinger(3600))
	must(t, c.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
	for {
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			break
		}
	}
	f, err := c.(*net.TCPConn).File()
	must(t, err)
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	must(t, f.Close())
	must(t, c.Close())
	return fd
}

// leave connects, sends a message with a descriptor and closes the own copy, all
// before the server gets to it: so the last close is the server's.
func (b *bench) leave(t *testing.T, msg []byte, fd int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _, err := b.dial(t).WriteMsgUnix(msg, unix.UnixRights(fd), nil)
	must(t, err)
	must(t, unix.Close(fd))
}

// A client can hold up the close of what it sends. It holds up its own
// connection: neither the server's end nor anybody else.
func TestHeldUp(t *testing.T) {
	b := newBench(t, Limits{})
	b.timeout = 100 * time.Millisecond
	msg := wire.Append(nil, wire.TypeSession, 0, nil, nil)
	for _, fd := range []int{holding(t), lingering(t)} {
		b.leave(t, msg, fd)
		b.dial(t).session()
	}
	stopped := make(chan struct{})
	go func() {
		b.Stop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(30 * time.Second):
		t.Fatal("Stop waits for a client")
	}
}

// Of the descriptors of a message that is wrong none stays open in the daemon
// because another one cannot be closed: the dataplane tells descriptors of its
// devices from others by when they appear.
func TestNothingLiesOpen(t *testing.T) {
	b := newBench(t, Limits{})
	var pipe [2]int
	must(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	end := os.NewFile(uintptr(pipe[0]), "pipe")
	defer end.Close() //nolint:errcheck // a test's
	fd := lingering(t)
	b.mu.Lock() // before the server knows the connection, so that it cannot get to the message
	_, _, err := b.dial(t).WriteMsgUnix([]byte{1}, unix.UnixRights(fd, pipe[1]), nil)
	must(t, errors.Join(err, unix.Close(fd), unix.Close(pipe[1])))
	b.mu.Unlock()
	got := make(chan error, 1)
	go func() {
		_, err := end.Read(make([]byte, 1))
		got <- err
	}()
	select {
	case err := <-got:
		if !errors.Is(err, io.EOF) {
			t.Errorf("read says %v, want the end", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the daemon keeps a client's descriptor open")
	}
}

// A connection that is refused can hold up its close too; the next ones do not
// wait for it.
func TestRefusedAndHeldUp(t *testing.T) {
	b := newBench(t, Limits{Sessions: 1, Descriptors: 1})
	var last *client
	for range 2 + spareConns {
		last = b.dial(t)
	}
	last.session() // so all are accepted
	b.leave(t, []byte{1}, lingering(t))
	next := b.dial(t)
	must(t, next.SetReadDeadline(time.Now().Add(30*time.Second)))
	if _, err := next.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("the next connection: %v, want to be refused", err)
	}
}

// lockedBuffer is a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// Whatever clients do, they do not fill the log: a connection is reproached once
// for answers that it does not take, and all of them with so many lines.
func TestLogIsNotFilled(t *testing.T) {
	var text lockedBuffer
	b := newLoggingBench(t, Limits{}, &text)
	c := b.dial(t)
	for range 100 { // the reading end is closed: nobody takes the answers
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		must(t, unix.Close(pair[0]))
		_, _, err = c.WriteMsgUnix(wire.Append(nil, wire.TypeJoin, 0, wire.Join{}, nil), unix.UnixRights(pair[1]), nil)
		must(t, err)
		must(t, unix.Close(pair[1]))
	}
	if errno, _, _ := c.ask(wire.TypeJoin, wire.Join{}, nil); errno != unix.ENOTCONN {
		t.Errorf("the connection does not go on: %v", errno)
	}
	if n := text.count("attach request not answered"); n != 1 {
		t.Errorf("%d lines about one connection, want 1", n)
	}
	const mistakes = 300
	for range mistakes {
		bad := b.dial(t)
		_, err := bad.Write([]byte("this is no request"))
		must(t, err)
		if _, err := bad.Read(make([]byte, 1)); err == nil {
			t.Fatal("the connection goes on")
		}
	}
	if n := text.count("attach connection ended"); n < 1 || n > mistakes/2 { // 60, or some more if a new minute begins meanwhile
		t.Errorf("%d lines about %d mistakes", n, mistakes)
	}
}
