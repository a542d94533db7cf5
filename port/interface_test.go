package port_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
	"github.com/netmapd/netmapd/test/netns"
)

// A cable is an interface of the daemon's host, and the other end in a
// namespace of its own.
type cable struct {
	host, far *netns.NS
	peer      *packets // frames at the far end
	mac       net.HardwareAddr
}

const (
	ours, theirs   = "nmours", "nmtheirs"
	ourIP, theirIP = "10.99.0.1", "10.99.0.2"
)

func newCable(t *testing.T) *cable {
	t.Helper()
	c := &cable{far: netns.New(t), host: netns.Current(t)}
	netns.Veth(t, c.host, ours, c.far, theirs)
	c.host.Addr(t, ours, ourIP+"/24")
	c.far.Do(t, func() (err error) {
		c.peer, err = openPackets(theirs)
		return err
	})
	t.Cleanup(c.peer.close)
	ifi, err := net.InterfaceByName(ours)
	must(t, err)
	c.mac = ifi.HardwareAddr
	return c
}

// drivers runs a test over each way to reach a kernel interface.
func drivers(t *testing.T, test func(t *testing.T, d port.Driver, c *cable)) {
	for _, d := range []port.Driver{port.DriverAFPacket, port.DriverAFXDP} {
		t.Run(string(d), func(t *testing.T) {
			if d == port.DriverAFXDP {
				fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					t.Skipf("no AF_XDP here: %v", err)
				}
				_ = unix.Close(fd)
			}
			test(t, d, newCable(t))
		})
	}
}

func TestInterface(t *testing.T) {
	drivers(t, func(t *testing.T, driver port.Driver, c *cable) {
		before := c.host.State(t, ours)
		b := newBed(t, 1, port.Config{OpenInterfaces: true, Allow: []string{"other*", "nmo?rs"}, Driver: driver})
		c.answered(t, "before")

		d := b.open("netmap:" + ours)
		info, err := b.reg.Port(limited(t), ours)
		must(t, err)
		if !info.Ephemeral || info.Driver != string(driver) || info.MAC != c.mac.String() || info.MTU != 1500 || info.RegionID != abi.MemIDGlobal || len(info.Users) != 1 {
			t.Errorf("info %+v", info)
		}
		var sent [][]byte
		for i, size := range []int{60, 61, 64, 128, 513, 1000, 1499, 1514} {
			sent = append(sent, frame(everyone, 1, size, i))
		}
		for _, f := range sent {
			c.peer.send(t, f)
		}
		same(t, receiveTest(t, d, len(sent)), sent)
		for _, f := range sent {
			send(t, d, 0, f)
			same(t, [][]byte{c.peer.receive(t, testEtherType)}, [][]byte{f})
		}
		c.hostOutgoing(t, d)
		c.unanswered(t, d)
		b.close(d)

		if got := b.names(); got != "" {
			t.Errorf("ports are %s after the close", got)
		}
		c.answered(t, "after")
		if now := c.host.State(t, ours); now != before {
			t.Errorf("the interface is now %s, was %s", now, before)
		}
		if st := b.stats(ours); st.Rx.Frames < uint64(len(sent)) || st.Tx.Frames != uint64(len(sent)) || len(st.Drops) != 0 {
			t.Errorf("counters %+v", st)
		}
		b.close(b.open("netmap:" + ours)) // again
	})
}

// arp makes a question from the far end for the host's address.
func (c *cable) arp(t *testing.T) []byte {
	t.Helper()
	f := make([]byte, 60)
	copy(f, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x63")
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_ARP)
	copy(f[14:], "\x00\x01\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x63")
	copy(f[28:], net.ParseIP(theirIP).To4())
	copy(f[38:], net.ParseIP(ourIP).To4())
	return f
}

// answered checks that the host stack answers on the interface (HST-09).
func (c *cable) answered(t *testing.T, when string) {
	t.Helper()
	c.peer.send(t, c.arp(t))
	if f := c.peer.receive(t, unix.ETH_P_ARP); !bytes.Equal(f[6:12], c.mac) || f[21] != 2 {
		t.Errorf("%s: not an answer: % x", when, f)
	}
}

