package port_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
	"github.com/netmapd/netmapd/test/netns"
)

// A hosted port has host rings: a kernel interface, or a device with a
// counterpart in the host.
type hosted struct {
	*cable
	*bed
	name   string   // of the port
	ifname string   // of the host's interface
	host   *packets // what the host's interface sees, and sends
}

// hostedPorts runs a test over each kind of port that has host rings.
func hostedPorts(t *testing.T, rings, slots int, test func(t *testing.T, h *hosted)) {
	drivers(t, func(t *testing.T, d port.Driver, c *cable) {
		h := &hosted{cable: c, bed: newBed(t, 2, port.Config{}), name: "lan", ifname: ours}
		_, err := h.reg.CreatePort(limited(t), port.Spec{
			Name: h.name, Kind: port.KindInterface, Ifname: ours, Driver: d, Rings: rings, Slots: slots,
		})
		must(t, err)
		h.open4(t)
		test(t, h)
	})
	t.Run("net_tap", func(t *testing.T) {
		h := &hosted{cable: &cable{host: netns.Current(t), far: netns.Current(t)}, bed: newBed(t, 2, port.Config{}), name: "nic", ifname: "nmnic0"}
		info, err := h.reg.CreatePort(limited(t), port.Spec{
			Name: h.name, Kind: port.KindDevice, Devargs: "net_tap_host,iface=nmwire", Host: h.ifname, Rings: rings, Slots: slots,
		})
		if err != nil {
			t.Skipf("no tap here: %v", err)
		}
		h.peer, err = openPackets("nmwire")
		must(t, err)
		t.Cleanup(h.peer.close)
		h.mac, err = net.ParseMAC(info.MAC)
		must(t, err)
		h.cable.host.Up(t, h.ifname)
		h.cable.host.Addr(t, h.ifname, ourIP+"/24")
		h.open4(t)
		test(t, h)
	})
}

func (h *hosted) open4(t *testing.T) {
	var err error
	h.host, err = openPackets(h.ifname)
	must(t, err)
	t.Cleanup(h.host.close)
}

// take waits for a frame of the tests' type, or an ARP frame, on one RX ring.
func take(t *testing.T, d *netmap.Desc, ring int, etherType uint16) []byte {
	t.Helper()
	buf := make([]byte, 4096)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		_, err := d.PollTimeout(10*time.Millisecond, netmap.PollIn)
		must(t, err)
		for {
			n, ok := d.RxRings()[ring].Recv(buf)
			if !ok {
				break
			}
			if binary.BigEndian.Uint16(buf[12:]) == etherType {
				must(t, d.RxSync())
				return buf[:n]
			}
		}
	}
	t.Fatalf("no frame of type %#x on ring %d", etherType, ring)
	return nil
}

// silent checks that no frame of the tests' type is on an RX ring.
func silent(t *testing.T, d *netmap.Desc, ring int) {
	t.Helper()
	must(t, d.RxSync())
	buf := make([]byte, 4096)
	for {
		n, ok := d.RxRings()[ring].Recv(buf)
		if !ok {
			return
		}
		if binary.BigEndian.Uint16(buf[12:]) == testEtherType {
			t.Errorf("on ring %d: % x", ring, buf[:n])
		}
	}
}

// hostSends makes the host's stack send a frame on its interface.
func (h *hosted) hostSends(t *testing.T, f []byte) { h.host.send(t, f) }

// TestHostRings is the life of netmap:PORT* beside the host (HST-01, -03, -04, -09).
func TestHostRings(t *testing.T) {
	hostedPorts(t, 0, 0, func(t *testing.T, h *hosted) {
		before := h.cable.host.State(t, h.ifname)
		h.answered(t, "before")
		d := h.open("netmap:" + h.name + "*")
		if tx, rx := len(d.TxRings()), len(d.RxRings()); tx != 2 || rx != 2 || !d.RxRings()[1].Host() {
			t.Fatalf("%d TX and %d RX rings, want one of the NIC and one of the host", tx, rx)
		}

		out := frame(everyone, 7, 77, 7)
		h.hostSends(t, out)
		same(t, [][]byte{take(t, d, 1, testEtherType)}, [][]byte{out})
		in := frame(everyone, 8, 78, 8)
		h.peer.send(t, in)
		same(t, [][]byte{take(t, d, 0, testEtherType)}, [][]byte{in})
		if f := h.peer.try(testEtherType); f != nil {
			t.Errorf("the host's frame left all the same: % x", f)
		}

		send(t, d, 1, h.arp(t), out[:13])
		if host := d.TxRings()[1]; host.Space() != host.NumSlots()-1 {
			t.Errorf("host TX ring has room for %d slots of %d after a sync", host.Space(), host.NumSlots())
		}
		reply := take(t, d, 1, unix.ETH_P_ARP)
		if !bytes.Equal(reply[6:12], h.mac) || reply[21] != 2 {
			t.Errorf("the host's answer: % x", reply)
		}
		silent(t, d, 0)
		h.unansweredHW(t, d)
		if st := h.stats(h.name); st.Drops["too_short"] != 1 {
			t.Errorf("drops %v", st.Drops)
		}

		h.close(d)
		h.answered(t, "after")
		if now := h.cable.host.State(t, h.ifname); now != before {
			t.Errorf("the interface is now %s, was %s", now, before)
		}
	})
}

