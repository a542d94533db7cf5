package clib

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap/rundir"
)

// patience bounds every wait. It is generous: passing tests never need it.
const patience = 60 * time.Second

// What the tests run, built once.
var (
	binDir  string
	library string // the interposer
	netmapd string
	noCC    error // why nothing could be built
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nmclib")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binDir, library, netmapd = dir, filepath.Join(dir, "libnetmapd-preload.so"), filepath.Join(dir, "netmapd")
	status := 1
	if err := buildAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		status = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

func buildAll() error {
	if _, noCC = exec.LookPath("gcc"); noCC != nil {
		return nil
	}
	for _, args := range [][]string{
		{"make", "-C", "..", "clib", "BIN=" + binDir, "CC=gcc"},
		{"go", "build", "-o", netmapd, "../cmd/netmapd"},
		{"go", "build", "-o", filepath.Join(binDir, "nmctl"), "../cmd/nmctl"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// compile builds a program of test/ and returns its path.
func compile(t *testing.T, name string, more ...string) string {
	t.Helper()
	if noCC != nil {
		t.Skip("no C compiler:", noCC)
	}
	program := filepath.Join(t.TempDir(), name)
	// Fortified, as distributions build programs: that calls other functions.
	args := append([]string{
		"-std=c11", "-D_GNU_SOURCE", "-O2", "-D_FORTIFY_SOURCE=2", "-Wall", "-Wextra", "-Wno-override-init", "-Werror",
		"-Iinclude", "-o", program, "test/" + name + ".c", "-pthread",
	}, more...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("compile %s: %v\n%s", name, err, out)
	}
	return program
}

// startDaemon runs netmapd until the end of the test and returns its runtime directory.
func startDaemon(t *testing.T) (dir string, cmd *exec.Cmd) {
	t.Helper()
	dir, err := os.MkdirTemp("", "nmd") // t.TempDir has the name of the test in it, too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd = exec.Command(netmapd, "--runtime-dir", dir, "--dpdk-hugepages=never")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-done:
			var exit *exec.ExitError
			if killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL; err != nil && !killed {
				t.Errorf("netmapd: %v\n%s", err, log.String())
			}
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Error("netmapd does not stop")
		}
		_ = os.RemoveAll(dir)
	})
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(rundir.ControlSocket(dir)); err == nil {
			return dir, cmd
		}
		if time.Now().After(end) {
			t.Fatal("netmapd does not start")
		}
	}
}

// under makes a command that runs with the interposer.
func under(t *testing.T, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+library, rundir.Env+"="+dir, "NETMAPD_EXPLAIN=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// The programs each say what they look at.
func TestPrograms(t *testing.T) {
	dir, _ := startDaemon(t)
	for _, c := range []struct {
		name string
		args []string
		env  string
	}{
		{"control", nil, ""},
		{"traffic", []string{"100000"}, ""},
		{"locked", nil, ""},
		{"waits", nil, ""},
		{"waits", nil, "NETMAPD_SPIN=0"},      // sleeps at once
		{"waits", nil, "NETMAPD_SPIN=999999"}, // looks for 10 ms
		{"waits", nil, "NETMAPD_SPIN=1s"},     // nonsense, which changes nothing
		{"epoll", []string{"100000"}, ""},
		{"processes", nil, ""},
		{"rings", nil, ""},
		{"iface", nil, ""},
		{"cycles", []string{"1000"}, ""},
	} {
		t.Run(c.name+c.env, func(t *testing.T) {
			program := compile(t, c.name)
			cmd := under(t, dir, program, c.args...)
			cmd.Env = append(cmd.Env, c.env)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Module parameters, with a daemon of their own: what is set is for all its clients.
func TestParams(t *testing.T) {
	program := compile(t, "params")
	dir, _ := startDaemon(t)
	if out, err := under(t, dir, program).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := under(t, t.TempDir(), program, "absent").CombinedOutput(); err != nil {
		t.Errorf("without a daemon: %v\n%s", err, out)
	}
}

// nmctl run finds the library beside it, and passes arguments and exit status on.
func TestNmctlRun(t *testing.T) {
	program := compile(t, "traffic")
	dir, _ := startDaemon(t)
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{program, "1000"}, 0},
		{[]string{"sh", "-c", `"$0" 1000 && exit 7`, program}, 7}, // through a shell, which never opens netmap
	} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(binDir, "nmctl"), append([]string{"--runtime-dir", dir, "run", "--"}, c.args...)...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != c.status {
			t.Errorf("nmctl run %q: status %d, want %d\n%s", c.args, got, c.status, out)
		}
	}
}

// A sync of a busy program makes no system call: a hundred thousand syncs and polls
// more cost a look at the daemon now and then. Neither does one that moves frames through a pipe, of
// which the daemon's lcores know nothing.
func TestSyncMakesNoSystemCall(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace:", err)
	}
	program := compile(t, "bench")
	dir, _ := startDaemon(t)
	calls := func(args ...string) int {
		trace := exec.CommandContext(t.Context(), "strace", append([]string{
			"-f", "-o", "/dev/stdout", "-E", "LD_PRELOAD=" + library, "-E", rundir.Env + "=" + dir, program,
		}, args...)...)
		out, err := trace.CombinedOutput()
		if err != nil {
			if strings.Contains(string(out), "ptrace") {
				t.Skipf("strace cannot trace here: %s", out)
			}
			t.Fatalf("%v\n%s", err, out)
		}
		return bytes.Count(out, []byte("\n"))
	}
	few, many := calls("1"), calls("25000")
	if many > few+100 {
		t.Errorf("%d system calls for 4 syncs, %d for 100000", few, many)
	}
	if few, many := calls("1", "pipe"), calls("25000", "pipe"); many > few+100 {
		t.Errorf("%d system calls for a batch through a pipe, %d for 25000", few, many)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(binDir, "nmctl"), "--runtime-dir", dir, "lcore", "list", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Lcores []struct{ Packets uint64 }
	}
	if err := json.Unmarshal(out, &list); err != nil || len(list.Lcores) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, lc := range list.Lcores {
		if lc.Packets > 0 {
			t.Errorf("an lcore moved %d frames of the pipe", lc.Packets)
		}
	}
}

// interactive starts a program that says "ready" and then waits for a line.
func interactive(t *testing.T, cmd *exec.Cmd) (stdin io.WriteCloser, stderr *bytes.Buffer) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("the program says %q, %v; %s", line, err, stderr)
	}
	return stdin, stderr
}

