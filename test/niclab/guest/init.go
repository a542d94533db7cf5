package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// controlMAC is the NIC that the host talks through. QEMU gives its user network this address and gateway.
const (
	controlMAC = "52:54:00:00:00:01"
	address    = "10.0.2.15/24"
	gateway    = "10.0.2.2"
)

// initialise makes a small Linux of the kernel.
func initialise() error {
	if err := os.Chmod("/", 0o755); err != nil { // EAL refuses drivers below a folder that everybody can write to
		return err
	}
	for _, m := range []struct{ kind, where string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"}, {"hugetlbfs", "/dev/hugepages"},
	} {
		if err := errors.Join(os.MkdirAll(m.where, 0o755), unix.Mount(m.kind, m.where, m.kind, 0, "")); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	if err := errors.Join(os.Setenv("PATH", "/bin:/sbin"), os.MkdirAll("/sbin", 0o755)); err != nil {
		return err
	}
	if err := command("/bin/busybox", "--install", "-s", "/bin"); err != nil {
		return err
	}
	order, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(order)) {
		if err := insmod(filepath.Join("/modules", name)); err != nil {
			return err
		}
	}
	return network()
}

func insmod(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", file, err)
	}
	return nil
}

func network() error {
	ifs, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range ifs {
		if i.HardwareAddr.String() != controlMAC {
			continue
		}
		return errors.Join(
			command("ip", "link", "set", "lo", "up"),
			command("ip", "address", "add", address, "dev", i.Name),
			command("ip", "link", "set", i.Name, "up"),
			command("ip", "route", "add", "default", "via", gateway),
		)
	}
	return fmt.Errorf("none of the %d interfaces has the address %s", len(ifs), controlMAC)
}

func command(argv ...string) error {
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
	}
	return nil
}
