package port_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/daemon/attach"
	"github.com/netmapd/netmapd/dpdk/eal"
	dpdklcore "github.com/netmapd/netmapd/dpdk/lcore"
	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
	"github.com/netmapd/netmapd/shm"
	"github.com/netmapd/netmapd/test/netns"
)

// patience bounds every wait; passing tests never need it.
const patience = 30 * time.Second

// TestMain runs the tests in a network namespace of their own, over a real EAL.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		fmt.Fprintln(os.Stderr, playRole(role))
		os.Exit(1)
	}
	netns.Isolate()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	eal.SetLog(func(eal.Level, string) {})
	args, _ := eal.PlanArgs(eal.Probe(), eal.Options{Huge: eal.HugeNever})
	if err := eal.Start(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer eal.Stop() //nolint:errcheck // the process ends
	return m.Run()
}

// A bed is a registry over real lcores, behind a real attach server.
type bed struct {
	t      *testing.T
	reg    *port.Registry
	lcores []*lcore.Lcore
	dir    string
	log    *logText

	expected []string // parts of ERROR lines that the test provokes
}

// tiny is a global region that costs little and is soon full.
func tiny() shm.Params {
	return shm.Params{IfNum: 10, IfSize: 1024, RingNum: 40, RingSize: 36864, BufNum: 20000, BufSize: 2048}
}

// newBed makes a bed with some lcores, which ends with the test: empty, and
// without an error in its log.
func newBed(t *testing.T, lcores int, cfg port.Config) *bed {
	return newBedTimeout(t, lcores, patience, cfg)
}

func newBedTimeout(t *testing.T, lcores int, timeout time.Duration, cfg port.Config) *bed {
	t.Helper()
	if cfg.Global == (shm.Params{}) {
		cfg.Global = tiny()
	}
	b := &bed{t: t, log: &logText{}}
	log := slog.New(slog.NewTextHandler(b.log, nil))
	cpus := eal.Probe().CPUs
	for i := range lcores {
		l, err := lcore.Start(lcore.Config{
			ID: i, CPU: cpus[(len(cpus)-1+i)%len(cpus)], CommandTimeout: timeout, StuckInterval: timeout / 10, Logger: log,
			Register: func() (func(), error) {
				_, err := dpdklcore.Register()
				return dpdklcore.Unregister, err
			},
		})
		must(t, err)
		b.lcores = append(b.lcores, l)
	}
	b.reg = port.NewRegistry(cfg, b.lcores, log)
	// t.TempDir has the name of the test in it, too long for a socket.
	dir, err := os.MkdirTemp("", "nmp")
	must(t, err)
	b.dir = dir
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: rundir.AttachSocket(dir), Net: "unixpacket"})
	must(t, err)
	srv := attach.New(b.reg, attach.NewTickets(), access.NewGuard(log), attach.Limits{}, log)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = ln.Close()
		if err := <-served; err != nil {
			t.Errorf("attach server: %v", err)
		}
		srv.Stop()
		b.finish()
		_ = os.RemoveAll(dir)
	})
	return b
}