// unansweredHW checks that the wire's question comes to the HW ring and not to
// the host.
func (h *hosted) unansweredHW(t *testing.T, d *netmap.Desc) {
	t.Helper()
	h.peer.send(t, h.arp(t))
	if f := take(t, d, 0, unix.ETH_P_ARP); !bytes.Equal(f, h.arp(t)) {
		t.Errorf("% x", f)
	}
	time.Sleep(50 * time.Millisecond)
	silent(t, d, 1)
	if f := h.peer.try(unix.ETH_P_ARP); f != nil {
		t.Errorf("the host answered: % x", f)
	}
}

// TestHostRingsAlone: the host goes on using the NIC (HST-02).
func TestHostRingsAlone(t *testing.T) {
	hostedPorts(t, 0, 0, func(t *testing.T, h *hosted) {
		d := h.open("netmap:" + h.name + "^")
		h.answered(t, "with host rings open")
		h.hostSends(t, frame(everyone, 7, 77, 7))
		same(t, [][]byte{h.peer.receive(t, testEtherType)}, [][]byte{frame(everyone, 7, 77, 7)})
		silent(t, d, 0)
		send(t, d, 0, h.arp(t)) // the answer goes to the wire
		if f := h.peer.receive(t, unix.ETH_P_ARP); !bytes.Equal(f[6:12], h.mac) || f[21] != 2 {
			t.Errorf("the host's answer: % x", f)
		}
		// HW rings come and go beside it.
		hw := h.open("netmap:" + h.name)
		h.hostSends(t, frame(everyone, 9, 79, 9))
		same(t, [][]byte{take(t, d, 0, testEtherType)}, [][]byte{frame(everyone, 9, 79, 9)})
		h.unanswered(t, hw)
		h.close(hw)
		h.answered(t, "after the HW rings were closed")
	})
}

// TestHostRingFull: what does not fit is dropped, the newest first, and the NIC
// goes on (HST-05).
func TestHostRingFull(t *testing.T) {
	const slots = 32
	hostedPorts(t, 0, slots, func(t *testing.T, h *hosted) {
		d := h.open("netmap:" + h.name + "*")
		var sent [][]byte
		for i := range 3 * slots {
			sent = append(sent, frame(everyone, 7, 100, i))
			h.hostSends(t, sent[i])
		}
		h.eventually("all frames to be counted", func() bool {
			st := h.stats(h.name)
			return st.Rx.Frames+st.Drops["ring_full"] >= uint64(len(sent))
		})
		h.peer.send(t, frame(everyone, 8, 78, 8))
		take(t, d, 0, testEtherType)
		var got [][]byte
		for range slots - 1 {
			got = append(got, bytes.Clone(take(t, d, 1, testEtherType)))
		}
		same(t, got, sent[:slots-1])
		silent(t, d, 1)
	})
}

// TestForwardToHost: of two frames released, the flagged one reaches the host
// (HST-06), whenever the flag of the ring was set.
func TestForwardToHost(t *testing.T) {
	hostedPorts(t, 0, 0, func(t *testing.T, h *hosted) {
		d := h.open("netmap:" + h.name)
		ring := d.RxRings()[0]
		forward := func(flags uint32, seq int) {
			t.Helper()
			for i := range 2 {
				h.peer.send(t, frame(everyone, 8, 70, seq+i))
			}
			h.eventually("two frames", func() bool { must(t, d.RxSync()); return ring.Space() >= 2 })
			time.Sleep(2 * time.Millisecond) // the lcore may have gone to sleep
			ring.SetFlags(flags)
			for i := ring.Head(); i != ring.Tail(); i = ring.Next(i) {
				if bytes.Equal(ring.Frame(i), frame(everyone, 8, 70, seq+1)) {
					ring.Slot(i).Flags |= abi.NSForward
				}
			}
			ring.Advance(ring.Tail())
			must(t, d.RxSync())
		}
		forward(0, 1) // without the ring's flag those of slots mean nothing
		forward(abi.NRForward, 11)
		same(t, [][]byte{h.host.receiveMarked(t)}, [][]byte{frame(everyone, 8, 70, 12)})
		if h.name == "lan" { // packet sockets on a kernel interface see what arrives there too
			return
		}
		time.Sleep(20 * time.Millisecond)
		if f := h.host.try(testEtherType); f != nil {
			t.Errorf("the host got % x", f)
		}
		// All of it, with the parameter.
		must(t, h.reg.SetParam(us, "fwd", "1"))
		forward(0, 21)
		for i := range 2 {
			same(t, [][]byte{h.host.receive(t, testEtherType)}, [][]byte{frame(everyone, 8, 70, 21+i)})
		}
	})
}

