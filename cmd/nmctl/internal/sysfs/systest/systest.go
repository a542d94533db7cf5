// Package systest makes copies of /sys, /proc and /dev for tests.
package systest

import (
	"os"
	"path/filepath"
	"testing"
)

// A Machine is a tree of files in a temporary directory.
type Machine struct {
	Root string
	tb   testing.TB
}

// New is a machine with nothing in it.
func New(tb testing.TB) Machine { return Machine{tb.TempDir(), tb} }

// File writes a file.
func (m Machine) File(path, text string) {
	m.tb.Helper()
	m.made(path)
	if err := os.WriteFile(filepath.Join(m.Root, path), []byte(text+"\n"), 0o600); err != nil {
		m.tb.Fatal(err)
	}
}

// Dir makes a directory.
func (m Machine) Dir(path string) {
	m.tb.Helper()
	m.made(path + "/x")
}

// Link makes a link whose target need not exist; "" removes it.
func (m Machine) Link(path, target string) {
	m.tb.Helper()
	m.made(path)
	_ = os.Remove(filepath.Join(m.Root, path)) // it need not be there
	if target == "" {
		return
	}
	if err := os.Symlink(target, filepath.Join(m.Root, path)); err != nil {
		m.tb.Fatal(err)
	}
}

// NIC adds a network controller; ifname and group may be "".
func (m Machine) NIC(address, id, driver, ifname, group string) {
	m.tb.Helper()
	dir := "sys/bus/pci/devices/" + address
	m.File(dir+"/class", "0x020000")
	m.File(dir+"/vendor", "0x8086")
	m.File(dir+"/device", id)
	m.File(dir+"/numa_node", "-1")
	m.File(dir+"/driver_override", "(null)")
	m.Driver(address, driver)
	if ifname != "" {
		m.Dir(dir + "/net/" + ifname)
		m.Dir("sys/class/net/" + ifname)
	}
	if group != "" {
		m.Link(dir+"/iommu_group", "../../../kernel/iommu_groups/"+group)
		m.Dir("sys/kernel/iommu_groups/" + group + "/devices/" + address)
	}
}

// Driver puts a driver in charge of a device; "" means none.
func (m Machine) Driver(address, driver string) {
	m.tb.Helper()
	target := ""
	if driver != "" {
		target = "../../../bus/pci/drivers/" + driver
		m.Dir("sys/bus/pci/drivers/" + driver)
	}
	m.Link("sys/bus/pci/devices/"+address+"/driver", target)
}

// Route makes an interface the way to everywhere.
func (m Machine) Route(ifname string) {
	m.tb.Helper()
	m.File("proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"+
		ifname+"\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0")
}

func (m Machine) made(path string) {
	m.tb.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(m.Root, path)), 0o700); err != nil {
		m.tb.Fatal(err)
	}
}
