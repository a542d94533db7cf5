package e2e

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/rundir"
)

// A thousand processes open a port, send and are killed. The daemon then holds
// what it held after a hundred of them.
func TestThousandKills(t *testing.T) {
	// There is no way to force a collection from outside; an eager collector
	// comes close.
	d := startDaemonEnv(t, []string{"GOGC=10"})
	keeper := d.open(t, "vale0:keeper@1") // keeps the shared region in use
	cycle := func(i int) {
		t.Helper()
		port := "vale0:victim"
		if i%2 == 1 {
			port += "@1"
		}
		c := d.startChild(t, "sender", port)
		c.expect(t, "sent")
		c.kill()
	}
	for i := range 100 {
		cycle(i)
	}
	alone := func() string {
		t.Helper()
		waitFor(t, "the last client to go", func() error {
			if s := d.snapshot(t); s.GetSessions() != 1 || s.GetDescriptors() != 1 {
				return fmt.Errorf("%d sessions, %d descriptors", s.GetSessions(), s.GetDescriptors())
			}
			return nil
		})
		return d.settled(t)
	}
	before, memory := alone(), d.residentKB(t)
	for i := 100; i < 1000; i++ {
		cycle(i)
	}
	d.returnsTo(t, before)
	if grown := d.residentKB(t) - memory; grown > 8<<10 {
		t.Errorf("resident memory grew by %d KiB from %d KiB", grown, memory)
	} else {
		t.Logf("resident memory: %d KiB, and %+d KiB after 900 more", memory, grown)
	}
	must(t, keeper.Close())
}

// residentKB is the resident memory of the daemon's own, in KiB.
func (d *daemon) residentKB(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid()))
	must(t, err)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			must(t, err)
			return n
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// Two ports, a sender faster than the receiver: sent = received + the drops that
// are counted, exactly, once both have ended.
func TestExactAccounting(t *testing.T) {
	d := startDaemon(t)
	const n = 2_000_000
	to := d.startChild(t, "sink", "vale0:2", "300us")
	to.expect(t, "ready")
	from := d.startChild(t, "flood", "vale0:1", "2", "1", strconv.Itoa(n))
	from.expect(t, "ready")
	from.say(t, "go")
	var got counts
	line := from.hear(t)
	for line == "sending" {
		line = from.hear(t)
	}
	if line != fmt.Sprintf(`{"Sent":%d,"Received":0}`, n) {
		t.Fatalf("the sender says %s", line)
	}
	from.end(t)
	to.expect(t, "receiving")
	to.ask(t, "end", &got)
	to.end(t)
	waitFor(t, "both ports to go", func() error {
		if k := d.snapshot(t).GetDescriptors(); k != 0 {
			return fmt.Errorf("%d descriptors are open", k)
		}
		return nil
	})
	s := d.snapshot(t)
	tx, rx := portStats(t, s, "vale0:1"), portStats(t, s, "vale0:2")
	t.Logf("sender %v, receiver %v", tx, rx)
	if tx.GetTx().GetFrames() != n || tx.GetTx().GetBytes() != n*frameLen {
		t.Errorf("%d frames sent, the daemon counts %v", n, tx.GetTx())
	}
	if rx.GetRx().GetFrames() != got.Received {
		t.Errorf("%d frames received, the daemon counts %v", got.Received, rx.GetRx())
	}
	if lost := dropped(tx) + dropped(rx); got.Received+lost != n {
		t.Errorf("%d sent, %d received, %d dropped: %d are missing", n, got.Received, lost, n-int64(got.Received+lost))
	}
	if rx.GetDrops()["ring_full"] == 0 {
		t.Error("the receiver was not slower than the sender: this run proves little")
	}
}

// Two silent clients cost next to nothing, and a frame still arrives.
//
// The kernel charges CPU time by the tick: on a machine whose CPUs are taken away for a while it charges all of that
// while to who ran last. So one span proves nothing; what an idle daemon does costs in every one of them.
func TestIdle(t *testing.T) {
	d := startDaemon(t)
	a, b := d.open(t, "vale0:a"), d.open(t, "vale0:b")
	time.Sleep(time.Second) // what the start left to do
	if d.cpuTime(t) == 0 {
		t.Fatal("the daemon started without using the CPU: the measurement is wrong")
	}
	var shares []float64 // per cent of one CPU
	for range 5 {
		cpu, start := d.cpuTime(t), time.Now()
		time.Sleep(2 * time.Second)
		shares = append(shares, 100*float64(d.cpuTime(t)-cpu)/float64(time.Since(start)))
	}
	slices.Sort(shares)
	t.Logf("%.1f %% of a CPU", shares)
	if median := shares[len(shares)/2]; median >= 1 {
		t.Errorf("an idle daemon used %.1f %% of a CPU in five spans of 2 s, want a median below 1 %%", shares)
	}
	var buf [frameLen]byte
	for i := range uint64(3) {
		a.TxRings()[0].Send(frame(buf[:], 0xff, 1, i))
		must(t, a.TxSync())
		receive(t, b, i)
		b.TxRings()[0].Send(frame(buf[:], 1, 2, i))
		_, err := b.PollTimeout(0, netmap.PollOut)
		must(t, err)
		receive(t, a, i)
		time.Sleep(20 * time.Millisecond) // asleep again
	}
	must(t, a.Close())
	must(t, b.Close())
}

