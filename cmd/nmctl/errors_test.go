package main

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/port"
)

func TestWrongUsageIsStatus2(t *testing.T) {
	tests := []struct{ line, want string }{
		{"", "no command given, expected one of"},
		{"prot", `unknown command "prot", did you mean port?`},
		{"port", "no command given, expected one of create, delete, list, show"},
		{"port lst", `unknown command "lst", did you mean list?`},
		{"port list surplus", "expected no argument, found 1 arguments\nusage: nmctl port list"},
		{"port show", "expected NAME, found 0 arguments\nusage: nmctl port show NAME"},
		{"switch attach vale0", "expected SWITCH and PORT, found 1 arguments"},
		{"port list --frobnicate", "unknown flag: --frobnicate"},
		{"port list -o xml", `--output "xml": expected one of table, json, yaml`},
		{"port list --timeout 0s", "--timeout 0s: expected a time above zero"},
		{"port list --address nowhere", "expected a path, unix:PATH or HOST:PORT"},
		{"port create a --kind nic", `--kind "nic": expected interface, device or persistent`},
		{"port create a --kind unspecified", "expected interface, device or persistent"},
		{"port create a --driver dpdk", `--driver "dpdk": expected auto, af_xdp or af_packet`},
		{"port create a --rings -1", "invalid argument"},
		{"stats --count 3", "--interval and --count need --watch"},
		{"stats --watch --count -1", "--count -1: expected 0 or more"},
		{"stats --watch --interval 1ms", "--interval 1ms: expected 100ms to 1h0m0s"},
		{"port list --interval 1s", "--interval and --count need --watch"},
		{"region list --watch --interval 2h", "--interval 2h0m0s: expected 100ms to 1h0m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			got := nmctl(t, t.TempDir(), tt.line)
			if got.status != exitUsage || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
				t.Errorf("status %d, stdout %q, stderr\n%s\nwant 2 and %q", got.status, got.stdout, got.stderr, tt.want)
			}
		})
	}
}

func TestRefusalsAreStatus1(t *testing.T) {
	tests := []struct{ line, want string }{
		{"port show nobody", `nmctl: show port "nobody": there is no port of this name; nmctl port list shows those there are (no such device or address)`},
		{"port create eth0", "a port of this name exists; delete it first or choose another name"},
		{"port delete vale0:gen", "it is attached to vale0; detach it first"},
		{"switch delete vale0", "it has ports; detach them first"},
		{"stats nobody", "nmctl stats without names shows all"},
		{"port create a/b --slots 9000", "nmctl: netmapd refused the request:\n  name: "},
		{"port create a --slots 9000", "\n  slots: is 9000, at most 8176 is allowed"},
		{"port create a --kind device", "\n  devargs: must not be empty"},
		{"port create a --kind vale", "ports of kind vale are not created"},
	}
	_, dir := start(t, controltest.Sample())
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			got := nmctl(t, dir, tt.line)
			if got.status != exitError || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
				t.Errorf("status %d, stdout %q, stderr\n%s\nwant 1 and\n%s", got.status, got.stdout, got.stderr, tt.want)
			}
		})
	}
}

func TestDaemonThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	socket := rundir.ControlSocket(dir)
	wants := func(line string, wants ...string) {
		t.Helper()
		got := nmctl(t, dir, line)
		for _, want := range wants {
			if got.status != exitError || !strings.Contains(got.stderr, want) {
				t.Errorf("nmctl %s: status %d, stderr\n%s\nwant 1 and %q", line, got.status, got.stderr, want)
			}
		}
	}
	for _, line := range []string{"port list", "stats --watch", "switch create vale0"} {
		wants(line, "cannot reach netmapd at unix:"+socket+": no such file or directory",
			"does not seem to run; start it with\n  netmapd --runtime-dir "+dir, rundir.Env)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	wants("port list", "connection refused", "the netmapd that made it is gone")
	wants("port list --address unix:"+dir+"/other.sock", "unix:"+dir+"/other.sock", "correct --address")
	wants("port list --address ./nothing", "unix:./nothing: no such file")
	wants("port list --address 127.0.0.1:1", "tcp:127.0.0.1:1: connection refused", "is netmapd listening there?")
}

func TestSocketOfAnotherUser(t *testing.T) {
	if err := notReached(target{network: "unix", address: "/s"}, &net.OpError{Err: os.NewSyscallError("connect", unix.EACCES)}); !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("got %v", err)
	}
}

func TestDaemonThatDoesNotAnswer(t *testing.T) {
	_, dir := start(t, controltest.State{Block: make(chan struct{})})
	got := nmctl(t, dir, "port list --timeout 50ms")
	if got.status != exitError || !strings.Contains(got.stderr, "did not answer within 50ms") {
		t.Errorf("status %d, %s", got.status, got.stderr)
	}
}

func TestInterruptedCall(t *testing.T) {
	entered := make(chan struct{}, 1)
	_, dir := start(t, controltest.State{Block: make(chan struct{}), Entered: entered})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	var stderr strings.Builder
	if status := run(ctx, []string{"--runtime-dir", dir, "port", "list"}, io.Discard, &stderr); status != exitError || stderr.String() != "nmctl: interrupted\n" {
		t.Errorf("status %d, %s", status, stderr.String())
	}
}

// A daemon that is there and says it is busy is not one that is not there.
func TestUnavailableFromTheDaemon(t *testing.T) {
	_, dir := start(t, controltest.State{Err: &port.Error{Op: "list", Name: "x", Errno: unix.EAGAIN, Why: "try again"}})
	if got := nmctl(t, dir, "port list"); got.status != exitError || !strings.Contains(got.stderr, "try again") {
		t.Errorf("status %d, %s", got.status, got.stderr)
	}
}

func TestAddress(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	socket := rundir.ControlSocket(dir)
	for _, address := range []string{socket, "unix:" + socket} {
		if got := mustRun(t, "/nowhere", "port list --address "+address); !strings.Contains(got, "eth0") {
			t.Errorf("%s: %s", address, got)
		}
	}
	t.Setenv(rundir.Env, dir)
	var stdout strings.Builder
	if status := run(t.Context(), []string{"port", "list"}, &stdout, io.Discard); status != exitOK {
		t.Errorf("by the environment: status %d", status)
	}
}
