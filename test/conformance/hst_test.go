package conformance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/test/netns"
)

var hstChecks = []check{
	tests("HST-01", "HW and host rings bound, the host sends: the frame is on host RX", both, hst01),
	tests("HST-02", "host rings alone: the host goes on using the NIC, host RX stays empty", both, hst02),
	tests("HST-03", "a frame on host TX reaches the host's stack, the space is back at once", both, hst03),
	tests("HST-04", "a frame of 13 bytes on host TX is skipped", both, hst04),
	tests("HST-05", "host RX not read: at most n-1 frames queue, the newest are dropped, the NIC goes on", both, hst05),
	tests("HST-06", "forwarding on an HW RX ring: only the flagged frame reaches the host", both, hst06),
	tests("HST-07", "forwarding on host RX: the flagged frame leaves, both slots say BUF_CHANGED", both, hst07),
	tests("HST-08", "forwarding on host RX without all TX rings bound: not forwarded", both, hst08),
	tests("HST-09", "last close: the host has its connectivity again", both, hst09),
}

// A lan is an interface of the host that the daemon has a port for, with a packet socket at each end: near sends as the
// host does, and receives what the host does.
type lan struct {
	*env
	name      string // of the port
	peer      *netns.NS
	near, far socket
}

func (e *env) lan() *lan {
	e.Helper()
	l := &lan{env: e}
	l.name, l.peer = e.veth()
	l.near = e.socket(l.name)
	e.must(l.peer.Try(func() error {
		l.far = e.socket("eth0")
		return nil
	}))
	return l
}

// socket is a packet socket on an interface of the thread's namespace.
type socket struct {
	e  *env
	fd int
}

func (e *env) socket(ifname string) socket {
	e.Helper()
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	ifi, err := net.InterfaceByName(ifname)
	e.must(err)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	e.must(err)
	e.Cleanup(func() { _ = unix.Close(fd) })
	e.must(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1))
	e.must(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index}))
	return socket{e, fd}
}

// send sends frames; the queue may be somebody else's, who does not want them.
func (w socket) send(frames ...[]byte) {
	w.e.Helper()
	for _, f := range frames {
		if _, err := unix.Write(w.fd, f); err != nil && !errors.Is(err, unix.ENOBUFS) {
			w.e.Error(err)
		}
	}
}

// next is the next frame of ours, nil if there is none.
func (w socket) next() []byte { return w.nextOf(0x88b5) }

func (w socket) nextOf(etherType uint16) []byte {
	buf := make([]byte, 2048)
	for {
		n, err := unix.Read(w.fd, buf)
		if err != nil {
			return nil
		}
		if n >= 14 && binary.BigEndian.Uint16(buf[12:]) == etherType {
			return buf[:n]
		}
	}
}

// receives waits for frames.
func (w socket) receives(want ...[]byte) {
	w.e.Helper()
	for _, f := range want {
		var got []byte
		w.e.waitFor("a frame", func() error {
			if got = w.next(); got == nil {
				return errors.New("none came")
			}
			return nil
		})
		if !bytes.Equal(got, f) {
			w.e.Errorf("received % x, want % x", got, f)
		}
	}
}

// quiet watches for frames that must not come.
func (w socket) quiet(what string) {
	w.e.Helper()
	fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	_, _ = unix.Poll(fds, int(moment.Milliseconds()))
	if f := w.next(); f != nil {
		w.e.Errorf("%s: % x", what, f)
	}
}

// brings waits for a frame on an RX ring.
func (r *ring) brings(want []byte) {
	r.e.Helper()
	r.e.waitFor(fmt.Sprintf("a frame on ring %d of %s", r.RingID, r.name), func() error {
		for _, f := range r.receive() {
			if bytes.Equal(f, want) {
				return nil
			}
		}
		return errors.New("it did not come")
	})
}

// forward sets the ring flag and gives all slots back, those with the given frame with NS_FORWARD.
func (r *ring) forward(frame []byte) (slot uint32) {
	r.e.Helper()
	r.setU32(ofsFlags, abi.NRForward)
	h, t := r.head(), r.tail()
	for ; h != t; h = r.at(h, 1) {
		s := r.slot(h)
		if bytes.Equal(r.buf(s.BufIdx, int(s.Len)), frame) {
			slot = h
			s.Flags |= abi.NSForward
			r.setSlot(h, s)
		}
	}
	r.set(h, h)
	return slot
}

