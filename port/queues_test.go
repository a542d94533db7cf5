package port_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
)

// twoLcores skips a test where two lcores would be on one CPU.
func twoLcores(t *testing.T) {
	t.Helper()
	if len(eal.Probe().CPUs) < 2 {
		t.Skip("needs two CPUs")
	}
}

// queueLcores are the lcores of a port's queues.
func (b *bed) queueLcores(name string) []int {
	b.t.Helper()
	i, err := b.reg.Port(limited(b.t), name)
	must(b.t, err)
	return i.QueueLcores
}

// worked checks that each lcore moved frames since.
func (b *bed) worked(since port.Snapshot) {
	b.t.Helper()
	for i, l := range b.snapshot().Lcores {
		if l.Packets == since.Lcores[i].Packets {
			b.t.Errorf("lcore %d moved nothing", l.ID)
		}
	}
}

// loopOfQueues makes a device of four queues that gives back what it is sent, each
// queue to itself, without copying.
func loopOfQueues(t *testing.T) *bed {
	twoLcores(t)
	b := newBed(t, 2, port.Config{})
	b.device("loop", "net_ring_lcores", 4, 64)
	b.wantZeroCopy("loop")
	return b
}

// The queues of a device are dealt to the lcores in turn. Clients that each have
// some of them get what is theirs, whole and in order, all at a time, also while
// one comes and goes and while the device is started again; and not a frame is
// missing in the books, which the lcores keep apart.
func TestQueuesOnLcores(t *testing.T) {
	b := loopOfQueues(t)
	if q := b.queueLcores("loop"); len(q) != 4 || q[0] == q[1] || q[0] != q[2] || q[1] != q[3] {
		t.Fatalf("the queues are on lcores %v, want both in turn", q)
	}
	before := b.snapshot()
	const rounds = 100
	var wg sync.WaitGroup
	for ring := range 3 {
		d := b.open(fmt.Sprintf("netmap:loop-%d", ring))
		wg.Go(func() {
			defer b.close(d)
			for round := range rounds {
				var want [][]byte
				for n := range 20 {
					want = append(want, frame(byte(ring), 1, 60+(round+n)%1400, round*ring+n))
				}
				send(t, d, 0, want...)
				same(t, receive(t, d, len(want)), want)
			}
		})
	}
	guests := 0
	for ; guests < 20; guests++ {
		d := b.open("netmap:loop-3")
		want := [][]byte{frame(3, 1, 100, guests)}
		send(t, d, 0, want...)
		same(t, receive(t, d, 1), want)
		b.close(d)
		if guests%10 == 0 {
			b.snapshot()
		}
	}
	wg.Wait()
	b.worked(before)
	sent := uint64(3*rounds*20 + guests)
	if st := b.stats("loop"); st.Tx.Frames != sent || st.Rx.Frames != sent || len(st.Drops) != 0 || st.BadRings != 0 {
		t.Errorf("%d frames were sent and received, the books say %+v", sent, st)
	}
	must(t, b.reg.DeletePort(limited(t), "loop"))
	b.emptied()
}

