package niclab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/test/niclab/talk"
)

// guestEnv names the folder that scripts/guest made.
const guestEnv = "NETMAPD_GUEST"

// lab is the machine, nil where there is none.
var lab *machine

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	base := os.Getenv(guestEnv)
	if base == "" {
		return m.Run() // every test is skipped with the reason
	}
	dir, err := os.MkdirTemp("", "niclab")
	if err == nil {
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
		if err = build(dir); err == nil {
			image := filepath.Join(dir, "image")
			if err = writeImage(image, base, dir); err == nil {
				lab, err = boot(image, filepath.Join(base, "vmlinuz"))
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "niclab:", err)
		return 1
	}
	defer lab.stop()
	return m.Run()
}

// hostifTest is the test of package hostif, for what the guest's kernel has and this machine's may not.
const hostifTest = "hostif.test"

// build builds what the guest runs.
func build(dir string) error {
	for _, b := range []struct{ name, pkg, cgo string }{
		{"netmapd", "./cmd/netmapd", "1"},
		{"nmctl", "./cmd/nmctl", "0"},
		{"guest", "./test/niclab/guest", "0"},
		{hostifTest, "./hostif", "0"},
	} {
		verb := []string{"build"}
		if b.name == hostifTest {
			verb = []string{"test", "-c"}
		}
		cmd := exec.Command("go", append(verb, "-ldflags=-s -w", "-o", filepath.Join(dir, b.name), b.pkg)...)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+b.cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", b.pkg, err, out)
		}
	}
	return nil
}

// theMachine is the machine, or a skip.
func theMachine(t *testing.T) *machine {
	t.Helper()
	if lab == nil {
		t.Skipf("%s is not set: make nic-lab runs these tests", guestEnv)
	}
	return lab
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// try runs a command in the guest.
func (m *machine) try(argv ...string) (talk.Result, error) {
	var r talk.Result
	err := m.call("Agent.Run", talk.Command{Argv: argv, Limit: patience}, &r)
	return r, err
}

// run runs a command that must do well, and returns what it says.
func (m *machine) run(t *testing.T, argv ...string) string {
	t.Helper()
	r, err := m.try(argv...)
	must(t, err)
	if r.Status != 0 {
		t.Fatalf("%s: %s: %s", strings.Join(argv, " "), r.Fate, r.Output)
	}
	return string(r.Output)
}

func (m *machine) write(t *testing.T, path, text string) {
	t.Helper()
	var r talk.Result
	must(t, m.call("Agent.Run", talk.Command{Argv: []string{"sh", "-c", "cat >" + path}, Stdin: []byte(text), Limit: patience}, &r))
	if r.Status != 0 {
		t.Fatalf("write %s: %s: %s", path, r.Fate, r.Output)
	}
}

func (m *machine) call(method string, args, reply any) error {
	return timely(m.agent, method, args, reply)
}

// timely makes a call that cannot hang.
func timely(c *rpc.Client, method string, args, reply any) error {
	call := c.Go(method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(2 * patience):
		return errors.New(method + ": no answer from the guest")
	}
}

// A daemon is a netmapd in the guest.
type daemon struct {
	m       *machine
	dir     string
	pid     int
	api     *grpc.ClientConn
	ports   pb.PortServiceClient
	sw      pb.SwitchServiceClient
	stats   pb.StatsServiceClient
	dead    bool // on purpose
	refuses bool // what it is asked for: DPDK calls that an error
}

// startDaemon runs netmapd with a configuration until the end of the test.
func (m *machine) startDaemon(t *testing.T, config string) *daemon {
	t.Helper()
	d := &daemon{m: m, dir: m.runs + "/" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))}
	m.run(t, "mkdir", "-p", d.dir)
	m.write(t, d.dir+"/netmapd.yaml", config)
	d.start(t)
	t.Cleanup(func() { d.finish(t) })
	return d
}

// start starts the process and waits for its API.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	must(t, d.m.call("Agent.Start", talk.Command{
		Argv: []string{"netmapd", "--config", d.dir + "/netmapd.yaml", "--runtime-dir", d.dir}, Log: d.dir + "/log",
	}, &d.pid))
	d.dead = false
	var err error
	d.api, err = grpc.NewClient("passthrough:///guest", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return d.m.dial(talk.Hello{Socket: rundir.ControlSocket(d.dir)})
		}))
	must(t, err)
	d.ports, d.sw, d.stats = pb.NewPortServiceClient(d.api), pb.NewSwitchServiceClient(d.api), pb.NewStatsServiceClient(d.api)
	if err := d.m.wait("netmapd in the guest", func() error {
		_, err := pb.NewSystemServiceClient(d.api).GetInfo(limited(t), &pb.GetInfoRequest{})
		var r talk.Result
		if err != nil && d.m.call("Agent.Wait", talk.Wait{PID: d.pid}, &r) == nil {
			return fmt.Errorf("%w (%s)", errHopeless, r.Fate)
		}
		return err
	}); err != nil {
		d.dead = true
		t.Fatalf("%v\nits log:\n%s", err, d.log())
	}
}

