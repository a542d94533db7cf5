package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/test/netns"
)

// A lan is two hosts, namespaces, cabled to a third one where netmapd shall be
// the switch.
type lan struct {
	a, b, sw *netns.NS
	tcpcopy  string
	before   string // of the switch's interfaces
}

// The hosts' addresses and the switch's interfaces.
const (
	hostA, hostB = "10.99.1.1", "10.99.1.2"
	portA, portB = "swa", "swb"
)

func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{a: netns.New(t), b: netns.New(t), sw: netns.New(t), tcpcopy: filepath.Join(t.TempDir(), "tcpcopy")}
	netns.Veth(t, l.sw, portA, l.a, "eth0")
	netns.Veth(t, l.sw, portB, l.b, "eth0")
	l.a.Addr(t, "eth0", hostA+"/24")
	l.b.Addr(t, "eth0", hostB+"/24")
	if out, err := exec.Command("go", "build", "-o", l.tcpcopy, "../tools/tcpcopy").CombinedOutput(); err != nil {
		t.Fatalf("build tcpcopy: %v\n%s", err, out)
	}
	l.before = l.state(t)
	l.sw.Enter(t)
	return l
}

// state describes what can be left behind on the interfaces.
func (l *lan) state(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("%s: %s\n%s: %s", portA, l.sw.State(t, portA), portB, l.sw.State(t, portB))
}

// restored checks that the interfaces are as before.
func (l *lan) restored(t *testing.T, when string) {
	t.Helper()
	if now := l.state(t); now != l.before {
		t.Errorf("%s the interfaces are\n%s\nbefore they were\n%s", when, now, l.before)
	}
}

// join makes a switch of the two interfaces, over the API.
func (l *lan) join(t *testing.T, api grpc.ClientConnInterface) {
	t.Helper()
	sw := pb.NewSwitchServiceClient(api)
	_, err := sw.CreateSwitch(limited(t), &pb.CreateSwitchRequest{Name: "vale1"})
	must(t, err)
	for _, p := range []string{portA, portB} {
		_, err := sw.AttachToSwitch(limited(t), &pb.AttachToSwitchRequest{Switch: "vale1", Port: p})
		must(t, err)
	}
}

// ping has host A ask host B until it answers, and then a few times more.
func (l *lan) ping(t *testing.T) {
	t.Helper()
	var c *icmp.PacketConn
	l.a.Do(t, func() (err error) {
		c, err = icmp.ListenPacket("ip4:icmp", hostA)
		return err
	})
	defer c.Close() //nolint:errcheck // only read from
	for seq := range 5 {
		// The first question may be lost: the hosts' interfaces have only just come up.
		waitFor(t, "an answer to a ping", func() error { return echo(c, seq) })
	}
}

// echo sends an ICMP echo request and waits a moment for the reply.
func echo(c *icmp.PacketConn, seq int) error {
	data := bytes.Repeat([]byte{byte(seq), 0x5a}, 400)
	ask := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 77, Seq: seq, Data: data}}
	b, err := ask.Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := c.WriteTo(b, &net.IPAddr{IP: net.ParseIP(hostB)}); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		reply, err := icmp.ParseMessage(1, buf[:n])
		if err != nil {
			return err
		}
		if e, ok := reply.Body.(*icmp.Echo); ok && reply.Type == ipv4.ICMPTypeEchoReply && e.Seq == seq {
			if !bytes.Equal(e.Data, data) || from.String() != hostB {
				return fmt.Errorf("a reply from %v with other data", from)
			}
			return nil
		}
	}
}

// A transfer is a TCP stream from one host to another.
type transfer struct {
	from, to       *exec.Cmd
	sent, received bytes.Buffer
}

func (l *lan) transfer(t *testing.T, bytes int64) *transfer {
	t.Helper()
	return startTransfer(t, l.tcpcopy, l.a, l.b, net.JoinHostPort(hostB, "7000"), bytes)
}

// startTransfer has one host send so many bytes to an address of another one.
func startTransfer(t *testing.T, tcpcopy string, from, to *netns.NS, addr string, bytes int64) *transfer {
	t.Helper()
	x := &transfer{to: exec.Command(tcpcopy, "-listen", addr), from: exec.Command(tcpcopy, "-connect", addr, "-bytes", fmt.Sprint(bytes))}
	x.to.Stdout, x.to.Stderr, x.from.Stdout, x.from.Stderr = &x.received, &x.received, &x.sent, &x.sent
	must(t, to.Start(x.to))
	must(t, from.Start(x.from))
	t.Cleanup(x.kill)
	return x
}

