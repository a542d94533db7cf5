package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func near(a, b float64) bool {
	return math.Abs(a-b) < 1e-9*max(1, math.Abs(b)) || math.IsNaN(a) && math.IsNaN(b)
}

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		values  []float64
		q, want float64
	}{
		{nil, 0.5, math.NaN()},
		{[]float64{7}, 0.99, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{10, 20}, 0.25, 12.5},
		{[]float64{5, 1, 9}, 0, 1},
		{[]float64{5, 1, 9}, 1, 9},
	} {
		if got := quantile(c.values, c.q); !near(got, c.want) {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.values, c.q, got, c.want)
		}
	}
	v := []float64{2, 1}
	if median(v); v[0] != 2 {
		t.Error("quantile sorted the caller's slice")
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		a, b float64
	}{
		{[]float64{0, 10, 20}, []float64{5, 25, 45}, 5, 2},
		{[]float64{1, 2, 3, 4}, []float64{1, 3, 2, 4}, 0.5, 0.8},
		{[]float64{3, 3}, []float64{1, 2}, math.NaN(), math.NaN()}, // any line fits
		{nil, nil, math.NaN(), math.NaN()},
	} {
		if a, b := fit(c.x, c.y); !near(a, c.a) || !near(b, c.b) {
			t.Errorf("fit(%v, %v) = %v + %v x, want %v + %v x", c.x, c.y, a, b, c.a, c.b)
		}
	}
}

func TestRatios(t *testing.T) {
	nan := math.NaN()
	if got := ratios([]float64{50, nan, 100}, []float64{100, 100, 50}, true); len(got) != 2 || got[0] != 2 || got[1] != 0.5 {
		t.Errorf("of costs: %v, want [2 0.5]", got)
	}
	if got := ratios([]float64{50, 3}, []float64{100, 0}, false); len(got) != 1 || got[0] != 0.5 {
		t.Errorf("of rates: %v, want [0.5]", got)
	}
}

func TestDifference(t *testing.T) {
	snap := func(at time.Time, packets, busy, idle, rx, drop uint64) *pb.Snapshot {
		return &pb.Snapshot{
			Time:   timestamppb.New(at),
			Lcores: []*pb.LcoreStats{{Packets: packets, BusyCycles: busy, IdleCycles: idle}},
			Ports:  []*pb.PortStats{{Name: "vale0:r", Rx: &pb.Count{Frames: rx}, Drops: map[string]uint64{"ring_full": drop}}},
		}
	}
	start := time.Unix(1000, 0)
	i, err := difference(snap(start, 10, 100, 50, 7, 1), snap(start.Add(2*time.Second), 4_000_010, 320_000_100, 80_000_050, 3_000_007, 1_000_001))
	if err != nil {
		t.Fatal(err)
	}
	s, err := i.forwarding()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{"cycles": 80, "copy": 320.0 / 3, "mpps": 1.5, "drop": 25, "busy": 80} {
		if !near(s[key], want) {
			t.Errorf("%s is %v, want %v", key, s[key], want)
		}
	}
	if i, err = difference(snap(start, 0, 0, 0, 0, 0), snap(start.Add(time.Second), 0, 0, 5, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if s, err := i.forwarding(); err == nil {
		t.Errorf("an lcore that moved nothing measures as %v", s)
	}
}

// TestRun has subjects that cost nothing: one that always works, one that fails once, one that is not there.
func TestRun(t *testing.T) {
	cost, flaky, asked, cleaned := 10.0, 0, 0, 0
	r := row{
		name: "made/up", about: "<nothing> & more", metrics: []metric{{key: "c", unit: "cycles/packet", lower: true}, {key: "i", unit: "%", info: true}},
		bars: []bar{{key: "c", plus: 30}, {key: "c", peer: "flaky", times: 0.5, plus: 1}, {key: "c", peer: "absent", times: 1}},
		ours: subject{"netmapd", func(h *harness) (sample, error) {
			h.later(func() { cleaned++ })
			cost += 10
			return sample{"c": cost, "i": 1}, nil
		}},
		peers: []subject{
			{"flaky", func(*harness) (sample, error) {
				if flaky++; flaky == 1 {
					return nil, errors.New("out of luck")
				}
				return sample{"c": 60}, nil
			}},
			{"absent", func(*harness) (sample, error) {
				asked++
				return nil, missing("install it")
			}},
			{"broken", func(*harness) (sample, error) { return nil, errors.New("never works") }},
		},
	}
	h := &harness{ctx: t.Context(), o: options{rounds: 3, dur: time.Millisecond}, cpu: cpus{clients: []int{0}}}
	rep, err := h.runRows([]row{r})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	rep.print(&out)
	for _, want := range []string{
		"made/up", "30.0 cycles/packet [25.0 .. 35.0]", // of 20, 30, 40
		"60.0 cycles/packet [60.0 .. 60.0]", "2.00 x", // the rounds' ratios are 3, 2, 1.5
		"1 measurements failed, the last one: out of luck", "absent: install it",
		"at most 30.0: met", "at most 0.50 x flaky + 1.00: met", "2 bars are met, 0 are missed", "6 measurements failed, the last one: never works",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, out.String())
		}
	}
	if cleaned != 3 || asked != 1 {
		t.Errorf("cleaned up %d times, want 3; asked for the absent peer %d times, want 1", cleaned, asked)
	}
	checkFiles(t, rep)
}

