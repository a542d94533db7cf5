package niclab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/test/niclab/talk"
)

// An end is the far end of a NIC's cable.
type end interface {
	send(t *testing.T, frames ...[]byte)
	// recv waits for as many frames of ours and returns those that have come.
	recv(t *testing.T, count int) [][]byte
	// waitFor waits for a frame of anybody's.
	waitFor(wanted func([]byte) bool, limit time.Duration) bool
}

// A dut is a port under test.
type dut struct {
	d    *daemon
	name string
	mac  string
	far  end
}

// duts are the ports of a daemon that is configured with every NIC of the machine.
func (d *daemon) duts(t *testing.T) (all []*dut) {
	t.Helper()
	for _, n := range d.m.nics {
		all = append(all, &dut{d, n.name, d.port(t, n.name).GetMac(), n.cable})
	}
	return all
}

func (d *daemon) port(t *testing.T, name string) *pb.Port {
	t.Helper()
	r, err := d.ports.GetPort(limited(t), &pb.GetPortRequest{Name: name})
	must(t, err)
	return r.GetPort()
}

func (d *daemon) snapshot(t *testing.T) *pb.Snapshot {
	t.Helper()
	r, err := d.stats.GetStats(limited(t), &pb.GetStatsRequest{})
	must(t, err)
	return r.GetSnapshot()
}

func (d *daemon) count(t *testing.T, port string) *pb.PortStats {
	t.Helper()
	for _, p := range d.snapshot(t).GetPorts() {
		if p.GetName() == port && !p.GetGone() {
			return p
		}
	}
	t.Fatalf("no statistics of port %s", port)
	return nil
}

// freeBufs are the buffers of the region of all NICs that nobody has.
func (d *daemon) freeBufs(t *testing.T) uint64 {
	t.Helper()
	for _, r := range d.snapshot(t).GetRegions() {
		if r.GetId() == 1 {
			return r.GetBufPool().GetFree()
		}
	}
	t.Fatal("no statistics of the global region")
	return 0
}

// waitFor looks again until cond says nil.
func (d *daemon) waitFor(t *testing.T, what string, cond func() error) {
	t.Helper()
	if err := d.m.wait(what, cond); err != nil {
		t.Fatal(err)
	}
}

// allBufsBack waits until as many buffers are free as before.
func (d *daemon) allBufsBack(t *testing.T, before uint64) {
	t.Helper()
	d.waitFor(t, "the buffers", func() error {
		if now := d.freeBufs(t); now != before {
			return fmt.Errorf("%d are free, %d were before", now, before)
		}
		return nil
	})
}

// attached puts ports on a new switch for the time of a test.
func (d *daemon) attached(t *testing.T, sw string, ports ...string) {
	t.Helper()
	_, err := d.sw.CreateSwitch(limited(t), &pb.CreateSwitchRequest{Name: sw})
	must(t, err)
	t.Cleanup(func() {
		_, err := d.sw.DeleteSwitch(limited(t), &pb.DeleteSwitchRequest{Name: sw})
		must(t, err)
	})
	for _, p := range ports {
		_, err := d.sw.AttachToSwitch(limited(t), &pb.AttachToSwitchRequest{Switch: sw, Port: p})
		must(t, err)
		t.Cleanup(func() {
			_, err := d.sw.DetachFromSwitch(limited(t), &pb.DetachFromSwitchRequest{Switch: sw, Port: p})
			must(t, err)
		})
	}
}

// every runs a case on each port.
func every(t *testing.T, name string, duts []*dut, test func(*testing.T, *dut)) {
	t.Run(name, func(t *testing.T) {
		for _, u := range duts {
			t.Run(u.name, func(t *testing.T) { test(t, u) })
		}
	})
}