// CLS-09: the daemon dies under a program.
func TestDaemonDies(t *testing.T) {
	program := compile(t, "gone")
	dir, daemon := startDaemon(t)
	cmd := under(t, dir, program)
	stdin, stderr := interactive(t, cmd)
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, stderr)
	}
}

// CLS-04: a program dies, and its exclusive rings can be had again.
func TestProgramDies(t *testing.T) {
	program := compile(t, "hold")
	dir, _ := startDaemon(t)
	for range 3 {
		holder := hold(t, dir, program)
		out, err := under(t, dir, program, "vale1:h").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "errno 16") {
			t.Fatalf("an exclusive port was opened twice: %v\n%s", err, out)
		}
		_ = holder.Process.Kill()
		_ = holder.Wait()
	}
	hold(t, dir, program)
}

// hold starts a program that has vale1:h, once whoever had it before is gone.
func hold(t *testing.T, dir, program string) *exec.Cmd {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		cmd := under(t, dir, program, "vale1:h")
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		if line == "ready\n" {
			return cmd
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if time.Now().After(end) {
			t.Fatal("the port of a killed program stays taken")
		}
	}
}

// Without a daemon there is no device, and everything else works.
func TestNoDaemon(t *testing.T) {
	program := compile(t, "hold")
	out, err := under(t, t.TempDir(), program, "vale1:h").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "errno 2,") {
		t.Errorf("%v, %s; want ENOENT", err, out)
	}
	out, err = under(t, t.TempDir(), "sh", "-c", "echo one | cat; (exec 3</dev/null; cat <&3)").CombinedOutput()
	if err != nil || string(out) != "one\n" {
		t.Errorf("sh: %v, %q", err, out)
	}
}

// The C half of the shared test vectors; netmap has the Go half.
func TestSyncVectors(t *testing.T) {
	program := compile(t, "vectors", "src/sync.c", "src/forward.c", "src/indirect.c", "src/usermem.c")
	text, err := os.ReadFile("../ring/testdata/sync.txt")
	if err != nil {
		t.Fatal(err)
	}
	pipes, err := os.ReadFile("../ring/testdata/pipe.txt")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, pipes...)
	var want []string
	for line := range strings.Lines(string(text)) {
		if line != "\n" && line[0] != '#' {
			want = append(want, strings.TrimSuffix(line, "\n"))
		}
	}
	cmd := exec.Command(program)
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d results for %d vectors", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("\n got %s\nwant %s", got[i], want[i])
		}
	}
}
