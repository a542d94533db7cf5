package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/daemon/control/controltest"
)

func TestCompletionAsksTheDaemon(t *testing.T) {
	state := controltest.Sample()
	state.Ports[2].Name = "eth0;rm\n"
	_, dir := start(t, state)
	tests := []struct{ line, want string }{
		{"port show ", "vale0:gen vale0:sink"},
		{"port delete v", "vale0:gen vale0:sink"},
		{"port show vale0:gen ", ""},
		{"port create ", ""},
		{"switch show ", "vale0"},
		{"switch attach ", "vale0"},
		{"switch attach vale0 ", "vale0:gen vale0:sink"},
		{"switch detach vale0 ", "vale0:gen vale0:sink"},
		{"switch detach vale7 ", ""},
		{"stats vale0:gen ", "vale0:sink"},
		{"port list -o ", "table json yaml"},
		{"port create x --driver ", "auto af_xdp af_packet"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			if got := completions(t, dir, tt.line); strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := completions(t, t.TempDir(), "port show "); len(got) != 0 {
		t.Errorf("without a daemon: %q", got)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := mustRun(t, t.TempDir(), "completion "+shell); !strings.Contains(got, "nmctl") {
			t.Errorf("%s: %d bytes", shell, len(got))
		}
	}
}

// completions are the words that a shell would offer at the end of the line.
func completions(t *testing.T, dir, line string) []string {
	t.Helper()
	args := append([]string{"__complete", "--runtime-dir", dir}, strings.Split(line, " ")...)
	var stdout, stderr strings.Builder
	if status := run(t.Context(), args, &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d, %s", status, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	return slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, ":") })
}
