package ethdev

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/netmapd/netmapd/dpdk/common"
)

// What cannot be used is refused with the reason and what to do, before a driver is asked.
func TestCheckPCI(t *testing.T) {
	const addr = "0000:01:00.0"
	for _, c := range []struct {
		name, class, driver string
		group               bool
		errno               syscall.Errno
		says                []string
	}{
		{"given to user space", "0x020000", "vfio-pci", true, 0, nil},
		{"by uio, which needs no group", "0x020000", "uio_pci_generic", false, 0, nil},
		{"shared with the kernel", "0x020000", "mlx5_core", true, 0, nil},
		{"absent", "", "", false, syscall.ENODEV, []string{"no PCI device", "lspci"}},
		{"a disk", "0x010802", "vfio-pci", true, syscall.EINVAL, []string{"0x010802", "network card"}},
		{"nobody's", "0x020000", "", true, syscall.ENODEV, []string{"no driver", "nmctl nic bind " + addr}},
		{"the kernel's", "0x020000", "ixgbe", true, syscall.EBUSY, []string{"ixgbe", "nmctl nic bind " + addr}},
		{"without IOMMU group", "0x020000", "vfio-pci", false, syscall.ENOTSUP, []string{"IOMMU group", "intel_iommu=on", "uio_pci_generic"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sys := t.TempDir()
			dir := filepath.Join(sys, addr)
			var err error
			if c.class != "" {
				err = errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "class"), []byte(c.class+"\n"), 0o600))
			}
			if c.driver != "" {
				err = errors.Join(err, os.Symlink("../../../bus/pci/drivers/"+c.driver, filepath.Join(dir, "driver")))
			}
			if c.group {
				err = errors.Join(err, os.Symlink("..", filepath.Join(dir, "iommu_group")))
			}
			if err != nil {
				t.Fatal(err)
			}
			err = checkPCI(sys, addr)
			if c.errno == 0 && err != nil || c.errno != 0 && !errors.Is(err, c.errno) {
				t.Fatalf("error %v, want %v", err, c.errno)
			}
			if err == nil {
				return
			}
			for _, says := range append(c.says, addr) {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%q does not say %q", err, says)
				}
			}
		})
	}
}

// A device that goes while a driver is asked is told of like one that went before.
func TestPCIGoneWhileProbed(t *testing.T) {
	const addr = "0000:01:00.0"
	sys := t.TempDir()
	probe := func() error { return common.New("rte_dev_probe", addr, 0, "EAL: Driver cannot attach the device") }
	if err := explainPCI(probe(), sys, addr); !errors.Is(err, syscall.ENODEV) || !strings.Contains(err.Error(), "no PCI device has this address") {
		t.Errorf("of a device that is gone: %v", err)
	}
	dir := filepath.Join(sys, addr)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "class"), []byte("0x020000\n"), 0o600),
		os.Symlink("../../../bus/pci/drivers/uio_pci_generic", filepath.Join(dir, "driver"))); err != nil {
		t.Fatal(err)
	}
	if err := explainPCI(probe(), sys, addr); !errors.Is(err, syscall.ENODEV) || !strings.Contains(err.Error(), "cannot attach") || !strings.Contains(err.Error(), "on its way out") {
		t.Errorf("of a device that is still to be seen: %v", err)
	}
	if err := explainPCI(common.New("rte_dev_probe", addr, int(syscall.ENOMEM), ""), sys, addr); !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("of a driver that lacks memory: %v", err)
	}
}
