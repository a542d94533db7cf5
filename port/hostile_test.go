package port_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// A client that asks for an interface that a switch uses is refused, and the
// interface stays where it is, also when it has a port for the switch's sake only.
func TestRefusedOpenLeavesSwitchAlone(t *testing.T) {
	c := newCable(t)
	b := newBed(t, 1, port.Config{})
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale0", ours)
	must(t, err)
	d := b.open("vale0:a")
	for range 3 {
		_, err = b.tryOpen("netmap:" + ours)
		fails(t, err, unix.EBUSY, "vale0")
	}
	if got, want := b.names(), ours+" vale0:a"; got != want {
		t.Errorf("ports are %q, want %q", got, want)
	}
	c.peer.send(t, frame(everyone, 1, 60, 1))
	receiveTest(t, d, 1)
	must(t, b.reg.Detach(limited(t), "vale0", ours))
}

// A client cannot take an interface away from the host by attaching it where it
// may not open it.
func TestAttachAsksPolicy(t *testing.T) {
	newCable(t)
	b := newBed(t, 1, port.Config{OpenInterfaces: true, Allow: []string{"other*"}})
	req := abi.Register{Mode: abi.ModeAllNIC}
	_, err := b.reg.ValeAttach(limited(t), "vale0:"+ours, &req)
	fails(t, err, unix.EINVAL, "interfaces.allow", ours)
	sw, err := b.reg.Switches(limited(t))
	must(t, err)
	if len(sw) != 0 || b.names() != "" {
		t.Errorf("switches %v and ports %q are left", sw, b.names())
	}
	_, err = b.reg.CreatePort(limited(t), port.Spec{Name: ours, Kind: port.KindInterface})
	must(t, err)
	_, err = b.reg.ValeAttach(limited(t), "vale0:"+ours, &req)
	must(t, err)
	_, err = b.reg.ValeDetach(limited(t), "vale0:"+ours)
	must(t, err)
}

// Extra buffers cost the daemon memory as soon as they are given: what one user
// gets together is limited, and what is closed can be had again.
func TestExtraBufsLimited(t *testing.T) {
	b := newBed(t, 1, port.Config{ExtraBufs: 1000})
	want := func(name string, who port.Caller, wish, want uint32) *port.Desc {
		t.Helper()
		req := &abi.Register{Mode: abi.ModeAllNIC, ExtraBufs: wish}
		d, err := b.registerAs(who, name, req)
		must(t, err)
		if req.ExtraBufs != want {
			t.Errorf("%s: %d extra buffers for a wish of %d, want %d", name, req.ExtraBufs, wish, want)
		}
		return d
	}
	other := port.Caller{PID: 1, UID: us.UID + 1}
	one := want("vale0:1", us, 600, 600)
	want("vale0:2", us, 1<<19, 400)
	want("vale0:3", us, 1, 0)
	want("vale0:4", other, 1<<19, 1000)
	b.unregister(one)
	want("vale0:5", us, 1000, 600)
}

// An lcore has to wake everybody who waits on a ring, one by one: there cannot be
// any number of them. Who is refused is told why, and takes nobody's place.
func TestWaitersLimited(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	d, err := b.reg.Register(limited(t), us, "vale0:a", allNIC())
	must(t, err)
	defer func() { must(t, d.Close(limited(t))) }()
	join := func() error {
		s, err := b.reg.NewSession(us)
		must(t, err)
		t.Cleanup(func() { b.reg.EndSession(limited(t), s) })
		_, fds, err := d.Join(limited(t), s)
		if err == nil {
			must(t, unix.Close(fds[wire.FDWake]))
		}
		return err
	}
	for range 128 {
		must(t, join())
	}
	for range 3 {
		fails(t, join(), unix.EMFILE, "vale0:a", "128")
	}
	other, err := b.register("vale0:b", allNIC())
	must(t, err)
	s, err := b.reg.NewSession(us)
	must(t, err)
	defer b.reg.EndSession(limited(t), s)
	_, fds, err := other.Join(limited(t), s)
	must(t, err)
	must(t, unix.Close(fds[wire.FDWake]))
}

