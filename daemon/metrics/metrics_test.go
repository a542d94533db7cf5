package metrics_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/netmapd/netmapd/daemon/metrics"
	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

// source answers with what it is told and counts how often it is asked.
type source struct {
	mu    sync.Mutex
	asked int
	err   error
}

func (s *source) Snapshot(context.Context) (port.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return port.Snapshot{
		TSCHz: 2e9,
		Ports: []port.Stats{
			{
				Name: "vale0:\xff\n", Switch: "vale0", Tx: port.Count{Frames: 7, Bytes: 420}, Rx: port.Count{Frames: 3, Bytes: 180},
				Drops: map[string]uint64{"ring_full": 4}, BadRings: 1, Device: map[string]uint64{"rx_missed": 5},
			},
			{Name: "vale0:gone", Switch: "vale0", Gone: true},
		},
		Lcores:   []port.LcoreStats{{ID: 0, CPU: 1, Packets: 10, BusyCycles: 1e9, IdleCycles: 4e9, Sleeps: 2, Wakeups: 1, Stuck: true, Stages: port.StageCycles{Poll: 4, Copy: 6}}},
		Regions:  []port.RegionStats{{ID: 1, Name: "global", Size: 4096, If: port.PoolStats{Total: 100, Free: 99}, Orphans: 2, Lent: 7}},
		Sessions: 2, Descriptors: 3,
	}, s.err
}

func (s *source) Switches(context.Context) ([]port.SwitchInfo, error) {
	return []port.SwitchInfo{{
		Name: "vale0", Ports: make([]port.SwitchPort, 2),
		Table: vale.TableStats{Size: 1024, Used: 5, Static: 1, Displaced: 1, Evicted: 9},
	}}, nil
}

// What the scrape says, and that Prometheus' linter has no word against it.
func TestMetrics(t *testing.T) {
	r := metrics.NewRegistry(&source{}, "v1", "DPDK 22.11")
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	text := scrape(t, serve(t, metrics.NewServer(r, false, slog.New(slog.DiscardHandler))), "/metrics")
	for _, want := range []string{
		`netmapd_build_info{dpdk="DPDK 22.11",version="v1"} 1`,
		`netmapd_port_frames_total{direction="tx",port="vale0:\\xff\\n",switch="vale0"} 7`,
		`netmapd_port_bytes_total{direction="rx",port="vale0:\\xff\\n",switch="vale0"} 180`,
		`netmapd_port_drops_total{port="vale0:\\xff\\n",reason="ring_full",switch="vale0"} 4`,
		`netmapd_port_device_total{counter="rx_missed",port="vale0:\\xff\\n"} 5`,
		`netmapd_lcore_stage_cycles_total{cpu="1",lcore="0",stage="copy"} 6`,
		`netmapd_port_bad_rings_total{port="vale0:\\xff\\n",switch="vale0"} 1`,
		`netmapd_switch_addresses{kind="learned",switch="vale0"} 4`,
		`netmapd_switch_table_evicted_total{switch="vale0"} 9`,
		`netmapd_lcore_polling_seconds_total{cpu="1",lcore="0",state="busy"} 0.5`,
		`netmapd_lcore_stuck{cpu="1",lcore="0"} 1`,
		`netmapd_region_objects{name="global",pool="if",region="1",state="used"} 1`,
		`netmapd_region_orphaned_buffers{name="global",region="1"} 2`,
		`netmapd_region_lent_buffers{name="global",region="1"} 7`,
		`netmapd_sessions 2`,
		`go_gc_duration_seconds_count`,
		`process_open_fds`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	if strings.Contains(text, "vale0:gone") {
		t.Error("a port that went is still told of: their number has no bound")
	}
}

// However many scrape, the lcores are asked once a second.
func TestScrapesShareASnapshot(t *testing.T) {
	src := &source{}
	get := serve(t, metrics.NewServer(metrics.NewRegistry(src, "", ""), false, slog.New(slog.DiscardHandler)))
	start := time.Now()
	for range 20 {
		scrape(t, get, "/metrics")
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	if most := 1 + int(time.Since(start)/time.Second); src.asked > most {
		t.Errorf("20 scrapes took %d snapshots, want at most %d", src.asked, most)
	}
}

// An lcore that does not answer leaves the metrics of the process.
func TestFailedSnapshot(t *testing.T) {
	get := serve(t, metrics.NewServer(metrics.NewRegistry(&source{err: errors.New("stuck")}, "", ""), false, slog.New(slog.DiscardHandler)))
	if text := scrape(t, get, "/metrics"); !strings.Contains(text, "process_open_fds") {
		t.Errorf("the scrape is %q", text)
	}
}

func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	for _, on := range []bool{false, true} {
		get := serve(t, metrics.NewServer(metrics.NewRegistry(&source{}, "", ""), on, slog.New(slog.DiscardHandler)))
		resp, err := get.Get("http://netmapd/debug/pprof/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.StatusCode == http.StatusOK; got != on {
			t.Errorf("profiles %v, answered %d", on, resp.StatusCode)
		}
	}
}

// serve runs the server on a Unix socket and returns a client of it.
func serve(t *testing.T, s *metrics.Server) *http.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Stop(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", path)
	}}}
}

func scrape(t *testing.T, c *http.Client, path string) string {
	t.Helper()
	resp, err := c.Get("http://netmapd" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
