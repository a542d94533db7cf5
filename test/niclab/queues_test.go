package niclab

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/hostif"
	"github.com/netmapd/netmapd/test/netns"
	"github.com/netmapd/netmapd/test/niclab/talk"
)

// TestQueues: a NIC that receives in two queues spreads flows over them by its hash. Of what QEMU 7.2 plays only virtio does
// that, and only on a tap; the tap is in a network namespace of the test's own.
func TestQueues(t *testing.T) {
	m := theMachine(t)
	m.hugepages(t, 96)
	n := &nic{name: "queues", mac: "52:54:00:00:01:05", pci: fmt.Sprintf("0000:%02x:00.0", freePort), model: "virtio-net-pci", more: map[string]any{
		"disable-legacy": "on", "iommu_platform": true, "mq": true, "vectors": 6, "rss": true,
	}}
	w := m.plugTap(t, n, 2)
	d := m.startDaemon(t, twoLcores+yaml("buf-num: 16384", legacy, fmt.Sprintf("- {name: queues, kind: device, devargs: %q, slots: 256, rings: 2}", n.pci)))
	if l := d.port(t, "queues").GetNic().GetQueueLcores(); len(l) != 2 || l[0] == l[1] {
		t.Errorf("the queues are on lcores %v, want one on each", l)
	}
	d.waitLink(t, "queues", true)
	flows := newFlows(n.mac, 16, 12)
	// One client with all queues: each flow whole, in its order, and in one queue.
	c := d.open(t, "netmap:queues", 0)
	if c.RxRings != 2 || c.TxRings != 2 {
		t.Fatalf("%d RX and %d TX rings, want 2 and 2", c.RxRings, c.TxRings)
	}
	w.send(t, flows.frames()...)
	where := flows.spread(t, c.recvAll(t, flows.count()))
	if slices.Max(where) == slices.Min(where) {
		t.Errorf("all %d flows are in queue %d", len(where), where[0])
	}
	for ring := range c.TxRings {
		out := series(station, n.mac, batch)
		c.send(t, ring, out)
		same(t, fmt.Sprintf("out of ring %d", ring), w.recv(t, len(out)), out)
	}
	c.close(t)
	// A client for each queue: each gets the flows of its queue, and none of the other's.
	var each []*client
	for q := range 2 {
		each = append(each, d.open(t, fmt.Sprintf("netmap:queues-%d", q), 0))
	}
	w.send(t, flows.frames()...)
	for q, c := range each {
		mine := flows.of(where, q)
		got := c.recvAll(t, mine.count())
		mine.spread(t, got)
		out := series(station, n.mac, batch)
		c.send(t, 0, out)
		same(t, fmt.Sprintf("out of the client of queue %d", q), w.recv(t, len(out)), out)
	}
	for _, c := range each {
		c.close(t)
	}
}

// flows are frames of UDP by their source ports, in the order in which they are sent.
type flows map[uint16][][]byte

func newFlows(dst string, count, each int) flows {
	f := flows{}
	for i := range count {
		for number := range each {
			f[uint16(1000+i)] = append(f[uint16(1000+i)], datagram(mustMAC(dst), uint16(1000+i), number))
		}
	}
	return f
}

// datagram is a frame with a number.
func datagram(dst net.HardwareAddr, port uint16, number int) []byte {
	f := make([]byte, 60+50*(number%20))
	copy(f, dst)
	copy(f[6:], mustMAC(station))
	copy(f[12:], []byte{0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2})
	binary.BigEndian.PutUint16(f[16:], uint16(len(f)-14))
	binary.BigEndian.PutUint16(f[24:], checksum(f[14:34]))
	binary.BigEndian.PutUint16(f[34:], port)
	binary.BigEndian.PutUint16(f[36:], 7)
	binary.BigEndian.PutUint16(f[38:], uint16(len(f)-34))
	for i := 42; i < len(f); i++ {
		f[i] = byte(i*7 + number*13 + int(port))
	}
	return f
}

func (f flows) ports() (all []uint16) {
	for port := range f {
		all = append(all, port)
	}
	slices.Sort(all)
	return all
}

func (f flows) count() (n int) {
	for _, frames := range f {
		n += len(frames)
	}
	return n
}

// frames are those of all flows, one of each in turn.
func (f flows) frames() (all [][]byte) {
	for i := 0; len(all) < f.count(); i++ {
		for _, port := range f.ports() {
			all = append(all, f[port][i])
		}
	}
	return all
}