// Who asks about ports, however often, leaves no trace: neither in the log nor in
// the memory of ports that went.
func TestAskingLeavesNoTrace(t *testing.T) {
	newCable(t)
	b := newBed(t, 1, port.Config{OpenInterfaces: true, Allow: []string{"*"}})
	b.close(b.open("vale0:a"))
	b.eventually("the port to go", func() bool { return b.names() == "" })
	for range 300 {
		for _, name := range []string{ours, "vale0:asked"} {
			must(t, b.reg.PortInfo(limited(t), us, name, &abi.PortInfo{}))
		}
	}
	if snap := b.snapshot(); len(snap.Ports) != 1 || snap.Ports[0].Name != "vale0:a" {
		t.Errorf("%d ports are remembered, want vale0:a", len(snap.Ports))
	}
	if text := b.log.String(); strings.Contains(text, "created") {
		t.Errorf("logged: %.200s", text)
	}
	b.close(b.open("netmap:" + ours))
	if text := b.log.String(); !strings.Contains(text, "created by a client") {
		t.Errorf("a port that a client made is not logged: %.200s", text)
	}
}

// lingering is a TCP socket whose last close waits until the peer reads, which
// it never does, or until the test is over.
func lingering(t *testing.T) int {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	c, err := net.Dial("tcp4", ln.Addr().String())
	must(t, err)
	peer, err := ln.Accept()
	must(t, err)
	t.Cleanup(func() { _ = peer.Close() })
	must(t, c.(*net.TCPConn).SetLinger(3600))
	must(t, c.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
	for {
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			break
		}
	}
	f, err := c.(*net.TCPConn).File()
	must(t, err)
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	_ = syscall.SetNonblock(fd, true)
	_ = c.Close()
	return fd
}

// Nothing that a client sends into its wake descriptor reaches the daemon: to
// drop a socket that lingers would make it wait, with the registry locked.
func TestWakeDescriptorTakesNothing(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	d, err := b.reg.Register(limited(t), us, "vale0:a", allNIC())
	must(t, err)
	s, err := b.reg.NewSession(us)
	must(t, err)
	_, fds, err := d.Join(limited(t), s)
	must(t, err)
	fd := lingering(t)
	err = unix.Sendmsg(fds[wire.FDWake], []byte{1}, unix.UnixRights(fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err == nil {
		t.Error("a client can send to the daemon's end")
	}
	go unix.Close(fd) //nolint:errcheck // waits, when the daemon did not get it
	closed := make(chan error, 1)
	go func() {
		err := d.Close(context.Background())
		b.reg.EndSession(context.Background(), s)
		closed <- err
	}()
	select {
	case err := <-closed:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("the daemon waits for a client's socket")
	}
	_ = unix.Close(fds[wire.FDWake])
}

// A descriptor whose close found the lcore stuck leaves a port that can be used,
// and that goes with its next user: without memory that an lcore still looks at.
func TestPortAfterFailedClose(t *testing.T) {
	b := newBedTimeout(t, 1, 300*time.Millisecond, port.Config{})
	b.expected = []string{"makes no progress", "left open", "left allocated"}
	gen, sink := b.open("vale0:gen"), b.open("vale0:sink")
	for _, name := range []string{"vale0:a", "vale1:a"} {
		d, err := b.reg.Register(limited(t), us, name, allNIC())
		must(t, err)
		h := &hanging{reached: make(chan struct{}), free: make(chan struct{})}
		must(t, b.lcores[0].Add(limited(t), h))
		h.hang.Store(true)
		go func() { _ = b.lcores[0].Do(limited(t), func() {}) }() // it may sleep
		<-h.reached
		if err := d.Close(limited(t)); !errors.Is(err, lcore.ErrStuck) {
			t.Errorf("close says %v, want %v", err, lcore.ErrStuck)
		}
		close(h.free)
		b.eventually("the lcore to go on", func() bool { return !b.lcores[0].Stuck() })
		must(t, b.lcores[0].Remove(limited(t), h))

		again, err := b.reg.Register(limited(t), us, name, &abi.Register{Mode: abi.ModeAllNIC, Flags: abi.FlagExclusive})
		must(t, err)
		must(t, again.Close(limited(t)))
		if got := b.names(); got != "vale0:gen vale0:sink" {
			t.Errorf("ports are %q", got)
		}
		want := [][]byte{frame(everyone, 1, 60, 1)}
		send(t, gen, 0, want...)
		same(t, receive(t, sink, 1), want)
		b.eventually("the lcore to sleep", func() bool {
			_, asleep := b.lcores[0].Progress()
			return asleep
		})
	}
}
