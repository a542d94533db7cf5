package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// open opens a port in the test's own process.
func (d *daemon) open(t *testing.T, spec string, opts ...netmap.Option) *netmap.Desc {
	t.Helper()
	desc, err := netmap.Open(limited(t), spec, append(opts, netmap.WithRuntimeDir(d.dir))...)
	must(t, err)
	t.Cleanup(func() { _ = desc.Close() })
	return desc
}

func (d *daemon) openRaw(t *testing.T, name string, reg abi.Register) *rawPort {
	t.Helper()
	p, err := openRaw(d.dir, name, reg)
	must(t, err)
	return p
}

// taken waits until the daemon has taken a raw port's slots before head.
func (p *rawPort) taken(t *testing.T, head uint32) {
	t.Helper()
	waitFor(t, fmt.Sprintf("slots before %d to be taken", head), func() error {
		if hwcur, _ := p.txBlock.LoadDaemon(); hwcur != head {
			return fmt.Errorf("hwcur is %d", hwcur)
		}
		return nil
	})
}

// put fills TX slot i with a good frame.
func (p *rawPort) put(i uint32, to, from byte, seq uint64) {
	idx := p.tx.Load(i).Idx()
	frame(p.bufs.Get(idx), to, from, seq)
	p.tx.Store(i, abi.MakeWord(idx, frameLen, 0))
}

// receive reads want frames from a port and checks their numbers.
func receive(t *testing.T, d *netmap.Desc, want ...uint64) {
	t.Helper()
	var buf [2048]byte
	for _, w := range want {
		n, ok := d.RxRings()[0].Recv(buf[:])
		for !ok {
			must(t, await(d, netmap.PollIn))
			n, ok = d.RxRings()[0].Recv(buf[:])
		}
		if seq, err := intact(buf[:n]); err != nil || seq != w {
			t.Fatalf("frame %d, %v; want %d", seq, err, w)
		}
	}
	must(t, d.RxSync())
	if n := d.RxRings()[0].Space(); n != 0 {
		t.Fatalf("%d frames too many", n)
	}
}

// Heads outside the ring freeze it, are reported, and do no harm.
func TestTxIndicesOutOfRange(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	good := d.open(t, "vale0:good")
	p := d.openRaw(t, "vale0:bad", allRings())
	n := p.bind.TxSlots
	var at uint32
	for i, head := range []uint32{n, n + 1, 2*n - 1, 1 << 16, 1 << 31, 1<<32 - 1} {
		p.publish(head, head/2)
		waitFor(t, "the report of the head", func() error {
			if count, h, c := p.txBlock.Bad(); count != uint32(i+1) || h != head || c != head/2 {
				return fmt.Errorf("%d reported, the last is head %d cur %d", count, h, c)
			}
			if p.txBlock.State() != abi.RingFrozen {
				return errors.New("the ring is not frozen")
			}
			return nil
		})
		if bad := portStats(t, d.snapshot(t), "vale0:bad").GetBadRings(); bad != uint64(i+1) {
			t.Errorf("statistics count %d bad rings, want %d", bad, i+1)
		}
		// A legal head sets it free.
		p.put(at, 0xff, 7, uint64(i))
		at++
		p.publish(at, at)
		p.taken(t, at)
		if s := p.txBlock.State(); s != abi.RingRunning {
			t.Errorf("state %d after a legal head", s)
		}
		receive(t, good, uint64(i))
	}
	// Whatever is published at whatever moment: the daemon lives.
	for range 20_000 {
		p.publish(rand.Uint32()>>rand.IntN(32), rand.Uint32())
	}
	p.close()
	must(t, good.Close())
	w.undisturbed(t)
}

// A receiver that claims to have released what it never got.
func TestRxIndicesOutOfRange(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	sender := d.open(t, "vale0:good")
	p := d.openRaw(t, "vale0:bad", allRings())
	send := func(n int) {
		t.Helper()
		var buf [frameLen]byte
		for i := range n {
			if !sender.TxRings()[0].Send(frame(buf[:], 0xff, 1, uint64(i))) {
				t.Fatal("no room to send")
			}
		}
		must(t, sender.Flush(limited(t)))
	}
	send(3)
	for _, head := range []uint32{4, p.bind.RxSlots - 1, p.bind.RxSlots, 1 << 31, 1<<32 - 1} {
		p.rxBlock.PublishClient(head, head)
		send(1)
		if _, tail := p.rxBlock.LoadDaemon(); tail >= p.bind.RxSlots {
			t.Fatalf("head %d makes hwtail %d of %d slots", head, tail, p.bind.RxSlots)
		}
		if bad := portStats(t, d.snapshot(t), "vale0:bad").GetBadRings(); bad == 0 {
			t.Errorf("head %d was not noticed", head)
		}
		_, tail := p.rxBlock.LoadDaemon()
		p.rxBlock.PublishClient(tail, tail) // all released
		send(1)
	}
	for range 500 {
		p.rxBlock.PublishClient(rand.Uint32()>>rand.IntN(32), rand.Uint32())
		send(1)
	}
	p.close()
	must(t, sender.Close())
	w.undisturbed(t)
	books(t, d, "vale0")
}

