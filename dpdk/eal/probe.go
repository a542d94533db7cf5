package eal

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe reads the facts of this machine and process. What cannot be read counts as absent and is named in Facts.Runtime.
func Probe() Facts {
	f := Facts{UID: os.Geteuid()}
	var missing []string
	var err error
	if f.CPUs, err = allowedCPUs(); err != nil {
		missing = append(missing, err.Error())
	}
	f.HugeFreeMB, f.HugePageMB = freeHugepages("/sys/kernel/mm/hugepages")
	groups, err := filepath.Glob("/sys/kernel/iommu_groups/*")
	f.IOMMU = err == nil && len(groups) > 0
	f.MemLockNoRoom = memLockTooSmall()
	if len(missing) > 0 {
		f.Runtime = "facts about this machine that could not be read: " + strings.Join(missing, "; ")
	}
	return f
}

func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("CPUs of this process: sched_getaffinity: %w", err)
	}
	var cpus []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus, nil
}

// freeHugepages sums the free hugepages below dir (the layout of /sys/kernel/mm/hugepages) in MiB, and returns the largest
// page size that has free pages.
func freeHugepages(dir string) (freeMB, pageMB int) {
	sizes, err := filepath.Glob(filepath.Join(dir, "hugepages-*kB"))
	if err != nil {
		return 0, 0
	}
	for _, s := range sizes {
		kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(s), "hugepages-"), "kB"))
		if err != nil {
			continue
		}
		n := readInt(filepath.Join(s, "free_hugepages"))
		if n > 0 {
			freeMB += n * kb / 1024
			pageMB = max(pageMB, kb/1024)
		}
	}
	return freeMB, pageMB
}

// readInt returns the number in a file of one number, 0 if it cannot be read.
func readInt(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return n
}

func memLockTooSmall() bool {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &lim); err != nil {
		return false
	}
	return os.Geteuid() != 0 && lim.Cur < DefaultMemMB<<20
}