// suite is what every NIC must do.
func suite(t *testing.T, d *daemon, duts []*dut) {
	every(t, "frames", duts, framesBothWays)
	every(t, "one frame, then silence", duts, oneFrame)
	every(t, "buffers", duts, buffersComeBack)
	every(t, "killed client", duts, killedClient)
	every(t, "exclusive", duts, exclusive)
	every(t, "hostile client", duts, hostileClient)
	t.Run("across a switch", func(t *testing.T) {
		for i, a := range duts {
			if b := duts[(i+1)%len(duts)]; a != b {
				t.Run(a.name+" to "+b.name, func(t *testing.T) { acrossSwitch(t, d, a, b) })
			}
		}
	})
}

// batch is how many frames are under way at once: fewer than any queue on the way holds, so that all must arrive.
const batch = 100

// framesBothWays sends frames of many sizes through each ring, often enough for the ring to go round.
func framesBothWays(t *testing.T, u *dut) {
	c := u.d.open(t, "netmap:"+u.name, 0)
	laps := 2*int(c.RxSlots)/batch + 1
	for range laps {
		in := series(u.mac, station, batch)
		u.far.send(t, in...)
		same(t, "in", c.recv(t, len(in)), in)
	}
	for ring := range c.TxRings {
		for range laps {
			out := series(station, u.mac, batch)
			c.send(t, ring, out)
			same(t, fmt.Sprintf("out of ring %d", ring), u.far.recv(t, len(out)), out)
		}
	}
	c.close(t)
}

// oneFrame sends a single one, after which nothing pushes it along: it must get out, and its slot come back.
func oneFrame(t *testing.T, u *dut) {
	c := u.d.open(t, "netmap:"+u.name, 0)
	for ring := range c.TxRings {
		out := series(station, u.mac, 1)
		c.send(t, ring, out)
		same(t, "out", u.far.recv(t, 1), out)
	}
	var seen talk.Streamed
	c.call(t, "StartStream", talk.Stream{}, nil) // syncs without sending
	c.call(t, "StopStream", struct{}{}, &seen)
	if seen.Broken != "" || seen.Pending != 0 {
		t.Errorf("after one frame %d slots are not back; %s", seen.Pending, seen.Broken)
	}
	in := series(u.mac, station, 1)
	u.far.send(t, in...)
	same(t, "in", c.recv(t, 1), in)
	c.close(t)
}

// buffersComeBack counts them: in the slots of the client, and in the region when it has gone.
func buffersComeBack(t *testing.T, u *dut) {
	before := u.d.freeBufs(t)
	c := u.d.open(t, "netmap:"+u.name, 16)
	var start talk.Indices
	c.call(t, "Indices", struct{}{}, &start)
	for range 2*int(c.RxSlots)/batch + 1 {
		in := series(u.mac, station, batch)
		u.far.send(t, in...)
		c.recv(t, len(in))
		for ring := range c.TxRings {
			c.send(t, ring, series(station, u.mac, batch))
			u.far.recv(t, batch)
		}
	}
	var now talk.Indices
	c.call(t, "Indices", struct{}{}, &now)
	seen := map[uint32]string{}
	for where, rings := range map[string][][]uint32{"tx": now.Tx, "rx": now.Rx, "extra": {now.Extra}} {
		for i, ring := range rings {
			for slot, idx := range ring {
				here := fmt.Sprintf("%s%d[%d]", where, i, slot)
				if other := seen[idx]; other != "" || idx < 2 {
					t.Errorf("buffer %d is in %s, and %q has it, too", idx, here, other)
				}
				seen[idx] = here
			}
		}
	}
	for i := range start.Tx {
		if !slices.Equal(start.Tx[i], now.Tx[i]) {
			t.Errorf("TX ring %d has other buffers than at first", i)
		}
	}
	c.close(t)
	u.d.allBufsBack(t, before)
}

// killedClient kills one that sends and receives, over and over; the next finds the port as if nothing had been.
func killedClient(t *testing.T, u *dut) {
	before := u.d.freeBufs(t)
	for range 3 {
		c := u.d.open(t, "netmap:"+u.name, 8)
		c.call(t, "StartStream", talk.Stream{Dst: station, Src: u.mac}, nil)
		u.far.send(t, series(u.mac, station, 3*batch)...)
		u.far.recv(t, 10) // it sends
		_ = c.rpc.Close() // it is killed
		u.d.waitFor(t, "the client's end", func() error {
			if users := u.d.port(t, u.name).GetUsers(); len(users) > 0 {
				return fmt.Errorf("the port is still open: %v", users)
			}
			return nil
		})
		quiet(t, u)
	}
	u.d.allBufsBack(t, before)
	framesBothWays(t, u)
}

