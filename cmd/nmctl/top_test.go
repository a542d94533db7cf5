package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
)

func TestTopPicture(t *testing.T) {
	last, now := twoSnapshots()
	order := func(o topOptions) string {
		var names []string
		for _, p := range o.picture(last, now).Ports {
			names = append(names, p.Name)
		}
		return strings.Join(names, " ")
	}
	for _, tt := range []struct {
		o    topOptions
		want string
	}{
		{topOptions{sort: "tx"}, "vale0:1 vale0:2"},
		{topOptions{sort: "rx"}, "vale0:2 vale0:1"},
		{topOptions{sort: "bits"}, "vale0:1 vale0:2"},
		{topOptions{sort: "drops"}, "vale0:1 vale0:2"},
		{topOptions{sort: "name", filter: "*:2"}, "vale0:2"},
		{topOptions{sort: "rx", limit: 1}, "vale0:2"},
		{topOptions{sort: "rx", filter: "eth*"}, ""},
	} {
		if got := order(tt.o); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.o, got, tt.want)
		}
	}
	for _, format := range formats {
		var out bytes.Buffer
		o := topOptions{sort: "drops", limit: 1, once: true}
		if err := o.draw(&printer{w: &out, format: format}, o.picture(last, now)); err != nil {
			t.Fatal(err)
		}
		golden(t, "top."+format, out.String())
	}
}

func TestTopOnce(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	got := mustRun(t, dir, "top --once --interval 100ms --filter vale0:*")
	if !strings.Contains(got, "vale0:gen") || strings.Contains(got, "eth0") || strings.Contains(got, "\x1b") || !strings.Contains(got, "CYCLES/PACKET") {
		t.Errorf("got %q", got)
	}
	for _, line := range []string{"top --sort size", "top --filter [", "top --limit -1", "top x"} {
		if got := nmctl(t, dir, line); got.status != exitUsage {
			t.Errorf("%s: status %d, %s", line, got.status, got.stderr)
		}
	}
}

// It draws until it is interrupted, each picture over the last.
func TestTopUntilInterrupted(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	first := make(chan string, 1)
	go func() {
		buf := make([]byte, 4096)
		n, _ := reader.Read(buf)
		first <- string(buf[:n])
		cancel()
		_, _ = io.Copy(io.Discard, reader)
	}()
	var stderr bytes.Buffer
	if status := run(ctx, []string{"--runtime-dir", dir, "top", "--interval", "100ms"}, writer, &stderr); status != exitOK {
		t.Errorf("status %d, %s", status, stderr.String())
	}
	if got := <-first; !strings.HasPrefix(got, "\x1b[H") || !strings.HasSuffix(got, "\x1b[J") {
		t.Errorf("drew %q", got)
	}
}

func TestLcoreState(t *testing.T) {
	for want, s := range map[string]*pb.LcoreStats{
		"by timer": {SilentUnits: 1, Mode: pb.LcoreMode_LCORE_MODE_ADAPTIVE},
		" ok ":     {SilentUnits: 1, Mode: pb.LcoreMode_LCORE_MODE_POLL},
		"STUCK":    {SilentUnits: 1, Stuck: true},
	} {
		var out bytes.Buffer
		l := lcoreList{Lcores: []lcoreView{viewLcorePorts(&pb.Lcore{Stats: s})}}
		if err := (&printer{w: &out, format: formatTable}).print(l); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v: %s, want %q", s, out.String(), want)
		}
	}
}
