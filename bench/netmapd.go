package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/rundir"
)

// daemon is a netmapd of the harness, with one lcore. Every measurement starts its own: what the last one left in caches,
// tables and page tables shall not matter, and how its memory happens to lie averages out.
type daemon struct {
	*proc
	dir   string
	stats pb.StatsServiceClient
}

// daemonSpec says how to run it.
type daemonSpec struct {
	poll   bool   // the lcore never sleeps
	config string // further sections of the configuration
	ns     string
}

func (h *harness) daemon(s daemonSpec) (*daemon, error) {
	dir, err := os.MkdirTemp(h.dir, "d")
	if err != nil {
		return nil, err
	}
	mode := "adaptive"
	if s.poll {
		mode = "poll"
	}
	file := filepath.Join(dir, "netmapd.yaml")
	// Without hugepages, so that it does not matter who else has taken them; the default of a machine without any.
	text := fmt.Sprintf("version: 1\ndpdk: {hugepages: never}\nlcores:\n  - {cpu: %d, mode: %s}\n%s", h.cpu.lcore, mode, s.config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	d := &daemon{dir: filepath.Join(dir, "run")}
	// All CPUs: its other threads keep off the lcore's by themselves.
	d.proc, err = h.start(procSpec{name: "netmapd", argv: []string{h.netmapd, "--config", file, "--runtime-dir", d.dir}, cpus: h.cpu.all(), ns: s.ns})
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("unix:"+rundir.ControlSocket(d.dir), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	h.later(func() { _ = conn.Close() })
	d.stats = pb.NewStatsServiceClient(conn)
	return d, h.appears(d.proc, rundir.ControlSocket(d.dir))
}

// interval is the difference of two snapshots.
type interval struct {
	seconds             float64
	packets, busy, idle float64 // of the lcore
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
	r, err := d.stats.GetStats(ctx, &pb.GetStatsRequest{})
	if err != nil {
		return nil, fmt.Errorf("statistics of netmapd: %w; its log ends with:\n%s", err, d.tail())
	}
	return r.GetSnapshot(), nil
}

func difference(before, after *pb.Snapshot) (*interval, error) {
	if len(before.GetLcores()) != 1 || len(after.GetLcores()) != 1 {
		return nil, fmt.Errorf("netmapd has %d lcores, want 1", len(after.GetLcores()))
	}
	b, a := before.GetLcores()[0], after.GetLcores()[0]
	i := &interval{
		seconds: after.GetTime().AsTime().Sub(before.GetTime().AsTime()).Seconds(),
		packets: float64(a.GetPackets() - b.GetPackets()),
		busy:    float64(a.GetBusyCycles() - b.GetBusyCycles()),
		idle:    float64(a.GetIdleCycles() - b.GetIdleCycles()),
		sleeps:  float64(a.GetSleeps() - b.GetSleeps()),
		wakeups: float64(a.GetWakeups() - b.GetWakeups()),
		tx:      map[string]float64{}, rx: map[string]float64{}, drops: map[string]float64{},
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
		return nil, fmt.Errorf("the lcore moved %.0f packets in %.2f s and %.0f arrived: something does not run", i.packets, i.seconds, got)
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
