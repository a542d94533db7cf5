package niclab

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/test/niclab/talk"
)

// streamer is a client that streams, and the host's end that streams back.
type streamer struct {
	*client
	*dut
	before *pb.PortStats
	sent   int // by the host
}

// stream begins to stream both ways on each port.
func stream(t *testing.T, d *daemon, duts []*dut) (all []*streamer) {
	t.Helper()
	for _, u := range duts {
		c := d.open(t, "netmap:"+u.name, 0)
		s := &streamer{client: c, dut: u, before: d.count(t, u.name)}
		c.call(t, "StartStream", talk.Stream{Dst: station, Src: u.mac, Pace: time.Millisecond}, nil)
		all = append(all, s)
	}
	return all
}

// feed sends a few frames more to each client, and waits until the NICs have them: a cable that is pulled loses what is in it.
func feed(t *testing.T, d *daemon, all []*streamer, n int) {
	t.Helper()
	for _, s := range all {
		for range n {
			s.far.send(t, talk.Frame(mustMAC(s.mac), mustMAC(station), s.sent, talk.MinFrame+s.sent%1400))
			s.sent++
		}
	}
	for _, s := range all {
		d.waitFor(t, "the frames at "+s.name, func() error {
			if got := d.count(t, s.name).GetDevice()["rx_frames"] - s.before.GetDevice()["rx_frames"]; got < uint64(s.sent) {
				return fmt.Errorf("%d of %d have come", got, s.sent)
			}
			return nil
		})
	}
}

// end stops the stream and checks the books of both sides.
func (s *streamer) end(t *testing.T, d *daemon) {
	t.Helper()
	var seen talk.Streamed
	s.call(t, "StopStream", struct{}{}, &seen)
	if seen.Broken != "" {
		t.Errorf("%s: %s", s.name, seen.Broken)
	}
	if seen.Pending > 0 {
		t.Errorf("%s: %d slots never came back", s.name, seen.Pending)
	}
	now := d.count(t, s.name)
	// Reasons of drops that begin with rx_ are about what came in.
	var dropped, refused uint64
	for reason, n := range now.GetDrops() {
		switch n -= s.before.GetDrops()[reason]; reason {
		case "ring_full", "unread":
			refused += n
		default:
			dropped += n
		}
	}
	if tx := now.GetTx().GetFrames() - s.before.GetTx().GetFrames(); tx+dropped != uint64(seen.Sent) {
		t.Errorf("%s: the client sent %d frames, the port counts %d and %d drops", s.name, seen.Sent, tx, dropped)
	}
	rx := now.GetRx().GetFrames() - s.before.GetRx().GetFrames()
	device := now.GetDevice()["rx_frames"] - s.before.GetDevice()["rx_frames"]
	if rx+refused != device || rx < uint64(seen.Received) { // others may have sent to it, too
		t.Errorf("%s: the device received %d frames, the port counts %d and %d drops, the client saw %d of ours", s.name, device, rx, refused, seen.Received)
	}
	// What left the NIC came whole and in order; a cable that is out swallows frames.
	last := map[byte]int{} // of each ring, which the last byte of the source tells
	for _, f := range s.far.recv(t, 0) {
		if before, some := last[f[11]]; !talk.Whole(f) || some && talk.Number(f) <= before {
			t.Errorf("%s: after frame %d came %d: %x", s.name, before, talk.Number(f), f[:min(len(f), 40)])
			break
		}
		last[f[11]] = talk.Number(f)
	}
	if seen.Received != s.sent || len(last) != s.TxRings {
		t.Errorf("%s: %d of %d frames came in, and frames of %d of %d rings came out", s.name, seen.Received, s.sent, len(last), s.TxRings)
	}
	t.Logf("%s: sent %d, received %d, %d lost on the way in", s.name, seen.Sent, seen.Received, seen.Lost)
}

// waitLink waits until the port says that its link is up or down.
func (d *daemon) waitLink(t *testing.T, port string, up bool) {
	t.Helper()
	d.waitFor(t, "the link of "+port, func() error {
		if now := d.port(t, port).GetLinkUp(); now != up {
			return fmt.Errorf("up is %v, want %v", now, up)
		}
		return nil
	})
}

