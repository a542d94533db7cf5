package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/rundir"
)

// patience bounds every wait. It is generous: passing tests never need it.
const patience = 30 * time.Second

// The programs under test, built once.
var netmapd, nmctl string

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(runRole(role))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := lookAtSources("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "nmdbin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	// Not by its own name, so that whoever ends his netmapd by name spares ours.
	netmapd, nmctl = filepath.Join(dir, "daemon-of-tests"), filepath.Join(dir, "nmctl")
	for _, b := range []struct{ out, pkg, cgo string }{
		{netmapd, "./cmd/netmapd", "1"},
		{nmctl, "./cmd/nmctl", "0"},
	} {
		cmd := exec.Command("go", "build", "-o", b.out, b.pkg)
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+b.cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", b.pkg, err, out)
			return 1
		}
	}
	return m.Run()
}

// lookAtSources walks over the tree. What the tests run is built from it, and go
// test would repeat an old result if it did not see the tests look there.
func lookAtSources(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if name := e.Name(); err == nil && e.IsDir() && path != root && (name == "bin" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		return err
	})
}

// A daemon is a running netmapd.
type daemon struct {
	dir   string
	cmd   *exec.Cmd
	log   logBuffer
	done  chan struct{} // closed when it has ended
	api   *grpc.ClientConn
	stats pb.StatsServiceClient
	ports pb.PortServiceClient
}

// logBuffer collects output of a running process.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startDaemon runs netmapd until the end of the test, and looks then whether
// anything went wrong in it.
func startDaemon(t *testing.T, args ...string) *daemon { return startDaemonEnv(t, nil, args...) }

func startDaemonEnv(t *testing.T, env []string, args ...string) *daemon {
	t.Helper()
	// t.TempDir has the name of the test in it, too long for a socket.
	dir, err := os.MkdirTemp("", "nmd")
	must(t, err)
	d := &daemon{dir: dir, done: make(chan struct{})}
	d.cmd = exec.Command(netmapd, append([]string{"--runtime-dir", dir}, args...)...)
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	// A test that is itself killed shall not leave a daemon behind.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, d.cmd.Start())
	go func() {
		_ = d.cmd.Wait()
		close(d.done)
	}()
	t.Cleanup(func() { d.finish(t) })
	waitFor(t, "the control socket", func() error {
		if !d.alive() {
			t.Fatalf("netmapd ended while starting:\n%s", d.log.String())
		}
		_, err := os.Stat(rundir.ControlSocket(dir))
		return err
	})
	d.api, err = grpc.NewClient("unix:"+rundir.ControlSocket(dir), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	d.stats, d.ports = pb.NewStatsServiceClient(d.api), pb.NewPortServiceClient(d.api)
	return d
}

func (d *daemon) alive() bool {
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

func (d *daemon) pid() int { return d.cmd.Process.Pid }

// finish stops the daemon and judges its life.
func (d *daemon) finish(t *testing.T) {
	t.Helper()
	if d.api != nil {
		_ = d.api.Close()
	}
	if !d.alive() {
		t.Errorf("netmapd ended before the test did: %v", d.cmd.ProcessState)
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
		if code := d.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("netmapd exits with %d (%v) after SIGTERM, want 0", code, d.cmd.ProcessState)
		}
	case <-time.After(patience):
		t.Error("netmapd does not stop after SIGTERM; stacks follow in its log")
		_ = d.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-d.done:
		case <-time.After(5 * time.Second):
			_ = d.cmd.Process.Kill()
			<-d.done
		}
	}
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, "panic") || strings.Contains(line, "level=ERROR") {
			t.Errorf("netmapd logged: %s", line) // no client can make it do that
		}
	}
	for _, s := range []string{rundir.ControlSocket(d.dir), rundir.AttachSocket(d.dir)} {
		if _, err := os.Stat(s); err == nil {
			t.Errorf("netmapd left %s behind", filepath.Base(s))
		}
	}
	if t.Failed() {
		t.Logf("end of the log of netmapd:\n%s", lastLines(d.log.String(), 40))
	}
	_ = os.RemoveAll(d.dir)
}

// lastLines are the last n lines of a log, those that repeat the one before
// left out.
func lastLines(log string, n int) string {
	var lines []string
	said := ""
	for line := range strings.Lines(log) {
		if _, what, _ := strings.Cut(line, " "); what != said { // the time comes first
			said = what
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// waitFor tries again until cond says nil.
func waitFor(t *testing.T, what string, cond func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", patience, what, err)
		}
		time.Sleep(wait)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// limited is a context for one call.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