// kill ends the process at once.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	d.dead = true
	must(t, d.m.call("Agent.Signal", talk.Signal{PID: d.pid, Number: int(syscall.SIGKILL)}, nil))
	var r talk.Result
	must(t, d.m.call("Agent.Wait", talk.Wait{PID: d.pid, Limit: patience}, &r))
	_ = d.api.Close()
}

// finish stops the daemon and judges its life.
func (d *daemon) finish(t *testing.T) {
	t.Helper()
	log := d.log()
	if t.Failed() && !d.dead {
		for _, what := range []string{"port list", "stats", "switch list"} {
			r, err := d.m.try(append([]string{"nmctl", "--runtime-dir", d.dir}, strings.Fields(what)...)...)
			t.Logf("nmctl %s: %v\n%s", what, err, r.Output)
		}
	}
	if !d.dead {
		_ = d.api.Close()
		if err := d.m.call("Agent.Signal", talk.Signal{PID: d.pid, Number: int(syscall.SIGTERM)}, nil); err != nil {
			t.Errorf("netmapd ended before the test did: %v", err)
		}
		var r talk.Result
		if err := d.m.call("Agent.Wait", talk.Wait{PID: d.pid, Limit: patience}, &r); err != nil || r.Status != 0 {
			t.Errorf("netmapd after SIGTERM: %s %v, expected an orderly end", r.Fate, err)
			d.kill(t)
		}
		log = d.log()
	}
	for line := range strings.Lines(log) {
		// EAL says this of every device that was pulled out.
		expected := strings.Contains(line, "Error masking INTx interrupts") || d.refuses && strings.Contains(line, "from=dpdk")
		if !expected && (strings.Contains(line, "panic") || strings.Contains(line, "level=ERROR")) {
			t.Errorf("netmapd logged: %s", line)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(log) {
			if strings.Contains(line, "level=WARN") {
				t.Logf("netmapd logged: %s", line)
			}
		}
		t.Logf("end of the log of netmapd:\n%s", lastLines(log, 60))
	}
}

func (d *daemon) log() string {
	r, err := d.m.try("cat", d.dir+"/log")
	if err != nil {
		return err.Error()
	}
	return string(r.Output)
}

// limited is a context for one call.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A client is a netmap program in the guest.
type client struct {
	rpc *rpc.Client
	talk.Opened
}

// open runs a client and has it open a port.
func (d *daemon) open(t *testing.T, spec string, extra uint32) *client {
	t.Helper()
	c, err := d.tryOpen(t, spec, extra)
	if err != nil {
		t.Fatalf("client: open %s: %v", spec, err)
	}
	return c
}

func (d *daemon) tryOpen(t *testing.T, spec string, extra uint32) (*client, error) {
	t.Helper()
	conn, err := d.m.dial(talk.Hello{Argv: []string{d.m.guest, "client"}})
	must(t, err)
	c := &client{rpc: rpc.NewClient(conn)}
	t.Cleanup(func() { _ = c.rpc.Close() }) // kills it
	return c, timely(c.rpc, "Client.Open", talk.Open{Spec: spec, RuntimeDir: d.dir, ExtraBufs: extra}, &c.Opened)
}

func (c *client) call(t *testing.T, method string, args, reply any) {
	t.Helper()
	if err := timely(c.rpc, "Client."+method, args, reply); err != nil {
		t.Fatalf("client: %s: %v", method, err)
	}
}

func (c *client) close(t *testing.T) {
	t.Helper()
	c.call(t, "Close", struct{}{}, nil)
	_ = c.rpc.Close()
}

// send has the client send frames on one of its rings.
func (c *client) send(t *testing.T, ring int, frames [][]byte) {
	t.Helper()
	var sent int
	c.call(t, "Send", talk.Frames{Ring: ring, Frames: frames}, &sent)
	if sent != len(frames) {
		t.Fatalf("the client sent %d of %d frames", sent, len(frames))
	}
}

// recv has the client wait for as many frames of ours.
func (c *client) recv(t *testing.T, count int) (frames [][]byte) {
	t.Helper()
	for len(frames) < count {
		var got []talk.Got
		c.call(t, "Recv", talk.Want{Count: count - len(frames), Limit: patience}, &got)
		if len(got) == 0 {
			t.Fatalf("%d of %d frames came to the client: numbers %v", len(frames), count, numbers(frames))
		}
		for _, g := range got {
			if talk.Ours(g.Frame) {
				frames = append(frames, g.Frame)
			}
		}
	}
	return frames
}

// lastLines are the last n lines of a text, those that repeat the one before left out.
func lastLines(text string, n int) string {
	var lines []string
	said := ""
	for line := range strings.Lines(text) {
		if _, what, _ := strings.Cut(line, " "); what != said || what == "" {
			said = what
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