// receiveMarked waits for the frame that was forwarded. On a kernel interface the
// socket sees it twice: as it came in, and as it was given to the host.
func (w *packets) receiveMarked(t *testing.T) (f []byte) {
	t.Helper()
	seen := map[string]int{}
	for {
		f = w.receive(t, testEtherType)
		if seen[string(f)]++; bytes.Equal(f, frame(everyone, 8, 70, 12)) && (seen[string(f)] == 2 || seen[string(frame(everyone, 8, 70, 11))] == 0) {
			break
		}
	}
	for i := range 12 {
		if n := seen[string(frame(everyone, 8, 70, i))]; n > 1 {
			t.Errorf("frame %d reached the host", i)
		}
	}
	return f
}

// TestHostRingCounts: the first descriptor says how many there are, until the
// last one closes (REG-07 to -10).
func TestHostRingCounts(t *testing.T) {
	hostedPorts(t, 0, 0, func(t *testing.T, h *hosted) {
		counts := func(d *netmap.Desc) string {
			r := d.Register()
			return fmt.Sprintf("%d/%d tx %d rx %d", r.HostTxRings, r.HostRxRings, len(d.TxRings()), len(d.RxRings()))
		}
		check := func(what string, d *netmap.Desc, want string) {
			t.Helper()
			if got := counts(d); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		a := h.open("netmap:" + h.name + "^1@conf:host_rings=2")
		check("ring 1 of 2", a, "2/2 tx 1 rx 1")
		b := h.open("netmap:" + h.name + "*@conf:host_rings=7")
		check("beside it", b, "2/2 tx 3 rx 3")
		h.close(a)
		h.close(b)
		c := h.open("netmap:" + h.name + "^@conf:host_tx_rings=5,host_rx_rings=4")
		check("five and four", c, "5/4 tx 5 rx 4")
		for ring := range 5 {
			send(t, c, ring, h.arp(t))
			h.peer.receive(t, unix.ETH_P_ARP)
		}
		h.close(c)
		d := h.open("netmap:" + h.name + "^")
		check("without a wish", d, "1/1 tx 1 rx 1")
		h.close(d)
		_, err := h.tryOpen("netmap:" + h.name + "^3@conf:host_rings=2")
		fails(t, err, unix.EINVAL, "host ring 3")
		check("after a refusal", h.open("netmap:"+h.name+"*"), "1/1 tx 2 rx 2")
	})
}

// TestUnboundQueues: with one queue of two bound, the frames of the other one
// reach the host, and it goes on sending (NIC-01).
func TestUnboundQueues(t *testing.T) {
	const flows = 64
	hostedPorts(t, 2, 0, func(t *testing.T, h *hosted) {
		if h.name == "lan" && h.driver(t) == string(port.DriverAFXDP) {
			t.Skip("a veth with one queue")
		}
		d := h.open("netmap:" + h.name + "-1")
		to, err := net.ListenPacket("udp4", ourIP+":7777")
		must(t, err)
		defer to.Close() //nolint:errcheck // only read
		for i := range flows {
			h.peer.send(t, h.datagram(i))
		}
		var host, client int
		buf := make([]byte, 2048)
		for end := time.Now().Add(patience); host+client < flows && time.Now().Before(end); {
			_ = to.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if _, _, err := to.ReadFrom(buf); err == nil {
				host++
			} else if !errors.Is(err, unix.EAGAIN) {
				for must(t, d.RxSync()); ; client++ {
					if _, ok := d.RxRings()[0].Recv(buf); !ok {
						break
					}
				}
			}
		}
		if host+client < flows || host == 0 || client == 0 {
			t.Errorf("of %d flows %d reached the host and %d the client", flows, host, client)
		}
	})
}

func (h *hosted) driver(t *testing.T) string {
	t.Helper()
	info, err := h.reg.Port(limited(t), h.name)
	must(t, err)
	return info.Driver
}

// datagram is one to port 7777 of the host, from a port of its own.
func (h *hosted) datagram(flow int) []byte {
	f := make([]byte, 60)
	copy(f, h.mac)
	copy(f[6:], "\x02\x00\x00\x00\x00\x63\x08\x00\x45\x00\x00\x20\x00\x00\x00\x00\x40\x11")
	copy(f[26:], net.ParseIP(theirIP).To4())
	copy(f[30:], net.ParseIP(ourIP).To4())
	binary.BigEndian.PutUint16(f[34:], uint16(20000+flow))
	binary.BigEndian.PutUint16(f[36:], 7777)
	binary.BigEndian.PutUint16(f[38:], 12) // no checksum
	var sum uint32
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(f[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(f[24:], ^uint16(sum))
	return f
}

// TestHostLink: the host sees the device's link, and what it sent and received
// without a client is counted.
func TestHostLink(t *testing.T) {
	hostedPorts(t, 0, 0, func(t *testing.T, h *hosted) {
		if h.name == "lan" {
			t.Skip("a kernel interface is its own")
		}
		carrier := func() bool {
			l, err := netlink.LinkByName(h.ifname)
			must(t, err)
			return l.Attrs().RawFlags&unix.IFF_LOWER_UP != 0
		}
		for _, up := range []bool{false, true} {
			set := map[bool]func(testing.TB, string){false: h.cable.host.Down, true: h.cable.host.Up}[up]
			set(t, "nmwire")
			h.eventually("the host to see the link", func() bool {
				h.reg.Tend(time.Now())
				return carrier() == up
			})
		}
		h.peer.try(testEtherType) // takes the error that says that the interface was down
		h.answered(t, "with the link up again")
		if st := h.stats(h.name).Device; st["host_tx_frames"] == 0 || st["host_rx_frames"] == 0 {
			t.Errorf("counters %v", st)
		}
	})
}

// TestHostOnSwitch: a port and its host rings on a switch, two ports of it (PER-09).
func TestHostOnSwitch(t *testing.T) {
	hostedPorts(t, 0, 0, func(t *testing.T, h *hosted) {
		before := h.cable.host.State(t, h.ifname)
		client := h.open("vale1:client")
		for range 2 { // and again
			_, err := h.reg.Attach(limited(t), "vale1", h.name+"*")
			must(t, err)
			if got, want := h.names(), fmt.Sprintf("%s vale1:client %s^", h.name, h.name); got != want {
				t.Errorf("ports are %s, want %s", got, want)
			}
			if _, sw := h.reg.Configured(limited(t)); len(sw) > 0 { // not of an ephemeral one
				t.Errorf("configured: %+v", sw)
			}
			h.answered(t, "by way of the switch")
			if f := take(t, client, 0, unix.ETH_P_ARP); !bytes.Equal(f, h.arp(t)) {
				t.Errorf("the switch flooded % x", f)
			}
			h.hostSends(t, frame(everyone, 7, 77, 7))
			same(t, [][]byte{take(t, client, 0, testEtherType)}, [][]byte{frame(everyone, 7, 77, 7)})
			same(t, [][]byte{h.peer.receive(t, testEtherType)}, [][]byte{frame(everyone, 7, 77, 7)})
			if st := h.stats(h.name + "^"); st.Switch != "vale1" || st.Tx.Frames == 0 || st.Rx.Frames == 0 {
				t.Errorf("counters of the host's port: %+v", st)
			}

			_, err = h.tryOpen("netmap:" + h.name + "^")
			fails(t, err, unix.EBUSY, "vale1")
			fails(t, h.reg.Detach(limited(t), "vale1", h.name+"^"), unix.EBUSY, "host rings")
			fails(t, h.reg.DeletePort(limited(t), h.name+"^"), unix.EINVAL, "host rings")
			must(t, h.reg.Detach(limited(t), "vale1", h.name))
			h.answered(t, "after the switch")
			if now := h.cable.host.State(t, h.ifname); now != before {
				t.Errorf("the interface is now %s, was %s", now, before)
			}
		}
		// Without its host rings, the host has nothing of it.
		_, err := h.reg.Attach(limited(t), "vale1", h.name)
		must(t, err)
		h.peer.send(t, h.arp(t))
		take(t, client, 0, unix.ETH_P_ARP)
		h.hostSendsMaybe(t, frame(everyone, 9, 79, 9))
		time.Sleep(50 * time.Millisecond)
		if f := h.peer.try(unix.ETH_P_ARP); f != nil {
			t.Errorf("the host answered: % x", f)
		}
		silent(t, client, 0)
		must(t, h.reg.Detach(limited(t), "vale1", h.name))
		h.answered(t, "at the end")
		if f := h.peer.try(testEtherType); f != nil {
			t.Errorf("what the host sent meanwhile: % x", f)
		}
	})
}

// hostSendsMaybe sends what may be refused.
func (h *hosted) hostSendsMaybe(t *testing.T, f []byte) {
	if _, err := unix.Write(h.host.fd, f); err != nil && !errors.Is(err, unix.ENOBUFS) {
		t.Error(err)
	}
}
