package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/test/flows"
)

// nmctl is built when the first test wants it. The upstream tools are no part of the repository; ours are held to the
// same lines, as processes of their own.
var nmctl = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "nmctl")
	build := exec.Command("go", "build", "-o", path, "./cmd/nmctl")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nmctl: %w\n%s", err, out)
	}
	return path, nil
})

// A tool is nmctl at work.
type tool struct {
	cmd  *exec.Cmd
	out  logBuffer
	done chan struct{}
	err  error
}

// tool runs nmctl with arguments, and returns when it printed what shows that it has begun, or ended.
func (e *env) tool(says string, args ...string) *tool {
	e.Helper()
	path, err := nmctl()
	e.must(err)
	t := &tool{cmd: exec.Command(path, append([]string{"--runtime-dir", e.daemon.dir}, args...)...), done: make(chan struct{})}
	t.cmd.Stdout, t.cmd.Stderr = &t.out, &t.out
	e.must(t.cmd.Start())
	go func() { t.err = t.cmd.Wait(); close(t.done) }()
	e.Cleanup(func() { t.end() })
	e.waitFor(strings.Join(args, " "), func() error {
		select {
		case <-t.done:
			return nil
		default:
		}
		if !strings.Contains(t.out.String(), says) {
			return fmt.Errorf("it printed %q", t.out.String())
		}
		return nil
	})
	return t
}

// end interrupts the tool and returns what it printed.
func (t *tool) end() string {
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	<-t.done
	return t.out.String()
}

func (e *env) desc(name string) *netmap.Desc {
	e.Helper()
	d, err := netmap.Open(e.limited(), name, netmap.WithRuntimeDir(e.daemon.dir))
	e.must(err)
	e.Cleanup(func() { _ = d.Close() })
	return d
}

// sink receives from a port until the test ends.
func (e *env) sink(c *flows.Checker, place int, name string) {
	e.Helper()
	d := e.desc(name)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Receive(ctx, place, d) }()
	e.Cleanup(func() { stop(); e.must(<-done) })
}

func (e *env) arrived(c *flows.Checker, sent uint64) {
	e.Helper()
	e.waitFor("the last frames", func() error {
		if c.Got() < sent {
			return fmt.Errorf("%d of %d arrived", c.Got(), sent)
		}
		return nil
	})
}

// unique is a name for a port without a device.
func (e *env) unique() string { return fmt.Sprintf("tl%d", counter.Add(1)) }

func tl01(e *env) {
	sw, pipe := e.vale(), "netmap:"+e.unique()
	for _, c := range []struct{ rx, tx, sent string }{
		{sw + ":rx", sw + ":tx", "20000"}, // a switch may drop some
		{pipe + "}1", pipe + "{1", "5000"},
	} {
		rx := e.tool("Receiving from", "pkt-gen", "-i", c.rx, "-f", "rx", "-n", "5000", "-w", "0")
		tx := e.tool("Sending on", "pkt-gen", "-i", c.tx, "-f", "tx", "-n", c.sent, "-R", "100000", "-w", "0")
		<-rx.done
		if text := rx.out.String(); rx.err != nil || !strings.Contains(text, "Received 5000 packets 300000 bytes") {
			e.Errorf("%s: %v\n%s", c.rx, rx.err, text)
		}
		tx.end()
	}
}

func tl03(e *env) {
	a, b := e.vale(), e.vale()
	for _, c := range []struct{ second, says string }{{b + ":b@share=" + a + ":b", "zero copy supported"}, {b + ":c", "zero copy not supported"}} {
		br := e.tool("zero copy", "bridge", "-i", a+":b", "-i", c.second)
		if !strings.Contains(br.out.String(), c.says) {
			e.Errorf("%s: printed %s", c.second, br.out.String())
		}
		pong := e.tool("Working on", "pkt-gen", "-i", b+":pong", "-f", "pong")
		ping := e.tool("Sending on", "pkt-gen", "-i", a+":ping", "-f", "ping", "-n", "100")
		<-ping.done
		if !strings.Contains(ping.out.String(), "Received 100 answers") {
			e.Errorf("%s: %s", c.second, ping.out.String())
		}
		pong.end()
		br.end()
	}
}

