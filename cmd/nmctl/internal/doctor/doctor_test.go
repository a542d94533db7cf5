package doctor

import (
	"strings"
	"testing"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/sysfs"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/sysfs/systest"
)

const nic = "0000:01:00.0"

// healthy is a machine on which nothing is to be mended.
func healthy(t *testing.T) systest.Machine {
	m := systest.New(t)
	pages := "sys/kernel/mm/hugepages/hugepages-2048kB/"
	m.File(pages+"nr_hugepages", "512")
	m.File(pages+"free_hugepages", "500")
	m.NIC(nic, "0x10fb", sysfs.VFIO, "", "4")
	m.Dir("sys/devices/system/node/node0")
	m.Dir("sys/devices/system/cpu/cpu0")
	m.Dir("sys/devices/system/cpu/cpu1")
	m.File("sys/devices/system/cpu/isolated", "1")
	m.File("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc")
	return m
}

var root = User{MemLock: ^uint64(0), CanOpen: func(string) bool { return true }}

func examine(t *testing.T, m systest.Machine, u User) []Finding {
	t.Helper()
	found, err := Examine(sysfs.Tree{Root: m.Root}, u)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestHealthy(t *testing.T) {
	subjects := map[string]bool{}
	for _, f := range examine(t, healthy(t), root) {
		subjects[f.Subject] = true
		if f.Level != OK || f.Remedy != "" {
			t.Errorf("on a healthy machine: %+v", f)
		}
	}
	for _, s := range []string{"hugepages", "iommu", "vfio", "permissions", "numa", "cpu isolation", "clock source", "nic " + nic} {
		if !subjects[s] {
			t.Errorf("nothing was said about %s", s)
		}
	}
}

func TestFindings(t *testing.T) {
	const pages = "sys/kernel/mm/hugepages/hugepages-2048kB/"
	user := User{UID: 1000, MemLock: ^uint64(0), CanOpen: func(string) bool { return true }}
	poor, locked := user, user
	poor.MemLock = 8 << 20
	locked.CanOpen = func(string) bool { return false }
	tests := []struct {
		name    string
		spoil   func(systest.Machine)
		user    User
		subject string
		level   Level
		remedy  string
	}{
		{"no hugepages with a NIC", func(m systest.Machine) { m.File(pages+"nr_hugepages", "0"); m.File(pages+"free_hugepages", "0") }, root, "hugepages", Problem, "echo 256 >/proc/sys/vm/nr_hugepages"},
		{"no hugepages without a NIC", func(m systest.Machine) { m.File(pages+"nr_hugepages", "0"); m.Driver(nic, "ixgbe") }, root, "hugepages", Warning, "echo 256 >/proc/sys/vm/nr_hugepages"},
		{"no free hugepages", func(m systest.Machine) { m.File(pages+"free_hugepages", "0") }, root, "hugepages", Warning, "echo 768 >/proc/sys/vm/nr_hugepages"},
		{"a user who may", nil, user, "permissions", OK, ""},
		{"a user who may not open the group", nil, locked, "permissions", Problem, "chown 1000 /dev/vfio/4"},
		{"a user who may not lock memory", nil, poor, "permissions", Problem, "memlock=unlimited"},
		{"a user with uio", func(m systest.Machine) { m.Driver(nic, sysfs.UIO) }, user, "permissions", Problem, "nmctl nic bind " + nic},
		{"no isolated CPU", func(m systest.Machine) { m.File("sys/devices/system/cpu/isolated", "") }, root, "cpu isolation", Warning, "isolcpus=managed_irq,domain,1"},
		{"a node without hugepages", func(m systest.Machine) {
			m.Dir("sys/devices/system/node/node1")
			m.File("sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "0")
			m.File("sys/bus/pci/devices/"+nic+"/numa_node", "1")
		}, root, "numa", Warning, "echo 256 >/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"},
		{"a slow clock that need not be", func(m systest.Machine) {
			m.File("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet")
			m.File("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm")
		}, root, "clock source", Warning, "echo tsc >/sys/devices/system/clocksource/clocksource0/current_clocksource"},
		{"a slow clock", func(m systest.Machine) {
			m.File("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet")
		}, root, "clock source", Warning, "tsc=reliable"},
		{"a NIC without driver", func(m systest.Machine) { m.Driver(nic, "") }, root, "nic " + nic, Warning, "nmctl nic bind " + nic},
		{"a NIC of the kernel's", func(m systest.Machine) { m.Driver(nic, "ixgbe") }, root, "nic " + nic, OK, ""},
		{"a shared group", func(m systest.Machine) { m.NIC("0000:01:00.1", "0x10fb", "ixgbe", "eth1", "4") }, root, "nic " + nic, Problem, "nmctl nic bind 0000:01:00.1"},
		{"a group shared with a bridge", func(m systest.Machine) {
			m.NIC("0000:01:00.1", "0x10fb", "pcieport", "", "4")
		}, root, "nic " + nic, OK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := healthy(t)
			if tt.spoil != nil {
				tt.spoil(m)
			}
			for _, f := range examine(t, m, tt.user) {
				if f.Subject != tt.subject {
					continue
				}
				if f.Level != tt.level || !strings.Contains(f.Remedy, tt.remedy) || (tt.remedy == "") != (f.Remedy == "") {
					t.Errorf("found %+v, want %v with remedy %q", f, tt.level, tt.remedy)
				}
				return
			}
			t.Errorf("nothing was said about %s", tt.subject)
		})
	}
}

// Without an IOMMU, each kind of CPU has its own switch for it, and uio takes the place of VFIO.
func TestNoIOMMU(t *testing.T) {
	for vendor, word := range map[string]string{"GenuineIntel": "intel_iommu=on", "AuthenticAMD": "amd_iommu=on"} {
		m := systest.New(t)
		m.NIC(nic, "0x10fb", "ixgbe", "eth0", "")
		m.File("proc/cpuinfo", "vendor_id : "+vendor)
		remedies := map[string]string{}
		for _, f := range examine(t, m, root) {
			remedies[f.Subject] = f.Remedy
		}
		if !strings.Contains(remedies["iommu"], word) {
			t.Errorf("remedy for %s: %q, want %q in it", vendor, remedies["iommu"], word)
		}
		if !strings.Contains(remedies["vfio"], "modprobe "+sysfs.UIO) {
			t.Errorf("remedy for VFIO: %q, want %s", remedies["vfio"], sysfs.UIO)
		}
	}
}
