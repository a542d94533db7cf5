package e2e

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// allRings is the plainest registration.
func allRings() abi.Register { return abi.Register{Mode: abi.ModeAllNIC} }

// patched returns msg with some bytes of its header overwritten.
func patched(msg []byte, at int, with ...byte) []byte {
	copy(msg[at:], with)
	return msg
}

// Offsets in wire.Header.
const (
	atMagic, atVersion, atType, atLength = 0, 4, 6, 8
)

// A message that is wrong in form ends its connection, after an answer that
// says what was wrong.
func TestMalformedMessages(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	s, err := openRawSession(d.dir)
	must(t, err)
	extra, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	must(t, err)
	many := make([]int, 200)
	for i := range many {
		many[i] = extra
	}
	reg := allRings()
	for _, c := range []struct {
		name string
		msg  []byte
		fds  []int // beside the reply socket
		want string
	}{
		{"one byte", []byte{1}, nil, "a header has 16 bytes, have 1"},
		{"half a header", sessionMessage()[:8], nil, "a header has 16 bytes, have 8"},
		{"nearly a header", sessionMessage()[:15], nil, "a header has 16 bytes, have 15"},
		{"one byte too long", wire.Append(nil, wire.TypeSession, 0, nil, make([]byte, wire.MaxMessage-wire.HeaderSize+1)), nil, "longer than 8192 bytes"},
		{"much too long", make([]byte, 100_000), nil, "longer than 8192 bytes"},
		{"wrong magic", patched(sessionMessage(), atMagic, 'X'), nil, "magic is 0x31444d58, want 0x31444d4e"},
		{"no magic", make([]byte, 64), nil, "magic is 0x0"},
		{"wrong version", patched(sessionMessage(), atVersion, 9), nil, "attach protocol version 9, this side speaks 2"},
		{"length says more", patched(sessionMessage(), atLength, 200), nil, "header says 200 bytes, have 16"},
		{"length says less", patched(registerMessage(s.Token, "vale0:a", reg), atLength, 16, 0), nil, "header says 16 bytes"},
		{"length is huge", patched(sessionMessage(), atLength, 255, 255, 255, 255), nil, "header says 4294967295 bytes, have 16"},
		{"type 0", patched(sessionMessage(), atType, 0), nil, "no request has type 0"},
		{"unknown type", patched(sessionMessage(), atType, 99), nil, "no request has type 99"},
		{"an answer", patched(sessionMessage(), atType, 1, 0x80), nil, "no request has type 32769"},
		{"session with a body", wire.Append(nil, wire.TypeSession, 0, nil, make([]byte, 5)), nil, "a session request has no body, this one has 5 bytes"},
		{"control without body", wire.Append(nil, wire.TypeControl, 0, nil, nil), nil, "wire.Control has 80 bytes, have 0"},
		{"half a control", wire.Append(nil, wire.TypeControl, 0, nil, make([]byte, 40)), nil, "wire.Control has 80 bytes, have 40"},
		{"register without body", controlMessage(s.Token, "vale0:a", abi.ReqRegister, abi.APIVersion, nil), nil, "has a body of 56 bytes, this one has 0"},
		{"register one byte short", controlMessage(s.Token, "vale0:a", abi.ReqRegister, abi.APIVersion, make([]byte, 55)), nil, "has a body of 56 bytes, this one has 55"},
		{"register one byte long", controlMessage(s.Token, "vale0:a", abi.ReqRegister, abi.APIVersion, make([]byte, 57)), nil, "has a body of 56 bytes, this one has 57"},
		{"unknown request with body", controlMessage(s.Token, "vale0:a", 4711, abi.APIVersion, make([]byte, 8)), nil, "request type 4711 has a body of 0 bytes"},
		{"half a join", wire.Append(nil, wire.TypeJoin, 0, nil, make([]byte, 4)), nil, "wire.Join has 8 bytes, have 4"},
		{"join and more", append(patched(joinMessage(s.Token), atLength, 27), 1, 2, 3), nil, "3 bytes after the body of a join"},
		{"half a redeem", wire.Append(nil, wire.TypeRedeem, 0, nil, make([]byte, 23)), nil, "wire.Redeem has 24 bytes, have 23"},
		{"redeem and more", wire.Append(nil, wire.TypeRedeem, 0, wire.Redeem{}, []byte{1}), nil, "1 bytes after the body of a redeem"},
		{"one surplus descriptor", sessionMessage(), many[:1], "a request carries a SOCK_SEQPACKET Unix socket"},
		{"four surplus descriptors", sessionMessage(), many[:4], "a request carries a SOCK_SEQPACKET Unix socket"},
		{"more than fit", sessionMessage(), many[:5], "a request carries a SOCK_SEQPACKET Unix socket"},
		{"200 surplus descriptors", sessionMessage(), many, "a request carries a SOCK_SEQPACKET Unix socket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := dialRaw(d.dir)
			must(t, err)
			defer conn.close()
			a, err := conn.request(c.msg, c.fds...)
			must(t, err)
			defer a.close()
			if unix.Errno(a.Errno) != unix.EINVAL || !strings.Contains(a.text, c.want) || len(a.fds) != 0 {
				t.Errorf("answer %v %q with %d descriptors, want EINVAL and %q", unix.Errno(a.Errno), a.text, len(a.fds), c.want)
			}
			if !strings.Contains(a.text, "malformed message") {
				t.Errorf("answer %q does not say that the message is malformed", a.text)
			}
			must(t, conn.ended())
		})
	}
	s.close()
	_ = unix.Close(extra)
	w.undisturbed(t)
}

