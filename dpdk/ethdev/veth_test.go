package ethdev

import (
	"bytes"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNamespace puts the test on a thread with a network namespace of its own, which ends with the test.
func inNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace needs root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace: %v", err)
	}
}

// vethPair makes two connected interfaces, up and without IPv6, which would send frames of its own.
func vethPair(t *testing.T, ours, theirs string) {
	t.Helper()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: ours, NumTxQueues: 1, NumRxQueues: 1}, PeerName: theirs}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Skipf("no veth pair: %v", err)
	}
	for _, name := range []string{ours, theirs} {
		// The namespace's /proc/sys is that of the thread.
		_ = os.WriteFile("/proc/thread-self/root/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o600)
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
}

// packetSocket sends and receives whole frames on an interface, as any other program of the host would. Only frames of
// the test's own EtherType are received.
type packetSocket struct {
	t  *testing.T
	fd int
}

const testEtherType = 0x88b5

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func openPacketSocket(t *testing.T, ifname string) *packetSocket {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(htons(testEtherType)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(testEtherType), Ifindex: ifi.Index}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		t.Fatal(err)
	}
	return &packetSocket{t, fd}
}

func (s *packetSocket) send(frame []byte) {
	s.t.Helper()
	if _, err := unix.Write(s.fd, frame); err != nil {
		s.t.Fatalf("sending %d bytes: %v", len(frame), err)
	}
}

func (s *packetSocket) receive() []byte {
	s.t.Helper()
	buf := make([]byte, 4096)
	n, err := unix.Read(s.fd, buf)
	if err != nil {
		s.t.Fatalf("receiving: %v", err)
	}
	return buf[:n]
}

var vethSizes = []int{60, 61, 128, 1000, 1513, 1514}

// TestKernelInterface runs one suite over both drivers. It has no subtests below them, which would run on other threads.
func TestKernelInterface(t *testing.T) {
	for _, driver := range []string{"af_packet", "af_xdp"} {
		t.Run(driver, func(t *testing.T) {
			inNamespace(t)
			vethPair(t, "ours", "theirs")
			devargs, err := InterfaceDevargs(driver, "ours", 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Attach(devargs)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}()
			if err := d.Configure(Config{Promiscuous: true}); err != nil {
				if driver == "af_xdp" {
					t.Skipf("this kernel has no AF_XDP for us: %v", err)
				}
				t.Fatal(err)
			}
			if err := d.Start(); err != nil {
				t.Fatal(err)
			}
			checkInterface(t, d)
			checkReceive(t, d)
			checkSend(t, d)
			checkWake(t, d)
			checkOutgoing(t, d)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			checkRestored(t)
		})
	}
}

func checkInterface(t *testing.T, d *Device) {
	t.Helper()
	ifi, err := net.InterfaceByName("ours")
	if err != nil {
		t.Fatal(err)
	}
	if mac, err := d.MAC(); err != nil || !bytes.Equal(mac, ifi.HardwareAddr) {
		t.Errorf("MAC is %v (%v), want the interface's %v", mac, err, ifi.HardwareAddr)
	}
	if d.Info().Interface != "ours" || d.Info().IfIndex != ifi.Index {
		t.Errorf("info is %+v, want interface ours with index %d", d.Info(), ifi.Index)
	}
	if link, err := d.Link(); err != nil || !link.Up {
		t.Errorf("link is %+v (%v), want it up", link, err)
	}
	if n := len(d.Sockets()); n != 1 {
		t.Errorf("%d sockets, want 1", n)
	}
}