// holds waits until an RX ring has n frames.
func (r *ring) holds(n uint32) {
	r.e.Helper()
	r.e.waitFor("frames", func() error {
		if errno := r.p.rxsync(r.fd); errno != 0 {
			return errno
		}
		if r.space() < n {
			return fmt.Errorf("%d of %d came", r.space(), n)
		}
		return nil
	})
}

// netmap's modes: all rings, and the host's.
var (
	withHost = mode(abi.ModeNICSW, 0)
	hostOnly = mode(abi.ModeSW, 0)
)

func hst01(e *env) {
	l := e.lan()
	d := e.openPort(e.program(), l.name, withHost)
	l.near.send(flood(1))
	d.rx[1].brings(flood(1))
	l.far.quiet("the host's frame left")
	l.far.send(flood(2))
	d.rx[0].brings(flood(2))
	l.near.quiet("the wire's frame reached the host")
	// The host asks for a neighbour.
	netns.Current(e.T).Addr(e.T, l.name, "10.98.0.1/24")
	c, err := net.Dial("udp4", "10.98.0.2:9")
	e.must(err)
	defer c.Close() //nolint:errcheck // a socket that only sends
	_, _ = c.Write([]byte("?"))
	e.waitFor("the host's ARP frame", func() error {
		for _, f := range d.rx[1].receive() {
			if binary.BigEndian.Uint16(f[12:]) == unix.ETH_P_ARP && bytes.Equal(f[38:42], []byte{10, 98, 0, 2}) {
				return nil
			}
		}
		return errors.New("it did not come")
	})
}

func hst02(e *env) {
	l := e.lan()
	d := e.openPort(e.program(), l.name, hostOnly)
	l.near.send(flood(1))
	l.far.receives(flood(1))
	l.far.send(flood(2))
	l.near.receives(flood(2))
	d.rx[0].receives()
}

func hst03(e *env) {
	l := e.lan()
	for _, m := range []wish{withHost, hostOnly} {
		d := e.openPort(e.program(), l.name, m)
		r := d.tx[len(d.tx)-1]
		r.fill(flood(1), flood(2), flood(3))
		if errno := d.p.txsync(d.fd); errno != 0 {
			e.Errorf("txsync: %s", errnoName(errno))
		}
		e.waitFor("room for all slots after a sync", func() error { // which waits 10 ms for an lcore, should that have no CPU
			if r.space() == r.NumSlots-1 {
				return nil
			}
			d.p.txsync(d.fd)
			return fmt.Errorf("there is room for %d of %d", r.space(), r.NumSlots)
		})
		l.near.receives(flood(1), flood(2), flood(3))
		l.far.quiet("a frame for the host left")
		d.close()
		e.isGone(l.name)
	}
}

func hst04(e *env) {
	l := e.lan()
	d := e.openPort(e.program(), l.name, hostOnly)
	d.tx[0].send(flood(1)[:13], flood(2))
	l.near.receives(flood(2))
	if n := e.drops(l.name, "too_short"); n != 1 {
		e.Errorf("%d frames were dropped as too short, want 1", n)
	}
}

func hst05(e *env) {
	l := e.lan()
	d := e.openPort(e.program(), l.name, withHost)
	n := d.rx[1].NumSlots
	for i := range n + 50 {
		l.near.send(flood(i))
	}
	e.waitFor("the drops", func() error {
		if got := e.drops(l.name, "ring_full"); got != 51 {
			return fmt.Errorf("%d frames were dropped, want 51", got)
		}
		return nil
	})
	l.far.send(flood(9999))
	d.rx[0].brings(flood(9999))
	d.tx[0].send(flood(9998))
	l.far.receives(flood(9998))
	d.rx[1].holds(n - 1)
	for i, f := range d.rx[1].receive() {
		if !bytes.Equal(f, flood(uint32(i))) {
			e.Fatalf("frame %d is % x", i, f)
		}
	}
}

func hst06(e *env) {
	l := e.lan()
	d := e.openPort(e.program(), l.name)
	l.far.send(flood(1), flood(2))
	d.rx[0].holds(2)
	d.rx[0].forward(flood(2))
	d.rx[0].receives()
	l.near.receives(flood(2))
	l.near.quiet("the frame without the flag reached the host")
}

