package eal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPlanArgs(t *testing.T) {
	root := Facts{UID: 0, CPUs: []int{0, 1}}
	huge := Facts{UID: 0, CPUs: []int{0, 1}, HugeFreeMB: 1024, HugePageMB: 2}
	tests := []struct {
		name  string
		facts Facts
		opts  Options
		args  string
		notes []string // a substring of each note, in order
	}{
		{
			"embedded default", root,
			Options{},
			"-l 0 --no-telemetry --no-huge --no-shconf -m 256 --no-pci",
			[]string{"no free hugepages"},
		},
		{
			"embedded default chosen on purpose is silent", huge,
			Options{Huge: HugeNever},
			"-l 0 --no-telemetry --no-huge --no-shconf -m 256 --no-pci", nil,
		},
		{
			"hugepages", huge,
			Options{},
			"-l 0 --no-telemetry --in-memory --single-file-segments --iova-mode=va --no-pci", nil,
		},
		{
			"too few hugepages",
			Facts{CPUs: []int{0}, HugeFreeMB: 32, HugePageMB: 2},
			Options{},
			"-l 0 --no-telemetry --no-huge --no-shconf -m 256 --no-pci",
			[]string{"32 MiB of hugepages are free, 64 are needed"},
		},
		{
			"memory larger than the hugepages", huge,
			Options{MemMB: 2048},
			"-l 0 --no-telemetry --no-huge --no-shconf -m 2048 --no-pci",
			[]string{"1024 MiB of hugepages are free, 2048 are needed"},
		},
		{
			"hugepages forced", root,
			Options{Huge: HugeAlways, MemMB: 128},
			"-l 0 --no-telemetry --in-memory --single-file-segments --iova-mode=va -m 128 --no-pci",
			[]string{"expect the start to fail"},
		},
		{
			"first allowed CPU",
			Facts{CPUs: []int{3, 5}},
			Options{CPU: -1, Huge: HugeNever},
			"-l 3 --no-telemetry --no-huge --no-shconf -m 256 --no-pci", nil,
		},
		{
			"CPU that is not ours",
			Facts{CPUs: []int{3, 5}},
			Options{CPU: 4, Huge: HugeNever},
			"-l 3 --no-telemetry --no-huge --no-shconf -m 256 --no-pci",
			[]string{"CPU 4 is not among"},
		},
		{
			"PCI with an IOMMU",
			Facts{CPUs: []int{0}, HugeFreeMB: 512, IOMMU: true},
			Options{PCI: true, PCIAllow: []string{"0000:01:00.0", "0000:01:00.1"}},
			"-l 0 --no-telemetry --in-memory --single-file-segments --iova-mode=va -a 0000:01:00.0 -a 0000:01:00.1", nil,
		},
		{
			"PCI without an IOMMU", huge,
			Options{PCI: true},
			"-l 0 --no-telemetry --in-memory --single-file-segments --iova-mode=pa -a 0000:ff:1f.7", nil,
		},
		{
			"PCI as an ordinary user",
			Facts{UID: 1000, CPUs: []int{0}, HugeFreeMB: 512, MemLockNoRoom: true},
			Options{PCI: true},
			"-l 0 --no-telemetry --in-memory --single-file-segments --iova-mode=pa -a 0000:ff:1f.7",
			[]string{"locked-memory limit", "not root"},
		},
		{
			"PCI on ordinary pages", root,
			Options{PCI: true, Huge: HugeNever},
			"-l 0 --no-telemetry --no-huge --no-shconf -m 256 -a 0000:ff:1f.7",
			[]string{"without hugepages"},
		},
		{
			"the rest is passed on", root,
			Options{Huge: HugeNever, MemMB: 64, FilePrefix: "a", LogLevel: "lib.eal:debug", Extra: []string{"--vdev", "net_null0"}},
			"-l 0 --no-telemetry --no-huge --no-shconf -m 64 --no-pci --file-prefix=a --log-level=lib.eal:debug --vdev net_null0", nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args, notes := PlanArgs(tt.facts, tt.opts)
			if got := strings.Join(args, " "); got != tt.args {
				t.Errorf("arguments\n got %s\nwant %s", got, tt.args)
			}
			if len(notes) != len(tt.notes) {
				t.Fatalf("got %d notes %q, want %d", len(notes), notes, len(tt.notes))
			}
			for i, n := range notes {
				if !strings.Contains(n, tt.notes[i]) {
					t.Errorf("note %d is %q, want it to say %q", i, n, tt.notes[i])
				}
			}
		})
	}
}

func TestPlanDoesNotKeepTheCallersSlices(t *testing.T) {
	extra := []string{"--vdev", "net_null0"}
	p, _ := MakePlan(Facts{}, Options{Extra: extra})
	extra[1] = "changed"
	if !slices.Contains(p.Args(), "net_null0") {
		t.Errorf("the plan changed with the caller's slice: %v", p)
	}
}

func TestFreeHugepages(t *testing.T) {
	dir := t.TempDir()
	for name, free := range map[string]string{"hugepages-2048kB": "10\n", "hugepages-1048576kB": "1\n", "hugepages-xkB": "5"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "free_hugepages"), []byte(free), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if free, page := freeHugepages(dir); free != 1044 || page != 1024 {
		t.Errorf("got %d MiB free, largest page %d MiB; want 1044 and 1024", free, page)
	}
	if free, page := freeHugepages(filepath.Join(dir, "absent")); free != 0 || page != 0 {
		t.Errorf("an absent directory gave %d and %d, want none", free, page)
	}
}

func TestProbeKnowsThisProcess(t *testing.T) {
	f := Probe()
	if f.UID != os.Geteuid() {
		t.Errorf("uid is %d, want %d", f.UID, os.Geteuid())
	}
	if len(f.CPUs) == 0 {
		t.Errorf("no CPU found: %q", f.Runtime)
	}
}