func checkReceive(t *testing.T, d *Device) {
	t.Helper()
	peer, b := openPacketSocket(t, "theirs"), NewRxBatch(32)
	defer b.Free()
	for i, size := range vethSizes {
		want := testFrame(size, uint64(i))
		peer.send(want)
		if got := receive(t, d, b, 1); len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Errorf("a frame of %d bytes: got %d frames, or it changed", size, len(got))
		}
	}
	tagged := testFrame(100, 9)
	copy(tagged[12:], []byte{0x81, 0, 0, 5, 0x88, 0xb5}) // the kernel takes the tag out, the driver must put it back
	peer.send(tagged)
	if got := receive(t, d, b, 1); len(got) != 1 || !bytes.Equal(got[0], tagged) {
		t.Errorf("a frame with a VLAN tag: got %d frames, or it changed", len(got))
	}
}

func checkSend(t *testing.T, d *Device) {
	t.Helper()
	peer, tx, mem := openPacketSocket(t, "theirs"), NewTxBatch(32), newArena(t, 1<<16)
	defer tx.Free()
	for i, size := range vethSizes {
		want := testFrame(size, uint64(i))
		addFrame(t, tx, mem, want, 14, 6)
		if n := d.TxBurst(0, tx); n != 1 || tx.Refused() != 0 {
			t.Fatalf("sent %d frames of %d bytes, refused %d", n, size, tx.Refused())
		}
		if got := peer.receive(); !bytes.Equal(got, want) {
			t.Errorf("a frame of %d bytes arrived as %d bytes, or changed", size, len(got))
		}
	}
	frame := testFrame(60, 1)
	at := mem.put(frame)
	for i := range 2 * d.Pool().Size() { // so every mbuf is used: af_xdp must have told the kernel of all of them
		tx.Add(at, 60, false)
		if n := d.TxBurst(0, tx); n != 1 || !bytes.Equal(peer.receive(), frame) {
			t.Fatalf("frame %d was not sent (%d), or changed", i, n)
		}
	}
	addFrame(t, tx, mem, testFrame(1600, 1))
	if d.TxBurst(0, tx) != 1 || tx.Refused() != 1 {
		t.Errorf("a frame above the MTU was not refused")
	}
}

// checkWake sleeps in epoll on the device's socket until a frame comes.
func checkWake(t *testing.T, d *Device) {
	t.Helper()
	peer, b := openPacketSocket(t, "theirs"), NewRxBatch(32)
	defer b.Free()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(ep) }()
	for _, fd := range d.Sockets() {
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			t.Fatal(err)
		}
	}
	ready := make([]unix.EpollEvent, 4)
	for round := range 3 {
		if n, err := unix.EpollWait(ep, ready, 0); n != 0 {
			t.Fatalf("round %d: readable without a frame (%d, %v)", round, n, err)
		}
		peer.send(testFrame(60, 1))
		if n, err := unix.EpollWait(ep, ready, 10000); n != 1 || err != nil {
			t.Fatalf("round %d: the frame did not wake us (%d, %v)", round, n, err)
		}
		receive(t, d, b, 1)
	}
}

// checkOutgoing has the host send on the interface that we watch: only the frame that comes in may be seen.
func checkOutgoing(t *testing.T, d *Device) {
	t.Helper()
	host, peer, b := openPacketSocket(t, "ours"), openPacketSocket(t, "theirs"), NewRxBatch(32)
	defer b.Free()
	for i := range 5 {
		host.send(testFrame(60, uint64(100+i)))
		peer.receive() // so it has passed
	}
	want := testFrame(60, 1)
	peer.send(want)
	got := receive(t, d, b, 1)
	if len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("got %d frames, want only the incoming one", len(got))
	}
}

// checkRestored wants the interface as it was before.
func checkRestored(t *testing.T) {
	t.Helper()
	link, err := netlink.LinkByName("ours")
	if err != nil {
		t.Fatal(err)
	}
	if a := link.Attrs(); a.Promisc != 0 || a.RawFlags&unix.IFF_PROMISC != 0 || a.Xdp != nil && a.Xdp.Attached {
		t.Errorf("the interface is left promiscuous (%d) or with an XDP program (%+v)", a.Promisc, a.Xdp)
	}
}

