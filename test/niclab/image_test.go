package niclab

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// drivers are the plugins of DPDK that the guest has.
var drivers = []string{
	"bus_pci", "bus_vdev", "mempool_ring",
	"net_e1000", "net_virtio", "net_vmxnet3", "net_ixgbe", "net_i40e", "net_tap", "net_af_packet", "net_null", "net_ring",
}

// modes of cpio entries.
const (
	typeDir  = 0o040755
	typeFile = 0o100755
	typeLink = 0o120777
)

// An archive is the root file system of the guest, a cpio archive as the kernel wants it.
type archive struct {
	w     io.Writer
	inode int
	made  map[string]bool
	err   error
}

// entry writes one entry of the "newc" format: a header in hexadecimal, the name and the body, both padded to 4 bytes.
func (a *archive) entry(path string, mode int, body []byte) {
	if a.made[path] || a.err != nil {
		return
	}
	a.made[path] = true
	if dir := filepath.Dir(path); dir != "." {
		a.entry(dir, typeDir, nil)
	}
	a.inode++
	var b bytes.Buffer
	fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(path)+1, 0, path)
	pad := func() { b.Write(make([]byte, -b.Len()&3)) }
	pad()
	b.Write(body)
	pad()
	_, a.err = a.w.Write(b.Bytes())
}

func (a *archive) file(path, source string) {
	body, err := os.ReadFile(source)
	a.err = errors.Join(a.err, err)
	a.entry(path, typeFile, body)
}

// program adds a program or library and what it is linked with.
func (a *archive) program(path, source, libdir string) {
	if a.made[path] || a.err != nil {
		return
	}
	a.file(path, source)
	f, err := elf.Open(source)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close() //nolint:errcheck // read only
	libs, err := f.ImportedLibraries()
	a.err = errors.Join(a.err, err)
	for _, lib := range libs {
		a.program(filepath.Join(libdir, lib)[1:], filepath.Join(libdir, lib), libdir)
	}
}

// writeImage makes the root file system: what scripts/guest fetched, our programs in bin, and DPDK as it is installed here.
func writeImage(path, base, bin string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	a := &archive{w: out, made: map[string]bool{}}
	libdir, err := libraries()
	if err != nil {
		return err
	}
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "etc", "var"} {
		a.entry(dir, typeDir, nil)
	}
	a.entry("lib", typeLink, []byte("usr/lib"))
	a.entry("var/run", typeLink, []byte("/run"))
	a.file("bin/busybox", filepath.Join(base, "busybox"))
	a.entry("bin/sh", typeLink, []byte("busybox"))
	a.file("init", filepath.Join(bin, "guest"))
	a.file("bin/nmctl", filepath.Join(bin, "nmctl"))
	a.file("bin/"+hostifTest, filepath.Join(bin, hostifTest))
	a.program("lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2", libdir)
	a.program("bin/netmapd", filepath.Join(bin, "netmapd"), libdir)
	a.program(filepath.Join(libdir, "libgcc_s.so.1")[1:], filepath.Join(libdir, "libgcc_s.so.1"), libdir) // loaded at run time
	if err := a.plugins(libdir); err != nil {
		return err
	}
	modules, err := filepath.Glob(filepath.Join(base, "modules", "*"))
	for _, m := range modules {
		a.file(filepath.Join("modules", filepath.Base(m)), m)
	}
	a.entry("TRAILER!!!", 0, nil)
	return errors.Join(err, a.err, out.Close())
}

// libraries is the folder of the libraries that netmapd is linked with.
func libraries() (string, error) {
	out, err := exec.Command("pkg-config", "--variable=libdir", "libdpdk").Output()
	if err != nil {
		return "", fmt.Errorf("ask pkg-config for DPDK: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// plugins adds the drivers. EAL loads all that ends in .so in one folder; the libraries themselves lie above it, where
// other libraries find them under the same file, since EAL stops at a driver that it meets twice.
func (a *archive) plugins(libdir string) error {
	dirs, err := filepath.Glob(filepath.Join(libdir, "dpdk", "pmds-*"))
	if err != nil || len(dirs) != 1 {
		return fmt.Errorf("one folder of DPDK's drivers was expected in %s, found %q: %w", libdir, dirs, errors.Join(err, fs.ErrNotExist))
	}
	abi := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dirs[0]), "pmds-"), ".0")
	for _, d := range drivers {
		lib := "librte_" + d + ".so." + abi
		a.program(filepath.Join(libdir, lib)[1:], filepath.Join(libdir, lib), libdir)
		a.entry(filepath.Join(dirs[0], "librte_"+d+".so")[1:], typeLink, []byte("../../"+lib))
	}
	return nil
}