// spread checks that each flow came whole, in its order and in one queue, and returns the queues by flow.
func (f flows) spread(t *testing.T, got []talk.Got) (where []int) {
	t.Helper()
	came, queues := flows{}, map[uint16][]int{}
	for _, g := range got {
		port := binary.BigEndian.Uint16(g.Frame[34:])
		came[port] = append(came[port], g.Frame)
		if !slices.Contains(queues[port], g.Ring) {
			queues[port] = append(queues[port], g.Ring)
		}
	}
	for _, port := range f.ports() {
		same(t, fmt.Sprintf("flow %d", port), came[port], f[port])
		if len(queues[port]) != 1 {
			t.Fatalf("flow %d came in the queues %d", port, queues[port])
		}
		where = append(where, queues[port][0])
	}
	if len(came) != len(f) {
		t.Fatalf("%d flows came, want %d", len(came), len(f))
	}
	return where
}

// of are the flows that are in a queue.
func (f flows) of(where []int, queue int) flows {
	mine := flows{}
	for i, port := range f.ports() {
		if where[i] == queue {
			mine[port] = f[port]
		}
	}
	return mine
}

// recvAll waits for frames of UDP.
func (c *client) recvAll(t *testing.T, count int) (all []talk.Got) {
	t.Helper()
	for len(all) < count {
		var got []talk.Got
		c.call(t, "Recv", talk.Want{Count: 1, Limit: patience}, &got)
		if len(got) == 0 {
			t.Fatalf("%d of %d frames came", len(all), count)
		}
		for _, g := range got {
			if len(g.Frame) >= 60 && string(g.Frame[12:14]) == "\x08\x00" && g.Frame[23] == 17 {
				all = append(all, g)
			}
		}
	}
	return all
}

// A tapWire is the far end of a NIC that QEMU has on a tap: whoever looks at that interface.
type tapWire struct {
	inbox
	f *os.File
}

func (w *tapWire) send(t *testing.T, frames ...[]byte) {
	t.Helper()
	must(t, w.f.SetWriteDeadline(time.Now().Add(patience)))
	for i, f := range frames {
		if _, err := w.f.Write(f); err != nil {
			t.Fatalf("frame %d of %d onto the wire: %v", i, len(frames), err)
		}
	}
}

func (w *tapWire) collect() {
	buf := make([]byte, 1<<16)
	for {
		n, err := w.f.Read(buf)
		if err != nil {
			return // the test is over
		}
		w.add(append([]byte(nil), buf[:n]...))
	}
}

// plugTap puts a NIC on a tap of as many queues into the machine, for DPDK, until the end of the test.
func (m *machine) plugTap(t *testing.T, n *nic, queues int) *tapWire {
	t.Helper()
	var tap *hostif.Tap
	w := &tapWire{inbox: newInbox()}
	netns.New(t).Do(t, func() (err error) {
		if tap, err = hostif.OpenTap(hostif.TapConfig{Name: "nmlab", Queues: queues, Hidden: true}); err != nil {
			return err
		}
		w.f, err = openInterface(tap.Index())
		return err
	})
	t.Cleanup(func() { _ = w.f.Close() })
	go w.collect()
	fds := ""
	for i, fd := range tap.Queues() {
		name := fmt.Sprintf("queue%d", i)
		must(t, m.qmp.give(name, fd))
		fds += ":" + name
	}
	tap.Close() // QEMU has it
	must(t, m.qmp.do("netdev_add", map[string]any{"type": "tap", "id": "net-" + n.name, "fds": fds[1:]}))
	t.Cleanup(func() { must(t, m.qmp.do("netdev_del", map[string]any{"id": "net-" + n.name})) })
	must(t, m.qmp.do("device_add", n.properties(freePort)))
	t.Cleanup(func() {
		must(t, m.qmp.do("device_del", map[string]any{"id": n.name}))
		must(t, m.qmp.until("DEVICE_DELETED", n.name))
	})
	m.awaitPCI(t, n)
	m.run(t, "nmctl", "nic", "bind", n.pci)
	return w
}

// openInterface opens an interface of the thread's namespace for frames as they are on the wire.
func openInterface(index int) (*os.File, error) {
	const all = unix.ETH_P_ALL << 8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "the tap")
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
