package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/netmap"
)

// What a client sent is what Prometheus reads.
func TestMetrics(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "m.sock")
	d := startDaemon(t, "--metrics-listen", "unix:"+socket)
	a, b := d.open(t, "vale0:a"), d.open(t, "vale0:b")
	var buf [frameLen]byte
	for i := range uint64(3) {
		a.TxRings()[0].Send(frame(buf[:], 0xff, 1, i))
		must(t, a.Flush(limited(t)))
	}
	_, err := b.PollTimeout(patience, netmap.PollIn)
	must(t, err)
	c := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://netmapd/metrics")
	must(t, err)
	defer resp.Body.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	for _, want := range []string{
		`netmapd_port_frames_total{direction="tx",port="vale0:a",switch="vale0"} 3`,
		`netmapd_switch_addresses{kind="learned",switch="vale0"} 1`,
		`netmapd_sessions 1`,
	} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	must(t, a.Close())
	must(t, b.Close())
}
