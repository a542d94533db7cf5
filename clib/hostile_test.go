package clib

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/netmap/wire"
)

// A liar answers requests as a daemon does, but for some of the bytes.
type liar struct {
	mu   sync.Mutex
	rnd  *rand.Rand
	fds  [wire.BindFDs]int
	kick int
}

func newLiar(t *testing.T, seed uint64) *liar {
	t.Helper()
	l := &liar{rnd: rand.New(rand.NewPCG(seed, 1)), kick: -1}
	own := func(fd int, err error) int {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	for i, size := range []int64{1 << 20, 4096} {
		l.fds[i] = own(unix.MemfdCreate("liar", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING))
		if err := unix.Ftruncate(l.fds[i], size); err != nil {
			t.Fatal(err)
		}
		if l.rnd.IntN(8) != 0 {
			if _, err := unix.FcntlInt(uintptr(l.fds[i]), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A netmap_if whose offsets lead to a ring, or anywhere.
	ofs := abi.Encode(nil, abi.IfHeader{TxRings: 1, RxRings: 1, HostTxRings: 1, HostRxRings: 1})
	ofs = abi.Encode(ofs, []int64{4096, 0, 8192, 0})
	_, _ = unix.Pwrite(l.fds[wire.FDRegion], l.spoil(ofs), 0)
	state := make([]byte, 4096)
	for i := range 4 {
		state[256*i+76] = 1 // running
	}
	_, _ = unix.Pwrite(l.fds[wire.FDSync], l.spoil(state), 0)
	l.fds[wire.FDWake], l.fds[wire.FDHangup] = -1-wire.FDWake, -1-wire.FDHangup // made for each answer
	l.kick = own(unix.Eventfd(0, unix.EFD_CLOEXEC))
	return l
}

// spoil changes some bytes, now and then.
func (l *liar) spoil(b []byte) []byte {
	if l.rnd.IntN(2) == 0 {
		return b
	}
	for range 1 + l.rnd.IntN(6) {
		b[l.rnd.IntN(len(b))] = byte([]int{0, 1, 0x7f, 0x80, 0xff, l.rnd.IntN(256)}[l.rnd.IntN(6)])
	}
	return b
}

// answer makes an answer to a request.
func (l *liar) answer(msg []byte) (answer []byte, fds []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, rest, err := wire.Parse(msg)
	if err != nil {
		return nil, nil
	}
	bind := wire.Bind{
		RegionSize: 1 << 20, BufOffset: 65536, BufCount: 100, BufSize: 2048, TxRings: 1, RxRings: 1,
		HostTxRings: 1, HostRxRings: 1, TxSlots: 64, RxSlots: 64, EndTx: 1, EndRx: 1, MemID: 2,
	}
	reg := abi.Register{MemSize: 1 << 20}
	var body []byte
	switch h.Type {
	case wire.TypeSession:
		body, fds = abi.Encode(nil, wire.SessionAnswer{Token: 1, ID: 1}), []int{l.kick}
	case wire.TypeControl:
		var q wire.Control
		tail, err := wire.Take(rest, &q)
		if err != nil {
			return nil, nil
		}
		body, fds = append(abi.Encode(abi.Encode(nil, q), l.spoil(abi.Encode(nil, bind))), tail...), slices.Clone(l.fds[:])
	case wire.TypeLegacy:
		body = abi.Encode(abi.Encode(nil, wire.Legacy{Bound: 1}), l.spoil(abi.Encode(nil, bind)))
		body, fds = abi.Encode(abi.Encode(body, reg), abi.Legacy{}), slices.Clone(l.fds[:])
	case wire.TypeParam:
		q := wire.Param{Writable: 1}
		copy(q.Value[:], "100")
		if l.rnd.IntN(4) == 0 {
			copy(q.Name[:], strings.Repeat("n", len(q.Name)))
			copy(q.Value[:], strings.Repeat("1\n", len(q.Value)))
		}
		body = l.spoil(abi.Encode(nil, q))
	default:
		body, fds = abi.Encode(abi.Encode(nil, bind), reg), slices.Clone(l.fds[:])
	}
	if l.rnd.IntN(8) == 0 {
		body = body[:l.rnd.IntN(len(body)+1)]
	}
	if l.rnd.IntN(8) == 0 {
		fds = append(fds[:l.rnd.IntN(len(fds)+1):len(fds)], l.kick)
	}
	answer = wire.Append(nil, h.Type|wire.Answer, 0, nil, body)
	if l.rnd.IntN(8) == 0 {
		answer = l.spoil(answer)
	}
	return answer, fds
}

// serve answers everything on one connection. When that ends it hangs up, as a
// daemon that lets go of the port: a program that closes a descriptor waits for it.
func (l *liar) serve(c *net.UnixConn) {
	defer c.Close() //nolint:errcheck // nothing to lose
	var ends []int
	defer func() {
		for _, fd := range ends {
			_ = unix.Close(fd)
		}
	}()
	buf, oob := make([]byte, wire.MaxMessage), make([]byte, 64)
	for {
		n, on, _, _, err := c.ReadMsgUnix(buf, oob)
		if err != nil || n == 0 {
			return
		}
		cmsgs, err := unix.ParseSocketControlMessage(oob[:on])
		if err != nil || len(cmsgs) != 1 {
			return
		}
		reply, err := unix.ParseUnixRights(&cmsgs[0])
		if err != nil {
			return
		}
		if msg, fds := l.answer(buf[:n]); len(msg) > 0 {
			hangup, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return
			}
			ends = append(ends, hangup[0])
			wake, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
			if err != nil {
				return
			}
			_ = unix.EpollCtl(wake, unix.EPOLL_CTL_ADD, hangup[1], &unix.EpollEvent{Events: unix.EPOLLRDHUP, Fd: wire.WakeHangup})
			for i, fd := range fds {
				switch fd {
				case -1 - wire.FDWake:
					fds[i] = wake
				case -1 - wire.FDHangup:
					fds[i] = hangup[1]
				}
			}
			_ = unix.Sendmsg(reply[0], msg, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
			_, _ = unix.Close(wake), unix.Close(hangup[1])
		}
		_ = unix.Close(reply[0])
	}
}

// sanitized builds the library with the address sanitizer and returns what to preload.
func sanitized(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("gcc", "-print-file-name=libasan.so").Output()
	asan := strings.TrimSpace(string(out))
	if err != nil || !filepath.IsAbs(asan) {
		t.Log("the compiler has no address sanitizer; without it")
		return library
	}
	dir := t.TempDir()
	flags := "-std=c11 -D_GNU_SOURCE -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fPIC -fvisibility=hidden"
	if out, err := exec.Command("make", "-C", "..", "interposer", "BIN="+dir, "CC=gcc", "CLIB_FLAGS="+flags).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return asan + ":" + filepath.Join(dir, filepath.Base(library))
}

// A program survives a daemon that answers nonsense.
func TestLyingDaemon(t *testing.T) {
	program := compile(t, "gullible")
	preload := sanitized(t)
	dir, err := os.MkdirTemp("", "nmd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	rounds := uint64(200)
	if testing.Short() {
		rounds = 20
	}
	results := map[string]int{}
	for seed := range rounds {
		ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: rundir.AttachSocket(dir), Net: "unixpacket"})
		if err != nil {
			t.Fatal(err)
		}
		l := newLiar(t, seed)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := ln.AcceptUnix()
				if err != nil {
					return
				}
				go l.serve(c)
			}
		}()
		cmd := under(t, dir, program)
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+preload, "ASAN_OPTIONS=detect_leaks=0")
		out, err := cmd.Output()
		_ = ln.Close()
		<-done
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				out = append(out, exit.Stderr...)
			}
			t.Fatalf("seed %d: %v\n%s", seed, err, out)
		}
		results[strings.TrimSpace(string(out))]++
	}
	t.Log("requests that succeeded:", results)
	if len(results) < 3 {
		t.Errorf("%v: the lies are all good, or all bad; want some of each", results)
	}
}