func (x *transfer) kill() {
	for _, c := range []*exec.Cmd{x.from, x.to} {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}
}

// finish checks that what arrived is what was sent.
func (x *transfer) finish(t *testing.T, bytes int64) {
	t.Helper()
	errFrom, errTo := x.from.Wait(), x.to.Wait()
	want := fmt.Sprintf("%d bytes sha256 ", bytes)
	if errFrom != nil || errTo != nil || !strings.HasPrefix(x.sent.String(), want) || x.sent.String() != x.received.String() {
		t.Errorf("sender (%v): %sreceiver (%v): %s", errFrom, &x.sent, errTo, &x.received)
	}
}

// moved is how many frames the switch took from host A so far.
func moved(t *testing.T, stats pb.StatsServiceClient) uint64 {
	t.Helper()
	r, err := stats.GetStats(limited(t), &pb.GetStatsRequest{})
	must(t, err)
	return portStats(t, r.GetSnapshot(), portA).GetTx().GetFrames()
}

// TestInterfaces: netmapd joins two hosts' kernel interfaces by a switch, and
// leaves the interfaces as they were; also when it was killed in between.
func TestInterfaces(t *testing.T) {
	for _, driver := range []string{"af_packet", "af_xdp"} {
		t.Run(driver, func(t *testing.T) {
			const size = 100 << 20
			l := newLAN(t)
			t.Cleanup(func() { l.restored(t, "after netmapd has stopped") }) // which it does in a cleanup after this one

			killed := l.startVictim(t, "--interfaces-driver", driver)
			l.join(t, killed.api)
			l.ping(t)
			x := l.transfer(t, 1<<40)
			stats := pb.NewStatsServiceClient(killed.api)
			waitFor(t, "the transfer to run", func() error {
				if n := moved(t, stats); n < 2000 {
					return fmt.Errorf("%d frames", n)
				}
				return nil
			})
			if now := l.state(t); now == l.before {
				t.Errorf("the interfaces do not show that they are used: %s", now)
			}
			killed.kill()
			x.kill()
			t.Logf("killed netmapd leaves\n%s", l.state(t))

			d := startDaemon(t, "--interfaces-driver", driver)
			l.join(t, d.api)
			l.ping(t)
			l.transfer(t, size).finish(t, size)
			s := d.snapshot(t)
			for _, name := range []string{portA, portB} {
				if p := portStats(t, s, name); p.GetTx().GetFrames() == 0 || p.GetRx().GetFrames() == 0 {
					t.Errorf("counters of %s: %v", name, p)
				}
			}
			if n := moved(t, d.stats); n < size/1500 {
				t.Errorf("the switch took %d frames, too few for %d bytes", n, size)
			}
			info, err := d.ports.GetPort(limited(t), &pb.GetPortRequest{Name: portA})
			must(t, err)
			if got := info.GetPort().GetDriver(); got != driver {
				t.Errorf("the driver is %q", got)
			}
		})
	}
}

// A victim is a daemon that will be killed: nobody looks how it ends.
type victim struct {
	cmd *exec.Cmd
	log logBuffer
	api *grpc.ClientConn
}

func (l *lan) startVictim(t *testing.T, args ...string) *victim {
	t.Helper()
	dir, err := os.MkdirTemp("", "nmd")
	must(t, err)
	v := &victim{cmd: exec.Command(netmapd, append([]string{"--runtime-dir", dir}, args...)...)}
	v.cmd.Stdout, v.cmd.Stderr = &v.log, &v.log
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, v.cmd.Start())
	v.api, err = grpc.NewClient("unix:"+rundir.ControlSocket(dir), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() {
		v.kill()
		_ = v.api.Close()
		_ = os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("log of the netmapd that was killed:\n%s", v.log.String())
		}
	})
	waitFor(t, "netmapd to answer", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := pb.NewStatsServiceClient(v.api).GetStats(ctx, &pb.GetStatsRequest{}, grpc.WaitForReady(true))
		return err
	})
	return v
}

func (v *victim) kill() {
	if v.cmd.ProcessState == nil {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
	}
}
