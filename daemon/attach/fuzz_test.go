package attach

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// seeds are messages of every type, whole and damaged.
func seeds(token uint64) (all [][]byte) {
	reg := abi.Encode(nil, abi.Register{Mode: abi.ModeAllNIC, TxSlots: 16, RxSlots: 16})
	control := func(req uint16, name string, tail []byte) {
		q := wire.Control{Token: token, ReqType: req, Version: abi.APIVersion}
		copy(q.Name[:], name)
		all = append(all, wire.Append(nil, wire.TypeControl, 0, q, tail))
	}
	all = append(all, wire.Append(nil, wire.TypeSession, 0, nil, nil))
	for _, name := range []string{"", "vale0:a", "vale0:a{1", "nosuch0", "vale:", "\xff"} {
		control(abi.ReqRegister, name, reg)
	}
	for req := range uint16(abi.ReqCsbEnable + 2) {
		control(req, "vale0:a", make([]byte, abi.BodySize(req)))
	}
	opt := wire.Control{Token: token, ReqType: abi.ReqRegister, Version: abi.APIVersion, OptionBytes: 24}
	copy(opt.Name[:], "vale0:o")
	exclusive := abi.Encode(nil, abi.Register{Mode: abi.ModeAllNIC, TxSlots: 16, RxSlots: 16, Flags: abi.FlagExclusive})
	for typ, body := range map[uint32]any{
		abi.OptExtmem:  abi.Extmem{UsrPtr: 4096, Pools: abi.PoolsInfo{MemSize: 1 << 20, RingSize: 512, RingCount: 40, BufCount: 200}},
		abi.OptOffsets: abi.Offsets{Max: 128, Initial: 64, Bits: 16},
		abi.OptCsb:     abi.CSBOption{AtoK: 4096, KtoA: 8192},
	} {
		b := abi.Encode(nil, body)
		b = append(abi.Encode(nil, wire.Option{Type: typ, Size: uint32(len(b))}), b...)
		with := opt
		with.OptionBytes = uint16(len(b))
		all = append(all, wire.Append(nil, wire.TypeControl, 0, with, append(bytes.Clone(exclusive), b...)))
	}
	all = append(all,
		wire.Append(nil, wire.TypeControl, 0, opt, append(bytes.Clone(reg), abi.Encode(nil, wire.Option{Type: 5, Size: 7})...)),
		wire.Append(nil, wire.TypeControl, 0, opt, append(append(bytes.Clone(reg), abi.Encode(nil, wire.Option{Type: 5, Size: 7})...), make([]byte, 8)...)),
		wire.Append(nil, wire.TypeUnbind, 0, wire.Unbind{Token: token}, nil),
		wire.Append(nil, wire.TypeJoin, 0, wire.Join{Token: token}, nil),
		wire.Append(nil, wire.TypeRedeem, 0, wire.Redeem{Token: token}, nil),
		wire.Append(nil, wire.TypeLegacy, 0, wire.Legacy{Token: token, Ioctl: abi.NIOCREGIF}, make([]byte, abi.LegacyRequestSize)),
		wire.Append(nil, wire.TypeLegacy, 0, wire.Legacy{Token: token, Ioctl: abi.NIOCGINFO}, make([]byte, abi.LegacyRequestSize)),
		wire.Append(nil, wire.TypeLegacy, 0, wire.Legacy{Token: token, Ioctl: abi.NIOCCONFIG}, make([]byte, abi.LegacyConfigSize)),
		wire.Append(nil, wire.TypeIface, 0, wire.Iface{Token: token}, nil),
		wire.Append(nil, wire.TypeParam, 0, wire.Param{Token: token, Op: wire.ParamGet}, nil),
		wire.Append(nil, wire.TypeParam, 0, wire.Param{Token: token, Op: wire.ParamList}, nil),
	)
	return append(all, bytes.Fields([]byte("x NMD1 NMD1\x01\x00\x01\x00"))...)
}

