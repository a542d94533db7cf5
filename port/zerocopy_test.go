package port_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/dpdk/mempool"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
)

// capture writes frames as a capture file, which the pcap driver can read.
func capture(t *testing.T, frames [][]byte) string {
	t.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4) // magic, version 2.4, zone, accuracy, longest, Ethernet
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(b, 0), 0), 65535), 1)
	for _, f := range frames {
		b = le.AppendUint32(le.AppendUint32(b, 0), 0)
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(f))), uint32(len(f)))
		b = append(b, f...)
	}
	file := filepath.Join(t.TempDir(), "c.pcap")
	must(t, os.WriteFile(file, b, 0o600))
	return file
}

// captured reads such a file.
func captured(t *testing.T, file string) (frames [][]byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	for b = b[24:]; len(b) >= 16; {
		n := binary.LittleEndian.Uint32(b[8:])
		frames = append(frames, b[16:16+n])
		b = b[16+n:]
	}
	return frames
}

func manyFrames(n int) (frames [][]byte) {
	for i := range n {
		frames = append(frames, frame(2, 1, 60+i%1400, i))
	}
	return frames
}

func (b *bed) wantZeroCopy(name string) {
	b.t.Helper()
	i, err := b.reg.Port(limited(b.t), name)
	must(b.t, err)
	if i.NIC == nil || !i.NIC.RxZeroCopy || !i.NIC.TxZeroCopy || i.NIC.Copies != "" {
		b.t.Fatalf("the port does not say that it works without copying: %+v", i.NIC)
	}
}

// emptied checks that a region got every buffer back.
func (b *bed) emptied() {
	b.t.Helper()
	if r := b.region(abi.MemIDGlobal); r.Users != 0 || r.Lent != 0 || r.Buf.Free != r.Buf.Total {
		b.t.Errorf("buffers are missing: %+v", r)
	}
}

// What a device received is not copied: the slot gets another buffer, and says so.
// What is sent is read where the client wrote it, and its index stays.
func TestZeroCopyMovesBuffers(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	sent := manyFrames(3000)
	out := filepath.Join(t.TempDir(), "out.pcap")
	b.device("nic", fmt.Sprintf("net_pcap_z,rx_pcap=%s,tx_pcap=%s", capture(t, sent), out), 0, 256)
	b.wantZeroCopy("nic")
	d := b.open("netmap:nic")
	r := d.RxRings()[0]
	before := map[uint32]bool{}
	for i := range r.NumSlots() {
		before[r.Slot(i).BufIdx] = true
	}
	var got [][]byte
	changed := 0
	for len(got) < len(sent) {
		must(t, d.RxSync())
		for r.Space() > 0 {
			s := r.Slot(r.Cur())
			if s.Flags&abi.NSBufChanged != 0 {
				changed++
			}
			buf := make([]byte, 2048)
			n, _ := r.Recv(buf)
			got = append(got, buf[:n])
		}
	}
	same(t, got, sent)
	if changed != len(sent) {
		t.Errorf("%d of %d slots said that their buffer changed", changed, len(sent))
	}
	tx := d.TxRings()[0]
	index := tx.Slot(tx.Cur()).BufIdx
	at := tx.Cur()
	send(t, d, 0, sent[:1000]...)
	b.eventually("the last frame to leave", func() bool { must(t, d.TxSync()); return tx.Space() == tx.NumSlots()-1 })
	if now := tx.Slot(at).BufIdx; now != index {
		t.Errorf("a slot that was sent has buffer %d, had %d", now, index)
	}
	b.close(d)
	must(t, b.reg.DeletePort(limited(t), "nic"))
	same(t, captured(t, out), sent[:1000])
	b.emptied()
}

