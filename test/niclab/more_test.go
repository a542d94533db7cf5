package niclab

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// TestUIO: the devices see physical memory, of which netmapd's region must not move: it is made of hugepages.
func TestUIO(t *testing.T) {
	m := theMachine(t)
	m.hugepages(t, 128)
	m.bind(t, "uio_pci_generic")
	d := m.startDaemon(t, twoLcores+strings.Replace(m.config("--iova-mode=pa"), "global: {", "global: {hugepages: true, ", 1))
	duts := d.duts(t)
	every(t, "frames", duts, framesBothWays)
	every(t, "buffers", duts, buffersComeBack)
	t.Run("across a switch", func(t *testing.T) { acrossSwitch(t, d, duts[0], duts[1]) })
}

// TestJumbo: frames of several slots, both ways; what cannot carry them says so.
func TestJumbo(t *testing.T) {
	m := theMachine(t)
	m.hugepages(t, 128)
	m.bind(t, "vfio-pci")
	d := m.startDaemon(t, yaml("buf-num: 16384", legacy))
	for _, n := range m.nics {
		t.Run(n.name, func(t *testing.T) {
			_, err := d.ports.CreatePort(limited(t), &pb.CreatePortRequest{Spec: &pb.PortSpec{
				Name: n.name, Kind: pb.PortKind_PORT_KIND_DEVICE, Devargs: n.pci, Slots: 256, Mtu: 4000,
			}})
			if err != nil {
				if says := status.Convert(err).Message(); !strings.Contains(says, n.name) || !strings.Contains(says, "4000") {
					t.Errorf("the refusal does not name the port and the MTU: %s", says)
				}
				t.Skip("refused: ", status.Convert(err).Message())
			}
			c := d.open(t, "netmap:"+n.name, 0)
			if n.model != "vmxnet3" { // QEMU's drops what does not fit the first buffer
				in := series(n.mac, station, 30, 4014, 60, 2048, 2049, 3000)
				n.cable.send(t, in...)
				same(t, "in", c.recv(t, len(in)), in)
			}
			out := series(station, n.mac, 30, 4014, 60, 2048, 2049, 3000)
			c.send(t, 0, out)
			same(t, "out", n.cable.recv(t, len(out)), out)
			c.close(t)
		})
	}
}

// A stack is the guest's kernel behind the host rings of a NIC that netmapd drives.
type stack struct {
	*dut
	address net.IP
	cable   *cable
	seq     uint16
}

// theFarEnd is the address that the far end of a cable pings from.
var theFarEnd = net.IPv4(192, 0, 2, 1)

// withStack makes a port of the i-th NIC with an interface of the kernel's beside it.
func (d *daemon) withStack(t *testing.T, i int, spec *pb.PortSpec) *stack {
	t.Helper()
	n, host := d.m.nics[i], fmt.Sprintf("host%d", i)
	s := &stack{dut: &dut{d, n.name, n.mac, n.cable}, address: net.IPv4(192, 0, 2, byte(10+i)), cable: n.cable}
	spec.Name, spec.Kind, spec.Devargs, spec.Slots, spec.HostIfname = n.name, pb.PortKind_PORT_KIND_DEVICE, n.pci, 256, host
	_, err := d.ports.CreatePort(limited(t), &pb.CreatePortRequest{Spec: spec})
	must(t, err)
	t.Cleanup(func() { _, _ = d.ports.DeletePort(limited(t), &pb.DeletePortRequest{Name: n.name}) }) // a failed test may have it open
	d.m.run(t, "ip", "address", "add", s.address.String()+"/32", "dev", host)
	d.m.run(t, "ip", "link", "set", host, "up")
	d.m.run(t, "ip", "route", "replace", theFarEnd.String()+"/32", "dev", host)
	d.m.run(t, "arp", "-i", host, "-s", theFarEnd.String(), station)
	d.waitLink(t, n.name, true)
	n.cable.recv(t, 0)
	return s
}

// ping sends a ping that differs from all before, and returns it.
func (s *stack) ping(t *testing.T) []byte {
	t.Helper()
	s.seq++
	f := echoRequest(mustMAC(s.mac), theFarEnd, s.address, s.seq)
	s.cable.send(t, f)
	return f
}

// answers waits until the kernel answers a ping. The first may meet an interface that is still coming up.
func (s *stack) answers(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		ping := s.ping(t)
		if s.cable.waitFor(func(f []byte) bool { return isEchoReply(f, ping) }, time.Second) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no answer to any ping")
		}
	}
}