// Slots that name buffers outside the region, or more bytes than a buffer has,
// cost exactly their own frame.
func TestSlotContents(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	good := d.open(t, "vale0:good")
	p := d.openRaw(t, "vale0:bad", allRings())
	size := uint16(p.bind.BufSize)
	type slot struct {
		idx   uint32
		len   uint16
		flags uint16
	}
	const own = 1<<32 - 2 // the slot's own buffer
	chain := func(n int) (s []slot) {
		for range n - 1 {
			s = append(s, slot{own, 100, abi.NSMoreFrag})
		}
		return append(s, slot{own, 100, 0})
	}
	var at uint32
	var seq uint64
	for _, c := range []struct {
		name   string
		slots  []slot
		reason string
	}{
		{"buffer 0", []slot{{0, frameLen, 0}}, "bad_index"},
		{"buffer 1", []slot{{1, frameLen, 0}}, "bad_index"},
		{"first outside", []slot{{p.bind.BufCount, frameLen, 0}}, "bad_index"},
		{"half of all", []slot{{1 << 31, frameLen, 0}}, "bad_index"},
		{"the last there can be", []slot{{1<<32 - 1, frameLen, 0}}, "bad_index"},
		{"one byte too long", []slot{{own, size + 1, 0}}, "bad_length"},
		{"as long as can be said", []slot{{own, 65535, 0}}, "bad_length"},
		{"nothing", []slot{{own, 0, 0}}, "too_short"},
		{"no whole header", []slot{{own, 13, 0}}, "too_short"},
		{"data where its client cannot read", []slot{{own, frameLen, abi.NSIndirect | abi.NSIndirectFault}}, "indirect"},
		{"65 fragments", chain(65), "too_many_fragments"},
		{"a bad fragment", []slot{{own, 100, abi.NSMoreFrag}, {1 << 31, 100, 0}}, "bad_index"},
		{"a fragment too long", []slot{{own, 100, abi.NSMoreFrag}, {own, 65535, 0}}, "bad_length"},
	} {
		before := portStats(t, d.snapshot(t), "vale0:bad")
		p.put(at, 0xff, 7, seq)
		at++
		var saved []abi.Word
		first := at
		for _, s := range c.slots {
			word := p.tx.Load(at)
			saved = append(saved, word)
			if s.idx == own {
				s.idx = word.Idx()
			}
			p.tx.Store(at, abi.MakeWord(s.idx, s.len, s.flags))
			at++
		}
		p.put(at, 0xff, 7, seq+1)
		at++
		p.publish(at, at)
		p.taken(t, at)
		receive(t, good, seq, seq+1)
		seq += 2
		after := portStats(t, d.snapshot(t), "vale0:bad")
		if n := after.GetDrops()[c.reason] - before.GetDrops()[c.reason]; n != 1 || dropped(after)-dropped(before) != 1 {
			t.Errorf("%s: drops %v, then %v; want one more %s", c.name, before.GetDrops(), after.GetDrops(), c.reason)
		}
		if n := after.GetTx().GetFrames() - before.GetTx().GetFrames(); n != 3 {
			t.Errorf("%s: %d frames counted as sent, want 3", c.name, n)
		}
		for i, word := range saved {
			p.tx.Store(first+uint32(i), word)
		}
	}
	p.close()
	must(t, good.Close())
	w.undisturbed(t)
	books(t, d, "vale0")
}

// A receiver whose slots name no buffers loses its frames, and nobody else's.
func TestReceiverSlots(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	sender, good := d.open(t, "vale0:sender"), d.open(t, "vale0:good")
	p := d.openRaw(t, "vale0:bad", allRings())
	bad := []uint32{0, 1, p.bind.BufCount, 1 << 31, 1<<32 - 1}
	for i, idx := range bad {
		p.rx.Store(uint32(i), abi.MakeWord(idx, 2048, 0))
	}
	var buf [frameLen]byte
	var want []uint64
	for i := range uint64(len(bad)) + 3 {
		sender.TxRings()[0].Send(frame(buf[:], 0xff, 1, i))
		want = append(want, i)
	}
	must(t, sender.Flush(limited(t)))
	receive(t, good, want...)
	if drops := portStats(t, d.snapshot(t), "vale0:bad").GetDrops(); drops["rx_bad_index"] != uint64(len(bad)) || len(drops) != 1 {
		t.Errorf("drops %v, want %d of rx_bad_index", drops, len(bad))
	}
	for i := range bad {
		if n := p.rx.Load(uint32(i)).Len(); n != 0 {
			t.Errorf("slot %d without a buffer has length %d", i, n)
		}
	}
	p.close()
	must(t, sender.Close())
	must(t, good.Close())
	w.undisturbed(t)
}

// books checks that every frame sent on a switch of two ports was received or is
// counted as dropped for a reason, once all ports of it have gone.
func books(t *testing.T, d *daemon, sw string) {
	t.Helper()
	var s *pb.Snapshot
	waitFor(t, "the ports to go", func() error {
		s = d.snapshot(t)
		for _, p := range s.GetPorts() {
			if p.GetSwitch() == sw && !p.GetGone() {
				return fmt.Errorf("%s is still there", p.GetName())
			}
		}
		return nil
	})
	var ports int
	var sent, received, lost uint64
	for _, p := range s.GetPorts() {
		if p.GetSwitch() == sw {
			ports++
			sent += p.GetTx().GetFrames()
			received += p.GetRx().GetFrames()
			lost += dropped(p)
		}
	}
	t.Logf("%s: %d ports, %d frames sent, %d received, %d dropped", sw, ports, sent, received, lost)
	if sent == 0 || sent != received+lost {
		t.Errorf("%s: %d frames sent by %d ports, %d received and %d dropped: %d are missing", sw, sent, ports, received, lost, int64(sent-received-lost))
	}
}
