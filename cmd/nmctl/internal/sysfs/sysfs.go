// Package sysfs reads what Linux tells about NICs, memory and CPUs below /sys and
// /proc, and gives PCI devices to other drivers.
package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Drivers that hand a device to a program.
const (
	VFIO = "vfio-pci"
	UIO  = "uio_pci_generic"
)

// IsUserDriver tells whether a driver hands devices to programs such as netmapd.
func IsUserDriver(driver string) bool {
	return slices.Contains([]string{VFIO, UIO, "igb_uio"}, driver)
}

// Tree is a machine's /sys, /proc and /dev.
type Tree struct {
	Root string // "/", or a copy for tests

	// write hands text to the kernel; nil writes the file. Tests play the kernel here.
	write func(path, text string) error
}

// Device is a network controller on the PCI bus.
type Device struct {
	Address      string   // "0000:01:00.0"
	Vendor       uint16   // 0x8086
	ID           uint16   // 0x10fb
	Driver       string   // in charge of it, "" for none
	NUMANode     int      // -1 when unknown or there is only one
	IOMMUGroup   string   // its number, "" for none
	Interfaces   []string // of the kernel
	DefaultRoute string   // the interface with a default route that stands on it, "" for none
}

func (t Tree) path(elem ...string) string { return filepath.Join(append([]string{t.Root}, elem...)...) }

func (t Tree) device(address string, elem ...string) string {
	return t.path(append([]string{"sys/bus/pci/devices", address}, elem...)...)
}

// Text is the content of a file without space around it; "" when it cannot be read.
func (t Tree) Text(path string) string {
	b, err := os.ReadFile(t.path(path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Number is the number in a file, 0 when there is none.
func (t Tree) Number(path string) int {
	n, _ := strconv.Atoi(t.Text(path)) // 0 is what it says
	return n
}

// Exists tells whether there is a file or directory.
func (t Tree) Exists(path string) bool {
	_, err := os.Lstat(t.path(path))
	return err == nil
}

// Names are the last elements of the paths that match a pattern, sorted.
func (t Tree) Names(pattern string) (names []string) {
	found, err := filepath.Glob(t.path(pattern))
	if err != nil {
		return nil
	}
	for _, f := range found {
		names = append(names, filepath.Base(f))
	}
	return names
}

// NICs are all network controllers, by address.
func (t Tree) NICs() (nics []Device, err error) {
	entries, err := os.ReadDir(t.path("sys/bus/pci/devices"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a machine without PCI
	}
	if err != nil {
		return nil, fmt.Errorf("look for PCI devices: %w", err)
	}
	routes := t.defaultRoutes()
	for _, e := range entries {
		if d := t.read(e.Name(), routes); strings.HasPrefix(t.Text(filepath.Join("sys/bus/pci/devices", e.Name(), "class")), "0x02") {
			nics = append(nics, d)
		}
	}
	return nics, nil
}

// NIC is one network controller. Its address may be given without the domain.
func (t Tree) NIC(address string) (Device, error) {
	if strings.Count(address, ":") == 1 {
		address = "0000:" + address
	}
	nics, err := t.NICs()
	if err != nil {
		return Device{}, err
	}
	var known []string
	for _, d := range nics {
		if strings.EqualFold(d.Address, address) {
			return d, nil
		}
		known = append(known, d.Address)
	}
	found := "there is none at all"
	if len(known) > 0 {
		found = "there are " + strings.Join(known, ", ")
	}
	return Device{}, fmt.Errorf("no network controller has the PCI address %q; %s (nmctl nic list)", address, found)
}

func (t Tree) read(address string, routes map[string]bool) Device {
	file := func(name string) string { return t.Text(filepath.Join("sys/bus/pci/devices", address, name)) }
	id := func(name string) uint16 {
		n, _ := strconv.ParseUint(file(name), 0, 16) // 0 says unknown
		return uint16(n)
	}
	d := Device{Address: address, Vendor: id("vendor"), ID: id("device"), NUMANode: -1, Driver: t.link(address, "driver"), IOMMUGroup: t.link(address, "iommu_group")}
	if n, err := strconv.Atoi(file("numa_node")); err == nil {
		d.NUMANode = n
	}
	base := filepath.Join("sys/bus/pci/devices", address)
	// The kernel's interface of a virtio NIC belongs to a device of the virtio bus.
	d.Interfaces = append(t.Names(filepath.Join(base, "net/*")), t.Names(filepath.Join(base, "virtio*/net/*"))...)
	for _, name := range d.Interfaces {
		if over := t.carries(name, routes, 0); over != "" {
			d.DefaultRoute = over
		}
	}
	return d
}

// link is the last element of what a link of a device points to.
func (t Tree) link(address, name string) string {
	to, err := os.Readlink(t.device(address, name))
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// carries finds the interface with a default route among this one and those that stand on it: bridges, bonds, VLANs.
func (t Tree) carries(name string, routes map[string]bool, depth int) string {
	if routes[name] {
		return name
	}
	if depth > 8 { // deeper than the kernel allows
		return ""
	}
	for _, upper := range t.Names(filepath.Join("sys/class/net", name, "upper_*")) {
		if over := t.carries(strings.TrimPrefix(upper, "upper_"), routes, depth+1); over != "" {
			return over
		}
	}
	return ""
}

// defaultRoutes are the interfaces with one, of either version of IP.
func (t Tree) defaultRoutes() map[string]bool {
	routes := map[string]bool{}
	for line := range strings.Lines(t.Text("proc/net/route")) {
		// Iface Destination Gateway Flags RefCnt Use Metric Mask ...
		if f := strings.Fields(line); len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			routes[f[0]] = true
		}
	}
	for line := range strings.Lines(t.Text("proc/net/ipv6_route")) {
		// destination, length, source, length, next hop, metric, counts, flags, interface; "lo" has one that refuses
		if f := strings.Fields(line); len(f) == 10 && strings.Trim(f[0], "0") == "" && f[1] == "00" && f[9] != "lo" {
			routes[f[9]] = true
		}
	}
	return routes
}

// Busy tells whether a program holds a device by VFIO. The kernel would wait for that program for ever.
func (t Tree) Busy(d Device) bool {
	if d.Driver != VFIO || d.IOMMUGroup == "" {
		return false
	}
	fd, err := unix.Open(t.path("dev/vfio", d.IOMMUGroup), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return errors.Is(err, unix.EBUSY)
	}
	_ = unix.Close(fd)
	return false
}