// unanswered checks that it does not: the question comes to the client instead.
func (c *cable) unanswered(t *testing.T, d *netmap.Desc) {
	t.Helper()
	c.peer.send(t, c.arp(t))
	for f, err := range d.Frames(limited(t)) {
		must(t, err)
		if bytes.Equal(f, c.arp(t)) {
			break
		}
	}
	must(t, d.RxSync())
	// The stack would have answered before the client was woken, or soon after.
	time.Sleep(50 * time.Millisecond)
	if f := c.peer.try(unix.ETH_P_ARP); f != nil {
		t.Errorf("the host stack answered: % x", f)
	}
}

// hostOutgoing checks that what the host sends neither goes out nor is received:
// it is for host RX rings, which nobody has open (NC E.2).
func (c *cable) hostOutgoing(t *testing.T, d *netmap.Desc) {
	t.Helper()
	w, err := openPackets(ours)
	must(t, err)
	defer w.close()
	if _, err := unix.Write(w.fd, frame(everyone, 7, 77, 7)); err != nil && !errors.Is(err, unix.ENOBUFS) {
		t.Error(err)
	}
	c.peer.send(t, frame(everyone, 8, 78, 8))
	same(t, receiveTest(t, d, 1), [][]byte{frame(everyone, 8, 78, 8)})
	if f := c.peer.try(testEtherType); f != nil {
		t.Errorf("sent by the host all the same: % x", f)
	}
}

// receiveTest waits for n frames of the tests' own type.
func receiveTest(t *testing.T, d *netmap.Desc, n int) (frames [][]byte) {
	t.Helper()
	for len(frames) < n {
		if f := receive(t, d, 1)[0]; binary.BigEndian.Uint16(f[12:]) == testEtherType {
			frames = append(frames, f)
		}
	}
	return frames
}

func TestInterfacePolicy(t *testing.T) {
	newCable(t)
	for _, c := range []struct {
		what  string
		cfg   port.Config
		words string
	}{
		{"never", port.Config{OpenInterfaces: false, Allow: []string{"*"}}, "interfaces.open"},
		{"not allowed", port.Config{OpenInterfaces: true, Allow: []string{"eth*", "nm"}}, "eth*"},
		{"nothing allowed", port.Config{OpenInterfaces: true}, "interfaces.allow"},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := newBed(t, 1, c.cfg)
			_, err := b.tryOpen("netmap:" + ours)
			fails(t, err, unix.ENXIO, c.words)
			// An operator may.
			_, err = b.reg.CreatePort(limited(t), port.Spec{Name: ours})
			must(t, err)
			b.close(b.open("netmap:" + ours))
			if got := b.names(); got != ours {
				t.Errorf("ports are %q, want the one that was created", got)
			}
			must(t, b.reg.DeletePort(limited(t), ours))
		})
	}
}

// Auto takes af_xdp where that works, and af_packet elsewhere.
func TestInterfaceDriver(t *testing.T) {
	c := newCable(t)
	b := newBed(t, 1, port.Config{OpenInterfaces: true, Allow: []string{"*"}, Driver: port.DriverAuto})
	driver := func(name string) string {
		t.Helper()
		info, err := b.reg.Port(limited(t), name)
		must(t, err)
		return info.Driver
	}
	d := b.open("netmap:" + ours)
	if got := driver(ours); got != string(port.DriverAFXDP) {
		t.Errorf("driver %s for an interface that has XDP", got)
	}
	b.close(d)
	_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "two", Ifname: ours, Rings: 2}) // the veth has one queue
	must(t, err)
	d = b.open("netmap:two")
	if got := driver("two"); got != string(port.DriverAFPacket) {
		t.Errorf("driver %s for two rings on an interface of one queue", got)
	}
	c.peer.send(t, frame(everyone, 1, 60, 1))
	receiveTest(t, d, 1)
	for _, spec := range []string{"netmap:" + ours, "netmap:" + ours + "-0"} { // an interface is one port
		_, err = b.tryOpen(spec)
		fails(t, err, unix.EBUSY, "two")
	}
	b.close(d)
	must(t, b.reg.DeletePort(limited(t), "two"))
}