// Without a socket for the answer there is none: the log says what was wrong.
func TestReplyDescriptors(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	pipe := make([]int, 2)
	must(t, unix.Pipe2(pipe, unix.O_CLOEXEC))
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	must(t, err)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	must(t, err)
	socket := func(domain, typ int) int {
		fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		return fd
	}
	const noSocket, notOne = "no socket for the answer came with it", "a request carries a SOCK_SEQPACKET Unix socket"
	for _, c := range []struct {
		name string
		fds  []int
		log  string
	}{
		{"none", nil, noSocket},
		{"a file", []int{int(file.Fd())}, notOne},
		{"a pipe", pipe[1:], notOne},
		{"an eventfd", []int{event}, notOne},
		{"an epoll", []int{epoll}, notOne},
		{"a stream socket", []int{socket(unix.AF_UNIX, unix.SOCK_STREAM)}, notOne},
		{"a datagram socket", []int{socket(unix.AF_UNIX, unix.SOCK_DGRAM)}, notOne},
		{"a TCP socket", []int{socket(unix.AF_INET, unix.SOCK_STREAM)}, notOne},
		{"a file first", []int{int(file.Fd()), pipe[1]}, notOne},
		{"unconnected", []int{socket(unix.AF_UNIX, unix.SOCK_SEQPACKET)}, "attach request not answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := strings.Count(d.log.String(), c.log)
			conn, err := dialRaw(d.dir)
			must(t, err)
			defer conn.close()
			must(t, conn.send(sessionMessage(), c.fds...))
			waitFor(t, "a warning in the log", func() error {
				if strings.Count(d.log.String(), c.log) == before {
					return errors.New("the log does not say: " + c.log)
				}
				return nil
			})
			if c.log != "attach request not answered" { // that one may try again
				must(t, conn.ended())
			}
		})
		for _, fd := range c.fds {
			if fd != int(file.Fd()) && fd != pipe[1] {
				_ = unix.Close(fd)
			}
		}
	}
	t.Run("the connection itself", func(t *testing.T) {
		// The daemon's answer comes back to it as a request.
		conn, err := dialRaw(d.dir)
		must(t, err)
		defer conn.close()
		must(t, conn.send(sessionMessage(), conn.fd))
		must(t, conn.ended())
	})
	t.Run("the other end is closed", func(t *testing.T) {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		_ = unix.Close(pair[0])
		conn, err := dialRaw(d.dir)
		must(t, err)
		defer conn.close()
		must(t, conn.send(joinMessage(1), pair[1]))
		_ = unix.Close(pair[1])
		a, err := conn.request(sessionMessage())
		must(t, err)
		if a.Errno != 0 {
			t.Errorf("the next request fails: %s", a.text)
		}
		a.close()
	})
	_ = unix.Close(pipe[0])
	_ = unix.Close(pipe[1])
	_ = file.Close()
	w.undisturbed(t)
}