// cpuTime is what the daemon has used, in the kernel's ticks of 10 ms.
func (d *daemon) cpuTime(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid()))
	must(t, err)
	_, rest, _ := strings.Cut(string(b), ") ") // the name may have spaces
	fields := strings.Fields(rest)
	var ticks int
	for _, f := range fields[11:13] { // utime, stime (proc(5))
		n, err := strconv.Atoi(f)
		must(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// A ticket of the gRPC API opens its port once, for the user who asked for it.
func TestTickets(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	issue := func(spec string) [16]byte {
		t.Helper()
		r, err := d.ports.AttachPort(limited(t), &pb.AttachPortRequest{Spec: spec, ExtraBuffers: 3})
		must(t, err)
		if want := rundir.AttachSocket(d.dir); r.GetAttachSocket() != want {
			t.Errorf("attach socket %s, want %s", r.GetAttachSocket(), want)
		}
		if life := time.Until(r.GetExpires().AsTime()); life > 10*time.Second {
			t.Errorf("the ticket lives for %v, want 10 s", life)
		}
		return [16]byte(r.GetTicket())
	}
	ticket := issue("vale0:ticket")
	desc, err := netmap.Redeem(limited(t), ticket, netmap.WithRuntimeDir(d.dir))
	must(t, err)
	if desc.PortName() != "vale0:ticket" || len(desc.ExtraBufs()) != 3 {
		t.Errorf("bound to %s with %d extra buffers, want vale0:ticket with 3", desc.PortName(), len(desc.ExtraBufs()))
	}
	peer := d.open(t, "vale0:peer")
	var buf [frameLen]byte
	desc.TxRings()[0].Send(frame(buf[:], 0xff, 1, 1))
	must(t, desc.TxSync())
	receive(t, peer, 1)
	must(t, peer.Close())

	if _, err := netmap.Redeem(limited(t), ticket, netmap.WithRuntimeDir(d.dir)); err == nil || !strings.Contains(err.Error(), "unknown, or used before") {
		t.Errorf("redeemed twice: %v", err)
	}
	must(t, desc.Close())

	// Another process of the same user may redeem it.
	ticket = issue("vale0:other")
	c := d.startChild(t, "redeem", hex.EncodeToString(ticket[:]))
	c.expect(t, "bound vale0:other")
	c.end(t)
	w.progress(t)
	w.undisturbed(t)
}

// Another user cannot, even if he could connect.
func TestTicketOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can run a process as another user")
	}
	d := startDaemon(t)
	w := d.watch(t)
	r, err := d.ports.AttachPort(limited(t), &pb.AttachPortRequest{Spec: "vale0:ticket"})
	must(t, err)
	const nobody = 65534
	who := &syscall.Credential{Uid: nobody, Gid: nobody}
	ticket := hex.EncodeToString(r.GetTicket())

	// The socket is closed to him to begin with.
	c := d.startChildAs(t, who, "redeem", ticket)
	if line := c.hear(t); !strings.Contains(line, "not allowed to connect") {
		t.Errorf("another user connects: %s", line)
	}
	must(t, os.Chmod(d.dir, 0o755))
	must(t, os.Chmod(rundir.AttachSocket(d.dir), 0o666))
	c = d.startChildAs(t, who, "redeem", ticket)
	if line := c.hear(t); !strings.Contains(line, "issued to uid 0, presented by uid 65534") {
		t.Errorf("another user's attempt: %s", line)
	}
	// The attempt used it up.
	if _, err := netmap.Redeem(limited(t), [16]byte(r.GetTicket()), netmap.WithRuntimeDir(d.dir)); err == nil {
		t.Error("a ticket that somebody else presented still works")
	}
	w.undisturbed(t)
}
