package ethdev

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/netmapd/netmapd/dpdk/common"
)

// pciAddress matches a PCI address as devargs begin with, with or without the domain.
var pciAddress = regexp.MustCompile(`^([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$`)

// sysPCI is where the kernel shows PCI devices.
const sysPCI = "/sys/bus/pci/devices"

// PCIAddress returns the PCI address that devargs name, with its domain and in lower case; ok is false for other devices.
func PCIAddress(devargs string) (addr string, ok bool) {
	addr, _, _ = strings.Cut(devargs, ",")
	addr = strings.TrimPrefix(addr, "pci:")
	if !pciAddress.MatchString(addr) {
		return "", false
	}
	if strings.Count(addr, ":") == 1 {
		addr = "0000:" + addr
	}
	return strings.ToLower(addr), true
}

// PCIPresent tells whether a PCI device exists and a driver that gives it to user space holds it: what Attach needs.
func PCIPresent(addr string) bool { return checkPCI(sysPCI, addr) == nil }

// userDrivers are the kernel drivers that hand a device to user space.
var userDrivers = map[string]bool{"vfio-pci": true, "uio_pci_generic": true, "igb_uio": true}

// bifurcated are kernel drivers whose devices DPDK uses beside the kernel.
var bifurcated = map[string]bool{"mlx5_core": true, "mlx4_core": true, "mana": true}

// checkPCI says, better than a driver that is not asked at all, why a PCI device cannot be used. The errno is that of the
// reason: ENODEV absent, EINVAL not a network card, EBUSY in the kernel's hands, ENOTSUP without an IOMMU group.
func checkPCI(sys, addr string) error {
	dir := filepath.Join(sys, addr)
	fail := func(errno syscall.Errno, format string, a ...any) error {
		return common.New("rte_dev_probe", addr, int(errno), fmt.Sprintf(format, a...))
	}
	if _, err := os.Stat(dir); err != nil {
		return fail(syscall.ENODEV, "no PCI device has this address; lspci -D lists those there are")
	}
	if class := sysText(dir, "class"); !strings.HasPrefix(class, "0x02") {
		return fail(syscall.EINVAL, "a device of PCI class %s is not a network card (0x02....)", class)
	}
	bind := fmt.Sprintf("nmctl nic bind %s", addr)
	driver := ""
	if link, err := os.Readlink(filepath.Join(dir, "driver")); err == nil {
		driver = filepath.Base(link)
	}
	switch {
	case bifurcated[driver]:
		return nil
	case driver == "":
		return fail(syscall.ENODEV, "no driver is bound to it; %s gives it to user space", bind)
	case !userDrivers[driver]:
		return fail(syscall.EBUSY, "the kernel's driver %s has it; %s takes it from the kernel", driver, bind)
	}
	if _, err := os.Stat(filepath.Join(dir, "iommu_group")); err != nil && driver == "vfio-pci" {
		return fail(syscall.ENOTSUP, "it has no IOMMU group, which vfio-pci needs; switch the IOMMU on (firmware, intel_iommu=on), "+
			"or set enable_unsafe_noiommu_mode of module vfio, or bind it to uio_pci_generic")
	}
	return nil
}

// explainPCI says why a probe failed of a device that could be used before: it may have gone meanwhile.
func explainPCI(err error, sys, addr string) error {
	if gone := checkPCI(sys, addr); gone != nil {
		return gone
	}
	if e, ok := errors.AsType[*common.Error](err); ok && e.Errno == 0 {
		e.Errno = syscall.ENODEV
		e.Detail += "; it may be on its way out, or another program uses it"
	}
	return err
}

// PCIID is the vendor and device id of a PCI device, as lspci -n prints it ("8086:100e"), "" if there is no such device.
func PCIID(addr string) string {
	dir := filepath.Join(sysPCI, addr)
	vendor, device := sysText(dir, "vendor"), sysText(dir, "device")
	if vendor == "" || device == "" {
		return ""
	}
	return strings.TrimPrefix(vendor, "0x") + ":" + strings.TrimPrefix(device, "0x")
}

func sysText(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