// Descriptors that come with an empty message, or with the last one before the
// client goes, are closed as all others are.
func TestEmptyMessages(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	must(t, err)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	for range 20 {
		for _, fds := range [][]int{{event}, {pair[1]}, {event, event, event, event, event}, {pair[1], event}} {
			conn, err := dialRaw(d.dir)
			must(t, err)
			must(t, conn.sendEmpty(fds...))
			must(t, conn.ended()) // no bytes are the end of a conversation
			conn.close()
		}
	}
	_ = unix.Close(event)
	_ = unix.Close(pair[0])
	_ = unix.Close(pair[1])
	w.undisturbed(t)
}

// Requests in an order that makes no sense.
func TestWrongOrder(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	s, err := openRawSession(d.dir)
	must(t, err)
	reg := allRings()
	register := registerMessage(s.Token, "vale0:order", reg)
	type step struct {
		msg   []byte
		errno unix.Errno
		text  string
	}
	for _, c := range []struct {
		name  string
		steps []step
		ends  bool
	}{
		{"control without a session", []step{{registerMessage(0, "vale0:a", reg), unix.ENOTCONN, "no session has this token"}}, false},
		{"a guessed token", []step{{registerMessage(s.Token+1, "vale0:a", reg), unix.ENOTCONN, "a process opens its session before anything else"}}, false},
		{"session twice", []step{{sessionMessage(), 0, ""}, {sessionMessage(), unix.EINVAL, "the first request of a connection and its only one"}}, true},
		{"session after control", []step{{register, 0, ""}, {sessionMessage(), unix.EINVAL, "the first request of a connection and its only one"}}, true},
		{"control on a session", []step{{sessionMessage(), 0, ""}, {register, unix.EINVAL, "this connection is a session; a descriptor is a connection of its own"}}, true},
		{"join before register", []step{{joinMessage(s.Token), unix.ENXIO, "the descriptor is not bound to a port"}}, false},
		{"join with a wrong token", []step{{register, 0, ""}, {joinMessage(7), unix.ENOTCONN, "no session has this token"}}, false},
		{"register twice", []step{{register, 0, ""}, {register, unix.EBUSY, `the descriptor is bound to "vale0:order"`}}, false},
		{"redeem nothing", []step{{wire.Append(nil, wire.TypeRedeem, 0, wire.Redeem{Token: s.Token}, nil), unix.ENOENT, "unknown, or used before"}}, false},
		{"redeem when bound", []step{{register, 0, ""}, {wire.Append(nil, wire.TypeRedeem, 0, wire.Redeem{Token: s.Token}, nil), unix.ENOENT, "unknown, or used before"}}, false},
		{"old netmap", []step{{controlMessage(s.Token, "vale0:a", abi.ReqRegister, 13, abi.Encode(nil, reg)), unix.EINVAL, "netmap API version 13, accepted are 14 to 15"}}, false},
		{"new netmap", []step{{controlMessage(s.Token, "vale0:a", abi.ReqRegister, 16, abi.Encode(nil, reg)), unix.EINVAL, "netmap API version 16"}}, false},
		{"request 0", []step{{controlMessage(s.Token, "vale0:a", 0, abi.APIVersion, nil), unix.EINVAL, "no netmap request has type 0"}}, false},
		{"request 16", []step{{controlMessage(s.Token, "vale0:a", 16, abi.APIVersion, nil), unix.EINVAL, "no netmap request has type 16"}}, false},
		{"an error, then as it should be", []step{{joinMessage(s.Token), unix.ENXIO, "not bound"}, {register, 0, ""}, {joinMessage(s.Token), 0, ""}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := dialRaw(d.dir)
			must(t, err)
			defer conn.close()
			for i, st := range c.steps {
				a, err := conn.request(st.msg)
				must(t, err)
				defer a.close()
				if unix.Errno(a.Errno) != st.errno || !strings.Contains(a.text, st.text) {
					t.Errorf("answer %d: %v %q, want %v %q", i, unix.Errno(a.Errno), a.text, st.errno, st.text)
				}
			}
			if c.ends {
				must(t, conn.ended())
				return
			}
			if a, err := conn.request(joinMessage(0)); err != nil || unix.Errno(a.Errno) != unix.ENOTCONN {
				t.Errorf("the connection does not go on: %v", err)
			}
		})
		// A port of the same name may still be there for a moment.
		waitFor(t, "the port to go", func() error {
			if n := d.snapshot(t).GetDescriptors(); n != 2 {
				return errors.New("a descriptor is open")
			}
			return nil
		})
	}
	s.close()
	w.undisturbed(t)
}