// quiet waits until nothing of before is under way to the far end.
func quiet(t *testing.T, u *dut) {
	t.Helper()
	c := u.d.open(t, "netmap:"+u.name, 0)
	mark := talk.Frame(mustMAC(station), mustMAC(u.mac), 1<<30, talk.MinFrame)
	c.send(t, 0, [][]byte{mark})
	for {
		if got := u.far.recv(t, 1); slices.ContainsFunc(got, func(f []byte) bool { return string(f) == string(mark) }) {
			break
		}
	}
	c.close(t)
}

// exclusive is one client that has the NIC for itself, and another that keeps it from being had so.
func exclusive(t *testing.T, u *dut) {
	refused := func(spec string) {
		t.Helper()
		if c, err := u.d.tryOpen(t, spec, 0); err == nil || !strings.Contains(err.Error(), "exclusive") {
			t.Errorf("%s was opened (%v), want that refused for somebody's exclusive use", spec, err)
		} else {
			_ = c.rpc.Close()
		}
	}
	mine := u.d.open(t, "netmap:"+u.name+"/x", 0)
	refused("netmap:" + u.name)
	refused("netmap:" + u.name + "-0/R")
	in := series(u.mac, station, batch)
	u.far.send(t, in...)
	same(t, "in", mine.recv(t, len(in)), in)
	mine.close(t)
	shared := u.d.open(t, "netmap:"+u.name+"-0/R", 0)
	refused("netmap:" + u.name + "/x")
	shared.close(t)
	u.d.open(t, "netmap:"+u.name+"/x", 0).close(t)
}

// hostileClient writes nonsense into its slots, often enough for the ring to go round, while an honest one uses another port of the region, or this one after.
func hostileClient(t *testing.T, u *dut) {
	before := u.d.freeBufs(t)
	c := u.d.open(t, "netmap:"+u.name, 0)
	var said string
	c.call(t, "Mischief", talk.Mischief{Rounds: 12, Frame: talk.Frame(mustMAC(station), mustMAC(u.mac), 7, 200), Patience: patience / 20}, &said)
	if said != "" {
		t.Log("the hostile client was stopped:", said)
	}
	in := series(u.mac, station, batch)
	u.far.send(t, in...) // into whatever its rings are like now
	_ = c.rpc.Close()
	u.d.waitFor(t, "the client's end", func() error {
		if users := u.d.port(t, u.name).GetUsers(); len(users) > 0 {
			return fmt.Errorf("the port is still open: %v", users)
		}
		return nil
	})
	quiet(t, u)
	u.d.allBufsBack(t, before)
	framesBothWays(t, u)
}

// acrossSwitch forwards between the far ends of two NICs.
func acrossSwitch(t *testing.T, d *daemon, a, b *dut) {
	d.attached(t, "vale7", a.name, b.name)
	const other = "02:00:00:00:00:02"
	there, back := series(other, station, batch), series(station, other, batch)
	for range 3 {
		a.far.send(t, there...) // flooded at first, learned then
		same(t, a.name+" to "+b.name, b.far.recv(t, len(there)), there)
		b.far.send(t, back...)
		same(t, b.name+" to "+a.name, a.far.recv(t, len(back)), back)
	}
}

// twoLcores is what a configuration begins with whose ports and queues are on both CPUs of the machine.
const twoLcores = "lcores: [{cpu: 0}, {cpu: 1}]\n"

// yaml is a configuration with device ports.
func yaml(region, eal string, ports ...string) string {
	return fmt.Sprintf("version: 1\nlog: {level: debug}\nmemory: {global: {%s}}\n"+
		"dpdk: {hugepages: require, memory-mb: 64, pci: true, extra-args: [%s]}\nports:\n%s\n", region, eal, strings.Join(ports, "\n"))
}
