package ethdev

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