func TestPacketSocketDropsWhatItWouldCut(t *testing.T) {
	inNamespace(t)
	vethPair(t, "ours", "theirs")
	for _, name := range []string{"ours", "theirs"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMTU(link, 4000); err != nil {
			t.Fatal(err)
		}
	}
	devargs, err := InterfaceDevargs("af_packet", "ours", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := attach(t, devargs, Config{})
	peer, b := openPacketSocket(t, "theirs"), NewRxBatch(32)
	defer b.Free()
	longest, last := testFrame(1982, 1), testFrame(60, 2)
	peer.send(testFrame(1983, 3))
	peer.send(testFrame(4000, 4))
	peer.send(longest)
	peer.send(last)
	got := receive(t, d, b, 2)
	if len(got) != 2 || !bytes.Equal(got[0], longest) || !bytes.Equal(got[1], last) {
		t.Errorf("got %d frames, want the two that fit in a slot, whole", len(got))
	}
	if mtu, err := d.MTU(); err != nil || mtu != 4000 {
		t.Errorf("MTU is %d (%v), want the interface's 4000", mtu, err)
	}
}

func TestStoppedPacketSocketSaysItCannotStart(t *testing.T) {
	inNamespace(t)
	vethPair(t, "ours", "theirs")
	devargs, err := InterfaceDevargs("af_packet", "ours", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := attach(t, devargs, Config{})
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(d.Sockets()); n != 0 {
		t.Errorf("%d sockets after stop, want none", n)
	}
	if err := d.Start(); err == nil {
		t.Error("it claims to have started again")
	}
}

func TestTwoQueues(t *testing.T) {
	inNamespace(t)
	vethPair(t, "ours", "theirs")
	devargs, err := InterfaceDevargs("af_packet", "ours", 2, 64)
	if err != nil {
		t.Fatal(err)
	}
	d := attach(t, devargs, Config{RxQueues: 2, TxQueues: 2})
	if n := len(d.Sockets()); n != 2 {
		t.Errorf("%d sockets, want one per queue", n)
	}
	peer := openPacketSocket(t, "theirs")
	want := testFrame(60, 1)
	peer.send(want)
	b := NewRxBatch(32)
	defer b.Free()
	var got [][]byte
	poll(t, func() bool {
		for q := range uint16(2) {
			got = append(got, frames(b, d.RxBurst(q, b))...)
		}
		return len(got) > 0
	})
	if len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("got %d frames on both queues, want one", len(got))
	}
}

func TestTap(t *testing.T) {
	inNamespace(t)
	before := openFDs()
	d, err := Attach("net_tap0,iface=ourtap")
	if err != nil {
		t.Skipf("no tap here: %v", err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Configure(Config{}); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	host, rx, tx, mem := openPacketSocket(t, "ourtap"), NewRxBatch(32), NewTxBatch(32), newArena(t, 1<<16)
	defer rx.Free()
	defer tx.Free()
	for i, size := range vethSizes {
		want := testFrame(size, uint64(i))
		host.send(want)
		var got [][]byte
		poll(t, func() bool {
			all := frames(rx, d.RxBurst(0, rx))
			got = append(got, slices.DeleteFunc(all, func(f []byte) bool { return f[12] != 0x88 || f[13] != 0xb5 })...)
			return len(got) > 0
		})
		if len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Errorf("a frame of %d bytes: got %d frames, or it changed", size, len(got))
		}
		want = testFrame(size, uint64(i+100))
		addFrame(t, tx, mem, want, 30)
		if n := d.TxBurst(0, tx); n != 1 {
			t.Fatalf("sent %d frames of %d bytes", n, size)
		}
		if got := host.receive(); !bytes.Equal(got, want) {
			t.Errorf("a frame of %d bytes arrived as %d bytes, or changed", size, len(got))
		}
	}
	rx.Reset()
	// The driver wants a real-time signal; it finds all of them taken by the Go runtime and does without. If it ever got
	// one, its handler would overwrite memory beside a goroutine's stack.
	if sigs := handlersOnSmallStacks(t); len(sigs) != 0 {
		t.Errorf("handlers of signals %v would run on the stack of a goroutine", sigs)
	}
	if n := len(d.Sockets()); n == 0 { // the driver duplicates the queue's descriptor
		t.Error("no descriptor to sleep on")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	var left []string
	if !poll(t, func() bool { left = moreOpen(before, host.fd); return len(left) == 0 }) {
		t.Errorf("still open after close: %q", left)
	}
}

// moreOpen is what this process has open more often than before, but for one descriptor. Numbers do not matter: DPDK's thread for
// interrupts makes its epoll anew when a source of them goes, in its own time, and gets whatever number is free.
func moreOpen(before map[int]string, but int) (more []string) {
	was := map[string]int{"": 1 << 20} // closed since the list was made
	for _, target := range before {
		was[target]++
	}
	for fd, target := range openFDs() {
		if was[target]--; fd != but && was[target] < 0 {
			more = append(more, target)
		}
	}
	return more
}

// TestAttachOftenLeaksNothing attaches and closes a device many times.
func TestAttachOftenLeaksNothing(t *testing.T) {
	for _, driver := range []string{"af_packet", "af_xdp"} {
		t.Run(driver, func(t *testing.T) {
			inNamespace(t)
			vethPair(t, "ours", "theirs")
			devargs, err := InterfaceDevargs(driver, "ours", 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			before := 0
			for i := range 32 { // more than EAL's memory would hold at once
				cycle(t, devargs)
				if i == 1 { // what libraries keep open for good is open now
					before = len(openFDs())
				}
			}
			if now := len(openFDs()); now > before {
				t.Errorf("%d descriptors, %d after the second cycle", now, before)
			}
		})
	}
}

func cycle(t *testing.T, devargs string) {
	t.Helper()
	d, err := Attach(devargs)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	if err := d.Configure(Config{}); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
}

// TestBusyQueueIsRefused has two devices want the same XDP queue; the loser must be closable and the winner unharmed.
func TestBusyQueueIsRefused(t *testing.T) {
	inNamespace(t)
	vethPair(t, "ours", "theirs")
	devargs, err := InterfaceDevargs("af_xdp", "ours", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Attach(devargs)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	if err := first.Configure(Config{}); err != nil {
		t.Skipf("this kernel has no AF_XDP for us: %v", err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	second, err := Attach("net_af_xdp_second,iface=ours,start_queue=0,queue_count=1,force_copy=1,busy_budget=0")
	if err != nil {
		t.Fatal(err)
	}
	err = second.Configure(Config{})
	if err == nil {
		t.Fatal("two devices have the same queue")
	}
	t.Log(err)
	if err := second.Start(); err == nil {
		t.Error("a half configured device starts")
	}
	if err := second.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	checkSend(t, first)
}

// TestInterfaceVanishes deletes the interface below a running device: calls go on without harm, and it can be closed.
func TestInterfaceVanishes(t *testing.T) {
	for _, driver := range []string{"af_packet", "af_xdp"} {
		t.Run(driver, func(t *testing.T) {
			inNamespace(t)
			vethPair(t, "ours", "theirs")
			devargs, err := InterfaceDevargs(driver, "ours", 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			d := attach(t, devargs, Config{Promiscuous: true})
			rx, tx, mem := NewRxBatch(32), NewTxBatch(32), newArena(t, 1<<16)
			defer tx.Free()
			defer rx.Free()
			link, err := netlink.LinkByName("ours")
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkDel(link); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				if n := d.RxBurst(0, rx); n != 0 {
					t.Errorf("%d segments from nowhere", n)
				}
				addFrame(t, tx, mem, testFrame(60, uint64(i)))
				d.TxBurst(0, tx)
			}
			if err := d.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if d.Port().IsValid() {
				t.Error("the port is still there")
			}
		})
	}
}
