package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
)

// machine is what the numbers depend on beside the programs.
type machine struct {
	CPU       string  `json:"cpu"`
	CPUs      int     `json:"cpus"`
	Virtual   bool    `json:"virtual"` // a hypervisor takes its share
	TSCMHz    float64 `json:"tsc_mhz"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`
	MemoryMB  int     `json:"memory_mb"`
	Hugepages string  `json:"hugepages"`
	Commit    string  `json:"commit"`
	LcoreCPU  int     `json:"lcore_cpu"`
	ClientCPU []int   `json:"client_cpus"`
}

func (h *harness) machine() machine {
	m := machine{
		CPU: field("/proc/cpuinfo", "model name"), CPUs: runtime.NumCPU(), Virtual: strings.Contains(field("/proc/cpuinfo", "flags"), "hypervisor"),
		TSCMHz: float64(lcore.TSCHz()) / 1e6, Go: runtime.Version(),
		LcoreCPU: h.cpu.lcore, ClientCPU: h.cpu.clients,
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	kb, _ := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"))
	m.MemoryMB = kb / 1024
	m.Hugepages = fmt.Sprintf("%s of %s free, %s each", field("/proc/meminfo", "HugePages_Free"), field("/proc/meminfo", "HugePages_Total"), field("/proc/meminfo", "Hugepagesize"))
	if out, err := command(h.ctx, 5*time.Second, "git", "describe", "--always", "--dirty"); err == nil {
		m.Commit = strings.TrimSpace(out)
	}
	return m
}

// field finds "key: value" in a file of /proc.
func field(path, key string) string {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// weather is what a round ran under.
type weather struct {
	Load1   float64   `json:"load1"`
	CoreMHz []float64 `json:"core_mhz"`  // by calibration, for the CPUs of clients and lcore
	Steal   float64   `json:"steal_pct"` // of all CPU time since the last look
}

// cpuTimes are the ticks of /proc/stat.
type cpuTimes struct{ total, idle, steal uint64 }

func readCPUTimes() (t cpuTimes) {
	b, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(first) {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil || i > 8 { // guest times are in user time already
			continue
		}
		t.total += n
		switch i {
		case 4, 5: // idle, and idle while a disk works
			t.idle += n
		case 8:
			t.steal = n
		}
	}
	return t
}

func (t cpuTimes) stealSince(before cpuTimes) float64 {
	if t.total == before.total {
		return 0
	}
	return 100 * float64(t.steal-before.steal) / float64(t.total-before.total)
}

// calm waits, within the patience of the whole run, until nobody else uses the CPUs. What began to run meanwhile cannot be
// helped: that is what medians are for.
func (h *harness) calm() {
	const look, tolerable = 100 * time.Millisecond, 0.15
	for ; h.patience > 0; h.patience -= look {
		before := readCPUTimes()
		if h.wait(look) != nil {
			return
		}
		now := readCPUTimes()
		if total := now.total - before.total; total == 0 || float64(now.idle-before.idle) >= (1-tolerable)*float64(total) {
			return
		}
	}
}

func load1() float64 {
	b, _ := os.ReadFile("/proc/loadavg")
	f, _, _ := strings.Cut(string(b), " ")
	v, _ := strconv.ParseFloat(f, 64)
	return v
}

// look calibrates: it estimates the clock of each CPU's core, which changes from minute to minute on shared machines while
// the TSC does not.
func (h *harness) look(since cpuTimes) (w weather) {
	w.Load1, w.Steal = load1(), readCPUTimes().stealSince(since)
	for _, c := range []int{h.cpu.clients[0], h.cpu.lcore} {
		_ = onCPUs([]int{c}, func() error {
			w.CoreMHz = append(w.CoreMHz, coreMHz())
			return nil
		})
	}
	return w
}

var sink uint64

// coreMHz times a chain of multiplications, each of which takes three cycles of the core on every x86 of the last
// fifteen years. The best of several short runs is the one nobody disturbed.
func coreMHz() float64 {
	const n, latency = 300_000, 3
	best := time.Duration(1 << 62)
	for range 20 {
		x := sink | 1
		start := time.Now()
		for range n {
			x *= 0x9e3779b97f4a7c15
		}
		best = min(best, time.Since(start))
		sink = x
	}
	return n * latency / best.Seconds() / 1e6
}
