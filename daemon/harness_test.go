package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/test/netns"
	"github.com/netmapd/netmapd/test/servicemanager"
)

// patience bounds every wait; passing tests never need it.
const patience = 30 * time.Second

// netmapd is the program. DPDK starts once per process, so each daemon is one.
var netmapd string

func TestMain(m *testing.M) {
	netns.Isolate() // the daemons may open interfaces
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nmdbin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	netmapd = filepath.Join(dir, "netmapd")
	args := []string{"build", "-o", netmapd}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "../cmd/netmapd")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build netmapd: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A process is a netmapd that was started.
type process struct {
	t       *testing.T
	dir     string
	cmd     *exec.Cmd
	out     output
	manager *servicemanager.Manager
	ended   chan struct{}
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// tempDir is one whose name is short enough for sockets.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nmd")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// launch starts netmapd with a configuration file, "" for none, and returns at once.
func launch(t *testing.T, dir, yaml string) *process {
	t.Helper()
	args := []string{"--runtime-dir", dir, "--dpdk-hugepages=never"} // others may reserve some for a moment
	if yaml != "" {
		args = append(args, "--config", writeConfig(t, yaml))
	}
	return launchCommand(t, dir, exec.Command(netmapd, args...))
}

// launchCommand starts netmapd by a command, which may have an environment of its own.
func launchCommand(t *testing.T, dir string, cmd *exec.Cmd) *process {
	t.Helper()
	manager := servicemanager.New(t)
	cmd.Env = append(cmd.Environ(), manager.Env())
	return launchUnder(t, manager, dir, cmd)
}

// launchUnder starts netmapd by a command of a service manager's.
func launchUnder(t *testing.T, manager *servicemanager.Manager, dir string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, dir: dir, cmd: cmd, manager: manager, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	must(t, p.cmd.Start())
	servicemanager.Started(cmd)
	go func() {
		_ = p.cmd.Wait() // its state says it
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		select {
		case <-p.ended:
		case <-time.After(patience):
			t.Errorf("netmapd %d was killed, and it, or somebody who has its output, is still there", p.cmd.Process.Pid)
		}
		if t.Failed() {
			t.Logf("netmapd %d said:\n%s", p.cmd.Process.Pid, &p.out)
		}
	})
	return p
}

// start starts netmapd and waits until it says that it is ready.
func start(t *testing.T, dir, yaml string) *process {
	t.Helper()
	p := launch(t, dir, yaml)
	if got := p.told(); got != "READY=1" {
		t.Fatalf("netmapd tells systemd %q, want READY=1; log:\n%s", got, &p.out)
	}
	return p
}

func writeConfig(t *testing.T, yaml string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "netmapd.yaml")
	must(t, os.WriteFile(file, []byte(yaml), 0o600))
	return file
}

// told is the next thing that netmapd tells systemd, its status left out, which
// may come at any time.
func (p *process) told() string {
	p.t.Helper()
	for {
		if said := p.said(); !strings.HasPrefix(said, "STATUS=") {
			return said
		}
	}
}

// said is the next thing that netmapd tells systemd.
func (p *process) said() string {
	p.t.Helper()
	select {
	case said := <-p.manager.Said():
		return said
	default:
	}
	select {
	case said := <-p.manager.Said():
		return said
	case <-p.ended:
		p.t.Fatalf("netmapd ended (%v):\n%s", p.cmd.ProcessState, &p.out)
	case <-time.After(patience):
		p.t.Fatal("netmapd tells systemd nothing")
	}
	return ""
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(s))
}

// ends waits for the end. A netmapd that does not come to it is asked what it is doing.
func (p *process) ends() {
	p.t.Helper()
	select {
	case <-p.ended:
		return
	case <-time.After(patience):
	}
	p.signal(syscall.SIGQUIT)
	select {
	case <-p.ended:
	case <-time.After(patience):
	}
	p.t.Fatalf("netmapd does not end; log:\n%s", &p.out)
}

// exits waits for the end and checks the exit code and that no socket is left.
func (p *process) exits(code int) {
	p.t.Helper()
	p.ends()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("netmapd exits with %d (%v), want %d", got, p.cmd.ProcessState, code)
	}
	if strings.Contains(p.out.String(), "panic") || strings.Contains(p.out.String(), "DATA RACE") {
		p.t.Errorf("netmapd said:\n%s", &p.out)
	}
}

// sockets lists the sockets in the runtime directory.
func sockets(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type()&os.ModeSocket != 0 {
			names = append(names, e.Name())
		}
	}
	return names
}

// logs reports whether netmapd says this in its log, which comes on another way than its answers.
func (p *process) logs(words string) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if strings.Contains(p.out.String(), words) {
			return true
		}
	}
	return false
}

// noErrors checks that nothing of level ERROR was logged.
func (p *process) noErrors() {
	p.t.Helper()
	for line := range strings.Lines(p.out.String()) {
		if strings.Contains(line, "level=ERROR") {
			p.t.Errorf("netmapd logged: %s", line)
		}
	}
}

// api connects to the control socket.
func (p *process) api() *grpc.ClientConn {
	p.t.Helper()
	c, err := grpc.NewClient("unix:"+rundir.ControlSocket(p.dir), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(p.t, err)
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// open opens a port as a client.
func (p *process) open(spec string) *netmap.Desc {
	p.t.Helper()
	d, err := netmap.Open(limited(p.t), spec, netmap.WithRuntimeDir(p.dir))
	must(p.t, err)
	p.t.Cleanup(func() { _ = d.Close() })
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