// Names that nobody has, or that are no names, and wishes that cannot be met.
func TestRefusedRegistrations(t *testing.T) {
	d := startDaemon(t, "--interfaces-open=never")
	w := d.watch(t)
	s, err := openRawSession(d.dir)
	must(t, err)
	long := strings.Repeat("x", 64)
	with := func(f func(*abi.Register)) abi.Register {
		r := allRings()
		f(&r)
		return r
	}
	for _, c := range []struct {
		name, port string
		reg        abi.Register
		errno      unix.Errno
		want       string
	}{
		{"no name", "", allRings(), unix.ENXIO, "the name is empty"},
		{"unknown interface", "nosuch0", allRings(), unix.ENXIO, "no port has this name"},
		{"interfaces of clients are off", "lo", allRings(), unix.ENXIO, "interfaces.open"},
		{"64 bytes without end", long, allRings(), 0, ""},
		{"a path", "../../etc/passwd", allRings(), 0, ""},
		{"a prefix", "netmap:nosuch0", allRings(), 0, ""},
		{"no colon", "vale0", allRings(), 0, ""},
		{"a bad switch name", "va le:x", allRings(), 0, ""},
		{"host rings of a pipe", "vale0:p{1", with(func(r *abi.Register) { r.Mode = abi.ModeNICSW }), unix.EINVAL, "host rings"},
		{"a port of the switch named as an interface", "vale0:lo", allRings(), unix.EINVAL, `"lo" is an interface that is not attached`},
		{"no mode", "vale0:r", with(func(r *abi.Register) { r.Mode = 0 }), unix.EINVAL, "mode 0 is not one of netmap's"},
		{"a mode of the old interface", "vale0:r", with(func(r *abi.Register) { r.Mode = abi.ModePipeMaster }), unix.EINVAL, "write the pipe into the name"},
		{"mode 99", "vale0:r", with(func(r *abi.Register) { r.Mode = 99 }), unix.EINVAL, "mode 99 is not one of netmap's"},
		{"host rings", "vale0:r", with(func(r *abi.Register) { r.Mode = abi.ModeSW }), unix.EINVAL, "asks for host rings and the port has none"},
		{"ring out of range", "vale0:r", with(func(r *abi.Register) { r.Mode, r.RingID = abi.ModeOneNIC, 1 }), unix.EINVAL, "ring 1 does not exist: the port has 1 TX and 1 RX rings"},
		{"ring far out of range", "vale0:r", with(func(r *abi.Register) { r.Mode, r.RingID = abi.ModeOneNIC, 65535 }), unix.EINVAL, "ring 65535 does not exist"},
		{"unknown region", "vale0:r", with(func(r *abi.Register) { r.MemID = 4711 }), unix.EINVAL, "memory id 4711 names no region"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := dialRaw(d.dir)
			must(t, err)
			defer conn.close()
			a, err := conn.request(registerMessage(s.Token, c.port, c.reg))
			must(t, err)
			defer a.close()
			switch {
			case a.Errno == 0:
				t.Errorf("%q was registered", c.port)
			case c.errno != 0 && unix.Errno(a.Errno) != c.errno, !strings.Contains(a.text, c.want):
				t.Errorf("%v %q, want %v %q", unix.Errno(a.Errno), a.text, c.errno, c.want)
			}
			t.Logf("%q: %v: %s", c.port, unix.Errno(a.Errno), a.text)
		})
	}
	s.close()
	w.undisturbed(t)
}

// What stands after the colon of a switch port is the client's to choose (NC
// C.5). Whatever it is, others can still be told about it.
func TestOddPortNames(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	for _, name := range []string{"vale0:", "vale0:\xff\xfe\x01", "vale0:\n\t", "vale0:a:b", "vale0:%s%n", "vale0:level=ERROR x"} {
		p, err := openRaw(d.dir, name, allRings())
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if n := len(d.snapshot(t).GetPorts()); n < 3 {
			t.Errorf("%q is open, and the statistics list %d ports", name, n)
		}
		if _, err := d.ports.ListPorts(limited(t), &pb.ListPortsRequest{}); err != nil {
			t.Errorf("%q is open: ListPorts: %v", name, err)
		}
		p.close()
	}
	w.undisturbed(t)
}
