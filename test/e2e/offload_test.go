package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/test/netns"
)

// A machine is a host whose network card is a port with virtio-net headers, as a
// virtual machine's is: its stack leaves checksums and the segmentation of TCP to
// the card, a tap, and a program moves packets between tap and port.
type machine struct {
	*netns.NS
	port  *netmap.Desc
	large atomic.Int64 // packets that were sent to be segmented
	long  atomic.Int64 // the longest frame that came
}

// untilEnd runs functions until the test ends, and wants no other end of them.
func untilEnd(t *testing.T, unblock func(), run ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, f := range run {
		wg.Go(func() {
			if err := f(ctx); ctx.Err() == nil {
				t.Errorf("ended too early: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		unblock()
		wg.Wait()
	})
}

func (d *daemon) newMachine(t *testing.T, port string, addresses ...string) *machine {
	t.Helper()
	m := &machine{NS: netns.New(t)}
	tap := m.Tap(t, "eth0")
	for _, a := range addresses {
		m.Addr(t, "eth0", a)
	}
	m.port = d.open(t, port, netmap.WithVnetHeader())
	must(t, m.port.SetVnetHeader(limited(t), netns.VnetHeaderLen))
	if n, err := m.port.VnetHeader(limited(t)); err != nil || n != netns.VnetHeaderLen {
		t.Fatalf("the header length is %d, %v", n, err)
	}
	untilEnd(t, func() { _ = tap.Close() },
		func(ctx context.Context) error { return m.send(ctx, tap) },
		func(ctx context.Context) error { return m.receive(ctx, tap) })
	return m
}

func (m *machine) send(ctx context.Context, tap *os.File) error {
	buf := make([]byte, 1<<17)
	for {
		n, err := tap.Read(buf)
		if err != nil {
			return err
		}
		if buf[1] != 0 { // type of segmentation
			m.large.Add(1)
		}
		if err := put(ctx, m.port, buf[:n]); err != nil {
			return err
		}
	}
}

// put sends a frame, waiting for room.
func put(ctx context.Context, d *netmap.Desc, frame []byte) error {
	for !d.TxRings()[0].Send(frame) {
		if _, err := d.Poll(ctx, netmap.PollOut); err != nil {
			return err
		}
	}
	return d.TxSync()
}

func (m *machine) receive(ctx context.Context, tap *os.File) error {
	for f, err := range m.port.Frames(ctx) {
		if err != nil {
			return err
		}
		m.long.Store(max(m.long.Load(), int64(len(f)-netns.VnetHeaderLen)))
		if _, err := tap.Write(f); err != nil {
			return err
		}
	}
	return errors.New("no more frames")
}

// badSums is how many TCP segments with wrong checksums a host has received.
func (m *machine) badSums(t *testing.T) string { return badSums(t, m.NS) }

func badSums(t *testing.T, n *netns.NS) (count string) {
	t.Helper()
	n.Do(t, func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names []string
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if f[0] != "Tcp:" {
				continue
			}
			for i, name := range names {
				if name == "InCsumErrors" {
					count = f[i]
				}
			}
			names = f
		}
		return nil
	})
	if count == "" {
		t.Fatal("the kernel does not say how many checksums were wrong")
	}
	return count
}

// segmented checks that what one port sent whole left for the other in pieces.
func (d *daemon) segmented(t *testing.T, from *machine, source, destination string) {
	t.Helper()
	s := d.snapshot(t)
	sent, got := portStats(t, s, source), portStats(t, s, destination)
	t.Logf("%s sent %d frames, %d of them large; %s got %d", source, sent.GetTx().GetFrames(), from.large.Load(), destination, got.GetRx().GetFrames())
	if from.large.Load() < 100 || got.GetRx().GetFrames() < 2*sent.GetTx().GetFrames() {
		t.Errorf("little was segmented: %d large packets", from.large.Load())
	}
	for _, p := range []*pb.PortStats{sent, got} {
		if p.GetDrops()["bad_offload"] != 0 || p.GetDrops()["bad_header"] != 0 {
			t.Errorf("drops of %s: %v", p.GetName(), p.GetDrops())
		}
	}
}

// TestOffloads: TCP between hosts that leave checksums and segmentation to their
// network cards crosses ports without headers.
func TestOffloads(t *testing.T) {
	const size = 16 << 20
	netns.New(t) // or skip
	tcpcopy := filepath.Join(t.TempDir(), "tcpcopy")
	if out, err := exec.Command("go", "build", "-o", tcpcopy, "../tools/tcpcopy").CombinedOutput(); err != nil {
		t.Fatalf("build tcpcopy: %v\n%s", err, out)
	}
	stream := func(t *testing.T, from, to *netns.NS, host string) {
		t.Helper()
		startTransfer(t, tcpcopy, from, to, net.JoinHostPort(host, "7000"), size).finish(t, size)
	}

	// Two switches, joined by a program that knows nothing of headers.
	t.Run("program", func(t *testing.T) {
		d := startDaemon(t)
		a := d.newMachine(t, "vale1:a", "10.99.2.1/24", "fd99::1/64")
		b := d.newMachine(t, "vale2:b", "10.99.2.2/24", "fd99::2/64")
		m, n := d.open(t, "vale1:m"), d.open(t, "vale2:n")
		carry := func(from, to *netmap.Desc) func(context.Context) error {
			return func(ctx context.Context) error {
				for f, err := range from.Frames(ctx) {
					if err == nil && len(f) > 1514 {
						err = fmt.Errorf("%s got a frame of %d bytes", from.PortName(), len(f))
					}
					if err == nil {
						err = put(ctx, to, f)
					}
					if err != nil {
						return err
					}
				}
				return nil
			}
		}
		untilEnd(t, func() {}, carry(m, n), carry(n, m))
		stream(t, a.NS, b.NS, "10.99.2.2")
		d.segmented(t, a, "vale1:a", "vale1:m")
		stream(t, b.NS, a.NS, "fd99::1")
		d.segmented(t, b, "vale2:b", "vale2:n")
		if x, y := a.badSums(t), b.badSums(t); x != "0" || y != "0" {
			t.Errorf("%s and %s TCP segments came with wrong checksums", x, y)
		}
		// On one switch a port with headers gets packets whole.
		if a.long.Load() > 1514 || b.long.Load() > 1514 {
			t.Errorf("frames of %d and %d bytes came through ports without headers", a.long.Load(), b.long.Load())
		}
	})

	// Two machines on one switch: nothing is cut.
	t.Run("machines", func(t *testing.T) {
		d := startDaemon(t)
		a := d.newMachine(t, "vale1:a", "10.99.3.1/24")
		b := d.newMachine(t, "vale1:b", "10.99.3.2/24")
		stream(t, a.NS, b.NS, "10.99.3.2")
		if b.long.Load() < 10000 {
			t.Errorf("the longest packet between two machines has %d bytes", b.long.Load())
		}
	})

	t.Run("kernel interface", func(t *testing.T) {
		host, sw := netns.New(t), netns.New(t)
		netns.Veth(t, sw, portB, host, "eth0")
		host.Addr(t, "eth0", hostB+"/24")
		sw.Enter(t)
		d := startDaemon(t, "--interfaces-driver", "af_packet")
		a := d.newMachine(t, "vale1:a", hostA+"/24")
		_, err := pb.NewSwitchServiceClient(d.api).AttachToSwitch(limited(t), &pb.AttachToSwitchRequest{Switch: "vale1", Port: portB})
		must(t, err)
		stream(t, a.NS, host, hostB)
		d.segmented(t, a, "vale1:a", portB)
		stream(t, host, a.NS, hostA)
		if x, y := a.badSums(t), badSums(t, host); x != "0" || y != "0" {
			t.Errorf("%s and %s TCP segments came with wrong checksums", x, y)
		}
	})
}