// TestHostStack: the guest's kernel answers a ping through a NIC that netmapd drives.
func TestHostStack(t *testing.T) {
	m := theMachine(t)
	m.hugepages(t, 96)
	m.bind(t, "vfio-pci")
	d := m.startDaemon(t, twoLcores+yaml("buf-num: 16384", legacy))
	for i, n := range m.nics {
		t.Run(n.name, func(t *testing.T) {
			s := d.withStack(t, i, &pb.PortSpec{})
			s.answers(t)
			t.Run("on a switch", func(t *testing.T) { stackOnASwitch(t, s) })
			s.answers(t)
		})
	}
	t.Run("one queue of two", func(t *testing.T) {
		i := slices.IndexFunc(m.nics, func(n *nic) bool { return n.driver == "net_vmxnet3" }) // it receives on the first alone
		t.Run("the other is the kernel's", func(t *testing.T) {
			s := d.withStack(t, i, &pb.PortSpec{Rings: 2})
			c := d.open(t, "netmap:"+s.name+"-1", 0)
			s.answers(t)
			out := series(station, s.mac, batch)
			c.send(t, 0, out)
			same(t, "out of ring 1", s.far.recv(t, len(out)), out)
			s.answers(t)
			c.close(t)
		})
		t.Run("the other is nobody's", func(t *testing.T) {
			s := d.withStack(t, i, &pb.PortSpec{Rings: 2, DropUnbound: true})
			s.answers(t) // as long as nobody has the NIC open
			c := d.open(t, "netmap:"+s.name+"-1", 0)
			before := d.count(t, s.name).GetDevice()["rx_frames"]
			lost := [][]byte{s.ping(t), s.ping(t), s.ping(t)}
			d.waitFor(t, "the NIC to receive", func() error {
				if now := d.count(t, s.name).GetDevice()["rx_frames"]; now < before+3 {
					return fmt.Errorf("it received %d frames, %d before", now, before)
				}
				return nil
			})
			c.close(t)
			s.answers(t)
			for _, ping := range lost {
				if s.cable.waitFor(func(f []byte) bool { return isEchoReply(f, ping) }, 0) {
					t.Error("the kernel answered a ping that should have been dropped")
				}
			}
		})
	})
}

// stackOnASwitch has the NIC and the kernel's side of it on one switch, with a client (vale-ctl -h).
func stackOnASwitch(t *testing.T, s *stack) {
	const address = "02:00:00:00:00:03"
	s.d.attached(t, "vale5", s.name+"*")
	c := s.d.open(t, "vale5:client", 0)
	s.answers(t)
	out := series(station, address, batch)
	c.send(t, 0, out)
	same(t, "from the client", s.far.recv(t, len(out)), out)
	in := series(address, station, batch)
	s.far.send(t, in...)
	same(t, "to the client", c.recv(t, len(in)), in)
	s.answers(t)
	c.close(t)
}

// echoRequest is a ping in a frame.
func echoRequest(dst net.HardwareAddr, from, to net.IP, seq uint16) []byte {
	f := make([]byte, 98)
	copy(f, dst)
	copy(f[6:], mustMAC(station))
	copy(f[12:], []byte{0x08, 0x00, 0x45, 0, 0, 84, 0, 1, 0, 0, 64, 1})
	copy(f[26:], from.To4())
	copy(f[30:], to.To4())
	binary.BigEndian.PutUint16(f[24:], checksum(f[14:34]))
	f[34] = 8 // echo request
	binary.BigEndian.PutUint16(f[40:], seq)
	copy(f[42:], "nmd-and-a-payload-of-fifty-six-bytes")
	binary.BigEndian.PutUint16(f[36:], checksum(f[34:]))
	return f
}

// isEchoReply tells whether f answers ping: the same bytes, with the other type.
func isEchoReply(f, ping []byte) bool {
	return len(f) >= len(ping) && string(f[12:14]) == "\x08\x00" && f[23] == 1 && f[34] == 0 && string(f[38:98]) == string(ping[38:98]) &&
		string(f[26:30]) == string(ping[30:34]) && string(f[:6]) == string(ping[6:12]) && string(f[6:12]) == string(ping[:6])
}

// checksum is the Internet's.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestRefusals: what cannot be a port gives one error that names the thing and the remedy, and the other ports live.
func TestRefusals(t *testing.T) {
	m := theMachine(t)
	m.hugepages(t, 96)
	m.bind(t, "vfio-pci")
	d := m.startDaemon(t, yaml("buf-num: 16384", legacy, fmt.Sprintf("- {name: good, kind: device, devargs: %q, slots: 256}", m.nics[0].pci)))
	d.refuses = true
	n := m.nics[2]
	m.run(t, "nmctl", "nic", "unbind", n.pci)
	defer m.run(t, "nmctl", "nic", "bind", n.pci)
	tests := []struct {
		name, devargs string
		rings, slots  uint32
		want          []string
	}{
		{"no such address", "0000:7f:00.0", 0, 0, []string{"0000:7f:00.0"}},
		{"the kernel's", n.pci, 0, 0, []string{n.pci, "e1000e", "nmctl nic bind " + n.pci}},
		{"no network card", "0000:00:00.0", 0, 0, []string{"0000:00:00.0", "network"}},
		{"too many queues", m.nics[1].pci, 64, 0, []string{"64 queue pairs", m.nics[1].pci, "1 at most"}},
		{"too many descriptors", m.nics[1].pci, 0, 5000, []string{"5000 descriptors", m.nics[1].pci, "4096 at most"}},
		{"a typo", "net_nul0", 0, 0, []string{"net_nul0"}},
		{"a typo in a parameter", "net_null0,sise=60", 0, 0, []string{"net_null0", "sise=60"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := d.ports.CreatePort(limited(t), &pb.CreatePortRequest{Spec: &pb.PortSpec{
				Name: "bad", Kind: pb.PortKind_PORT_KIND_DEVICE, Devargs: tt.devargs, Rings: tt.rings, Slots: tt.slots,
			}})
			if err == nil {
				t.Fatal("the port was made")
			}
			says := status.Convert(err).Message()
			t.Log(says)
			for _, w := range tt.want {
				if !strings.Contains(says, w) {
					t.Errorf("%s\nwant %q in it", says, w)
				}
			}
		})
	}
	t.Run("gone while its port is made", func(t *testing.T) { goneMeanwhile(t, d, len(m.nics)-1) })
	framesBothWays(t, &dut{d, "good", m.nics[0].mac, m.nics[0].cable})
}

