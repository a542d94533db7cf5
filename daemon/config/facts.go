package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Facts are what a configuration needs to know of the machine.
type Facts struct {
	CPUs          []int    // those that this process may run on, ascending
	FreeHugepages int      // of all sizes and nodes
	Interfaces    []string // of the kernel, in this network namespace
}

// ReadFacts looks at this machine.
func ReadFacts() (Facts, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return Facts{}, fmt.Errorf("asking for the CPUs this process may run on: %w", err)
	}
	var f Facts
	for cpu := 0; len(f.CPUs) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			f.CPUs = append(f.CPUs, cpu)
		}
	}
	ifs, err := net.Interfaces()
	if err != nil {
		return Facts{}, fmt.Errorf("asking for the kernel's network interfaces: %w", err)
	}
	for _, i := range ifs {
		f.Interfaces = append(f.Interfaces, i.Name)
	}
	files, err := filepath.Glob("/sys/kernel/mm/hugepages/hugepages-*/free_hugepages")
	if err != nil {
		return Facts{}, err
	}
	for _, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // a name of the kernel's
		if err != nil {
			return Facts{}, fmt.Errorf("counting free hugepages: %w", err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			return Facts{}, fmt.Errorf("counting free hugepages in %s: %w", file, err)
		}
		f.FreeHugepages += n
	}
	return f, nil
}

// Validate says whether this configuration can run on a machine. The error is
// an [*Error] with every problem.
func (c *Config) Validate(f Facts) error {
	var p problems
	k := &checker{c, &p}
	for i, l := range c.Lcores {
		if !slices.Contains(f.CPUs, l.CPU) {
			k.report(fmt.Sprintf("lcores[%d].cpu", i), "this process cannot run on CPU %d; it may use %s", l.CPU, ranges(f.CPUs))
		}
	}
	if c.DPDK.Hugepages == Require && f.FreeHugepages == 0 {
		k.report("dpdk.hugepages", "required, and no hugepage is free; write a number to /proc/sys/vm/nr_hugepages or use auto")
	}
	k.interfacesExist(f.Interfaces)
	return p.err()
}

// interfacesExist reports the kernel interfaces that are named and not there.
func (k *checker) interfacesExist(there []string) {
	configured := make(map[string]bool)
	for i, p := range k.Ports {
		configured[p.Name] = true
		key := fmt.Sprintf("ports[%d].ifname", i)
		if !k.given(key) { // it is the name
			key = fmt.Sprintf("ports[%d].name", i)
		}
		if p.Kind == KindInterface && !slices.Contains(there, p.Ifname) {
			k.report(key, "the kernel has no interface %q in this network namespace; create it first", p.Ifname)
		}
	}
	for i, s := range k.Switches {
		for j, p := range s.Ports {
			if p := strings.TrimSuffix(p, "*"); !configured[p] && !slices.Contains(there, p) {
				k.report(fmt.Sprintf("switches[%d].ports[%d]", i, j), "%q is neither one of ports nor an interface of the kernel", p)
			}
		}
	}
}

// ResolveLcores returns the lcores to run: the configured ones, or else one,
// adaptive, on the highest CPU of f, where the machine's own work is least
// likely to be. It is nil if f has no CPU.
func (c *Config) ResolveLcores(f Facts) []Lcore {
	if len(c.Lcores) > 0 || len(f.CPUs) == 0 {
		return c.Lcores
	}
	return []Lcore{{CPU: slices.Max(f.CPUs), Mode: ModeAdaptive, Spin: defaultSpin}}
}

// defaultSpin is the default of Lcore.Spin.
var defaultSpin = func() time.Duration {
	n := schema.child("lcores").child("spin")
	v, _ := n.parse(n.fallback)
	d, _ := v.(time.Duration)
	return d
}()

// ranges writes ascending numbers as Linux does: "0-3,8".
func ranges(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		part := strconv.Itoa(numbers[i])
		if j > i {
			part += "-" + strconv.Itoa(numbers[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
