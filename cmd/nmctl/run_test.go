package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRunRefusals(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		line   string
		status int
		want   string
	}{
		{"run", exitUsage, "no program given"},
		{"run --library /nowhere/lib.so -- true", exitError, "no library found at /nowhere/lib.so"},
		{"run --library " + dir + " -- true", exitError, "expected a file"},
		{"run -- true", exitError, "make clib"}, // none lies beside a test binary
	} {
		got := nmctl(t, dir, c.line)
		if got.status != c.status || !strings.Contains(got.stderr, c.want) {
			t.Errorf("nmctl %s: status %d, %q; want %d, %q", c.line, got.status, got.stderr, c.status, c.want)
		}
	}
	lib := filepath.Join(dir, libraryName)
	if err := os.WriteFile(lib, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := nmctl(t, dir, "run --library "+lib+" -- no-such-program-anywhere")
	if got.status != exitError || !strings.Contains(got.stderr, "no-such-program-anywhere") {
		t.Errorf("a program that is not there: status %d, %q", got.status, got.stderr)
	}
}

func TestPreloaded(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		want string
	}{
		{"nothing loaded", []string{"A=1"}, "/l.so"},
		{"another library", []string{"LD_PRELOAD=/x.so", "A=1"}, "/l.so:/x.so"},
		{"nested", []string{"LD_PRELOAD=/l.so", "NETMAPD_RUNTIME_DIR=/old", "A=1"}, "/l.so"},
	} {
		got := preloaded(c.env, "/l.so", "/dir")
		if want := []string{"A=1", "LD_PRELOAD=" + c.want, "NETMAPD_RUNTIME_DIR=/dir"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}
