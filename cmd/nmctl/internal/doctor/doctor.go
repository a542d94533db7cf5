// Package doctor looks at a machine and says what keeps netmapd from working, or
// from working well, and which command mends it.
package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/sysfs"
)

// Level says how bad a finding is.
type Level int

// The levels.
const (
	OK      Level = iota
	Warning       // costs speed, or a feature that nobody uses now
	Problem       // something that is in use cannot work
)

func (l Level) String() string { return [...]string{"ok", "warning", "problem"}[l] }

// Finding is what was found about one subject.
type Finding struct {
	Subject string // "hugepages", "nic 0000:01:00.0"
	Level   Level
	Found   string
	Remedy  string // a command line for a shell; "" when there is nothing to mend
}

// User is who would run netmapd.
type User struct {
	UID         int
	MemLock     uint64 // bytes; ^0 for no limit
	CanOpen     func(path string) bool
	AllowedCPUs int
}

// ThisUser is the user of this process.
func ThisUser() (User, error) {
	var lim unix.Rlimit
	var cpus unix.CPUSet
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &lim); err != nil {
		return User{}, fmt.Errorf("ask for the limit of locked memory: %w", err)
	}
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return User{}, fmt.Errorf("ask for the CPUs of this process: %w", err)
	}
	return User{
		UID: os.Geteuid(), MemLock: lim.Cur, AllowedCPUs: cpus.Count(),
		CanOpen: func(path string) bool { return unix.Access(path, unix.R_OK|unix.W_OK) == nil },
	}, nil
}

// examination is one look at a machine.
type examination struct {
	sysfs.Tree
	user     User
	nics     []sysfs.Device
	taken    []sysfs.Device // those that a program can drive
	findings []Finding
}

// Examine looks at everything.
func Examine(t sysfs.Tree, u User) ([]Finding, error) {
	nics, err := t.NICs()
	if err != nil {
		return nil, err
	}
	e := &examination{Tree: t, user: u, nics: nics}
	for _, d := range nics {
		if sysfs.IsUserDriver(d.Driver) {
			e.taken = append(e.taken, d)
		}
	}
	e.hugepages()
	e.iommu()
	e.vfio()
	e.permissions()
	e.numa()
	e.isolation()
	e.clock()
	for _, d := range e.nics {
		e.nic(d)
	}
	return e.findings, nil
}

func (e *examination) ok(subject, format string, args ...any) {
	e.findings = append(e.findings, Finding{Subject: subject, Found: fmt.Sprintf(format, args...)})
}

func (e *examination) bad(l Level, subject, remedy, format string, args ...any) {
	e.findings = append(e.findings, Finding{subject, l, fmt.Sprintf(format, args...), remedy})
}

// matters is Problem when a NIC is in use that cannot do without, else Warning.
func (e *examination) matters() Level {
	if len(e.taken) > 0 {
		return Problem
	}
	return Warning
}

// wantHugeMB is what netmapd with a NIC or two takes.
const wantHugeMB = 512

func (e *examination) hugepages() {
	const subject = "hugepages"
	var all, free, smallest int // MiB; KiB of a page
	for _, size := range e.Names("sys/kernel/mm/hugepages/hugepages-*kB") {
		kb := pageKB(size)
		dir := filepath.Join("sys/kernel/mm/hugepages", size)
		all += e.Number(filepath.Join(dir, "nr_hugepages")) * kb >> 10
		free += e.Number(filepath.Join(dir, "free_hugepages")) * kb >> 10
		if smallest == 0 || kb < smallest {
			smallest = kb
		}
	}
	if smallest == 0 {
		e.bad(e.matters(), subject, "", "this kernel has none: NICs need a kernel with CONFIG_HUGETLBFS")
		return
	}
	if all == 0 {
		e.bad(e.matters(), subject, fmt.Sprintf("echo %d >/proc/sys/vm/nr_hugepages", wantHugeMB<<10/smallest), "there are none; DPDK's drivers for NICs need some, %d MiB say", wantHugeMB)
		return
	}
	if free == 0 {
		e.bad(Warning, subject, fmt.Sprintf("echo %d >/proc/sys/vm/nr_hugepages", (all+wantHugeMB)<<10/smallest), "all %d MiB are in use; that is as it should be if netmapd runs", all)
		return
	}
	e.ok(subject, "%d MiB, %d of them free", all, free)
}