// checkFiles reads back what a run saves.
func checkFiles(t *testing.T, rep *report) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "results")
	if err := rep.save(dir); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(dir, "latest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(doc, &back); err != nil {
		t.Fatal(err)
	}
	line := back.Rows[0].Lines[0]
	if peer := line.Subjects[1]; peer.Ratio == nil || *peer.Ratio != 2 || len(line.Subjects[0].Values) != 3 {
		t.Errorf("the JSON says %+v", line)
	}
	plot, err := os.Open(filepath.Join(dir, "latest.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer plot.Close() //nolint:errcheck // read only
	bars := 0
	for d := xml.NewDecoder(plot); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the SVG is no XML: %v", err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 3 { // the background, ours and the flaky one; the share in percent is not drawn
		t.Errorf("the plot has %d rectangles, want 3", bars)
	}
}

// A bar is missed on the wrong side of the limit in the median round, and says nothing without a round of both.
func TestBar(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		text       string
		bar        bar
		ours, peer []float64
		lower      bool
		met, known bool
	}{
		{"at most 84.0", bar{plus: 84}, []float64{90, 84, 80}, nil, true, true, true},
		{"at most 84.0", bar{plus: 84}, []float64{90, 85, 80}, nil, true, false, true},
		{"at most 0", bar{}, []float64{0}, nil, true, true, true},
		{"at least 100", bar{plus: 100}, []float64{99, 101, 102}, nil, false, true, true},
		{"at least 2.50 x ovs", bar{peer: "ovs", times: 2.5}, []float64{25, 24, 30}, []float64{10, 10, 10}, false, true, true},
		{"at least 2.50 x ovs", bar{peer: "ovs", times: 2.5}, []float64{25, 24, 30}, []float64{10, 10, 20}, false, false, true},
		{"at most mac + 80.0", bar{peer: "mac", times: 1, plus: 80}, []float64{150, nan, 200}, []float64{70, 70, nan}, true, true, true},
		{"at most mac + 80.0", bar{peer: "mac", times: 1, plus: 80}, []float64{150, nan}, []float64{nan, 70}, true, false, false},
	} {
		met, known := c.bar.met(c.ours, c.peer, c.lower)
		if met != c.met || known != c.known || c.bar.text(c.lower) != c.text {
			t.Errorf("%q for %v beside %v: met %v, known %v; want %q, %v, %v", c.bar.text(c.lower), c.ours, c.peer, met, known, c.text, c.met, c.known)
		}
	}
}

// The programs that rows compile are what a compiler without mercy accepts.
func TestProbesCompile(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip(err)
	}
	files, err := filepath.Glob("probe/*.c")
	if err != nil || len(files) == 0 {
		t.Fatalf("programs %q, %v", files, err)
	}
	for _, f := range files {
		out, err := exec.CommandContext(t.Context(), "cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-I../clib/include", "-c", "-o", os.DevNull, f).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
	}
}

func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range allRows() {
		if seen[r.name] {
			t.Errorf("two rows are called %s", r.name)
		}
		seen[r.name] = true
		if r.about == "" || len(r.metrics) == 0 || r.ours.measure == nil {
			t.Errorf("row %s is incomplete", r.name)
		}
		for _, b := range r.bars {
			has := slices.ContainsFunc(r.metrics, func(m metric) bool { return m.key == b.key }) &&
				(b.peer == "" || slices.ContainsFunc(r.peers, func(p subject) bool { return p.name == b.peer }))
			if !has {
				t.Errorf("row %s has a bar for %q at %q, which it has not", r.name, b.key, b.peer)
			}
		}
	}
}

func TestRoom(t *testing.T) {
	l, err := openLedger(func() string {
		p, err := (&harness{dir: t.TempDir()}).ledger()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}(), 2)
	if err != nil {
		t.Fatal(err)
	}
	l.counter(0).Add(700)
	l.counter(1).Add(100)
	for _, c := range []struct {
		sent uint64
		all  bool
		want uint32
	}{
		{800, false, 1024 - 1 - slack},
		{1000, false, 1024 - 1 - slack - 200},
		{800, true, 1024 - 1 - slack - 700}, // the second has 700 to come
		{1000, true, 0},
		{50, false, 1024 - 1 - slack}, // frames that were not ours
	} {
		if got := l.room(c.sent, 1024-1-slack, c.all); got != c.want {
			t.Errorf("room after %d frames (all: %v) is %d, want %d", c.sent, c.all, got, c.want)
		}
	}
}