// FuzzReceive: whatever bytes and descriptors a client sends as one message,
// receive either gives a message whose form holds or an error that says that it
// does not; the descriptors do not stay open.
func FuzzReceive(f *testing.F) {
	for i, m := range seeds(1) {
		f.Add(m, uint8(i%8), uint8(i))
	}
	f.Add(make([]byte, wire.MaxMessage), uint8(1), uint8(0))
	f.Add(make([]byte, wire.MaxMessage+1), uint8(1), uint8(0))
	f.Fuzz(func(t *testing.T, msg []byte, fds, kinds uint8) {
		if len(msg) == 0 {
			return // the end of the conversation
		}
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		file := os.NewFile(uintptr(pair[0]), "")
		fc, err := net.FileConn(file)
		must(t, err)
		_ = file.Close()
		c := fc.(*net.UnixConn)
		defer c.Close() //nolint:errcheck // a test's
		var given []int
		for i := range int(fds) {
			if kinds>>(i%8)&1 == 0 {
				given = append(given, pair[1]) // a good reply socket, if not a polite one
			} else {
				given = append(given, 0)
			}
		}
		var oob []byte
		if len(given) > 0 {
			oob = unix.UnixRights(given...)
		}
		if err := unix.Sendmsg(pair[1], msg, oob, nil, unix.MSG_NOSIGNAL); err != nil {
			_ = unix.Close(pair[1])
			t.Skip(err) // more than the socket takes, or 253 descriptors
		}
		_ = unix.Close(pair[1])
		m, err := receive(c, make([]byte, wire.MaxMessage+1))
		m.discard()
		switch {
		case err == nil:
			if fds != 1 && fds != 2 || int(m.header.Length) != len(msg) || !bytes.Equal(m.rest, msg[wire.HeaderSize:]) {
				t.Errorf("%d bytes and %d descriptors accepted as %+v", len(msg), fds, m)
			}
		case !errors.Is(err, wire.ErrMalformed):
			t.Errorf("refused with %v, want ErrMalformed", err)
		}
		// Nothing that came along is held: the last copy of the socket's other end
		// is gone, so that the connection has ended. Surplus descriptors are closed
		// in the background, hence a read that waits.
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("the connection goes on: %d bytes, %v", n, err)
		}
	})
}

// FuzzMessage: whatever a request says, it is carried out or refused with an
// errno, and nothing stays when its connection has ended.
func FuzzMessage(f *testing.F) {
	const token = 0x1122334455667788
	for _, m := range seeds(token) {
		f.Add(m, m)
	}
	reg := newRegistry(f)
	inside, interfaces := emptyNamespace(f)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, name := range interfaces {
			if bytes.Contains(first, []byte(name)) || bytes.Contains(second, []byte(name)) {
				t.Skip("attaching interface " + name + " would need DPDK")
			}
		}
		srv := New(reg, NewTickets(), access.NewGuard(slog.New(slog.DiscardHandler)), Limits{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		who := port.Caller{PID: 1, UID: 1000}
		sess, err := reg.NewSession(who)
		must(t, err)
		srv.sessions[token] = sess
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		_ = unix.Close(pair[1])
		file := os.NewFile(uintptr(pair[0]), "")
		fc, err := net.FileConn(file)
		must(t, err)
		_ = file.Close()
		c := &conn{srv: srv, unix: fc.(*net.UnixConn), who: who, log: srv.log}
		for _, msg := range [][]byte{first, second} {
			h, rest, err := wire.Parse(msg)
			if err != nil {
				continue
			}
			var res result
			m := message{header: h, rest: rest, reply: -1, memory: -1}
			if bytes.Contains(rest, []byte{abi.OptExtmem, 0, 0, 0, 0, 0, 0, 0, 72}) || bytes.Contains(rest, []byte{abi.OptCsb, 0, 0, 0, 0, 0, 0, 0, 16}) {
				m.memory = clientMemory(t, 1<<20)
			}
			inside(func() { res, err = c.handle(&m) })
			m.discard()
			if res.done != nil {
				res.done()
			}
			if err != nil && errnoOf(err) == 0 {
				t.Errorf("an error without a number: %v", err)
			}
			if err == nil && len(res.body) > wire.MaxMessage-wire.HeaderSize {
				t.Errorf("an answer of %d bytes", len(res.body))
			}
		}
		c.close()
		reg.EndSession(context.Background(), sess)
		snap, err := reg.Snapshot(context.Background())
		must(t, err)
		if snap.Descriptors != 0 || snap.Sessions != 0 {
			t.Errorf("%d descriptors and %d sessions are left", snap.Descriptors, snap.Sessions)
		}
		for _, r := range snap.Regions {
			if r.ID != abi.MemIDGlobal || r.Users != 0 {
				t.Errorf("region %s is left", r.Name)
			}
		}
	})
}

// emptyNamespace returns a function that runs others in a network namespace
// without anybody's interfaces, and the names of the few that it has. Without
// root it is the namespace there is, where nobody may attach anything anyway.
func emptyNamespace(f *testing.F) (inside func(func()), interfaces []string) {
	f.Helper()
	work, done := make(chan func()), make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if os.Getuid() == 0 {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				panic(err)
			}
		}
		for fn := range work {
			fn()
			done <- struct{}{}
		}
	}()
	f.Cleanup(func() { close(work) })
	inside = func(fn func()) {
		work <- fn
		<-done
	}
	inside(func() {
		ifs, err := net.Interfaces()
		if err != nil {
			panic(err)
		}
		for _, i := range ifs {
			interfaces = append(interfaces, i.Name)
		}
	})
	return inside, interfaces
}

// clientMemory is memory as the library makes it of its program's.
func clientMemory(t *testing.T, size int64) int {
	t.Helper()
	fd, err := unix.MemfdCreate("client", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	must(t, err)
	must(t, unix.Ftruncate(fd, size))
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	must(t, err)
	return fd
}
