package e2e

import (
	"bufio"
	"encoding/json"
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

// Environment of a client process.
const (
	roleEnv = "NETMAPD_E2E_ROLE"
	argsEnv = "NETMAPD_E2E_ARGS" // JSON list of strings
)

// A child is a client process as the test sees it. It and the test talk in
// lines: words to its standard input, words from its standard output.
type child struct {
	role  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	err   logBuffer
	done  chan struct{}
}

// startChild runs a role as a process of its own, which is killed at the end of
// the test if it still runs.
func (d *daemon) startChild(t *testing.T, role string, args ...string) *child {
	t.Helper()
	return d.startChildAs(t, nil, role, args...)
}

func (d *daemon) startChildAs(t *testing.T, who *syscall.Credential, role string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	if who != nil {
		exe = publicCopy(t, exe)
	}
	list, err := json.Marshal(args)
	must(t, err)
	c := &child{role: role, cmd: exec.Command(exe), lines: make(chan string, 64), done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role, argsEnv+"="+string(list), rundir.Env+"="+d.dir)
	c.cmd.Stderr = &c.err
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: who}
	c.in, err = c.cmd.StdinPipe()
	must(t, err)
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	must(t, c.cmd.Start())
	go func() {
		defer close(c.done)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
		close(c.lines)
		_ = c.cmd.Wait()
	}()
	t.Cleanup(func() {
		c.kill()
		if words := c.err.String(); t.Failed() && words != "" {
			t.Logf("process %s: %v %s", c.role, c.cmd.ProcessState, words)
		}
	})
	return c
}

// publicCopy makes a copy of a program that every user can run.
func publicCopy(t *testing.T, exe string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nmdpub")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b, err := os.ReadFile(exe)
	must(t, err)
	copied := filepath.Join(dir, "client")
	must(t, os.WriteFile(copied, b, 0o700))
	must(t, os.Chmod(copied, 0o755)) // whatever the umask is
	must(t, os.Chmod(dir, 0o755))
	return copied
}

// kill is kill -9, without a warning and at any instant.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	for range c.lines { // a reader that stopped would keep it from being waited for
	}
	<-c.done
}

func (c *child) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		t.Fatalf("process %s does not listen: %v %s", c.role, err, c.err.String())
	}
}

// hear returns the next line of the process.
func (c *child) hear(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			<-c.done
			t.Fatalf("process %s ended: %v %s", c.role, c.cmd.ProcessState, c.err.String())
		}
		return line
	case <-time.After(patience):
		t.Fatalf("process %s says nothing for %v: %s", c.role, patience, c.err.String())
	}
	return ""
}

// expect waits for a certain line.
func (c *child) expect(t *testing.T, want string) {
	t.Helper()
	if got := c.hear(t); got != want {
		t.Fatalf("process %s says %q, want %q; %s", c.role, got, want, c.err.String())
	}
}

// ask says a line and decodes the JSON of the answer.
func (c *child) ask(t *testing.T, line string, answer any) {
	t.Helper()
	c.say(t, line)
	must(t, json.Unmarshal([]byte(c.hear(t)), answer))
}

// end closes the conversation and waits for the process to end well.
func (c *child) end(t *testing.T) {
	t.Helper()
	_ = c.in.Close()
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Fatalf("process %s does not end: %s", c.role, c.err.String())
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("process %s: %v %s", c.role, c.cmd.ProcessState, c.err.String())
	}
}

// A talk is the conversation as the process sees it.
type talk struct {
	args  []string
	lines chan string // closed when the test has ended it
}

func (k *talk) say(line string) { fmt.Println(line) }

func (k *talk) sayJSON(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		k.say(string(b))
	}
	return err
}

// hear waits for a line; "" says that there will be none.
func (k *talk) hear() string { return <-k.lines }

// runRole is the main function of a client process.
func runRole(name string) int {
	k := &talk{lines: make(chan string, 64)}
	if err := json.Unmarshal([]byte(os.Getenv(argsEnv)), &k.args); err != nil {
		fmt.Fprintln(os.Stderr, "arguments:", err)
		return 2
	}
	role, ok := roles[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no role is called %q\n", name)
		return 2
	}
	go func() {
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			k.lines <- strings.TrimSpace(s.Text())
		}
		close(k.lines)
	}()
	if err := role(k); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
