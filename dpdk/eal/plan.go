package eal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Facts is what the machine and this process offer to EAL. Probe reads them; tests write them.
type Facts struct {
	UID           int    // effective user id
	CPUs          []int  // CPUs this process may run on, ascending
	HugeFreeMB    int    // free hugepages of all sizes, in MiB
	HugePageMB    int    // size of the hugepages counted in HugeFreeMB, in MiB; 0 if there are none
	IOMMU         bool   // an IOMMU is active (so VFIO gives IOVA as VA)
	MemLockNoRoom bool   // RLIMIT_MEMLOCK is too small to lock memory for a device
	Runtime       string // how the facts were found incomplete; empty if they are complete
}

// Huge says whether hugepages are used.
type Huge int

// The choices for Options.Huge.
const (
	HugeAuto   Huge = iota // when enough of them are free
	HugeNever              // never
	HugeAlways             // always; EAL fails if there are none
)

// Options is what an operator may choose. The zero value is the embedded default: no PCI, hugepages if there are any, and
// the first CPU the process may use.
type Options struct {
	Huge       Huge
	MemMB      int      // memory of EAL in MiB; 0 means DefaultMemMB without hugepages, and on demand with them
	CPU        int      // CPU of the main lcore, which only sleeps; negative means the first allowed one
	PCI        bool     // probe PCI devices; without it EAL leaves every one of them alone
	PCIAllow   []string // with PCI, the addresses to probe at the start; others are probed when they are attached
	FilePrefix string   // keeps the files of two processes apart; only matters with runtime files, which we do not use
	LogLevel   string   // argument of --log-level; empty leaves DPDK's default
	Extra      []string // appended as they are
}

// DefaultMemMB is the memory EAL gets without hugepages, where its size is fixed at start. A port of the default
// configuration takes about 12 MiB of it.
const DefaultMemMB = 256

// minHugeMB is what must be free for HugeAuto to choose hugepages: less would fail at the first port.
const minHugeMB = 64

// Plan is the decision that PlanArgs makes, before it is spelled as arguments.
type Plan struct {
	NoHuge     bool
	MemMB      int // 0 means on demand
	CPU        int
	PCI        bool
	PCIAllow   []string
	IOVAPhys   bool // IOVA as physical addresses
	FilePrefix string
	LogLevel   string
	Extra      []string
}

// PlanArgs decides how EAL is to be started and returns its arguments (without a program name) and notes for the operator
// about what is done without. It is a pure function.
func PlanArgs(f Facts, o Options) (args, notes []string) {
	p, notes := MakePlan(f, o)
	return p.Args(), notes
}

// UsesHuge tells whether arguments that PlanArgs made have EAL use hugepages.
func UsesHuge(args []string) bool { return !slices.Contains(args, "--no-huge") }

// MakePlan is the deciding half of PlanArgs.
func MakePlan(f Facts, o Options) (Plan, []string) {
	p := Plan{
		PCI: o.PCI, PCIAllow: slices.Clone(o.PCIAllow), FilePrefix: o.FilePrefix, LogLevel: o.LogLevel,
		Extra: slices.Clone(o.Extra), MemMB: o.MemMB,
	}
	var notes []string
	note := func(format string, a ...any) { notes = append(notes, fmt.Sprintf(format, a...)) }

	if f.Runtime != "" {
		note("%s", f.Runtime)
	}
	p.CPU = planCPU(f, o, note)
	p.NoHuge = planNoHuge(f, o, note)
	if p.NoHuge && p.MemMB == 0 {
		p.MemMB = DefaultMemMB
	}
	if p.PCI {
		planPCI(f, &p, note)
	}
	return p, notes
}

func planCPU(f Facts, o Options, note func(string, ...any)) int {
	switch {
	case len(f.CPUs) == 0:
		return max(o.CPU, 0)
	case o.CPU < 0:
		return f.CPUs[0]
	case !slices.Contains(f.CPUs, o.CPU):
		note("CPU %d is not among the CPUs this process may use (%v): the main lcore is put on CPU %d", o.CPU, f.CPUs, f.CPUs[0])
		return f.CPUs[0]
	}
	return o.CPU
}

func planNoHuge(f Facts, o Options, note func(string, ...any)) bool {
	need := max(o.MemMB, minHugeMB)
	switch {
	case o.Huge == HugeNever:
		return true
	case o.Huge == HugeAlways:
		if f.HugeFreeMB < need {
			note("hugepages were asked for, %d MiB of them are free and %d are needed: expect the start to fail; "+
				"raise /proc/sys/vm/nr_hugepages", f.HugeFreeMB, need)
		}
		return false
	case f.HugeFreeMB == 0:
		note("no free hugepages: running on ordinary pages, which is slower and rules out NICs bound to DPDK")
		return true
	case f.HugeFreeMB < need:
		note("%d MiB of hugepages are free, %d are needed: running on ordinary pages", f.HugeFreeMB, need)
		return true
	}
	return false
}

func planPCI(f Facts, p *Plan, note func(string, ...any)) {
	if p.NoHuge {
		note("PCI devices are probed without hugepages: most drivers refuse to work on ordinary pages")
	}
	if f.MemLockNoRoom {
		note("the locked-memory limit is too small to map memory for a device: raise it (LimitMEMLOCK=infinity in the unit)")
	}
	if f.IOMMU || p.NoHuge {
		return
	}
	p.IOVAPhys = true
	if f.UID != 0 {
		note("no IOMMU is active and this is not root: physical addresses cannot be read, so PCI devices will not work")
	}
}

// nowhere is a PCI address that no device has.
const nowhere = "0000:ff:1f.7"

// Args spells the plan as EAL arguments, without a program name.
func (p Plan) Args() []string {
	// Telemetry is left out because it needs a runtime directory and serves what our own API serves.
	args := []string{"-l", strconv.Itoa(p.CPU), "--no-telemetry"}
	if p.NoHuge {
		// --in-memory would be the natural partner, but DPDK 22.11 refuses it together with --no-huge.
		args = append(args, "--no-huge", "--no-shconf")
	} else {
		// One segment per file, so that vhost and memif can hand the memory to a peer.
		args = append(args, "--in-memory", "--single-file-segments")
		if p.IOVAPhys {
			args = append(args, "--iova-mode=pa")
		} else {
			args = append(args, "--iova-mode=va")
		}
	}
	if p.MemMB > 0 {
		args = append(args, "-m", strconv.Itoa(p.MemMB))
	}
	switch {
	case !p.PCI:
		args = append(args, "--no-pci")
	case len(p.PCIAllow) == 0:
		// Devices are probed when ports are made, one by one: with a list of allowed ones, of one that cannot be, none is
		// probed at the start.
		args = append(args, "-a", nowhere)
	default:
		for _, a := range p.PCIAllow {
			args = append(args, "-a", a)
		}
	}
	if p.FilePrefix != "" {
		args = append(args, "--file-prefix="+p.FilePrefix)
	}
	if p.LogLevel != "" {
		args = append(args, "--log-level="+p.LogLevel)
	}
	return append(args, p.Extra...)
}

// String is the plan as one would type it.
func (p Plan) String() string { return strings.Join(p.Args(), " ") }
