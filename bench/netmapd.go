package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/rundir"
)

// daemon is a netmapd of the harness, with one lcore unless it is told otherwise. Every measurement starts its own: what the last one left in caches,
// tables and page tables shall not matter, and how its memory happens to lie averages out.
type daemon struct {
	*proc
	dir  string
	conn *grpc.ClientConn // to its API
}

// daemonSpec says how to run it.
type daemonSpec struct {
	poll     bool   // the lcore never sleeps
	config   string // further sections of the configuration
	ns       string
	lcores   int  // 0: one
	trusting bool // a build without the checks of what clients write
}

func (h *harness) daemon(s daemonSpec) (*daemon, error) {
	dir, err := os.MkdirTemp(h.dir, "d")
	if err != nil {
		return nil, err
	}
	program := h.netmapd
	if s.trusting {
		if h.o.server != "" {
			return nil, missing("the daemon that -netmapd names has no build without checks")
		}
		if program, err = h.build("netmapd_trusting"); err != nil {
			return nil, err
		}
	}
	mode, lcores := "adaptive", ""
	if s.poll {
		mode = "poll"
	}
	for _, cpu := range h.cpu.lcores(max(1, s.lcores)) {
		lcores += fmt.Sprintf("  - {cpu: %d, mode: %s}\n", cpu, mode)
	}
	file := filepath.Join(dir, "netmapd.yaml")
	// Without hugepages, so that it does not matter who else has taken them; the default of a machine without any.
	text := fmt.Sprintf("version: 1\ndpdk: {hugepages: never}\nlcores:\n%s%s", lcores, s.config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	d := &daemon{dir: filepath.Join(dir, "run")}
	// All CPUs: its other threads keep off the lcore's by themselves.
	d.proc, err = h.start(procSpec{name: "netmapd", argv: []string{program, "--config", file, "--runtime-dir", d.dir}, cpus: h.cpu.all(), ns: s.ns})
	if err != nil {
		return nil, err
	}
	d.conn, err = grpc.NewClient("unix:"+rundir.ControlSocket(d.dir), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	h.later(func() { _ = d.conn.Close() })
	return d, h.appears(d.proc, rundir.ControlSocket(d.dir))
}

// interval is the difference of two snapshots.
type interval struct {
	seconds             float64
	packets, busy, idle float64 // of all lcores
	sleeps, wakeups     float64
	tx, rx, drops       map[string]float64 // by port
}

// over measures an interval.
func (h *harness) over(d *daemon, dur time.Duration) (*interval, error) {
	before, err := d.snapshot(h.ctx)
	if err != nil {
		return nil, err
	}
	if err := h.wait(dur); err != nil {
		return nil, err
	}
	after, err := d.snapshot(h.ctx)
	if err != nil {
		return nil, err
	}
	return difference(before, after)
}

func (d *daemon) snapshot(ctx context.Context) (*pb.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := pb.NewStatsServiceClient(d.conn).GetStats(ctx, &pb.GetStatsRequest{})
	if err != nil {
		return nil, fmt.Errorf("statistics of netmapd: %w; its log ends with:\n%s", err, d.tail())
	}
	return r.GetSnapshot(), nil
}

func difference(before, after *pb.Snapshot) (*interval, error) {
	if len(before.GetLcores()) != len(after.GetLcores()) {
		return nil, fmt.Errorf("netmapd had %d lcores and then %d", len(before.GetLcores()), len(after.GetLcores()))
	}
	i := &interval{
		seconds: after.GetTime().AsTime().Sub(before.GetTime().AsTime()).Seconds(),
		tx:      map[string]float64{}, rx: map[string]float64{}, drops: map[string]float64{},
	}
	for n, a := range after.GetLcores() {
		b := before.GetLcores()[n]
		i.packets += float64(a.GetPackets() - b.GetPackets())
		i.busy += float64(a.GetBusyCycles() - b.GetBusyCycles())
		i.idle += float64(a.GetIdleCycles() - b.GetIdleCycles())
		i.sleeps += float64(a.GetSleeps() - b.GetSleeps())
		i.wakeups += float64(a.GetWakeups() - b.GetWakeups())
	}
	count := func(s *pb.Snapshot, sign float64) {
		for _, p := range s.GetPorts() {
			i.tx[p.GetName()] += sign * float64(p.GetTx().GetFrames())
			i.rx[p.GetName()] += sign * float64(p.GetRx().GetFrames())
			for _, n := range p.GetDrops() {
				i.drops[p.GetName()] += sign * float64(n)
			}
		}
	}
	count(after, 1)
	count(before, -1)
	return i, nil
}

func sum(m map[string]float64) (s float64) {
	for _, v := range m {
		s += v
	}
	return s
}

// forwarding is what a forwarding measurement tells: cycles of polls that moved frames for each frame that was taken from a
// sender, frames and copies that arrived, and the part of all copies that was dropped.
func (i *interval) forwarding() (sample, error) {
	got, lost := sum(i.rx), sum(i.drops)
	if i.packets < 1000 || got == 0 {
		return nil, fmt.Errorf("the lcores moved %.0f packets in %.2f s, with %.0f cycles busy and %.0f idle, %.0f sleeps and %.0f wake-ups, and %.0f arrived: something does not run",
			i.packets, i.seconds, i.busy, i.idle, i.sleeps, i.wakeups, got)
	}
	return sample{
		"cycles": i.busy / i.packets,
		"core":   perCore(i.busy / got),
		"copy":   i.busy / got,
		"mpps":   got / i.seconds / 1e6,
		"drop":   100 * lost / (got + lost),
		"busy":   100 * i.busy / (i.busy + i.idle),
	}, nil
}

// cpuTime is what a process has used of the CPUs, all threads together.
func cpuTime(pid int) (t time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("process %d has no /proc/PID/task/TID/schedstat: %w", pid, err)
	}
	for _, f := range files {
		b, _ := os.ReadFile(f) // a thread that has just ended counts no more
		ran, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(ran, 10, 64)
		t += time.Duration(ns)
	}
	return t, nil
}

// memory is what a process has, in KiB.
type memory struct{ rss, mapped float64 }

var mapping = regexp.MustCompile(`(?m)^([0-9a-f]+)-([0-9a-f]+) .*/memfd:`)

// memoryOf reads what is resident, and how large the mapped memory files are.
func memoryOf(pid int) (m memory, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return m, err
	}
	for _, f := range mapping.FindAllStringSubmatch(string(maps), -1) {
		from, _ := strconv.ParseUint(f[1], 16, 64)
		to, _ := strconv.ParseUint(f[2], 16, 64)
		m.mapped += float64(to-from) / 1024
	}
	m.rss, err = strconv.ParseFloat(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS"), " kB"), 64)
	return m, err
}
