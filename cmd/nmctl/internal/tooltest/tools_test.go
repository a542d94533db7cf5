package tooltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/bridge"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/pktgen"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/rundir"
)

var daemonPath = os.DevNull

func TestMain(m *testing.M) {
	if dir := os.Getenv(joinEnv); dir != "" {
		if err := joinChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nmt")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	daemonPath = filepath.Join(dir, "netmapd")
	build := exec.Command("go", "build", "-o", daemonPath, "github.com/netmapd/netmapd/cmd/netmapd")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build netmapd: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds every wait; passing tests never need it.
const patience = time.Minute

// A bed is a netmapd with the tools that run on it.
type bed struct {
	t   *testing.T
	ctx context.Context
	dir string
	cmd *exec.Cmd
}

func newBed(t *testing.T) *bed {
	t.Helper()
	dir, err := os.MkdirTemp("", "nmt") // t.TempDir is too long for a socket
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b := &bed{t: t, ctx: ctx, dir: dir, cmd: exec.Command(daemonPath, "--runtime-dir", dir, "--dpdk-hugepages=never")}
	log := &buffer{}
	b.cmd.Stdout, b.cmd.Stderr = log, log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	must(t, b.cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = b.cmd.Process.Signal(unix.SIGTERM)
		_ = b.cmd.Wait()
		_ = os.RemoveAll(dir)
		if t.Failed() {
			t.Log(log.String())
		}
	})
	b.waitFor("netmapd", func() bool {
		c, err := net.Dial("unixpacket", rundir.AttachSocket(dir))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return b
}

func (b *bed) waitFor(what string, f func() bool) {
	b.t.Helper()
	for !f() {
		if b.ctx.Err() != nil {
			b.t.Fatalf("%s: still not so after %v", what, patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (b *bed) open(name string) *netmap.Desc {
	b.t.Helper()
	d, err := netmap.Open(b.ctx, name, netmap.WithRuntimeDir(b.dir))
	must(b.t, err)
	b.t.Cleanup(func() { _ = d.Close() })
	return d
}

// A job is a tool at work.
type job struct {
	out    buffer
	stop   context.CancelFunc
	done   chan struct{}
	result pktgen.Result
	err    error
}

// start runs pkt-gen and returns when it has begun.
func (b *bed) start(port, function string, change func(*pktgen.Options)) *job {
	b.t.Helper()
	o := pktgen.Default()
	o.Interface, o.Function = port, function
	if change != nil {
		change(&o)
	}
	j := &job{done: make(chan struct{})}
	var ctx context.Context
	ctx, j.stop = context.WithCancel(b.ctx)
	go func() {
		defer close(j.done)
		j.result, j.err = pktgen.Run(ctx, o, &j.out, netmap.WithRuntimeDir(b.dir))
	}()
	b.t.Cleanup(func() { j.stop(); <-j.done })
	b.waitFor("pkt-gen -f "+function, func() bool {
		select {
		case <-j.done:
			return true
		default:
			return strings.Contains(j.out.String(), "queues")
		}
	})
	return j
}

// A bridgeJob is a bridge at work.
type bridgeJob struct {
	stop   context.CancelFunc
	done   chan struct{}
	result bridge.Result
	err    error
}

func (j *bridgeJob) end() { j.stop(); <-j.done }

// bridge runs a bridge and returns when it has begun.
func (b *bed) bridge(o bridge.Options) (*bridgeJob, *buffer) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	j, out := &bridgeJob{stop: cancel, done: make(chan struct{})}, &buffer{}
	go func() {
		defer close(j.done)
		j.result, j.err = bridge.Run(ctx, o, out, netmap.WithRuntimeDir(b.dir))
	}()
	b.t.Cleanup(j.end)
	b.waitFor("bridge", func() bool { return strings.Contains(out.String(), "zero copy") || stopped(j) })
	return j, out
}

// stopped reports whether a bridge has ended.
func stopped(j *bridgeJob) bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

func (b *bed) end(j *job) pktgen.Result {
	b.t.Helper()
	<-j.done
	if j.err != nil {
		b.t.Errorf("tool failed: %v\n%s", j.err, j.out.String())
	}
	return j.result
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// buffer collects output of something that still runs.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Exactly -n frames are sent, and exactly -n are taken where more come. At a
// rate that the receiver keeps up with all arrive.
func TestSendReceive(t *testing.T) {
	b := newBed(t)
	rx := b.start("vale0:sink", pktgen.FuncRx, func(o *pktgen.Options) { o.Count = 5000 })
	tx := b.start("vale0:gen", pktgen.FuncTx, func(o *pktgen.Options) { o.Count, o.Length, o.Rate = 100_000, 100, 200_000 })
	if r := b.end(tx); r.Frames != 100_000 || r.Bytes != 100*100_000 {
		t.Errorf("sent %+v", r)
	}
	if r := b.end(rx); r.Frames != 5000 || r.Bytes != 100*5000 {
		t.Errorf("received %+v", r)
	}
	for j, want := range map[*job]string{
		tx: `^Sending on vale0:gen: 1 queues, 1 threads and \d+ cpus.\n10.0.0.1:1234 -> .*\n(.* Kpps .*\n)*Sent 100000 packets 10000000 bytes \d+ events 100 bytes each in .* seconds.\nSpeed: .*pps`,
		rx: `^Receiving from vale0:sink: 1 queues, .*\n(.*pps .*\n)*Received 5000 packets 500000 bytes`,
	} {
		if !regexp.MustCompile(want).MatchString(j.out.String()) {
			t.Errorf("printed\n%swant %s", j.out.String(), want)
		}
	}
}

// What is sent is what the options describe, in every buffer, lap after lap.
func TestContent(t *testing.T) {
	b := newBed(t)
	d := b.open("vale0:sink")
	const frames = 3000 // some laps of the rings
	tx := b.start("vale0:gen", pktgen.FuncTx, func(o *pktgen.Options) {
		o.Burst, o.Rate = 16, 100_000
		o.Src, o.SrcMAC = "192.0.2.1-192.0.2.9", "02:00:00:00:00:07"
	})
	got, addrs := 0, map[byte]int{}
	for f, err := range d.Frames(b.ctx) {
		must(t, err)
		if len(f) != 60 || string(f[:14]) != "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x07\x08\x00" || string(f[26:29]) != "\xc0\x00\x02" {
			t.Fatalf("frame %d: %x", got, f)
		}
		addrs[f[29]]++
		if got++; got == frames {
			break
		}
	}
	tx.stop()
	b.end(tx)
	for a := byte(1); a <= 9; a++ { // some frames may have been dropped
		if addrs[a] == 0 || len(addrs) != 9 {
			t.Errorf("addresses came so often: %v", addrs)
		}
	}
}

// An interrupt is an ordinary end, with a summary; so is -W for a receiver.
func TestEnds(t *testing.T) {
	b := newBed(t)
	idle := b.start("vale0:idle", pktgen.FuncRx, func(o *pktgen.Options) { o.WhenIdle = true })
	rx := b.start("vale0:sink", pktgen.FuncRx, nil)
	tx := b.start("vale0:gen", pktgen.FuncTx, func(o *pktgen.Options) { o.Rate = 10_000 })
	b.waitFor("frames", func() bool { return strings.Contains(rx.out.String(), "avg_batch") })
	tx.stop()
	sent := b.end(tx)
	b.end(idle)
	rx.stop()
	got := b.end(rx)
	if sent.Frames == 0 || got.Frames == 0 || got.Frames > sent.Frames {
		t.Errorf("sent %d, received %d", sent.Frames, got.Frames)
	}
	for _, j := range []*job{tx, rx, idle} {
		if !strings.Contains(j.out.String(), "Speed: ") {
			t.Errorf("no summary:\n%s", j.out.String())
		}
	}
}

func TestPingPong(t *testing.T) {
	b := newBed(t)
	pong := b.start("vale0:pong", pktgen.FuncPong, nil)
	ping := b.start("vale0:ping", pktgen.FuncPing, func(o *pktgen.Options) { o.Count, o.SrcMAC = 500, "02:00:00:00:00:01" })
	if r := b.end(ping); r.Frames != 500 {
		t.Errorf("%d pings", r.Frames)
	}
	if !regexp.MustCompile(`Received 500 answers. RTT min [\d.]+ avg [\d.]+ p50 [\d.]+ p99 [\d.]+`).MatchString(ping.out.String()) {
		t.Errorf("printed\n%s", ping.out.String())
	}
	pong.stop()
	if r := b.end(pong); r.Frames != 500 {
		t.Errorf("%d answers", r.Frames)
	}
}

// A bridge joins two switches both ways: ping and pong meet across it.
func TestBridge(t *testing.T) {
	b := newBed(t)
	o := bridge.Default()
	o.Interfaces = []string{"vale1:b", "vale2:b"}
	bridged, out := b.bridge(o)
	b.start("vale2:pong", pktgen.FuncPong, nil)
	ping := b.start("vale1:ping", pktgen.FuncPing, func(o *pktgen.Options) { o.Count, o.Burst, o.Length = 500, 10, 1000 })
	b.end(ping)
	if !strings.Contains(ping.out.String(), "Received 500 answers") {
		t.Errorf("printed\n%s", ping.out.String())
	}
	bridged.end()
	if r := bridged.result; bridged.err != nil || r.Frames[0] < 500 || r.Frames[1] < 500 {
		t.Errorf("carried %v, error %v\n%s", r.Frames, bridged.err, out.String())
	}
}

// When the daemon ends, the tools end with an error that says so.
func TestDaemonEnds(t *testing.T) {
	b := newBed(t)
	jobs := []*job{b.start("vale0:a", pktgen.FuncTx, nil), b.start("vale0:b", pktgen.FuncRx, nil), b.start("vale0:c", pktgen.FuncPong, nil)}
	must(t, b.cmd.Process.Kill())
	for _, j := range jobs {
		<-j.done
		if !errors.Is(j.err, unix.EIO) || !strings.Contains(j.err.Error(), "netmapd is gone") {
			t.Errorf("error %v, want EIO that says that netmapd is gone", j.err)
		}
	}
}

func TestRefusals(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct {
		change func(*pktgen.Options)
		says   string
	}{
		{func(o *pktgen.Options) { o.Length = 3000 }, "buffers"},
		{func(o *pktgen.Options) { o.Interface = "vale0:x/R" }, "rings"},
		{func(o *pktgen.Options) { o.Interface = "nosuchport0" }, "ENXIO"},
		{func(o *pktgen.Options) { o.Interface = "vale0:" }, "name of a port"},
	} {
		o := pktgen.Default()
		o.Interface, o.Function = "vale0:x", pktgen.FuncTx
		c.change(&o)
		if _, err := pktgen.Run(b.ctx, o, &buffer{}, netmap.WithRuntimeDir(b.dir)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error about %s", o.Interface, err, c.says)
		}
	}
}
