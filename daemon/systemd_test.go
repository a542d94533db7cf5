package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// saysSoon waits for systemd to be told something that fits.
func (p *process) saysSoon(what string, fits func(said string) bool) {
	p.t.Helper()
	var all []string
	for end := time.Now().Add(patience); time.Now().Before(end); {
		said := p.said()
		if fits(said) {
			return
		}
		all = append(all, said)
	}
	p.t.Fatalf("netmapd does not tell systemd %s, but %q", what, all)
}

// watched starts netmapd as systemd does that has a watchdog for it.
func watched(t *testing.T, limit time.Duration, yaml string) *process {
	t.Helper()
	dir := tempDir(t)
	cmd := exec.Command(netmapd, "--runtime-dir", dir, "--dpdk-hugepages=never", "--config", writeConfig(t, yaml))
	// No collection: it would wait for a thread that a test holds up.
	cmd.Env = append(os.Environ(), "GOGC=off", fmt.Sprintf("WATCHDOG_USEC=%d", limit.Microseconds()))
	p := launchCommand(t, dir, cmd)
	if got := p.told(); got != "READY=1" {
		t.Fatalf("netmapd tells systemd %q, want READY=1; log:\n%s", got, &p.out)
	}
	return p
}

// systemctl status shows what there is and what was refused.
func TestStatus(t *testing.T) {
	dir := tempDir(t)
	file := writeConfig(t, configured)
	p := launchCommand(t, dir, exec.Command(netmapd, "--runtime-dir", dir, "--dpdk-hugepages=never", "--config", file))
	p.saysSoon("how many ports there are", func(said string) bool {
		return strings.HasPrefix(said, "STATUS=2 ports, 0 clients, ")
	})
	client := p.open("vale0:a")
	must(t, os.WriteFile(file, []byte("version: 1\nprots: []\n"), 0o600))
	p.signal(unix.SIGHUP)
	p.saysSoon("of a client and a refused file", func(said string) bool {
		return strings.HasPrefix(said, "STATUS=3 ports, 1 clients, ") && strings.Contains(said, "refused")
	})
	must(t, client.Close())
}

// The watchdog is fed while the lcores make progress, starves when one is held up, and is fed again after.
func TestWatchdog(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root only: it takes ptrace to hold up one thread of a process")
	}
	const limit = 300 * time.Millisecond
	// One that sleeps is not held up, and this one never does for the time of the test.
	p := watched(t, limit, fmt.Sprintf(`
version: 1
lcores:
  - {cpu: %d, spin: 1s}
ports:
  - {name: null0, kind: device, devargs: net_null_w}
switches:
  - {name: vale1, ports: [null0]}
`, allowedCPU(t)))
	for range 3 {
		if got := p.told(); got != "WATCHDOG=1" {
			t.Fatalf("netmapd tells systemd %q, want WATCHDOG=1", got)
		}
	}
	resume := freeze(t, p.cmd.Process.Pid, "lcore-0")
	p.saysSoon("that an lcore is held up", func(said string) bool {
		return said == "STATUS=lcore 0 makes no progress"
	})
	select {
	case said := <-p.manager.Said():
		t.Errorf("with an lcore held up, netmapd tells systemd %q", said)
	case <-time.After(3 * limit):
	}
	resume()
	p.saysSoon("that all is well again", func(said string) bool { return said == "WATCHDOG=1" })
	p.signal(unix.SIGTERM)
	p.exits(0)
}

func allowedCPU(t *testing.T) int {
	t.Helper()
	var set unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &set))
	for cpu := range 1024 {
		if set.IsSet(cpu) {
			return cpu
		}
	}
	t.Skip("no CPU below 1024 is ours")
	return 0
}

// freeze stops one thread of a process, by name, until resume is called.
func freeze(t *testing.T, pid int, name string) (resume func()) {
	t.Helper()
	tid := thread(t, pid, name)
	frozen, gate, done := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread() // a tracer is a thread
		defer close(done)
		err := unix.PtraceAttach(tid)
		for end := time.Now().Add(patience); err == nil; time.Sleep(time.Millisecond) {
			// Without hanging: one wait was seen not to end although the thread had stopped.
			if got, werr := unix.Wait4(tid, nil, unix.WALL|unix.WNOHANG, nil); got == tid || stopped(pid, tid) {
				break
			} else if werr != nil || time.Now().After(end) {
				err = errors.Join(errors.New("the thread does not stop"), werr)
			}
		}
		frozen <- err
		<-gate
		_ = unix.PtraceDetach(tid) // the process may be gone
	}()
	if err := <-frozen; err != nil {
		close(gate)
		t.Skipf("ptrace is not to be had here: %v", err)
	}
	ended := false
	resume = func() {
		if !ended {
			ended = true
			close(gate)
			<-done
		}
	}
	t.Cleanup(resume)
	return resume
}

// stopped says that a tracer holds a thread.
func stopped(pid, tid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	return err == nil && strings.Contains(string(text), "State:\tt")
}

func thread(t *testing.T, pid int, name string) int {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", pid))
	must(t, err)
	for _, file := range names {
		if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == name {
			tid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			must(t, err)
			return tid
		}
	}
	t.Fatalf("netmapd has no thread %s", name)
	return 0
}
