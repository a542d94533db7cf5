package sysfs

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/sysfs/systest"
)

const (
	first  = "0000:01:00.0"
	second = "0000:02:00.0"
)

// kernel does what Linux does on writes below /sys/bus/pci. It counts them.
type kernel struct {
	m        systest.Machine
	override map[string]string
	native   map[string]string // the driver that fits by itself
	refuses  map[string]bool   // drivers that take nothing
	writes   int
}

func newKernel(t *testing.T) (*kernel, Tree) {
	m := systest.New(t)
	m.NIC(first, "0x100e", "e1000", "eth0", "7")
	m.NIC(second, "0x10fb", "ixgbe", "eth1", "")
	m.File("sys/bus/pci/devices/0000:00:01.0/class", "0x060400") // a bridge
	m.Dir("sys/bus/pci/drivers/" + VFIO)
	m.Dir("sys/bus/pci/drivers/" + UIO)
	k := &kernel{m, map[string]string{}, map[string]string{first: "e1000", second: "ixgbe"}, map[string]bool{}, 0}
	return k, Tree{Root: m.Root, write: k.write}
}

func (k *kernel) write(path, text string) error {
	k.writes++
	text = strings.TrimSpace(text)
	switch dir, file := filepath.Split(path); file {
	case "driver_override":
		k.override[filepath.Base(dir)] = text
	case "unbind":
		k.m.Driver(text, "")
	case "drivers_probe":
		driver := k.override[text]
		if driver == "" {
			driver = k.native[text]
		}
		if !k.refuses[driver] {
			k.m.Driver(text, driver)
		}
	}
	return nil
}

func TestNICs(t *testing.T) {
	k, tree := newKernel(t)
	k.m.NIC("0000:03:00.0", "0x1041", "virtio-pci", "", "")
	k.m.Dir("sys/bus/pci/devices/0000:03:00.0/virtio1/net/eth2")
	k.m.File("sys/bus/pci/devices/0000:03:00.0/numa_node", "1")
	k.m.Route("br0")
	k.m.Link("sys/class/net/eth2/upper_bond0", "../bond0")
	k.m.Link("sys/class/net/bond0/upper_br0", "../br0")
	got, err := tree.NICs()
	want := []Device{
		{Address: first, Vendor: 0x8086, ID: 0x100e, Driver: "e1000", NUMANode: -1, IOMMUGroup: "7", Interfaces: []string{"eth0"}},
		{Address: second, Vendor: 0x8086, ID: 0x10fb, Driver: "ixgbe", NUMANode: -1, Interfaces: []string{"eth1"}},
		{Address: "0000:03:00.0", Vendor: 0x8086, ID: 0x1041, Driver: "virtio-pci", NUMANode: 1, Interfaces: []string{"eth2"}, DefaultRoute: "br0"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("NICs:\n%+v, %v, want\n%+v", got, err, want)
	}
}

func TestDefaultRoute6(t *testing.T) {
	k, tree := newKernel(t)
	zero := strings.Repeat("0", 32)
	k.m.File("proc/net/ipv6_route", zero+" 00 "+zero+" 00 "+zero+" ffffffff 00000001 00000000 00200200       lo\n"+
		zero+" 00 "+zero+" 00 fe80"+zero[4:]+" 00000400 00000001 00000000 00450003     eth1")
	if d, err := tree.NIC(second); err != nil || d.DefaultRoute != "eth1" {
		t.Errorf("NIC(%s) = %+v, %v, want a default route by eth1", second, d, err)
	}
	if d, err := tree.NIC(first); err != nil || d.DefaultRoute != "" {
		t.Errorf("NIC(%s) = %+v, %v, want no default route", first, d, err)
	}
}

func TestNoPCI(t *testing.T) {
	tree := Tree{Root: t.TempDir()}
	if nics, err := tree.NICs(); err != nil || len(nics) > 0 {
		t.Errorf("NICs of a machine without PCI = %v, %v, want none and no error", nics, err)
	}
}

func TestBindAndUnbind(t *testing.T) {
	k, tree := newKernel(t)
	d, err := tree.Bind("01:00.0", VFIO, false)
	if err != nil || d.Driver != VFIO {
		t.Fatalf("Bind = %+v, %v, want driver %s", d, err, VFIO)
	}
	was := k.writes
	if d, err = tree.Bind(first, VFIO, false); err != nil || d.Driver != VFIO || k.writes != was {
		t.Errorf("Bind of what is bound = %+v, %v after %d writes, want nothing done", d, err, k.writes-was)
	}
	if d, err = tree.Bind(first, UIO, false); err != nil || d.Driver != UIO {
		t.Errorf("Bind to another driver = %+v, %v, want %s", d, err, UIO)
	}
	if d, err = tree.Unbind(first); err != nil || d.Driver != "e1000" || k.override[first] != "" {
		t.Errorf("Unbind = %+v, %v with override %q, want the kernel's driver and none", d, err, k.override[first])
	}
	was = k.writes
	if d, err = tree.Unbind(first); err != nil || d.Driver != "e1000" || k.writes != was {
		t.Errorf("Unbind of what is unbound = %+v, %v after %d writes, want nothing done", d, err, k.writes-was)
	}
}

func TestBindRefuses(t *testing.T) {
	tests := []struct {
		name, address, driver string
		prepare               func(*kernel)
		want                  []string // in the error
	}{
		{"no such device", "0000:09:00.0", VFIO, nil, []string{"0000:09:00.0", first, "nmctl nic list"}},
		{"not a NIC", "0000:00:01.0", VFIO, nil, []string{"no network controller"}},
		{"default route", first, VFIO, func(k *kernel) { k.m.Route("eth0") }, []string{"default route", "eth0", "--force"}},
		{"driver not loaded", first, "igb_uio", nil, []string{"modprobe igb_uio"}},
		{"no IOMMU group", second, VFIO, nil, []string{"no IOMMU group", "nmctl doctor", UIO}},
		{"driver does not take it", first, VFIO, func(k *kernel) { k.refuses[VFIO] = true }, []string{"did not take it", "dmesg"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, tree := newKernel(t)
			if tt.prepare != nil {
				tt.prepare(k)
			}
			_, err := tree.Bind(tt.address, tt.driver, false)
			if err == nil {
				t.Fatal("Bind did it")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("Bind: %v, want %q in it", err, w)
				}
			}
			if d, err := tree.NIC(first); err != nil || d.Driver != "e1000" {
				t.Errorf("the NIC is %+v, %v afterwards, want it with its old driver", d, err)
			}
		})
	}
}

func TestBindForce(t *testing.T) {
	k, tree := newKernel(t)
	k.m.Route("eth0")
	if _, err := tree.Bind(first, VFIO, false); !errors.Is(err, ErrDefaultRoute) {
		t.Errorf("Bind of the way out: %v, want ErrDefaultRoute", err)
	}
	if d, err := tree.Bind(first, VFIO, true); err != nil || d.Driver != VFIO {
		t.Errorf("Bind by force = %+v, %v, want %s", d, err, VFIO)
	}
}

func TestBindNoIOMMUMode(t *testing.T) {
	k, tree := newKernel(t)
	k.m.File("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y")
	if d, err := tree.Bind(second, VFIO, false); err != nil || d.Driver != VFIO {
		t.Errorf("Bind = %+v, %v, want %s", d, err, VFIO)
	}
}
