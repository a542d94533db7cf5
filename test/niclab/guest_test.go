package niclab

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/test/niclab/talk"
)

// config is a configuration with every NIC of the machine as a port.
func (m *machine) config(eal string) string {
	var ports []string
	for _, n := range m.nics {
		ports = append(ports, fmt.Sprintf("- {name: %s, kind: device, devargs: %q, slots: 256}", n.name, n.pci))
	}
	return yaml("buf-num: 16384", eal, ports...)
}

// bind gives every NIC to a driver.
func (m *machine) bind(t *testing.T, driver string) {
	t.Helper()
	argv := []string{"nmctl", "nic", "bind", "--driver", driver}
	for _, n := range m.nics {
		argv = append(argv, n.pci)
	}
	m.run(t, argv...)
}

// Interrupts: legacy suits all four; e1000 has no other kind.
const legacy = "--vfio-intr=legacy"

// TestVFIO: the devices see netmapd's memory at its own addresses, through an IOMMU.
func TestVFIO(t *testing.T) {
	m := theMachine(t)
	m.hugepages(t, 96)
	m.bind(t, "vfio-pci")
	d := m.startDaemon(t, m.config(legacy))
	duts := d.duts(t)
	t.Run("port list", func(t *testing.T) {
		for _, n := range m.nics {
			m.describes(t, d, n)
		}
	})
	suite(t, d, duts)
	every(t, "VLAN tag", duts, vlanTag)
	t.Run("link flaps", func(t *testing.T) { linkFlaps(t, d, duts) })
	t.Run("unplug", func(t *testing.T) {
		for i, u := range duts {
			t.Run(u.name, func(t *testing.T) { unplug(t, u, m.nics[i], i+1) })
		}
	})
}

// describes checks what the list of ports tells of a NIC, and some of the driver's own counters.
func (m *machine) describes(t *testing.T, d *daemon, n *nic) {
	t.Helper()
	p := d.port(t, n.name)
	got, id := p.GetNic(), strings.TrimSpace(m.run(t, "sh", "-c", "cd /sys/bus/pci/devices/"+n.pci+" && echo $(cut -c 3- vendor):$(cut -c 3- device)"))
	zero := n.driver != "net_virtio" // see docs/architecture.md
	if p.GetDriver() != n.driver || p.GetMac() != n.mac || p.GetMtu() != 1500 || got.GetBus() != "pci" || got.GetAddress() != n.pci || got.GetPciId() != id ||
		got.GetNuma() != -1 || !got.GetPresent() || !got.GetPromiscuous() || got.GetRxZeroCopy() != zero || got.GetTxZeroCopy() != zero ||
		(got.GetCopies() == "") != zero || len(got.GetQueueLcores()) != int(p.GetRxRings()) {
		t.Errorf("%s (%s, %s): the list of ports has %+v", n.name, n.pci, id, p)
	}
	if c := d.count(t, n.name).GetDevice(); len(c) < 9 { // the first eight are everybody's
		t.Errorf("%s: the driver counts only %v", n.name, c)
	}
}

// vlanTag is a frame with one, which stays.
func vlanTag(t *testing.T, u *dut) {
	tagged := func(dst, src string) []byte {
		f := series(dst, src, 1, 100)[0]
		copy(f[12:], []byte{0x81, 0, 0x60, 42, 0x88, 0xb5})
		return f
	}
	c := u.d.open(t, "netmap:"+u.name, 0)
	in, out := tagged(u.mac, station), tagged(station, u.mac)
	u.far.send(t, in)
	for came := false; !came; {
		var got []talk.Got
		c.call(t, "Recv", talk.Want{Count: 1, Limit: patience}, &got)
		if len(got) == 0 {
			t.Fatal("no frame with a tag came in")
		}
		came = slices.ContainsFunc(got, func(g talk.Got) bool { return string(g.Frame) == string(in) })
	}
	c.send(t, 0, [][]byte{out})
	if !u.far.waitFor(func(f []byte) bool { return string(f) == string(out) }, patience) {
		t.Error("no frame with a tag came out")
	}
	c.close(t)
}

func (m *machine) hugepages(t *testing.T, n int) {
	t.Helper()
	m.run(t, "sh", "-c", fmt.Sprintf("echo %d >/proc/sys/vm/nr_hugepages", n))
}