func pageKB(name string) (kb int) {
	_, _ = fmt.Sscanf(name, "hugepages-%dkB", &kb) // 0 counts for nothing
	return kb
}

// addToKernel is how a word gets on the kernel's command line.
func addToKernel(words string) string {
	return `sed -i 's/^GRUB_CMDLINE_LINUX="/&` + words + ` /' /etc/default/grub && update-grub && reboot`
}

func (e *examination) hasIOMMU() bool { return len(e.Names("sys/kernel/iommu_groups/*")) > 0 }

func (e *examination) iommu() {
	const subject = "iommu"
	switch {
	case e.hasIOMMU():
		e.ok(subject, "active, %d groups", len(e.Names("sys/kernel/iommu_groups/*")))
	case strings.Contains(e.Text("proc/cpuinfo"), "AuthenticAMD"):
		e.bad(Warning, subject, addToKernel("amd_iommu=on iommu=pt"), "not active (switch it on in the firmware, too): NICs can reach all memory, and netmapd must be root")
	default:
		e.bad(Warning, subject, addToKernel("intel_iommu=on iommu=pt"), "not active (switch VT-d on in the firmware, too): NICs can reach all memory, and netmapd must be root")
	}
}

func (e *examination) vfio() {
	driver := sysfs.VFIO
	if !e.hasIOMMU() {
		driver = sysfs.UIO
	}
	if e.Exists(filepath.Join("sys/bus/pci/drivers", driver)) {
		e.ok("vfio", "%s is loaded", driver)
		return
	}
	e.bad(Warning, "vfio", "modprobe "+driver+" && echo "+driver+" >/etc/modules-load.d/netmapd.conf", "%s is not loaded: no NIC can be given to netmapd", driver)
}

func (e *examination) permissions() {
	const subject = "permissions"
	if e.user.UID == 0 {
		e.ok(subject, "root may do everything")
		return
	}
	whole := true
	bad := func(l Level, remedy, format string, args ...any) {
		whole = false
		e.bad(l, subject, remedy, format, args...)
	}
	for _, d := range e.taken {
		if file := "/dev/vfio/" + d.IOMMUGroup; d.Driver == sysfs.VFIO && !e.user.CanOpen(filepath.Join(e.Root, file)) {
			bad(Problem, fmt.Sprintf("chown %d %s", e.user.UID, file), "user %d may not open %s, which is NIC %s", e.user.UID, file, d.Address)
		}
		if d.Driver != sysfs.VFIO {
			bad(Problem, "nmctl nic bind "+d.Address, "user %d cannot drive NIC %s by %s, only root can", e.user.UID, d.Address, d.Driver)
		}
	}
	if e.user.MemLock>>20 < wantHugeMB {
		bad(e.matters(), "prlimit --pid $$ --memlock=unlimited # or LimitMEMLOCK=infinity in the unit of netmapd", "user %d may lock %d MiB of memory; a NIC needs all of netmapd's locked", e.user.UID, e.user.MemLock>>20)
	}
	if whole {
		e.ok(subject, "user %d may use what NICs need", e.user.UID)
	}
}

func (e *examination) numa() {
	const subject = "numa"
	nodes := e.Names("sys/devices/system/node/node[0-9]*")
	if len(nodes) < 2 {
		e.ok(subject, "one node: all memory is near")
		return
	}
	whole := true
	for _, d := range e.taken {
		if d.NUMANode < 0 {
			continue
		}
		dir := fmt.Sprintf("sys/devices/system/node/node%d", d.NUMANode)
		pages := e.Names(dir + "/hugepages/hugepages-*kB")
		some := false
		for _, p := range pages {
			some = some || e.Number(filepath.Join(dir, "hugepages", p, "nr_hugepages")) > 0
		}
		if !some && len(pages) > 0 {
			whole = false
			e.bad(Warning, subject, fmt.Sprintf("echo 256 >/%s/hugepages/hugepages-2048kB/nr_hugepages", dir), "NIC %s is on node %d, which has no hugepages: every frame crosses nodes", d.Address, d.NUMANode)
		}
	}
	if whole {
		e.ok(subject, "%d nodes; give a NIC's port an lcore of its node (nmctl nic list)", len(nodes))
	}
}

