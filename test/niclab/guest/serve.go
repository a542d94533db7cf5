package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/netmapd/netmapd/test/niclab/talk"
)

// serve answers the host until the machine is switched off.
func serve(network, address string) error {
	ln, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.Register(&Agent{running: map[int]*process{}}); err != nil {
		return err
	}
	fmt.Println("the guest is ready")
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := answer(server, c); err != nil {
				fmt.Println("guest:", err)
			}
			_ = c.Close()
		}()
	}
}

// answer serves one connection.
func answer(server *rpc.Server, c net.Conn) error {
	hello, err := talk.ReadHello(c)
	switch {
	case err != nil:
		return err
	case hello.RPC:
		server.ServeConn(c)
		return nil
	case hello.Socket != "":
		return relay(c, hello.Socket)
	}
	cmd := exec.Command(hello.Argv[0], hello.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = c, os.Stdout
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, c) // ends with the connection
		_ = cmd.Process.Kill()
	}()
	_ = cmd.Wait() // it is killed, as a rule
	return nil
}

// relay joins a connection to a Unix socket.
func relay(c net.Conn, path string) error {
	s, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, s}, {s, c}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // either end may go at any time
			_ = way[0].Close()
		})
	}
	both.Wait()
	return nil
}

// Agent is what the host can call.
type Agent struct {
	mu      sync.Mutex
	running map[int]*process
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Run runs a command to its end.
func (a *Agent) Run(c talk.Command, r *talk.Result) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Stdin = bytes.NewReader(c.Stdin)
	cmd.WaitDelay = time.Second
	var err error
	r.Output, err = cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%q was killed after %v; its output:\n%s", c.Argv, c.Limit, r.Output)
	}
	r.Status, r.Fate = cmd.ProcessState.ExitCode(), cmd.ProcessState.String()
	return nil
}

// Start starts a command and returns its process id.
func (a *Agent) Start(c talk.Command, pid *int) error {
	out, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = out.Close()
	if err != nil {
		return err
	}
	p := &process{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // Wait tells how it ended
		close(p.done)
	}()
	*pid = cmd.Process.Pid
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running[*pid] = p
	return nil
}

func (a *Agent) find(pid int) (*process, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.running[pid]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("process %d was not started here", pid)
}

// Signal sends a signal to a started process.
func (a *Agent) Signal(s talk.Signal, _ *struct{}) error {
	p, err := a.find(s.PID)
	if err != nil {
		return err
	}
	return p.cmd.Process.Signal(syscall.Signal(s.Number))
}

// Wait waits for the end of a started process.
func (a *Agent) Wait(w talk.Wait, r *talk.Result) error {
	p, err := a.find(w.PID)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		r.Status, r.Fate = p.cmd.ProcessState.ExitCode(), p.cmd.ProcessState.String()
		return nil
	case <-time.After(w.Limit):
		return errors.New("it still runs")
	}
}
