package packaging

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A daemon that leaves out its checks, to measure what they cost, says so and cannot be installed.
func TestTrustingDaemonIsNotInstalled(t *testing.T) {
	lookAtSources(t)
	const tag = "netmapd_trusting"
	dir := t.TempDir()
	program, dest := filepath.Join(dir, "netmapd"), filepath.Join(dir, "dest")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", tag, "-o", program, "../../cmd/netmapd").CombinedOutput(); err != nil {
		t.Fatalf("go build -tags %s: %v\n%s", tag, err, out)
	}

	install := exec.CommandContext(t.Context(), "../../scripts/install")
	install.Env = append(os.Environ(), "BIN="+dir, "DESTDIR="+dest, "PREFIX=/usr", "SYSCONFDIR=/etc")
	if out, err := install.CombinedOutput(); err == nil || !strings.Contains(string(out), tag) {
		t.Errorf("scripts/install: %v, want a refusal that names %s:\n%s", err, tag, out)
	}
	if _, err := os.Stat(dest); err == nil {
		t.Error("scripts/install left something behind")
	}

	if out, err := exec.CommandContext(t.Context(), program, "--version").CombinedOutput(); err != nil || !strings.Contains(string(out), tag) {
		t.Errorf("netmapd --version: %v, want %s in it:\n%s", err, tag, out)
	}

	daemon := exec.CommandContext(t.Context(), program, "--runtime-dir", filepath.Join(dir, "run"), "--dpdk-hugepages", "never", "--log-level", "error")
	log, err := daemon.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	first, _ := bufio.NewReader(log).ReadString('\n')
	_ = daemon.Process.Kill()
	_ = daemon.Wait()
	if !strings.Contains(first, tag) {
		t.Errorf("the log begins with %q, want a line that names %s", first, tag)
	}
}
