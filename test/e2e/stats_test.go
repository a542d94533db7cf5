package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// snapshot takes the daemon's statistics.
func (d *daemon) snapshot(t *testing.T) *pb.Snapshot {
	t.Helper()
	r, err := d.stats.GetStats(limited(t), &pb.GetStatsRequest{})
	if err != nil {
		t.Fatalf("GetStats: %v", err)
	}
	return r.GetSnapshot()
}

// portStats are the counters of the last port that had a name.
func portStats(t *testing.T, s *pb.Snapshot, name string) *pb.PortStats {
	t.Helper()
	var last *pb.PortStats
	for _, p := range s.GetPorts() {
		if p.GetName() == name && (last == nil || p.GetId() > last.GetId()) {
			last = p
		}
	}
	if last == nil {
		t.Fatalf("no statistics of port %s, which should be remembered", name)
	}
	return last
}

// dropped is the sum over all reasons.
func dropped(p *pb.PortStats) (n uint64) {
	for _, c := range p.GetDrops() {
		n += c
	}
	return n
}

// holdings describes all that clients hold of the daemon: what must be again as
// it was when they are gone.
func holdings(s *pb.Snapshot) string {
	lines := []string{fmt.Sprintf("sessions %d descriptors %d", s.GetSessions(), s.GetDescriptors())}
	regions := slices.SortedFunc(slices.Values(s.GetRegions()), func(a, b *pb.RegionStats) int { return int(a.GetId()) - int(b.GetId()) })
	for _, r := range regions {
		lines = append(lines, fmt.Sprintf("region %s: ports %d orphans %d free ifs %d/%d rings %d/%d buffers %d/%d", r.GetName(), r.GetUsers(), r.GetOrphans(),
			r.GetIfPool().GetFree(), r.GetIfPool().GetTotal(), r.GetRingPool().GetFree(), r.GetRingPool().GetTotal(),
			r.GetBufPool().GetFree(), r.GetBufPool().GetTotal()))
	}
	var live []string
	for _, p := range s.GetPorts() {
		if !p.GetGone() {
			live = append(live, p.GetName())
		}
	}
	slices.Sort(live)
	return strings.Join(append(lines, "ports "+strings.Join(live, " ")), "\n")
}

// openFiles counts what the daemon has open, by kind.
func (d *daemon) openFiles() string {
	dir := fmt.Sprintf("/proc/%d/fd", d.pid())
	entries, _ := os.ReadDir(dir)
	kinds := map[string]int{}
	for _, e := range entries {
		target, err := os.Readlink(dir + "/" + e.Name())
		if err != nil {
			continue // closed meanwhile
		}
		kind := target // "anon_inode:[eventfd]", a file, or "socket:[4711]"
		if k, _, ok := strings.Cut(target, ":["); ok && k != "anon_inode" {
			kind = k
		}
		kinds[strings.TrimSuffix(kind, " (deleted)")]++
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, fmt.Sprintf("%s %d", k, kinds[k]))
	}
	return strings.Join(out, ", ")
}

// state is holdings and open files together.
func (d *daemon) state(t *testing.T) string {
	t.Helper()
	return holdings(d.snapshot(t)) + "\nopen files: " + d.openFiles()
}

// settled is what the daemon holds once it has ended with what it was asked last: an answer is there a little before the
// daemon has closed the socket that it came by.
func (d *daemon) settled(t *testing.T) string {
	t.Helper()
	last, times := "", 0
	waitFor(t, "the daemon to hold the same for a while", func() error {
		now := d.state(t)
		if times++; now != last {
			last, times = now, 0
		}
		if times < 7 { // waitFor asks ever later, here for 127 ms at least
			return fmt.Errorf("now:\n%s", now)
		}
		return nil
	})
	return last
}

// returnsTo waits until the daemon holds again what it held before.
func (d *daemon) returnsTo(t *testing.T, before string) {
	t.Helper()
	waitFor(t, "the daemon to hold what it held before", func() error {
		if now := d.state(t); now != before {
			return fmt.Errorf("before:\n%s\nnow:\n%s", before, now)
		}
		return nil
	})
}