func hst07(e *env) {
	l := e.lan()
	d := e.openPort(e.program(), l.name, withHost)
	nic, host := d.tx[0], d.rx[1]
	l.near.send(flood(1), flood(2))
	host.holds(2)
	var was [2]uint32
	to := nic.head()
	was[0] = nic.slot(to).BufIdx
	from := host.forward(flood(2))
	was[1] = host.slot(from).BufIdx
	if errno := d.p.rxsync(d.fd); errno != 0 {
		e.Errorf("rxsync: %s", errnoName(errno))
	}
	a, b := host.slot(from), nic.slot(to)
	if a.BufIdx != was[0] || b.BufIdx != was[1] || a.Flags&abi.NSBufChanged == 0 || b.Flags&abi.NSBufChanged == 0 || int(b.Len) != len(flood(2)) {
		e.Errorf("the slots are %+v and %+v, want buffers %v exchanged and BUF_CHANGED", a, b, was)
	}
	nic.flush()
	l.far.receives(flood(2))
	l.far.quiet("the frame without the flag left")
	// A poll sends by itself.
	l.near.send(flood(3))
	host.holds(1)
	host.forward(flood(3))
	d.p.poll(d.fd, unix.POLLIN, moment)
	l.far.receives(flood(3))
}

func hst08(e *env) {
	l := e.lan()
	p := e.program()
	d := e.openPort(p, l.name, hostOnly)
	e.openPort(p, l.name)
	l.near.send(flood(1))
	d.rx[0].holds(1)
	d.rx[0].forward(flood(1))
	d.rx[0].receives()
	l.far.quiet("it was forwarded")
}

func hst09(e *env) {
	l := e.lan()
	for _, m := range []wish{withHost, hostOnly, mode(abi.ModeAllNIC, 0)} {
		e.openPort(e.program(), l.name, m).close()
		e.isGone(l.name)
		l.near.send(flood(1))
		l.far.receives(flood(1))
		l.far.send(flood(2))
		l.near.receives(flood(2))
	}
}

// nic01 has a tap as a NIC of four queues, whose host is the one that the test runs in.
func nic01(e *env) {
	const flows = 64
	l := &lan{env: e, name: fmt.Sprintf("nic%d", counter.Add(1))}
	host := "h" + l.name
	ports := pb.NewPortServiceClient(e.daemon.api)
	_, err := ports.CreatePort(e.limited(), &pb.CreatePortRequest{Spec: &pb.PortSpec{
		Name: l.name, Kind: pb.PortKind_PORT_KIND_DEVICE, Devargs: "net_tap_" + l.name + ",iface=w" + l.name, Rings: 4, HostIfname: host,
	}})
	if err != nil {
		e.Skipf("no tap here: %v", err)
	}
	e.Cleanup(func() {
		for _, p := range e.programs {
			p.end()
		}
		e.waitFor("the port to be deleted", func() error {
			_, err := ports.DeletePort(e.limited(), &pb.DeletePortRequest{Name: l.name})
			return err
		})
	})
	netns.Current(e.T).Up(e.T, host)
	l.near, l.far = e.socket(host), e.socket("w"+l.name)
	d := e.openPort(e.program(), l.name, mode(abi.ModeOneNIC, 1))
	d.boundAre("ring 1 of 4", 1, 6)
	for i := range uint32(flows) {
		l.far.send(datagram(i))
	}
	var toHost, toClient int
	e.waitFor("all frames", func() error {
		for l.near.nextOf(unix.ETH_P_IP) != nil {
			toHost++
		}
		for _, f := range d.rx[0].receive() {
			if binary.BigEndian.Uint16(f[12:]) == unix.ETH_P_IP {
				toClient++
			}
		}
		if toHost+toClient < flows {
			return fmt.Errorf("%d reached the host and %d the program, of %d", toHost, toClient, flows)
		}
		return nil
	})
	if toHost == 0 || toClient == 0 {
		e.Errorf("of %d flows %d reached the host and %d the program", flows, toHost, toClient)
	}
}

// datagram is a frame of UDP and its own flow: the kernel spreads nothing but IP over queues.
func datagram(flow uint32) []byte {
	f := frame(broadcast, mac(1), 0)
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_IP)
	copy(f[14:], []byte{0x45, 0, 0, 46, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2})
	binary.BigEndian.PutUint16(f[34:], uint16(1000+flow))
	copy(f[36:], []byte{30, 97, 0, 26}) // port and length
	return f
}
