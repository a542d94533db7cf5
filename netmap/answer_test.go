package netmap

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/netmap/wire"
)

// goodBind is an answer about a port with one ring each way.
func goodBind() wire.Bind {
	return wire.Bind{
		PortID: 1, RegionSize: 1 << 20, BufOffset: 65536, BufCount: 64, BufSize: 2048,
		TxRings: 1, RxRings: 1, HostTxRings: 1, HostRxRings: 1, TxSlots: 16, RxSlots: 16,
		EndTx: 1, EndRx: 1, MemID: 2, Mode: abi.ModeAllNIC,
	}
}

func bindBody(change func(*wire.Bind)) []byte {
	b := goodBind()
	change(&b)
	return abi.Encode(abi.Encode(nil, b), abi.Register{})
}

func TestParseBind(t *testing.T) {
	if _, _, err := parseBind(bindBody(func(*wire.Bind) {})); err != nil {
		t.Fatalf("a good answer: %v", err)
	}
	for what, body := range map[string][]byte{
		"nothing":                nil,
		"no REGISTER body":       abi.Encode(nil, goodBind()),
		"a byte too many":        append(bindBody(func(*wire.Bind) {}), 0),
		"buffers of no size":     bindBody(func(b *wire.Bind) { b.BufSize = 0 }),
		"no buffers":             bindBody(func(b *wire.Bind) { b.BufCount = 1 }),
		"buffers past the end":   bindBody(func(b *wire.Bind) { b.BufCount = 1000 }),
		"buffer offset overflow": bindBody(func(b *wire.Bind) { b.BufOffset = 1<<64 - 1 }),
		"more buffers than 2^32": bindBody(func(b *wire.Bind) { b.BufCount, b.BufSize = 1<<32-1, 1<<32-1 }),
		"TX range reversed":      bindBody(func(b *wire.Bind) { b.FirstTx, b.EndTx = 1, 0 }),
		"TX range too long":      bindBody(func(b *wire.Bind) { b.EndTx = 3 }),
		"RX range reversed":      bindBody(func(b *wire.Bind) { b.FirstRx, b.EndRx = 2, 1 }),
		"RX range too long":      bindBody(func(b *wire.Bind) { b.EndRx = 3 }),
		"TX ring without slots":  bindBody(func(b *wire.Bind) { b.TxSlots = 0 }),
		"RX ring of one slot":    bindBody(func(b *wire.Bind) { b.RxSlots = 1 }),
		"RX ring of 2^32 slots":  bindBody(func(b *wire.Bind) { b.RxSlots = 1<<32 - 1 }),
	} {
		if _, _, err := parseBind(body); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// FuzzAnswer feeds whatever a daemon could answer; nothing may panic, and what
// is accepted must be consistent.
func FuzzAnswer(f *testing.F) {
	f.Add(wire.Append(nil, wire.TypeSession|wire.Answer, 0, wire.SessionAnswer{Token: 1, ID: 1}, nil), 1)
	f.Add(wire.Append(nil, wire.TypeJoin|wire.Answer, 0, goodBind(), abi.Encode(nil, abi.Register{})), 3)
	f.Add(wire.Append(nil, wire.TypeJoin|wire.Answer, 16, nil, []byte("busy\x00\xff")), 0)
	f.Fuzz(func(_ *testing.T, msg []byte, fds int) {
		for _, typ := range []uint16{wire.TypeSession, wire.TypeJoin} {
			body, err := parseAnswer(msg, typ, fds, wire.BindFDs)
			if err != nil {
				_ = err.Error()
				continue
			}
			_, _ = parseSession(body)
			b, _, err := parseBind(body)
			if err != nil {
				continue
			}
			if uint64(b.BufCount)*uint64(b.BufSize) > b.RegionSize || b.EndTx < b.FirstTx || b.EndRx < b.FirstRx {
				panic("inconsistent answer accepted")
			}
		}
	})
}

// ask makes a request to a daemon that is played by answer, which gets the
// socket for the answer.
func ask(t *testing.T, answer func(reply int)) (*answer, error) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	conn, err := packetConn(os.NewFile(uintptr(pair[0]), "client"))
	must(t, err)
	defer conn.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf, oob := make([]byte, wire.MaxMessage), make([]byte, 128)
		_, oobn, _, _, err := unix.Recvmsg(pair[1], buf, oob, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return
		}
		cmsgs, _ := unix.ParseSocketControlMessage(oob[:oobn])
		fds, _ := unix.ParseUnixRights(&cmsgs[0])
		answer(fds[0])
		_ = unix.Close(fds[0])
	}()
	defer func() { <-done; _ = unix.Close(pair[1]) }()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	return request(ctx, conn, wire.Append(nil, wire.TypeSession, 0, nil, nil), -1, 1)
}

func openFDs(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(e)
}