// One client with all rings sees each of them served, also after the device was
// started again, the port was moved, and frames were left unread.
func TestAllQueuesOfOneClient(t *testing.T) {
	b := loopOfQueues(t)
	unread := uint64(0)
	for round := range 4 {
		d := b.open("netmap:loop")
		for again := range 3 {
			for ring, r := range d.RxRings() {
				want := manyFrames(50 + ring)
				send(t, d, ring, want...)
				var got [][]byte
				buf := make([]byte, 2048)
				b.eventually("all frames of a ring", func() bool {
					must(t, d.RxSync())
					for n, ok := r.Recv(buf); ok; n, ok = r.Recv(buf) {
						got = append(got, slices.Clone(buf[:n]))
					}
					return len(got) >= len(want)
				})
				same(t, got, want)
			}
			if again == 0 {
				b.reg.Happen("loop", ethdev.Happened{Reset: true})
				b.reg.Tend(time.Now())
			}
		}
		for ring, r := range d.RxRings() { // left unread
			send(t, d, ring, manyFrames(ring+1)...)
			unread += uint64(ring + 1)
			b.eventually("what is left unread", func() bool { must(t, d.RxSync()); return r.Space() == uint32(ring+1) })
		}
		b.close(d)
		if st := b.stats("loop"); st.Drops["unread"] != unread || st.Rx.Frames+unread != st.Tx.Frames {
			t.Errorf("%d frames were not read, the books say %+v", unread, st)
		}
		was := b.queueLcores("loop")
		must(t, b.reg.MovePort(limited(t), "loop", round%2))
		if now := b.queueLcores("loop"); now[0] != round%2 || now[1] == now[0] {
			t.Errorf("the queues are on lcores %v, were on %v before the first was moved to %d", now, was, round%2)
		}
	}
	must(t, b.reg.DeletePort(limited(t), "loop"))
	b.emptied()
}

// A device that is unplugged while two lcores serve it.
func TestQueuesUnplugged(t *testing.T) {
	b := loopOfQueues(t)
	for range 3 {
		one, three := b.open("netmap:loop-0"), b.open("netmap:loop-1")
		b.reg.Happen("loop", ethdev.Happened{Removed: true})
		b.reg.Tend(time.Now())
		for _, d := range []*netmap.Desc{one, three} {
			if _, err := d.PollTimeout(patience, netmap.PollIn); err == nil {
				t.Error("no error for a client whose device is gone")
			}
			b.close(d)
		}
		b.reg.Tend(time.Now())
		b.reg.Tend(time.Now()) // it is there again
		d := b.open("netmap:loop-1")
		want := manyFrames(5)
		send(t, d, 0, want...)
		same(t, receive(t, d, len(want)), want)
		b.close(d)
	}
}

// A switch takes the frames of a device's queues on their lcores, unless one is asked
// for.
func TestQueuesOnASwitch(t *testing.T) {
	twoLcores(t)
	b := newBed(t, 2, port.Config{})
	var files []any
	for q := range 4 {
		var frames [][]byte
		for n := range 500 {
			frames = append(frames, frame(9, byte(q+1), 60+n, n))
		}
		files = append(files, capture(t, frames))
	}
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	v := b.open("vale0:v", netmap.WithSlots(4096, 4096))
	send(t, v, 0, frame(everyone, 9, 60, 0))
	before := b.snapshot()
	b.device("nic", fmt.Sprintf("net_pcap_lcores,rx_pcap=%s,rx_pcap=%s,rx_pcap=%s,rx_pcap=%s", files...), 4, 256)
	_, err = b.reg.Attach(limited(t), "vale0", "nic")
	must(t, err)
	flows := map[byte]int{}
	for _, f := range receive(t, v, 2000) {
		q := f[11]
		same(t, [][]byte{f}, [][]byte{frame(9, q, 60+flows[q], flows[q])})
		flows[q]++
	}
	if len(flows) != 4 {
		t.Errorf("%d flows, want 4", len(flows))
	}
	b.worked(before)
	if st := b.stats("nic"); st.Tx.Frames != 2000 || len(st.Drops) != 0 {
		t.Errorf("the books say %+v", st)
	}

	dealt := b.queueLcores("nic")
	one := &abi.ValePolling{Mode: abi.PollingSingleCPU, FirstCPU: uint32(b.lcores[1].CPU()), CPUs: 1}
	must(t, b.reg.PollingOn(limited(t), "vale0:nic", one))
	if q := b.queueLcores("nic"); !slices.Equal(q, []int{1, 1, 1, 1}) {
		t.Errorf("the queues are on lcores %v, all were asked for on 1", q)
	}
	must(t, b.reg.PollingOff(limited(t), "vale0:nic"))
	if q := b.queueLcores("nic"); !slices.Equal(q, dealt) {
		t.Errorf("the queues are on lcores %v after that, were on %v", q, dealt)
	}
	must(t, b.reg.Detach(limited(t), "vale0", "nic"))
	must(t, b.reg.DeletePort(limited(t), "nic"))
	b.close(v)
	b.emptied()
}