func tl04(e *env) {
	t := e.tool("never", "vale-ctl", "-l", e.vale()+":x")
	<-t.done
	var exit *exec.ExitError
	if !errors.As(t.err, &exit) || exit.ExitCode() != 1 {
		e.Errorf("-l of a switch that is not there: %v", t.err)
	}
	t = e.tool("never", "vale-ctl")
	<-t.done
	if !errors.As(t.err, &exit) || exit.ExitCode() != 1 || strings.Contains(t.out.String(), "nmctl:") {
		e.Errorf("%v, printed %q; want status 1 and no complaint", t.err, t.out.String())
	}
}

func tl05(e *env) {
	const connections, enough, extra = 300, 6000, 500
	name := e.unique()
	in := e.desc("netmap:" + name + "{x")
	id := in.Region().ID()
	used := func() uint64 {
		p := e.region(id).GetBufPool()
		return p.GetTotal() - p.GetFree()
	}
	lb := e.tool("spread over", "lb", "-i", "netmap:"+name+"}x", "-p", "4", "-B", fmt.Sprint(extra))
	pipe := func(i int) string { return fmt.Sprintf("netmap:%s}%d", name, i) }
	e.desc(pipe(0)) // and never reads
	c := flows.NewChecker(connections, 4)
	for i := 1; i < 4; i++ {
		e.sink(c, i, pipe(i))
	}
	before := used()
	// lb drops what comes faster than it can be read, of the others as well: that is a matter of who has the CPU.
	others := func() uint64 {
		r := c.Result(0)
		return min(r.PerSink[1], r.PerSink[2], r.PerSink[3])
	}
	for seq, ctx := uint32(0), e.limited(); others() < enough; seq++ {
		e.must(flows.SendRound(ctx, in, connections, seq))
	}
	text := lb.end()
	if r := c.Result(0); r.Reordered+r.Moved+r.Strange != 0 || !strings.Contains(text, "packets dropped") {
		e.Errorf("%+v\n%s", r, text)
	}
	// The extra buffers are back; lb's own ends of the pipes live on with the others.
	e.waitFor("the extra buffers", func() error {
		if now := used(); now > before-extra {
			return fmt.Errorf("%d buffers in use, %d before, of which %d extra", now, before, extra)
		}
		return nil
	})
}

func tl06(e *env) {
	const connections, frames, window = 100, 20_000, 300
	name, second := e.unique(), e.unique()
	in := e.desc("netmap:" + name + "{x")
	lb := e.tool("spread over", "lb", "-i", "netmap:"+name+"}x", "-p", "2", "-p", second+":2")
	first, last := flows.NewChecker(connections, 2), flows.NewChecker(connections, 2)
	for i := range 2 {
		e.sink(first, i, fmt.Sprintf("netmap:%s}%d", name, i))
		e.sink(last, i, fmt.Sprintf("netmap:%s}%d", second, i))
	}
	sent, err := flows.Send(e.limited(), in, connections, frames, window, last.Got)
	e.must(err)
	for _, c := range []*flows.Checker{first, last} {
		e.arrived(c, sent)
		if err := c.Result(sent).Err(); err != nil {
			e.Errorf("%v\n%s", err, lb.end())
		}
	}
}

func tl07(e *env) {
	const frames, copies = 1000, 3
	a := e.unique()
	in := e.desc("netmap:" + a + "{1")
	c := flows.NewChecker(1, 1)
	e.sink(c, 0, "netmap:"+a+"}2")
	t := e.tool("window", "dedup", "-i", "netmap:"+a+"}1", "-i", "netmap:"+a+"{2", "-W", "1000000000")
	r := in.TxRings()[0]
	for i := range uint32(frames * copies) {
		var f [flows.Length]byte
		flows.Frame(f[:], 0, i/copies)
		for !r.Send(f[:]) {
			_, err := in.Poll(e.limited(), netmap.PollOut)
			e.must(err)
		}
	}
	e.must(in.Flush(e.limited()))
	e.arrived(c, frames)
	text := t.end()
	if err := c.Result(frames).Err(); err != nil || !strings.Contains(text, fmt.Sprintf("%d duplicates left out", frames*(copies-1))) {
		e.Errorf("%v\n%s", err, text)
	}
}