// goneMeanwhile pulls the i-th NIC out of its slot at some moment while a port is made of it. However far that was, an error
// names the NIC, or the port goes as those of other NICs that are pulled out.
func goneMeanwhile(t *testing.T, d *daemon, i int) {
	n := d.m.nics[i]
	made := make(chan error, 1)
	go func() {
		_, err := d.ports.CreatePort(limited(t), &pb.CreatePortRequest{Spec: &pb.PortSpec{
			Name: "bad", Kind: pb.PortKind_PORT_KIND_DEVICE, Devargs: n.pci,
		}})
		made <- err
	}()
	must(t, d.m.qmp.do("device_del", map[string]any{"id": n.name}))
	must(t, d.m.qmp.until("DEVICE_DELETED", n.name))
	err := <-made
	t.Logf("the port was made with error %v", err)
	if err != nil && !strings.Contains(status.Convert(err).Message(), n.pci) {
		t.Errorf("%v\nwant %q in it", err, n.pci)
	}
	d.waitFor(t, "the port without its NIC", func() error {
		if d.present(t, "bad") {
			return errors.New("it says that the NIC is there")
		}
		return nil
	})
	if err == nil {
		_, err := d.ports.DeletePort(limited(t), &pb.DeletePortRequest{Name: "bad"})
		must(t, err)
	}
	must(t, d.m.qmp.do("device_add", n.properties(i+1)))
	d.m.awaitPCI(t, n)
}

// TestTools: nmctl nic and doctor on a real machine.
func TestTools(t *testing.T) {
	m := theMachine(t)
	type nicRow struct {
		Address, ID, Driver string
		Interfaces          []string
		DefaultRoute        bool `json:"default_route"`
	}
	list := func() (rows map[string]nicRow) {
		var l struct{ NICs []nicRow }
		must(t, json.Unmarshal([]byte(m.run(t, "nmctl", "nic", "list", "-o", "json")), &l))
		rows = map[string]nicRow{}
		for _, r := range l.NICs {
			rows[r.Address] = r
		}
		return rows
	}
	n := m.nics[2] // the one that the guest's kernel has a driver for, beside virtio
	m.run(t, "nmctl", "nic", "unbind", n.pci)
	if r := list()[n.pci]; r.ID != "8086:10d3" || r.Driver != "e1000e" || len(r.Interfaces) != 1 || r.DefaultRoute {
		t.Errorf("nic list has %+v, want an e1000e of the kernel's", r)
	}
	m.run(t, "nmctl", "nic", "bind", n.pci)
	if r := list()[n.pci]; r.Driver != "vfio-pci" || len(r.Interfaces) != 0 {
		t.Errorf("nic list has %+v after nic bind, want it with vfio-pci", r)
	}
	for address, r := range list() {
		if !r.DefaultRoute {
			continue
		}
		got, err := m.try("nmctl", "nic", "bind", address)
		must(t, err)
		if got.Status != 1 || !strings.Contains(string(got.Output), "--force") || list()[address].Driver != "virtio-pci" {
			t.Errorf("nic bind of the way out: status %d, %s", got.Status, got.Output)
		}
	}
	// The doctor: a NIC is bound, so missing hugepages are a problem.
	m.bind(t, "vfio-pci")
	m.hugepages(t, 0)
	sick, err := m.try("nmctl", "doctor")
	must(t, err)
	if out := string(sick.Output); sick.Status != 1 || !strings.Contains(out, "nr_hugepages") {
		t.Errorf("doctor without hugepages: status %d\n%s", sick.Status, out)
	}
	m.hugepages(t, 96)
	if out := m.run(t, "nmctl", "doctor"); strings.Contains(out, "problem") || !strings.Contains(out, "ready for netmapd by vfio-pci") {
		t.Errorf("doctor with hugepages:\n%s", out)
	}
	// What a program holds is not pulled away: the kernel would wait for that program for ever.
	d := m.startDaemon(t, m.config(legacy))
	got, err := m.try("nmctl", "nic", "unbind", n.pci)
	must(t, err)
	if got.Status != 1 || !strings.Contains(string(got.Output), "a program uses it") {
		t.Errorf("nic unbind of a NIC in use: status %d, %s", got.Status, got.Output)
	}
	_ = d
}