// A kernel interface of two queues wakes the lcore of the queue that a frame
// is in, whichever that is.
func TestInterfaceQueuesOnLcores(t *testing.T) {
	twoLcores(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	c := newCable(t)
	b := newBed(t, 2, port.Config{})
	_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "lan", Kind: port.KindInterface, Ifname: ours, Driver: port.DriverAFPacket, Rings: 2})
	must(t, err)
	d := b.open("netmap:lan")
	if q := b.queueLcores("lan"); len(q) != 2 || q[0] == q[1] {
		t.Fatalf("the queues are on lcores %v, want both", q)
	}
	before := b.snapshot()
	for n := range 40 {
		f := frame(everyone, byte(n), 60, n)
		c.peer.send(t, f)
		same(t, receiveTest(t, d, 1), [][]byte{f})
		send(t, d, n%2, f)
		same(t, [][]byte{c.peer.receive(t, testEtherType)}, [][]byte{f})
	}
	b.worked(before)
	b.close(d)
	if st := b.stats("lan"); st.Tx.Frames != 40 || st.Rx.Frames < 40 || len(st.Drops) != 0 {
		t.Errorf("the books say %+v", st)
	}
	fails(t, b.reg.MovePort(limited(t), "lan", 2), unix.ENXIO)
}

// Monitors of a port whose rings are on two lcores: a copy of each frame at one, the
// buffers at the other.
func TestMonitorsOfQueues(t *testing.T) {
	b := loopOfQueues(t)
	d := b.open("netmap:loop")
	copies, buffers := b.open("netmap:loop/rt", netmap.WithSlots(64, 512)), b.open("netmap:loop/z", netmap.WithSlots(64, 512))
	before := b.snapshot()
	for round := range 20 {
		var want [][]byte
		for ring := range d.TxRings() {
			f := frame(byte(ring), 1, 60, round)
			want = append(want, f, f) // sent, and received
			send(t, d, ring, f)
		}
		same(t, sorted(receive(t, d, 4)), [][]byte{want[0], want[2], want[4], want[6]})
		same(t, sorted(receive(t, copies, 8)), want)
		same(t, sorted(receive(t, buffers, 8)), want) // once the client has done with them
	}
	b.worked(before)
	b.close(copies)
	b.close(buffers)
	b.close(d)
	must(t, b.reg.DeletePort(limited(t), "loop"))
	b.emptied()
}

func sorted(frames [][]byte) [][]byte {
	slices.SortFunc(frames, bytes.Compare)
	return frames
}

// Rings that were made anew, for a client that wanted another number of host rings,
// are served as the old ones were.
func TestZeroCopyAfterOtherHostRings(t *testing.T) {
	b := newBed(t, 2, port.Config{})
	out := filepath.Join(t.TempDir(), "out.pcap")
	_, err := b.reg.CreatePort(limited(t), port.Spec{
		Name: "nic", Kind: port.KindDevice, Host: "nmremade", Devargs: fmt.Sprintf("net_pcap_remade,rx_pcap=%s,tx_pcap=%s", capture(t, nil), out),
	})
	if err != nil {
		t.Skipf("no tap here: %v", err)
	}
	b.wantZeroCopy("nic")
	want := manyFrames(4000)
	for i, rings := range []int{1, 2, 1, 2} {
		d := b.open(fmt.Sprintf("netmap:nic*@conf:host_rings=%d", rings))
		send(t, d, 0, want[1000*i:1000*(i+1)]...)
		b.close(d)
	}
	must(t, b.reg.DeletePort(limited(t), "nic"))
	same(t, captured(t, out), want)
	b.emptied()
}