// finish ends the bed and judges what it leaves.
func (b *bed) finish() {
	snap, err := b.reg.Snapshot(limited(b.t))
	if err == nil && (snap.Descriptors != 0 || snap.Sessions != 0) {
		b.t.Errorf("%d descriptors and %d sessions are left", snap.Descriptors, snap.Sessions)
	}
	b.reg.Close(limited(b.t))
	for _, l := range b.lcores {
		if err := l.Stop(limited(b.t)); err != nil {
			b.t.Error(err)
		}
	}
	for line := range strings.Lines(b.log.String()) {
		if strings.Contains(line, "level=ERROR") && !containsAny(line, b.expected) {
			b.t.Errorf("logged: %s", line)
		}
	}
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// open opens a port as a client program does, until the end of the test.
func (b *bed) open(spec string, opts ...netmap.Option) *netmap.Desc {
	b.t.Helper()
	d, err := b.tryOpen(spec, opts...)
	must(b.t, err)
	return d
}

func (b *bed) tryOpen(spec string, opts ...netmap.Option) (*netmap.Desc, error) {
	d, err := netmap.Open(limited(b.t), spec, append(opts, netmap.WithRuntimeDir(b.dir))...)
	if err == nil {
		b.t.Cleanup(func() {
			if err := d.Close(); err != nil && !errors.Is(err, unix.ENXIO) {
				b.t.Error(err)
			}
		})
	}
	return d, err
}

// close closes a client's port and waits until the daemon's side has done so.
func (b *bed) close(d *netmap.Desc) {
	b.t.Helper()
	before := b.snapshot().Descriptors
	must(b.t, d.Close())
	b.eventually("the close to arrive", func() bool { return b.snapshot().Descriptors < before })
}

var us = port.Caller{PID: os.Getpid(), UID: os.Geteuid(), Command: "test"}

// register binds without a client: for what needs no shared memory.
func (b *bed) register(name string, req *abi.Register) (*port.Desc, error) {
	return b.registerAs(us, name, req)
}

func (b *bed) registerAs(who port.Caller, name string, req *abi.Register) (*port.Desc, error) {
	d, err := b.reg.Register(limited(b.t), who, name, req)
	if err == nil {
		b.t.Cleanup(func() { b.unregister(d) })
	}
	return d, err
}

var unregistered sync.Map // port.Desc has no state for it

func (b *bed) unregister(d *port.Desc) {
	b.t.Helper()
	if _, done := unregistered.LoadOrStore(d, true); !done {
		if err := d.Close(limited(b.t)); err != nil {
			b.t.Errorf("close %s: %v", d.Name(), err)
		}
	}
}

// A view is the shared memory of a descriptor, as a client maps it.
type view struct {
	wire.Bind
	mem abi.Mem
	abi.If
}

func (b *bed) view(d *port.Desc) view {
	b.t.Helper()
	s, err := b.reg.NewSession(us)
	must(b.t, err)
	bind, fds, err := d.Join(limited(b.t), s)
	must(b.t, err)
	raw, err := unix.Mmap(fds[wire.FDRegion], 0, int(bind.RegionSize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(b.t, err)
	_ = unix.Close(fds[wire.FDWake])
	b.reg.EndSession(limited(b.t), s)
	b.t.Cleanup(func() { _ = unix.Munmap(raw) })
	v := view{Bind: bind, mem: abi.NewMem(raw)}
	rings := int(bind.TxRings) + int(bind.HostTxRings) + int(bind.RxRings) + int(bind.HostRxRings)
	v.If, err = v.mem.If(bind.IfOffset, rings)
	must(b.t, err)
	return v
}

// bound tells which entries of ring_ofs are not 0, as a string of 0 and 1.
func (v view) bound() string {
	var s strings.Builder
	for _, ofs := range v.RingOfs {
		s.WriteByte("01"[min(max(ofs, -ofs), 1)])
	}
	return s.String()
}

func (b *bed) snapshot() port.Snapshot {
	b.t.Helper()
	s, err := b.reg.Snapshot(limited(b.t))
	must(b.t, err)
	return s
}

// stats are the counters of the last port of a name, gone or not.
func (b *bed) stats(name string) (st port.Stats) {
	b.t.Helper()
	for _, p := range b.snapshot().Ports {
		if p.Name == name && p.ID > st.ID {
			st = p
		}
	}
	if st.ID == 0 {
		b.t.Fatalf("no statistics of %s", name)
	}
	return st
}

func (b *bed) region(id uint16) (st port.RegionStats) {
	b.t.Helper()
	for _, r := range b.snapshot().Regions {
		if r.ID == id {
			return r
		}
	}
	b.t.Fatalf("no statistics of region %d", id)
	return st
}

// names lists the live ports.
func (b *bed) names() string {
	b.t.Helper()
	ports, err := b.reg.Ports(limited(b.t))
	must(b.t, err)
	var names []string
	for _, p := range ports {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

func (b *bed) eventually(what string, cond func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("waited in vain for %s; log:\n%s", what, b.log)
		}
	}
}

// send sends frames on a TX ring, waiting for room.
func send(t *testing.T, d *netmap.Desc, ring int, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		for end := time.Now().Add(patience); !d.TxRings()[ring].Send(f); {
			must(t, d.TxSync())
			if time.Now().After(end) {
				t.Fatal("no room to send in")
			}
		}
	}
	must(t, d.Flush(limited(t)))
}

// receive waits for n frames on any ring.
func receive(t *testing.T, d *netmap.Desc, n int) (frames [][]byte) {
	t.Helper()
	for f, err := range d.Frames(limited(t)) {
		if err != nil {
			t.Fatalf("received %d frames of %d, then: %v", len(frames), n, err)
		}
		if frames = append(frames, bytes.Clone(f)); len(frames) == n {
			break
		}
	}
	must(t, d.RxSync())
	return frames
}

// nothing checks that no frame is there. Call it when one would have come.
func nothing(t *testing.T, d *netmap.Desc) {
	t.Helper()
	must(t, d.RxSync())
	buf := make([]byte, 2048)
	for _, r := range d.RxRings() {
		if n, ok := r.Recv(buf); ok {
			t.Errorf("a frame that nobody should get: % x", buf[:n])
		}
	}
}

// testEtherType is one that no protocol answers to.
const testEtherType = 0x88b5

// frame makes a frame from one station to another, with content of its own.
func frame(dst, src byte, length, seq int) []byte {
	f := make([]byte, length)
	f[0], f[5], f[6], f[11] = 2, dst, 2, src
	if dst == 0xff {
		copy(f, "\xff\xff\xff\xff\xff\xff")
	}
	binary.BigEndian.PutUint16(f[12:], testEtherType)
	for i := 14; i < length; i++ {
		f[i] = byte(seq + i*7)
	}
	return f
}

const everyone = 0xff

func same(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("frame %d of %d changed:\n% x\nwant\n% x", i, len(got), got[i], want[i])
		}
	}
}

// fails checks that an error has an errno and says certain words.
func fails(t *testing.T, err error, errno unix.Errno, words ...string) {
	t.Helper()
	if !errors.Is(err, errno) {
		t.Fatalf("got %v, want %v", err, errno)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// limited is a context for one call. It ends by itself: a cleanup of the test
// may still need it.
func limited(testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	time.AfterFunc(patience, cancel)
	return ctx
}

// logText collects a log.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