// A link that goes down and comes up again moves no index, and frames flow on.
func TestInterfaceDownAndUp(t *testing.T) {
	drivers(t, func(t *testing.T, driver port.Driver, c *cable) {
		b := newBed(t, 1, port.Config{OpenInterfaces: true, Allow: []string{"*"}, Driver: driver})
		d := b.open("netmap:" + ours)
		for i := range 3 {
			// The kernel takes its time to bring a link up, and drops frames until then.
			in, out := frame(everyone, 1, 100, i), frame(everyone, 2, 100, i)
			b.eventually("a frame to come in", func() bool {
				c.peer.send(t, in)
				_, err := d.PollTimeout(20*time.Millisecond, netmap.PollIn)
				must(t, err)
				buf := make([]byte, 2048)
				n, ok := d.RxRings()[0].Recv(buf)
				return ok && bytes.Equal(buf[:n], in)
			})
			b.eventually("a frame to go out", func() bool {
				send(t, d, 0, out)
				return bytes.Equal(c.peer.within(20*time.Millisecond, testEtherType), out)
			})

			c.host.Down(t, ours)
			must(t, d.RxSync())
			head := d.RxRings()[0].Head()
			if info, err := b.reg.Port(limited(t), ours); err != nil || info.LinkUp {
				t.Errorf("the link is down and the port says %+v (%v)", info, err)
			}
			d.TxRings()[0].Send(frame(everyone, 3, 60, i)) // it may come late, or never
			must(t, d.TxSync())
			if now := d.RxRings()[0].Head(); now != head {
				t.Errorf("head moved from %d to %d", head, now)
			}
			c.host.Up(t, ours)
		}
	})
}

// NC B.5, step 15: an MTU that does not fit the buffers, at the first opening.
func TestInterfaceMTU(t *testing.T) {
	c := newCable(t)
	b := newBed(t, 1, port.Config{OpenInterfaces: true, Allow: []string{"*"}, Driver: port.DriverAFPacket})
	c.host.MTU(t, ours, 3000)
	_, err := b.tryOpen("netmap:" + ours)
	fails(t, err, unix.EINVAL, "3000", "2048", "mtu")
	_, err = b.reg.CreatePort(limited(t), port.Spec{Name: "lan", Ifname: ours})
	fails(t, err, unix.EINVAL, "3000", "2048")
	c.host.MTU(t, ours, 1500)
	_, err = b.reg.CreatePort(limited(t), port.Spec{Name: "lan", Ifname: ours})
	must(t, err)
	c.host.MTU(t, ours, 3000)
	_, err = b.tryOpen("netmap:lan")
	fails(t, err, unix.EINVAL, "3000", "2048")
	_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale0", "lan")
	fails(t, err, unix.EINVAL, "3000", "2048")
	if got := b.names(); got != "lan" {
		t.Errorf("ports are %s", got)
	}
	c.host.MTU(t, ours, 1500)
	b.close(b.open("netmap:lan"))
}

// A ring that is bound while the lcore sleeps for the others is served.
func TestRingBoundWhileAsleep(t *testing.T) {
	c := newCable(t)
	b := newBed(t, 1, port.Config{})
	_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "lan", Ifname: ours, Driver: port.DriverAFPacket, Rings: 2, Slots: 64})
	must(t, err)
	b.open("netmap:lan-0/R")
	for i := range 10 {
		b.eventually("the lcore to sleep", func() bool {
			_, asleep := b.lcores[0].Progress()
			return asleep
		})
		d := b.open("netmap:lan-1/T")
		b.eventually("the lcore to sleep", func() bool {
			_, asleep := b.lcores[0].Progress()
			return asleep
		})
		want := frame(everyone, 1, 60+i, i)
		send(t, d, 0, want)
		same(t, [][]byte{c.peer.receive(t, testEtherType)}, [][]byte{want})
		b.close(d)
	}
}