func (e *examination) isolation() {
	const subject = "cpu isolation"
	cpus := e.Names("sys/devices/system/cpu/cpu[0-9]*")
	if isolated := e.Text("sys/devices/system/cpu/isolated"); isolated != "" {
		e.ok(subject, "CPUs %s are isolated: name them under lcores", isolated)
		return
	}
	if len(cpus) < 2 {
		e.bad(Warning, subject, "", "one CPU: lcores share it with everything else")
		return
	}
	last := len(cpus) - 1
	e.bad(Warning, subject, addToKernel(fmt.Sprintf("isolcpus=managed_irq,domain,%d nohz_full=%d", last, last)), "no CPU is isolated: other programs and timer ticks interrupt the lcores")
}

func (e *examination) clock() {
	const subject = "clock source"
	const dir = "sys/devices/system/clocksource/clocksource0/"
	now := e.Text(dir + "current_clocksource")
	switch {
	case now == "tsc" || now == "kvm-clock" || now == "arch_sys_counter":
		e.ok(subject, "%s", now)
	case strings.Contains(" "+e.Text(dir+"available_clocksource")+" ", " tsc "):
		e.bad(Warning, subject, "echo tsc >/"+dir+"current_clocksource", "%q, which takes a system call or a device to read; tsc is available", now)
	default:
		e.bad(Warning, subject, addToKernel("tsc=reliable"), "%q, which takes a system call or a device to read; the kernel does not trust the tsc", now)
	}
}

func (e *examination) nic(d sysfs.Device) {
	subject := "nic " + d.Address
	switch {
	case d.DefaultRoute != "":
		e.ok(subject, "%04x:%04x, %s; carries the default route, so it stays with the kernel", d.Vendor, d.ID, d.Driver)
	case d.Driver == "":
		e.bad(Warning, subject, "nmctl nic bind "+d.Address, "%04x:%04x has no driver", d.Vendor, d.ID)
	case !sysfs.IsUserDriver(d.Driver):
		e.ok(subject, "%04x:%04x, the kernel's by %s; nmctl nic bind %s would give it to netmapd", d.Vendor, d.ID, d.Driver, d.Address)
	case d.Driver == sysfs.VFIO && d.IOMMUGroup == "":
		e.bad(Problem, subject, "nmctl nic bind --driver "+sysfs.UIO+" "+d.Address, "bound to %s without an IOMMU", d.Driver)
	default:
		if others := e.sharers(d); len(others) > 0 {
			e.bad(Problem, subject, "nmctl nic bind "+strings.Join(others, " "), "VFIO gives out IOMMU group %s as a whole, and the kernel still drives %s in it", d.IOMMUGroup, strings.Join(others, ", "))
			return
		}
		e.ok(subject, "%04x:%04x, ready for netmapd by %s", d.Vendor, d.ID, d.Driver)
	}
}

// sharers are the devices of a NIC's IOMMU group that keep VFIO from giving it out. Bridges are no hindrance.
func (e *examination) sharers(d sysfs.Device) (others []string) {
	if d.Driver != sysfs.VFIO {
		return nil
	}
	for _, other := range e.Names("sys/kernel/iommu_groups/" + d.IOMMUGroup + "/devices/*") {
		to, err := os.Readlink(filepath.Join(e.Root, "sys/bus/pci/devices", other, "driver"))
		if driver := filepath.Base(to); err == nil && driver != "pcieport" && !sysfs.IsUserDriver(driver) {
			others = append(others, other)
		}
	}
	return others
}
