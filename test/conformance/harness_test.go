package conformance

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/test/netns"
)

var update = flag.Bool("update", false, "write docs/conformance.md")

// soak tells whether the full counts of NC are asked for.
var soak = os.Getenv("NETMAPD_SOAK") == "1"

// times is a count of NC, or what ordinary runs do of it.
func times(full, short int) int {
	if soak {
		return full
	}
	return short
}

// patience bounds every wait. Passing tests never need it.
const patience = 30 * time.Second

// moment is how long a test watches for what must not happen. That nothing happens is never proven; a longer time
// would only find more.
const moment = 20 * time.Millisecond

// What the package's tests share.
var (
	netmapdPath string
	buildDir    string
	shared      *daemon
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(runRole(role))
	}
	netns.Isolate() // the daemon must see the interfaces that tests make
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "nmconf"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir) //nolint:errcheck // a temporary directory
	netmapdPath = filepath.Join(buildDir, "netmapd")
	build := exec.Command("go", "build", "-o", netmapdPath, "./cmd/netmapd")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build netmapd: %v\n%s", err, out)
		return 1
	}
	buildDriver()
	// Whatever becomes of the tests, the daemon ends with this thread.
	runtime.LockOSThread()
	if shared, err = startDaemon(&syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	return status
}

// A daemon is a running netmapd.
type daemon struct {
	dir      string
	cmd      *exec.Cmd
	log      logBuffer
	done     chan struct{}
	api      *grpc.ClientConn
	stats    pb.StatsServiceClient
	switches pb.SwitchServiceClient
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

func startDaemon(attr *syscall.SysProcAttr) (*daemon, error) {
	dir, err := os.MkdirTemp("", "nmd")
	if err != nil {
		return nil, err
	}
	d := &daemon{dir: dir, done: make(chan struct{})}
	d.cmd = exec.Command(netmapdPath, "--runtime-dir", dir)
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	d.cmd.SysProcAttr = attr
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.done)
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err = os.Stat(rundir.ControlSocket(dir)); err == nil {
			break
		}
		if !d.alive() || time.Now().After(deadline) {
			return nil, fmt.Errorf("netmapd does not start:\n%s", d.log.String())
		}
	}
	d.api, err = grpc.NewClient("unix:"+rundir.ControlSocket(dir), grpc.WithTransportCredentials(insecure.NewCredentials()))
	d.stats, d.switches = pb.NewStatsServiceClient(d.api), pb.NewSwitchServiceClient(d.api)
	return d, err
}

func (d *daemon) alive() bool {
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// kill ends the daemon as a crash would.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
	_ = d.api.Close()
	_ = os.RemoveAll(d.dir)
}

// stop ends the daemon as an operator would and judges its life.
func (d *daemon) stop() error {
	var errs []error
	if !d.alive() {
		errs = append(errs, fmt.Errorf("netmapd ended before the tests did: %v", d.cmd.ProcessState))
	}
	_ = d.api.Close()
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(patience):
		errs = append(errs, errors.New("netmapd does not stop"))
		_ = d.cmd.Process.Kill()
		<-d.done
	}
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, "panic") || strings.Contains(line, "level=ERROR") && !expected(line) {
			errs = append(errs, fmt.Errorf("netmapd logged: %s", line))
		}
	}
	_ = os.RemoveAll(d.dir)
	return errors.Join(errs...)
}

// expected says whether a test provokes an error in the daemon's log: the driver cannot open an interface of MTU 9000
// (NIC-03), and that of taps complains about kernels without the multiq qdisc (NIC-01).
func expected(line string) bool {
	return strings.Contains(line, "from=dpdk") && slices.ContainsFunc([]string{
		"xsk_configure", "eth_rx_queue_setup", "tap_nl_dump_ext_ack", "qdisc_create_multiq", "eth_dev_tap_create", "tap_mp_req_on_rxtx",
	}, func(call string) bool { return strings.Contains(line, call) })
}

// An env is what a test works with: it is the test, and knows which kind of program it is about.
type env struct {
	*testing.T
	half     half // goHalf or cHalf
	linked   bool // the C program is linked with libnetmap
	daemon   *daemon
	programs []program
}

func newEnv(t *testing.T, h half) *env {
	t.Helper()
	e := &env{T: t, half: h, linked: h == linkedHalf, daemon: shared}
	if h&cHalf != 0 {
		e.half = cHalf
	}
	if e.half == cHalf && driverMissing != "" {
		if _, err := exec.LookPath("cc"); err == nil { // it could be built, and is broken
			t.Fatal(driverMissing)
		}
		t.Skip(driverMissing)
	}
	return e
}

var counter atomic.Uint32

// vale is the name of a switch that no other test uses.
func (e *env) vale() string { return fmt.Sprintf("vale%d", counter.Add(1)) }

// veth makes a pair of interfaces and returns the name of the one that the daemon sees, and the other one's namespace.
func (e *env) veth() (ifname string, peer *netns.NS) {
	e.Helper()
	here := netns.Current(e.T)
	peer = netns.New(e.T)
	ifname = fmt.Sprintf("nm%d", counter.Add(1))
	netns.Veth(e.T, here, ifname, peer, "eth0")
	// The daemon lets go of the interface before it is deleted: what it would say about that is nobody's fault.
	e.Cleanup(func() {
		for _, p := range e.programs {
			p.end()
		}
		e.waitFor("the daemon to let go of "+ifname, func() error {
			if s := e.counters(ifname); s != nil {
				return errors.New("it has it")
			}
			return nil
		})
	})
	return ifname, peer
}

// program starts a netmap program of the half under test. It ends with the test.
func (e *env) program() program {
	e.Helper()
	var p program
	if e.half == cHalf {
		p = startDriver(e, true)
	} else {
		p = newGoProgram(e)
	}
	e.programs = append(e.programs, p)
	return p
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// limited is a context for one call.
func (e *env) limited() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	_ = cancel // the test may be over its cleanups by the time a call ends
	return ctx
}

// waitFor tries again until cond says nil.
func (e *env) waitFor(what string, cond func() error) {
	e.Helper()
	deadline := time.Now().Add(patience)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			e.Fatalf("waited %v for %s: %v", patience, what, err)
		}
		time.Sleep(wait)
	}
}

// region is what the daemon says about a region, nil if there is none of this id.
func (e *env) region(id uint16) *pb.RegionStats {
	e.Helper()
	s, err := e.daemon.stats.GetStats(e.limited(), &pb.GetStatsRequest{})
	e.must(err)
	for _, r := range s.GetSnapshot().GetRegions() {
		if r.GetId() == uint32(id) {
			return r
		}
	}
	return nil
}

// counters are the daemon's counters of a live port, nil if there is none of this name.
func (e *env) counters(port string) *pb.PortStats {
	e.Helper()
	s, err := e.daemon.stats.GetStats(e.limited(), &pb.GetStatsRequest{})
	e.must(err)
	for _, p := range s.GetSnapshot().GetPorts() {
		if p.GetName() == port && !p.GetGone() {
			return p
		}
	}
	return nil
}

// drops is how often the daemon dropped a frame of a port for a reason.
func (e *env) drops(port, reason string) uint64 { return e.counters(port).GetDrops()[reason] }