// A client that gives indices twice, swaps them and makes them up, both ways and
// under traffic, gets errors and keeps the damage to itself: at the end every
// buffer is there once, and another client of the device was served well.
func TestZeroCopyHostileIndices(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	file := capture(t, manyFrames(64))
	b.device("nic", fmt.Sprintf("net_pcap_h,rx_pcap=%s,rx_pcap=%s,infinite_rx=1", file, file), 2, 64)
	b.wantZeroCopy("nic")
	good, bad := b.open("netmap:nic-0"), b.open("netmap:nic-1")
	rng := rand.New(rand.NewPCG(1, 2))
	spoil := func(ring *netmap.Ring) {
		n := ring.NumSlots()
		a, c := rng.Uint32N(n), rng.Uint32N(n)
		switch rng.IntN(4) {
		case 0:
			ring.Slot(a).BufIdx, ring.Slot(c).BufIdx = ring.Slot(c).BufIdx, ring.Slot(a).BufIdx
		case 1:
			ring.Slot(a).BufIdx = ring.Slot(c).BufIdx
		case 2:
			ring.Slot(a).BufIdx = rng.Uint32N(40000)
		case 3:
			ring.Slot(a).BufIdx = rng.Uint32()
		}
	}
	buf := make([]byte, 2048)
	for range 3000 {
		for _, r := range bad.RxRings() {
			spoil(&r.Ring)
			for range rng.IntN(30) {
				r.Recv(buf)
			}
		}
		for _, r := range bad.TxRings() {
			spoil(&r.Ring)
			for range rng.IntN(30) {
				r.Send(frame(1, 2, 60, 1))
			}
		}
		_ = bad.TxSync()
		_ = bad.RxSync()
	}
	for _, f := range receive(t, good, 2000) {
		if len(f) < 60 || f[12] != testEtherType>>8 {
			t.Fatalf("the other client received a spoilt frame: % x", f[:min(len(f), 20)])
		}
	}
	st := b.stats("nic")
	if st.Drops["rx_bad_index"] == 0 || st.Drops["bad_index"] == 0 {
		t.Errorf("nothing was refused: %+v", st.Drops)
	}
	b.close(bad)
	b.close(good)
	must(t, b.reg.DeletePort(limited(t), "nic"))
	b.emptied()
}

// A device whose first frames are not alone in their buffers is not trusted any
// more: its clients see POLLERR, and from the next use on it copies, and says why.
// The fault is a client's here, who can do that too.
func TestDeviceThatSpoilsBuffers(t *testing.T) {
	c := newCable(t)
	b := newBed(t, 1, port.Config{})
	b.expected = []string{"does not keep to its buffers"}
	_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "nic", Kind: port.KindDevice, Devargs: "net_pcap_spoils,iface=" + ours})
	if err != nil {
		t.Skipf("no capture of interfaces here: %v", err)
	}
	b.wantZeroCopy("nic")
	d := b.open("netmap:nic")
	for idx := uint32(abi.MinBufIndex); d.Region().Buf(idx) != nil; idx++ {
		buf := d.Region().Buf(idx)
		clear(buf[len(buf)-8:])
	}
	c.peer.send(t, frame(everyone, 1, 60, 1))
	<-b.reg.Wanted()
	b.reg.Tend(time.Now())
	if _, err := d.PollTimeout(patience, netmap.PollIn); err == nil {
		t.Error("no error for a client whose device is not to be trusted")
	}
	b.close(d)
	d = b.open("netmap:nic")
	i, err := b.reg.Port(limited(t), "nic")
	must(t, err)
	if i.NIC.RxZeroCopy || i.NIC.TxZeroCopy || !strings.Contains(i.NIC.Copies, "in front of a frame") {
		t.Errorf("it is used again as %+v, want that it copies and why", i.NIC)
	}
	want := frame(everyone, 1, 60, 2)
	c.peer.send(t, want)
	same(t, receiveTest(t, d, 1), [][]byte{want})
	b.close(d)
	must(t, b.reg.DeletePort(limited(t), "nic"))
	b.emptied()
}

// A device that is unplugged gives its clients POLLERR and leaves its switch; its
// port goes with the last client, and comes back with the device.
func TestDeviceUnplugged(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	file := capture(t, manyFrames(64))
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	b.device("open", fmt.Sprintf("net_pcap_open,rx_pcap=%s,infinite_rx=1", file), 0, 64)
	b.device("switched", fmt.Sprintf("net_pcap_sw,rx_pcap=%s,infinite_rx=1", file), 0, 64)
	_, err = b.reg.Attach(limited(t), "vale0", "switched")
	must(t, err)
	d, v := b.open("netmap:open"), b.open("vale0:v")
	for range 3 {
		receive(t, d, 500)
		receive(t, v, 500)
		b.reg.Happen("open", ethdev.Happened{Removed: true})
		b.reg.Happen("switched", ethdev.Happened{Removed: true})
		b.reg.Tend(time.Now())
		if _, err := d.PollTimeout(patience, netmap.PollIn); !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EIO) && !errors.Is(err, unix.ENXIO) {
			t.Errorf("poll of a port without device: %v", err)
		}
		if i, err := b.reg.Port(limited(t), "open"); err != nil || i.NIC.Present || i.LinkUp {
			t.Errorf("the port of a device that went, and is open: %+v, %v", i.NIC, err)
		}
		b.close(d)
		b.reg.Tend(time.Now()) // the device is there again
		b.reg.Tend(time.Now())
		if got := b.names(); got != "vale0:v open switched" && got != "vale0:v switched open" {
			t.Errorf("ports are %q", got)
		}
		d = b.open("netmap:open")
	}
	receive(t, v, 500)
	b.close(d)
}

