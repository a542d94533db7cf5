package main

import (
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/netmap/rundir"
)

// limit bounds what a test waits for; nothing that works comes near it.
const limit = 30 * time.Second

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	time.Local = time.UTC // tables show local time
	flag.Parse()
	os.Exit(m.Run())
}

// start serves the plane in a runtime directory and returns that.
func start(t *testing.T, state controltest.State) (plane *controltest.Plane, dir string) {
	t.Helper()
	dir = t.TempDir()
	l, err := net.Listen("unix", rundir.ControlSocket(dir))
	if err != nil {
		t.Fatal(err)
	}
	plane = controltest.New(state)
	s := control.NewServer(plane, control.Options{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		s.Stop(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return plane, dir
}

// result of one command line.
type outcome struct {
	status         int
	stdout, stderr string
}

// nmctl runs a command line, given as one string, against a runtime directory.
func nmctl(t *testing.T, dir, line string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	args := append([]string{"--runtime-dir", dir}, strings.Fields(line)...)
	status := run(ctx, args, &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

// must runs a command line that has to succeed and returns what it printed.
func mustRun(t *testing.T, dir, line string) string {
	t.Helper()
	got := nmctl(t, dir, line)
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("nmctl %s: status %d, %s", line, got.status, got.stderr)
	}
	return got.stdout
}

// uptime is what no two runs have in common.
var uptime = regexp.MustCompile(`(?m)(uptime_seconds"?|Uptime):( +)[0-9a-z]+`)

// golden compares with a file under testdata, which -update writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = uptime.ReplaceAllString(got, "$1:${2}NN")
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s\n(go test ./cmd/nmctl -update rewrites it)", name, got, want)
	}
}
