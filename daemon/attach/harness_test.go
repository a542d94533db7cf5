package attach

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/daemon/logs"
	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
	"github.com/netmapd/netmapd/shm"
)

// A bench is a server on a real registry and lcore, without DPDK: VALE ports
// need none.
type bench struct {
	*Server
	path string
	done chan error // what Serve returns
}

func newRegistry(tb testing.TB) *port.Registry {
	tb.Helper()
	var set unix.CPUSet
	must(tb, unix.SchedGetaffinity(0, &set))
	cpu := 0
	for !set.IsSet(cpu) {
		cpu++
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	l, err := lcore.Start(lcore.Config{CPU: cpu, CommandTimeout: 10 * time.Second, Logger: log})
	must(tb, err)
	reg := port.NewRegistry(port.Config{Global: shm.GlobalParams()}, []*lcore.Lcore{l}, log)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		reg.Close(ctx)
		must(tb, l.Stop(ctx))
	})
	return reg
}

func newBench(t *testing.T, limits Limits) *bench {
	t.Helper()
	return newLoggingBench(t, limits, io.Discard)
}

func newLoggingBench(t *testing.T, limits Limits, log io.Writer) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "nma")
	must(t, err)
	b := &bench{
		Server: New(newRegistry(t), NewTickets(), access.NewGuard(slog.New(slog.DiscardHandler)), limits, slog.New(logs.Limited(slog.NewTextHandler(log, nil)))),
		path:   filepath.Join(dir, "s"), done: make(chan error, 1),
	}
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: b.path, Net: "unixpacket"})
	must(t, err)
	go func() { b.done <- b.Serve(ln) }()
	t.Cleanup(func() {
		_ = ln.Close()
		if err := <-b.done; err != nil {
			t.Errorf("Serve: %v, want nil when the listener closes", err)
		}
		b.Stop()
		_ = os.RemoveAll(dir)
	})
	return b
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// A client is a connection and what it knows.
type client struct {
	*net.UnixConn
	t *testing.T
}

func (b *bench) dial(t *testing.T) *client {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: b.path, Net: "unixpacket"})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &client{c, t}
}

// ask sends a request, perhaps with memory, and returns the answer; its descriptors are closed.
func (c *client) ask(typ uint16, body any, tail []byte, memory ...int) (errno unix.Errno, rest []byte, text string) {
	c.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(c.t, err)
	defer unix.Close(pair[0]) //nolint:errcheck // only read from
	_, _, err = c.WriteMsgUnix(wire.Append(nil, typ, 0, body, tail), unix.UnixRights(append([]int{pair[1]}, memory...)...), nil)
	_ = unix.Close(pair[1])
	must(c.t, err)
	buf, oob := make([]byte, wire.MaxMessage), make([]byte, unix.CmsgSpace(4*wire.MaxFDs))
	n, oobn, _, _, err := unix.Recvmsg(pair[0], buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err == nil && n == 0 { // the end, and perhaps the answer behind it (netmap, readAnswer)
		n, oobn, _, _, err = unix.Recvmsg(pair[0], buf, oob, unix.MSG_CMSG_CLOEXEC)
	}
	must(c.t, err)
	fds, err := descriptors(oob[:oobn])
	must(c.t, err)
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	h, rest, err := wire.Parse(buf[:n])
	must(c.t, err)
	if h.Errno != 0 {
		return unix.Errno(h.Errno), nil, string(rest)
	}
	return 0, rest, ""
}

// session makes the connection a session and returns its token.
func (c *client) session() uint64 {
	c.t.Helper()
	errno, rest, text := c.ask(wire.TypeSession, nil, nil)
	if errno != 0 {
		c.t.Fatalf("no session: %v %s", errno, text)
	}
	var s wire.SessionAnswer
	_, err := wire.Take(rest, &s)
	must(c.t, err)
	return s.Token
}

// register binds the connection.
func (c *client) register(token uint64, name string) (unix.Errno, string) {
	c.t.Helper()
	q := wire.Control{Token: token, ReqType: abi.ReqRegister, Version: abi.APIVersion}
	copy(q.Name[:], name)
	errno, _, text := c.ask(wire.TypeControl, q, abi.Encode(nil, abi.Register{Mode: abi.ModeAllNIC}))
	return errno, text
}

// waitFor tries again until cond says nil.
func waitFor(t *testing.T, cond func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

var errStill = errors.New("something is still there")