// A device that asks for a reset is stopped and started again: a client's indices stay, what it sends and receives goes on; a
// switch has the device again, and the host too.
func TestDeviceReset(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("open", "net_ring_reset", 0, 64)
	file := capture(t, manyFrames(64))
	b.device("switched", fmt.Sprintf("net_pcap_reset,rx_pcap=%s,infinite_rx=1", file), 0, 64)
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	at, err := b.reg.Attach(limited(t), "vale0", "switched")
	must(t, err)
	d, v := b.open("netmap:open"), b.open("vale0:v")
	for i := range 3 {
		want := [][]byte{frame(everyone, 1, 60+i, i), frame(everyone, 1, 200, i)}
		send(t, d, 0, want...)
		same(t, receive(t, d, len(want)), want)
		receive(t, v, 500)
		var before, after [][3]uint32
		for _, r := range d.TxRings() {
			before = append(before, [3]uint32{r.Head(), r.Cur(), r.Tail()})
		}
		for _, p := range []string{"open", "switched"} {
			b.reg.Happen(p, ethdev.Happened{Reset: true})
		}
		b.reg.Tend(time.Now())
		must(t, d.TxSync())
		for _, r := range d.TxRings() {
			after = append(after, [3]uint32{r.Head(), r.Cur(), r.Tail()})
		}
		if !slices.Equal(before, after) {
			t.Errorf("head, cur and tail were %v, and are %v after a reset", before, after)
		}
		if i, err := b.reg.Port(limited(t), "switched"); err != nil || i.Switch != "vale0" || i.Index != at.Index || !i.NIC.Present {
			t.Errorf("after a reset: %+v, %v", i, err)
		}
	}
	receive(t, v, 500)
	b.close(d)
	b.close(v)
}

// NIC to NIC through a switch: what one received the other sends, as it was.
func TestDeviceToDevice(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	sent := manyFrames(3000)
	out := filepath.Join(t.TempDir(), "out.pcap")
	b.device("in", "net_pcap_in,rx_pcap="+capture(t, sent), 0, 0)
	b.device("out", fmt.Sprintf("net_pcap_out,rx_pcap=%s,tx_pcap=%s", capture(t, nil), out), 0, 0)
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale0", "out")
	must(t, err)
	v := b.open("vale0:v", netmap.WithSlots(4096, 4096)) // it gets copies of what is flooded
	_, err = b.reg.Attach(limited(t), "vale0", "in")
	must(t, err)
	same(t, receive(t, v, len(sent)), sent)
	b.close(v)
	for _, p := range []string{"in", "out"} {
		must(t, b.reg.Detach(limited(t), "vale0", p))
		must(t, b.reg.DeletePort(limited(t), p))
	}
	same(t, captured(t, out), sent)
	b.emptied()
}

// A device for whose queues there is not enough of DPDK's memory cannot be opened, not for a part of them either, and can be once
// there is.
func TestZeroCopyNoMemory(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("loop", "net_ring_memory", 4, 64)
	b.wantZeroCopy("loop")
	var taken []*mempool.Mempool
	free := func() {
		must(t, taken[len(taken)-1].Free())
		taken = taken[:len(taken)-1]
	}
	defer func() {
		for len(taken) > 0 {
			free()
		}
	}()
	for _, size := range []uint32{1 << 17, 1 << 14, 4*64 + 3*256} { // at last what a queue needs
		for {
			m, err := mempool.CreateMbufPool(fmt.Sprintf("taken%d", len(taken)), size, 0)
			if err != nil {
				break
			}
			taken = append(taken, m)
		}
	}
	for refused := 0; ; refused++ {
		d, err := b.tryOpen("netmap:loop")
		if err != nil {
			if len(taken) == 0 {
				t.Fatal(err)
			}
			free()
			continue
		}
		if refused == 0 {
			t.Error("opened without memory")
		}
		want := manyFrames(5)
		send(t, d, 3, want...)
		same(t, receive(t, d, len(want)), want)
		return
	}
}