// Whatever comes back, the error says what was wrong, and no descriptor that
// came along stays open.
func TestRequestAnswers(t *testing.T) {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(null)
	good := wire.Append(nil, wire.TypeSession|wire.Answer, 0, wire.SessionAnswer{Token: 7, ID: 3}, nil)
	other := append([]byte(nil), good...)
	binary.LittleEndian.PutUint16(other[4:], wire.Version+1)
	send := func(msg []byte, n int) func(int) {
		return func(reply int) {
			var rights []byte
			if n > 0 {
				fds := make([]int, n)
				for i := range fds {
					fds[i] = null
				}
				rights = unix.UnixRights(fds...)
			}
			_ = unix.Sendmsg(reply, msg, rights, nil, unix.MSG_NOSIGNAL)
		}
	}
	for _, c := range []struct {
		what   string
		answer func(int)
		errno  unix.Errno
		says   string
	}{
		{"no descriptor", send(good, 0), 0, "0 descriptors, want 1"},
		{"two descriptors", send(good, 2), 0, "2 descriptors, want 1"},
		{"many descriptors", send(good, 20), 0, "descriptors"},
		{"a refusal", send(wire.Append(nil, wire.TypeSession|wire.Answer, uint32(unix.EMFILE), nil, []byte("too many")), 0), unix.EMFILE, "too many"},
		{"a refusal with descriptors", send(wire.Append(nil, wire.TypeSession|wire.Answer, uint32(unix.EMFILE), nil, nil), 1), 0, "1 descriptors, want 0"},
		{"another version", send(other, 1), 0, "must be of one release"},
		{"another type", send(wire.Append(nil, wire.TypeJoin|wire.Answer, 0, nil, nil), 1), 0, "type"},
		{"half a header", send(good[:7], 1), 0, "header"},
		{"a message cut short", send(good[:20], 1), 0, "header says"},
		{"a huge message", send(make([]byte, wire.MaxMessage+1), 0), 0, "more than"},
		{"hang-up", func(int) {}, 0, "hung up"},
		{"silence", func(int) { time.Sleep(400 * time.Millisecond) }, 0, "deadline"},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := openFDs(t)
			_, err := ask(t, c.answer)
			if err == nil || !strings.Contains(err.Error(), c.says) || c.errno != 0 && !errors.Is(err, c.errno) {
				t.Errorf("error %q, want one that says %q (%v)", err, c.says, c.errno)
			}
			if after := openFDs(t); after != before {
				t.Errorf("%d descriptors open, %d before", after, before)
			}
		})
	}
	a, err := ask(t, send(good, 1))
	must(t, err)
	defer a.closeFDs()
	s, err := parseSession(a.body)
	if err != nil || s.ID != 3 || s.Token != 7 {
		t.Errorf("good answer read as %+v, %v", s, err)
	}
	if flags, _ := unix.FcntlInt(uintptr(a.fds[0]), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
		t.Error("descriptor is inherited by exec")
	}
}

// hasty is a socket that is first read right before its other end sends and closes, and looks for the end right after.
type hasty struct {
	messages
	looked bool
}

func (h *hasty) ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	if !h.looked {
		h.looked = true
		return 0, 0, 0, nil, io.EOF
	}
	return h.messages.ReadMsgUnix(b, oob)
}

// An answer whose sender has closed its end is an answer: the kernel may say first that the end is there.
func TestAnswerBehindTheEnd(t *testing.T) {
	for _, says := range []string{"", "hung up"} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		reply, err := packetConn(os.NewFile(uintptr(pair[0]), "answer"))
		must(t, err)
		if says == "" {
			must(t, unix.Send(pair[1], wire.Append(nil, wire.TypeUnbind|wire.Answer, 0, nil, nil), 0))
		}
		must(t, unix.Close(pair[1]))
		if _, err := readAnswer(&hasty{messages: reply}, wire.TypeUnbind, 0); err != nil && (says == "" || !strings.Contains(err.Error(), says)) || err == nil && says != "" {
			t.Errorf("error %v, want %q", err, says)
		}
		must(t, reply.Close())
	}
}

// Without a daemon the error names the socket and what to do, for a socket that
// is missing and for one that is left over.
func TestNoDaemon(t *testing.T) {
	empty, stale := t.TempDir(), t.TempDir()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: rundir.AttachSocket(stale), Net: "unixpacket"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, l.Close())
	for dir, errno := range map[string]unix.Errno{empty: unix.ENOENT, stale: unix.ECONNREFUSED} {
		_, err := Open(t.Context(), "vale0:1", WithRuntimeDir(dir))
		if !errors.Is(err, errno) {
			t.Errorf("error %v, want %v", err, errno)
		}
		for _, says := range []string{filepath.Join(dir, "netmap.sock"), "start one", "vale0:1"} {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("error %v does not say %q", err, says)
			}
		}
	}
}

func TestOpenBadName(t *testing.T) {
	for spec, errno := range map[string]unix.Errno{
		"eth0":                 unix.EINVAL,
		"vale0:":               unix.EINVAL,
		"netmap:eth0@offset=2": unix.EOPNOTSUPP,
		"netmap:eth0@extmem=f": unix.ENOENT,
	} {
		_, err := Open(t.Context(), spec, WithRuntimeDir(t.TempDir()))
		if !errors.Is(err, errno) {
			t.Errorf("%s: %v, want %v", spec, err, errno)
		}
	}
}

// A region that could be truncated under us, or is smaller than said, is refused.
func TestRegionRefused(t *testing.T) {
	b := goodBind()
	for _, c := range []struct {
		what  string
		size  int64
		seals int
		ok    bool
	}{
		{"sealed", int64(b.RegionSize), unix.F_SEAL_SHRINK | unix.F_SEAL_GROW, true},
		{"not sealed", int64(b.RegionSize), 0, false},
		{"too small", int64(b.RegionSize) - 1, unix.F_SEAL_SHRINK, false},
	} {
		fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		must(t, err)
		must(t, unix.Ftruncate(fd, c.size))
		if c.seals != 0 {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, c.seals)
			must(t, err)
		}
		r, err := openRegion(fd, &b)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.what, err)
		}
		if err == nil {
			again, err := openRegion(fd, &b)
			if err != nil || again != r {
				t.Errorf("the same region was mapped twice: %v", err)
			}
			must(t, r.release())
			if r.Buf(2) == nil || r.Buf(1) != nil || r.Buf(64) != nil {
				t.Error("buffers 2 to 63 are valid, and no others")
			}
			r.Buf(63)[2047] = 1 // still mapped
			must(t, r.release())
		}
		must(t, unix.Close(fd))
	}
}
