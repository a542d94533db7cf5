package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/netmapd/netmapd/netmap"
)

// Every query of the Grafana dashboard returns data, asked of a Prometheus that scrapes a daemon with some traffic.
func TestDashboard(t *testing.T) {
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("it takes Prometheus to ask:", err)
	}
	queries := dashboardQueries(t)
	metrics, api := freeAddress(t), freeAddress(t)
	config := filepath.Join(t.TempDir(), "netmapd.yaml")
	must(t, os.WriteFile(config, []byte("version: 1\nports:\n  - {name: ring0, kind: device, devargs: net_ring_dash}\nswitches:\n  - {name: vale1, ports: [ring0]}\n"), 0o600))
	d := startDaemon(t, "--metrics-listen", metrics, "--config", config)
	startPrometheus(t, prometheus, metrics, api)
	a, b := d.open(t, "vale0:a"), d.open(t, "vale0:b")
	var buf [frameLen]byte
	seq := uint64(0)
	for _, query := range queries {
		waitFor(t, "data of "+query, func() error {
			// Nobody reads at b, so some is lost, too.
			for range 2000 {
				a.TxRings()[0].Send(frame(buf[:], 0xff, 1, seq))
				seq++
			}
			if err := a.TxSync(); err != nil {
				return err
			}
			return ask(api, query)
		})
	}
	_, err = b.PollTimeout(patience, netmap.PollIn)
	must(t, err)
}

// dashboardQueries are the queries of all panels, with Grafana's variables filled in.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	data, err := os.ReadFile("../../packaging/grafana/netmapd.json")
	must(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal(data, &dashboard))
	variables := strings.NewReplacer("$instance", ".*", "$port", ".*", "$__rate_interval", "4s")
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			q := variables.Replace(target.Expr)
			if strings.Contains(q, "$") {
				t.Errorf("%s: an unknown variable in %s", p.Title, target.Expr)
			}
			queries = append(queries, q)
		}
	}
	if len(queries) < 10 {
		t.Errorf("%d queries", len(queries))
	}
	return queries
}

// freeAddress is an address of this machine with a port that was free just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close() //nolint:errcheck // nothing was sent
	return l.Addr().String()
}

func startPrometheus(t *testing.T, program, target, listen string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, "scrape_configs:\n- job_name: netmapd\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  static_configs: [{targets: [%q]}]\n", target), 0o600))
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen)
	var log logBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus said:\n%s", log.String())
		}
	})
}

// ask tells what is wrong with the answer to a query.
func ask(api, query string) error {
	resp, err := http.Get("http://" + api + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	switch {
	case answer.Error != "":
		return errors.New(answer.Error)
	case len(answer.Data.Result) == 0:
		return errors.New("no data")
	case answer.Data.Result[0].Value[1] == "NaN":
		return errors.New("no number")
	}
	return nil
}
