package niclab

import (
	"fmt"
	"testing"
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
	suite(t, d, duts)
	t.Run("link flaps", func(t *testing.T) { linkFlaps(t, d, duts) })
	t.Run("unplug", func(t *testing.T) {
		for i, u := range duts {
			t.Run(u.name, func(t *testing.T) { unplug(t, u, m.nics[i], i+1) })
		}
	})
}

func (m *machine) hugepages(t *testing.T, n int) {
	t.Helper()
	m.run(t, "sh", "-c", fmt.Sprintf("echo %d >/proc/sys/vm/nr_hugepages", n))
}