// An interface that is deleted while it is used takes its port's traffic with
// it, and nothing else.
func TestInterfaceDeleted(t *testing.T) {
	drivers(t, func(t *testing.T, driver port.Driver, c *cable) {
		b := newBed(t, 1, port.Config{Driver: driver})
		_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "lan", Ifname: ours, Driver: driver})
		must(t, err)
		_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
		must(t, err)
		one, two := b.open("vale0:a"), b.open("vale0:b")
		d := b.open("netmap:lan")
		c.peer.send(t, frame(everyone, 1, 60, 1))
		receiveTest(t, d, 1)
		c.host.Delete(t, ours)
		for i := range 3 {
			d.TxRings()[0].Send(frame(everyone, 1, 60, i))
			must(t, d.TxSync())
			must(t, d.RxSync())
		}
		send(t, one, 0, frame(everyone, 1, 60, 1))
		receive(t, two, 1)
		b.reg.Tend(time.Now()) // notices it
		if re, err := d.PollTimeout(patience, netmap.PollIn); re&netmap.PollErr == 0 || !errors.Is(err, unix.EIO) {
			t.Errorf("poll says %#x, %v; want POLLERR and EIO", re, err)
		}
		b.close(d)
		_, err = b.tryOpen("netmap:lan")
		fails(t, err, unix.ENXIO, ours)
		_, err = b.reg.Attach(limited(t), "vale0", "lan")
		fails(t, err, unix.ENXIO, ours)
		must(t, b.reg.DeletePort(limited(t), "lan"))

		// The same on a switch, without a port of its own; and it can come again.
		for range 2 {
			again := newCable(t)
			_, err = b.reg.Attach(limited(t), "vale0", ours)
			must(t, err)
			again.peer.send(t, frame(everyone, 1, 60, 5))
			receiveTest(t, one, 1)
			again.host.Delete(t, ours)
			send(t, one, 0, frame(everyone, 2, 60, 1))
			b.reg.Tend(time.Now())
			must(t, b.reg.Detach(limited(t), "vale0", ours))
		}
		if got := b.names(); got != "vale0:a vale0:b" {
			t.Errorf("ports are %s", got)
		}
	})
}

// An interface that was closed can be opened again at once.
func TestInterfaceAgainAndAgain(t *testing.T) {
	drivers(t, func(t *testing.T, driver port.Driver, c *cable) {
		b := newBed(t, 1, port.Config{OpenInterfaces: true, Allow: []string{ours}, Driver: driver})
		for range 5 {
			b.close(b.open("netmap:" + ours))
		}
	})
}

// packets is a packet socket on an interface.
type packets struct{ fd int }

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func openPackets(ifname string) (*packets, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifi.Index}); err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return nil, err
	}
	return &packets{fd}, nil
}

func (w *packets) close() { _ = unix.Close(w.fd) }

func (w *packets) send(t *testing.T, f []byte) {
	t.Helper()
	if _, err := unix.Write(w.fd, f); err != nil {
		t.Fatalf("send %d bytes: %v", len(f), err)
	}
}

// receive waits for a frame of a type.
func (w *packets) receive(t *testing.T, etherType uint16) []byte {
	t.Helper()
	f := w.within(patience, etherType)
	if f == nil {
		t.Fatalf("no frame of type %#x came", etherType)
	}
	return f
}

// within waits a limited time.
func (w *packets) within(limit time.Duration, etherType uint16) []byte {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, 10)
		if f := w.try(etherType); f != nil {
			return f
		}
	}
	return nil
}

// try takes the next frame of a type, if it is there.
func (w *packets) try(etherType uint16) []byte {
	buf := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(w.fd, buf, unix.MSG_DONTWAIT)
		if err != nil {
			return nil
		}
		if n >= 14 && binary.BigEndian.Uint16(buf[12:]) == etherType {
			return buf[:n]
		}
	}
}
