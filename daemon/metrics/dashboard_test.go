package metrics_test

import (
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/daemon/metrics"
)

// The dashboard asks for nothing that is not there.
func TestDashboardNames(t *testing.T) {
	dashboard, err := os.ReadFile("../../packaging/grafana/netmapd.json")
	if err != nil {
		t.Fatal(err)
	}
	text := scrape(t, serve(t, metrics.NewServer(metrics.NewRegistry(&source{}, "v1", ""), false, slog.New(slog.DiscardHandler))), "/metrics")
	names := regexp.MustCompile(`(netmapd|process|go)_[a-z_]+[a-z]`).FindAllString(string(dashboard), -1)
	if len(names) == 0 {
		t.Error("the dashboard asks for nothing")
	}
	for _, name := range names {
		if !strings.Contains(text, "\n# TYPE "+name+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}
}