// linkFlaps pulls and plugs the cables of all NICs a hundred times under traffic. Each tenth time the daemon is left to
// notice, and then frames are sent in: a NIC of QEMU's that is sent a frame while it has no link may take none ever after.
func linkFlaps(t *testing.T, d *daemon, duts []*dut) {
	t.Cleanup(func() {
		for _, u := range duts {
			must(t, d.m.qmp.link(u.name, true))
			d.waitLink(t, u.name, true)
		}
	})
	all := stream(t, d, duts)
	for flap := range 100 {
		for _, up := range []bool{false, true} {
			for _, u := range duts {
				must(t, d.m.qmp.link(u.name, up))
			}
			for _, u := range duts {
				if flap%10 == 9 {
					d.waitLink(t, u.name, up)
				}
				if flap == 99 && !up {
					d.waitFor(t, "word of the link", func() error {
						if line := "msg=link port=" + u.name + " up=false"; !strings.Contains(d.log(), line) {
							return errors.New("the log has no " + line)
						}
						return nil
					})
				}
			}
		}
		if flap%10 == 9 {
			feed(t, d, all, 20)
		}
	}
	for _, s := range all {
		s.end(t, d)
		s.close(t)
	}
	for _, u := range duts {
		framesBothWays(t, u)
	}
}

// present tells whether there is a port with its device.
func (d *daemon) present(t *testing.T, port string) bool {
	t.Helper()
	r, err := d.ports.GetPort(limited(t), &pb.GetPortRequest{Name: port})
	if status.Code(err) == codes.NotFound {
		return false
	}
	must(t, err)
	return r.GetPort().GetNic().GetPresent()
}

// unplug pulls a NIC out of its slot under traffic, and puts it back.
func unplug(t *testing.T, u *dut, n *nic, bus int) {
	d, m := u.d, u.d.m
	c := d.open(t, "netmap:"+u.name, 0)
	c.call(t, "StartStream", talk.Stream{Dst: station, Src: u.mac}, nil)
	u.far.recv(t, 10)
	must(t, m.qmp.do("device_del", map[string]any{"id": n.name}))
	must(t, m.qmp.until("DEVICE_DELETED", n.name))
	d.waitFor(t, "the port without its NIC", func() error {
		if d.present(t, u.name) {
			return errors.New("it says that the NIC is there")
		}
		return nil
	})
	var seen talk.Streamed
	c.call(t, "StopStream", struct{}{}, &seen)
	if seen.Broken == "" {
		t.Errorf("a client with a port whose NIC is gone saw nothing: %+v", seen)
	}
	_ = c.rpc.Close()
	must(t, m.qmp.do("device_add", n.properties(bus)))
	m.awaitPCI(t, n)
	m.run(t, "nmctl", "nic", "bind", n.pci)
	d.waitFor(t, "the port with its NIC", func() error {
		if !d.present(t, u.name) {
			return errors.New("it does not say that the NIC is there")
		}
		return nil
	})
	d.waitLink(t, u.name, true)
	u.far.recv(t, 0)
	framesBothWays(t, u)
}

// awaitPCI waits until the guest's kernel has a NIC that was plugged in.
func (m *machine) awaitPCI(t *testing.T, n *nic) {
	t.Helper()
	m.run(t, "sh", "-c", "i=0; until [ -e /sys/bus/pci/devices/"+n.pci+" ] || [ $i = 600 ]; do usleep 100000; i=$((i+1)); done")
}

// TestCrash kills the daemon while it forwards. The next one finds the same NICs in whatever state they were left.
func TestCrash(t *testing.T) {
	m := theMachine(t)
	m.hugepages(t, 96)
	m.bind(t, "vfio-pci")
	d := m.startDaemon(t, m.config(legacy)+"switches:\n- {name: vale1, ports: [e1000, virtio]}\n- {name: vale2, ports: [e1000e, vmxnet3]}\n")
	forward := func(rounds int) {
		duts := d.duts(t)
		for _, p := range [][2]*dut{{duts[0], duts[1]}, {duts[2], duts[3]}} {
			d.waitLink(t, p[0].name, true)
			d.waitLink(t, p[1].name, true)
			frames := series("02:00:00:00:00:02", station, batch)
			for range rounds {
				p[0].far.send(t, frames...)
				same(t, p[0].name+" to "+p[1].name, p[1].far.recv(t, batch), frames)
			}
		}
	}
	for range 3 {
		forward(3)
		for _, n := range m.nics {
			n.cable.send(t, series(station, "02:00:00:00:00:02", batch)...)
		}
		d.kill(t)
		for _, n := range m.nics {
			n.cable.recv(t, 0)
		}
		d.start(t)
	}
	for _, n := range m.nics {
		n.cable.recv(t, 0)
	}
	forward(3)
}
