package niclab

import (
	"fmt"
	"strings"
	"testing"
)

// config is a configuration with every NIC of the machine as a port.
func (m *machine) config(eal ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nlog: {level: debug}\nmemory: {global: {buf-num: 16384}}\ndpdk: {hugepages: require, memory-mb: 64, pci: true, extra-args: [%s]}\nports:\n", strings.Join(eal, ", "))
	for _, n := range m.nics {
		fmt.Fprintf(&b, "- {name: %s, kind: device, devargs: %q, slots: 256}\n", n.name, n.pci)
	}
	return b.String()
}

func TestFrames(t *testing.T) {
	m := theMachine(t)
	m.run(t, "sh", "-c", "echo 96 >/proc/sys/vm/nr_hugepages")
	for _, n := range m.nics {
		m.run(t, "sh", "-c", fmt.Sprintf("cd /sys/bus/pci/devices/%s; echo vfio-pci >driver_override; if [ -e driver ]; then echo %s >driver/unbind; fi; echo %s >/sys/bus/pci/drivers_probe; ls -l driver", n.pci, n.pci, n.pci))
	}
	d := m.startDaemon(t, m.config("--vfio-intr=legacy", "-a", "0000:ff:1f.7"))
	for _, n := range m.nics {
		t.Run(n.name, func(t *testing.T) {
			c := d.open(t, "netmap:"+n.name, 0)
			in := series(n.mac, station, 200)
			must(t, n.cable.send(in...))
			same(t, "into the guest", c.recv(t, len(in)), in)
			out := series(station, n.mac, 200)
			c.send(t, 0, out)
			got, err := n.cable.recv(len(out))
			must(t, err)
			same(t, "out of the guest", got, out)
			c.close(t)
		})
	}
}
