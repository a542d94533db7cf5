package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of processes: to become ready, and to end after being asked.
const (
	startLimit = 20 * time.Second
	stopLimit  = 5 * time.Second
)

// A proc is a process of the run. It ends with the harness, whatever happens.
type proc struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // of its standard output
	done  chan struct{}

	mu  sync.Mutex
	log bytes.Buffer // the last of both its outputs
}

// procSpec says what to start.
type procSpec struct {
	name string
	argv []string
	env  []string
	cpus []int  // it may run on these
	ns   string // network namespace, "" for ours
}

// start runs a process and ends it at the next cleanup.
func (h *harness) start(s procSpec) (*proc, error) {
	argv := s.argv
	if s.ns != "" {
		argv = append([]string{"ip", "netns", "exec", s.ns}, argv...) // replaces itself: the pid stays
	}
	p := &proc{name: s.name, lines: make(chan string, 4096), done: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), s.env...)
	// Should the harness itself be killed, nothing is left behind. A group of its own keeps ^C for the harness.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = p
	if err := onCPUs(s.cpus, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.name, err)
	}
	go p.read(out)
	h.later(p.stop)
	return p, nil
}

// read passes the lines of the standard output on; lines that nobody takes are dropped.
func (p *proc) read(out io.Reader) {
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 1<<24)
	for sc.Scan() {
		_, _ = p.Write(append(sc.Bytes(), '\n'))
		select {
		case p.lines <- sc.Text():
		default:
		}
	}
	_ = p.cmd.Wait()
	close(p.done)
}

// Write collects output.
func (p *proc) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log.Len() > 1<<16 {
		p.log.Next(1 << 15)
	}
	return p.log.Write(b)
}

// tail is the end of the output, for messages.
func (p *proc) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(p.log.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

func (p *proc) pid() int { return p.cmd.Process.Pid }

// until waits for a line that want accepts.
func (p *proc) until(ctx context.Context, what string, limit time.Duration, want func(line string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		select {
		case l := <-p.lines:
			if want(l) {
				return l, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s: no %s within %v; its output ends with:\n%s", p.name, what, limit, p.tail())
		case <-p.done:
			for len(p.lines) > 0 {
				if l := <-p.lines; want(l) {
					return l, nil
				}
			}
			return "", fmt.Errorf("%s ended (%v) before %s; its output ends with:\n%s", p.name, p.cmd.ProcessState, what, p.tail())
		}
	}
}

// say writes a line to its standard input.
func (p *proc) say(line string) error {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return fmt.Errorf("%s: %w; its output ends with:\n%s", p.name, err, p.tail())
	}
	return nil
}

// stop ends the process by its pid: asked first, then killed.
func (p *proc) stop() {
	_ = p.in.Close()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-p.done:
			return
		default:
		}
		_ = p.cmd.Process.Signal(sig)
		select {
		case <-p.done:
			return
		case <-time.After(stopLimit):
		}
	}
}

// command runs a short command and returns all its output.
func command(ctx context.Context, limit time.Duration, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), err
}

// onCPUs runs f on a thread that may use these CPUs only: a process started by it inherits them.
func onCPUs(list []int, f func() error) error {
	if len(list) == 0 {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	if err := pin(list...); err != nil {
		return err
	}
	err := f()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// pin binds the calling thread.
func pin(list ...int) error {
	var set unix.CPUSet
	for _, c := range list {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("bind a thread to CPUs %v: %w", list, err)
	}
	return nil
}

// cpus says what runs where: the lcore (and what corresponds to it in a peer) has a CPU of its own, all programs share
// the others.
type cpus struct {
	lcore   int
	clients []int
}

func (c cpus) all() []int { return append(append([]int(nil), c.clients...), c.lcore) }

// last is the CPU of a second program, where there are more than two.
func (c cpus) last() []int { return c.clients[len(c.clients)-1:] }

// lcores are the CPUs of n lcores: where there are too few CPUs, some share theirs with programs.
func (c cpus) lcores(n int) []int {
	all := append([]int{c.lcore}, c.clients...)
	return all[:min(n, len(all))]
}

func layout() (c cpus, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return c, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var list []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	if len(list) < 2 {
		return c, fmt.Errorf("the benchmark needs two CPUs, one for the lcore and one for clients; it may use %d", len(list))
	}
	return cpus{lcore: list[len(list)-1], clients: list[:len(list)-1]}, nil
}
