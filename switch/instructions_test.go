package vale

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/ring"
	"github.com/netmapd/netmapd/test/tools/callgrind"
)

// The instructions of each stage are held to a baseline. It belongs to a release of Go; this makes it anew:
//
//	NETMAPD_RENEW=1 go test -run TestInstructions ./switch
const (
	baselineFile = "testdata/instructions"
	renewEnv     = "NETMAPD_RENEW"
	countEnv     = "NETMAPD_COUNT_INSTRUCTIONS" // set in the process that runs under valgrind
)

// A tenth more than the baseline is a regression; a tenth less wants a new baseline, so that it is kept. The number of a cheap
// batch may differ by an instruction or two.
const (
	tolerated = 0.10
	few       = 2.0
)

// TestInstructions counts the instructions of each packet, stage by stage.
func TestInstructions(t *testing.T) {
	if os.Getenv(countEnv) != "" {
		countStages(t)
		return
	}
	cannot := t.Skip
	if os.Getenv("CI") == "true" {
		cannot = t.Fatal
	}
	switch {
	case !callgrind.Supported:
		t.Skip("instructions are counted on amd64 only")
	case builtWith("-race") || testing.CoverMode() != "":
		t.Skip("the detector of races, and coverage, add instructions of their own")
	}
	got, err := countInstructions(t)
	if errors.Is(err, callgrind.ErrAbsent) {
		cannot(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(renewEnv) != "" && !ring.Trusting {
		writeBaseline(t, got)
		return
	}
	version, want := readBaseline(t)
	if release(version) != release(runtime.Version()) {
		cannot(fmt.Sprintf("the baseline was counted with %s, this is %s: make a new one, NETMAPD_RENEW=1 go test -run TestInstructions ./switch", version, runtime.Version()))
	}
	for _, s := range stages {
		if s.cpu {
			continue
		}
		g, w := got[s.name], want[s.name]
		t.Logf("%-20s %8.2f instructions, baseline %8.2f", s.name, g, w)
		switch {
		case ring.Trusting: // the baseline is what it is to be compared with
		case w == 0:
			t.Errorf("stage %s has no baseline (%s=1 makes one)", s.name, renewEnv)
		case g > w*(1+tolerated)+few/float64(s.count):
			t.Errorf("stage %s takes %.2f instructions, more than a tenth above the baseline of %.2f", s.name, g, w)
		case g < w*(1-tolerated)-few/float64(s.count):
			t.Errorf("stage %s takes %.2f instructions, less than a tenth below the baseline of %.2f: well done; %s=1 keeps it so", s.name, g, w, renewEnv)
		}
	}
}

// calls are how often a stage is counted in one part and in another one: the difference of the two is without what the
// counting costs.
var calls = [2]int{20, 120}

// countStages is the process under valgrind.
func countStages(t *testing.T) {
	callgrind.Start()
	for _, s := range stages {
		if s.cpu {
			continue
		}
		call := s.setup(t)
		for i, n := range calls {
			call()
			callgrind.Count(fmt.Sprintf("%s %d", s.name, i), func() {
				for range n {
					call()
				}
			})
		}
	}
}

// countInstructions returns the instructions of a packet, by stage.
func countInstructions(t *testing.T) (map[string]float64, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	counts, err := callgrind.Run(t.Context(), t.TempDir(), []string{countEnv + "=1"}, self, "-test.run=^TestInstructions$", "-test.timeout=2m")
	if err != nil {
		return nil, err
	}
	got := map[string]float64{}
	for _, s := range stages {
		if s.cpu {
			continue
		}
		less, more := counts[s.name+" 0"], counts[s.name+" 1"]
		if less == 0 || more <= less {
			return nil, fmt.Errorf("stage %s was counted as %d and %d instructions", s.name, less, more)
		}
		got[s.name] = float64(more-less) / float64((calls[1]-calls[0])*s.count)
	}
	return got, nil
}

func readBaseline(t *testing.T) (version string, want map[string]float64) {
	t.Helper()
	text, err := os.ReadFile(baselineFile)
	if err != nil {
		t.Fatalf("%v; %s=1 makes it", err, renewEnv)
	}
	want = map[string]float64{}
	for line := range strings.Lines(string(text)) {
		var name string
		var n float64
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "# go: "); ok {
			version = v
		} else if k, _ := fmt.Sscan(line, &name, &n); k == 2 && !strings.HasPrefix(line, "#") {
			want[name] = n
		}
	}
	return version, want
}

func writeBaseline(t *testing.T, got map[string]float64) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# Instructions of a packet (judge, publish and idle: of a batch) by stage of the packet path. See instructions_test.go.\n# go: %s\n", runtime.Version())
	for _, s := range stages {
		if n, ok := got[s.name]; ok {
			fmt.Fprintf(&b, "%-20s %8.2f\n", s.name, n)
		}
	}
	if err := os.MkdirAll(filepath.Dir(baselineFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(baselineFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// release is the part of a version that makes code different: go1.26 of go1.26.8.
func release(version string) string {
	parts := strings.SplitN(strings.Fields(version + " ")[0], ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

func builtWith(flag string) bool {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == flag && s.Value == "true" {
			return true
		}
	}
	return false
}
