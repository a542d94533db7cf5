package vale

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// wantSlots compares what a client received with whole frames of one slot.
func wantSlots(t *testing.T, who string, got []slot, want ...[]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s received %d slots, want %d", who, len(got), len(want))
	}
	for i := range want {
		if got[i].data != string(want[i]) {
			t.Errorf("%s, slot %d: %d bytes %x, want %d bytes %x", who, i, len(got[i].data), got[i].data, len(want[i]), want[i])
		}
		if got[i].flags != 0x0100 {
			t.Errorf("%s, slot %d: flags %#04x, want 0x0100", who, i, got[i].flags)
		}
	}
}

// wantDrops compares the drops of a port.
func wantDrops(t *testing.T, p *Port, want map[string]uint64) {
	t.Helper()
	c := p.Counters()
	if got := fmt.Sprint(c.Drops.ByName()); got != fmt.Sprint(want) {
		t.Errorf("drops of port %s: %v, want %v", p.Name(), got, want)
	}
}

func TestVAL01Broadcast(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	f := frame(broadcast, station(1), 60, 1)
	w.send(0, f)
	wantSlots(t, "sender", w.got(0))
	wantSlots(t, "b", w.got(1), f)
	wantSlots(t, "c", w.got(2), f)
	if c := w.p[0].Counters(); c.Tx != (Count{1, 60}) {
		t.Errorf("sender's Tx %v, want 1 frame of 60 bytes", c.Tx)
	}
	for _, p := range w.p[1:] {
		if c := p.Counters(); c.Rx != (Count{1, 60}) {
			t.Errorf("Rx of %s %v, want 1 frame of 60 bytes", p.Name(), c.Rx)
		}
	}
}

func TestVAL02LearnedUnicast(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	w.send(0, frame(broadcast, station(1), 60, 1))
	w.got(1)
	w.got(2)
	f := frame(station(1), station(2), 60, 2)
	w.send(1, f)
	wantSlots(t, "a", w.got(0), f)
	wantSlots(t, "b", w.got(1))
	wantSlots(t, "c", w.got(2))
}

func TestVAL03UnknownUnicastIsFlooded(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	f := frame(station(9), station(1), 60, 1)
	w.send(0, f)
	wantSlots(t, "b", w.got(1), f)
	wantSlots(t, "c", w.got(2), f)
}

func TestVAL04OwnAddress(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	w.send(0, frame(broadcast, station(1), 60, 1))
	w.got(1)
	w.got(2)
	w.send(0, frame(station(1), station(2), 60, 2))
	for i := range w.c {
		wantSlots(t, w.p[i].Name(), w.got(i))
	}
	wantDrops(t, w.p[0], map[string]uint64{"own_address": 1})
}

// Learning counts within a batch: the second frame of one sync already knows
// the source of the first (NC E.5.2).
func TestLearningWithinABatch(t *testing.T) {
	w := newNet(t, 2, small, Options{})
	tx := w.c[0].tx[0]
	tx.frame(frame(broadcast, station(1), 60, 1))
	tx.frame(frame(station(1), station(2), 60, 2))
	tx.publish()
	w.pl.Poll()
	wantDrops(t, w.p[0], map[string]uint64{"own_address": 1})
	if n := len(w.got(1)); n != 1 {
		t.Errorf("b received %d frames, want the broadcast only", n)
	}
}

func TestVAL05ShortFrames(t *testing.T) {
	for _, tc := range []struct {
		len  int
		want int
	}{{0, 0}, {1, 0}, {13, 0}, {14, 1}, {15, 1}} {
		w := newNet(t, 2, small, Options{})
		f := frame(broadcast, station(1), tc.len, 1)
		w.send(0, f)
		got := w.got(1)
		if len(got) != tc.want {
			t.Errorf("%d bytes: %d frames delivered, want %d", tc.len, len(got), tc.want)
			continue
		}
		if tc.want == 0 {
			wantDrops(t, w.p[0], map[string]uint64{"too_short": 1})
		} else {
			wantSlots(t, "b", got, f)
		}
	}
}

// The first fragment alone is judged.
func TestVAL05ShortFirstFragment(t *testing.T) {
	w := newNet(t, 2, small, Options{})
	f := frame(broadcast, station(1), 60, 1)
	w.send(0, f[:13], f[13:])
	wantSlots(t, "b", w.got(1))
	wantDrops(t, w.p[0], map[string]uint64{"too_short": 1})
	w.send(0, f[:14], f[14:])
	if got := w.got(1); len(got) != 2 || got[0].data+got[1].data != string(f) {
		t.Errorf("received %v, want the frame in two slots", got)
	}
}

func TestVAL06GroupSourceIsNotLearned(t *testing.T) {
	for _, src := range []MAC{broadcast, {1, 0, 0x5e, 0, 0, 1}} {
		w := newNet(t, 3, small, Options{})
		w.send(0, frame(broadcast, src, 60, 1))
		if a := w.s.Addresses(); len(a) != 0 {
			t.Errorf("source %v was learned: %v", src, a)
		}
	}
}

// A station that moves from A to B and back is found on A at once; the
// reference's memo of the last source does not notice (NC E.5.1 step 3).
func TestStationMovesThereAndBack(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	for _, at := range []int{0, 1, 0} {
		w.send(at, frame(broadcast, station(1), 60, 1))
	}
	for i := range w.c {
		w.got(i)
	}
	f := frame(station(1), station(3), 60, 2)
	w.send(2, f)
	wantSlots(t, "a", w.got(0), f)
	wantSlots(t, "b", w.got(1))
}

func TestVAL07CollidingAddressesEvict(t *testing.T) {
	first, second := station(0x0f), station(0x20)
	for _, compat := range []bool{true, false} {
		w := newNet(t, 3, small, Options{Compat: compat})
		w.send(0, frame(broadcast, first, 60, 1))
		w.send(1, frame(broadcast, second, 60, 2))
		for i := range w.c {
			w.got(i)
		}
		f := frame(first, station(3), 60, 3)
		w.send(2, f)
		wantSlots(t, "a", w.got(0), f)
		if compat {
			wantSlots(t, "b (flooded)", w.got(1), f)
		} else {
			wantSlots(t, "b", w.got(1))
		}
	}
}

func TestVAL08LearnedPortLeaves(t *testing.T) {
	for _, compat := range []bool{true, false} {
		w := newNet(t, 3, small, Options{Compat: compat})
		w.send(0, frame(broadcast, station(1), 60, 1))
		for i := range w.c {
			w.got(i)
		}
		w.pl.Remove(w.p[0])
		if err := w.s.Detach(w.p[0]); err != nil {
			t.Fatal(err)
		}
		f := frame(station(1), station(2), 60, 2)
		w.send(1, f)
		if compat {
			wantSlots(t, "c", w.got(2))
			wantDrops(t, w.p[1], map[string]uint64{"vacant_port": 1})
		} else {
			wantSlots(t, "c (flooded)", w.got(2), f)
		}
		// Who gets the index next inherits the address from a compatible table only.
		d := newClient(t, small)
		p := d.join(w.s, w.pl, "d")
		if p.Index() != w.p[0].Index() {
			t.Fatalf("index %d given to the next port, want %d again", p.Index(), w.p[0].Index())
		}
		w.send(1, f)
		wantSlots(t, "d", d.rx[0].readAll(), f)
		if n := len(w.got(2)); compat == (n == 1) {
			t.Errorf("compat %v: c received %d frames", compat, n)
		}
	}
}

func TestVAL09ReceiverFull(t *testing.T) {
	w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 8, buf: 256}, Options{})
	tx := w.c[0].tx[0]
	var sent [][]byte
	for batch := range 3 {
		for i := range 3 {
			f := frame(broadcast, station(1), 60, uint32(3*batch+i))
			sent = append(sent, f)
			tx.frame(f)
		}
		tx.publish()
		w.pl.Poll()
		if tx.free() != 7 {
			t.Fatalf("batch %d: sender has %d free slots after its sync, want all 7", batch, tx.free())
		}
	}
	wantSlots(t, "b", w.got(1), sent[:7]...)
	wantDrops(t, w.p[1], map[string]uint64{"ring_full": 2})
}

// Delivery stops at the first frame that does not fit, though a later one would.
func TestVAL09LongFrameThatDoesNotFitEndsTheBatch(t *testing.T) {
	w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 8, buf: 256}, Options{})
	rx := w.c[1].rx[0]
	f := func(tag uint32) []byte { return frame(broadcast, station(1), 60, tag) }
	w.send(0, f(0), f(0), f(0), f(0)) // 4 of 7 slots
	tx := w.c[0].tx[0]
	tx.frame(f(1))
	tx.frame(f(2), f(2), f(2)) // does not fit
	tx.frame(f(3))             // would
	tx.publish()
	w.pl.Poll()
	got := rx.readAll()
	if len(got) != 5 || got[4].data != string(f(1)) {
		t.Errorf("%d slots delivered, want the first frame (4) and the second (1)", len(got))
	}
	wantDrops(t, w.p[1], map[string]uint64{"ring_full": 2})
	w.send(0, f(4))
	wantSlots(t, "b", rx.readAll(), f(4))
}

func TestVAL10SenderGetsEverythingBack(t *testing.T) {
	w := newNet(t, 1, small, Options{})
	tx := w.c[0].tx[0]
	for n := range 15 {
		for range n + 1 {
			tx.frame(frame(broadcast, station(1), 60, 0))
		}
		tx.publish()
		w.pl.Poll()
		hwcur, hwtail := tx.Block().LoadDaemon()
		if hwcur != tx.head || hwtail != (tx.head+15)%16 {
			t.Fatalf("head %d: hwcur %d, hwtail %d; want head and head-1", tx.head, hwcur, hwtail)
		}
	}
	c := w.p[0].Counters()
	wantDrops(t, w.p[0], map[string]uint64{"no_destination": c.Tx.Frames})
}

func TestVAL11Flags(t *testing.T) {
	w := newNet(t, 2, small, Options{})
	f := frame(broadcast, station(1), 1200, 7)
	w.send(0, f[:500], f[500:1000], f[1000:])
	want := []slot{{string(f[:500]), 0x0320}, {string(f[500:1000]), 0x0320}, {string(f[1000:]), 0x0300}}
	if got := w.got(1); !slices.Equal(got, want) {
		t.Errorf("received %v, want three slots with flags 0x0320, 0x0320, 0x0300", got)
	}
}

func TestVAL12ChainWithoutEnd(t *testing.T) {
	w := newNet(t, 2, small, Options{})
	tx := w.c[0].tx[0]
	f := frame(broadcast, station(1), 100, 7)
	tx.put(f[:50], abi.NSMoreFrag)
	tx.put(f[50:], abi.NSMoreFrag)
	tx.publish()
	w.pl.Poll()
	want := []slot{{string(f[:50]), 0x0220}, {string(f[50:]), 0x0200}}
	if got := w.got(1); !slices.Equal(got, want) {
		t.Errorf("received %v, want the two slots as one whole frame", got)
	}
}

func TestVAL13UnicastKeepsTheRing(t *testing.T) {
	for _, tc := range []struct{ from, rings, want int }{{2, 4, 2}, {2, 2, 0}, {3, 2, 1}, {3, 1, 0}, {0, 4, 0}} {
		w := newNet(t, 1, shape{tx: 4, rx: 4, slots: 8, buf: 256}, Options{})
		b := newClient(t, shape{tx: 1, rx: tc.rings, slots: 8, buf: 256})
		b.join(w.s, w.pl, "b")
		b.tx[0].frame(frame(broadcast, station(2), 60, 1))
		b.tx[0].publish()
		w.pl.Poll()
		f := frame(station(2), station(1), 60, 2)
		w.c[0].tx[tc.from].frame(f)
		w.c[0].tx[tc.from].publish()
		w.pl.Poll()
		for i, r := range b.rx {
			if i == tc.want {
				wantSlots(t, fmt.Sprintf("ring %d of %d", i, tc.rings), r.readAll(), f)
			} else {
				wantSlots(t, fmt.Sprintf("ring %d of %d", i, tc.rings), r.readAll())
			}
		}
	}
}

func TestVAL14BroadcastGoesToRingZero(t *testing.T) {
	w := newNet(t, 3, shape{tx: 4, rx: 4, slots: 8, buf: 256}, Options{})
	f := frame(broadcast, station(1), 60, 1)
	w.c[0].tx[3].frame(f)
	w.c[0].tx[3].publish()
	w.pl.Poll()
	for _, c := range w.c[1:] {
		wantSlots(t, "ring 0", c.rx[0].readAll(), f)
		for _, r := range c.rx[1:] {
			wantSlots(t, "other ring", r.readAll())
		}
	}
}

func TestVAL15UnboundReceiverIsSkipped(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	w.c[1].rx[0].SetBound(false)
	f := frame(broadcast, station(1), 60, 1)
	w.send(0, f)
	wantSlots(t, "b", w.got(1))
	wantSlots(t, "c", w.got(2), f)
	wantDrops(t, w.p[1], map[string]uint64{"not_bound": 1})
}

func TestVAL19HashVectors(t *testing.T) {
	for _, v := range []struct {
		mac  MAC
		want uint64
	}{
		{MAC{}, 269},
		{MAC{0, 0, 0, 0, 0, 1}, 557},
		{MAC{2, 0, 0, 0, 0, 1}, 92},
		{MAC{2, 0, 0, 0, 0, 2}, 23},
		{MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56}, 814},
		{MAC{0, 0x1b, 0x21, 0xaa, 0xbb, 0xcc}, 428},
		{MAC{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}, 200},
		{MAC{2, 0, 0, 0, 0, 0x0f}, 984},
		{MAC{2, 0, 0, 0, 0, 0x20}, 984},
	} {
		if got := compatHash(v.mac.word()); got != v.want {
			t.Errorf("hash of %v is %d, want %d", v.mac, got, v.want)
		}
	}
}

func TestVAL22PortLimit(t *testing.T) {
	s := New("vale0", Options{Compat: true})
	for i := range 252 {
		if _, err := s.Attach(fmt.Sprint(i), nil); err != nil {
			t.Fatalf("port %d: %v", i, err)
		}
	}
	if _, err := s.Attach("252", nil); !errors.Is(err, ErrFull) {
		t.Errorf("port 253 of a compatible switch: %v, want ErrFull", err)
	}
	s = New("vale0", Options{})
	for i := range 1000 {
		if _, err := s.Attach(fmt.Sprint(i), nil); err != nil {
			t.Fatalf("port %d: %v", i, err)
		}
	}
	if _, err := s.Attach("7", nil); !errors.Is(err, ErrExists) {
		t.Errorf("a second port 7: %v, want ErrExists", err)
	}
}

func TestVAL23LastPortTakesTheAddressesAlong(t *testing.T) {
	for _, compat := range []bool{true, false} {
		w := newNet(t, 1, small, Options{Compat: compat})
		w.send(0, frame(broadcast, station(1), 60, 1))
		if n := len(w.s.Addresses()); n != 1 {
			t.Fatalf("%d addresses, want 1", n)
		}
		w.pl.Remove(w.p[0])
		if err := w.s.Detach(w.p[0]); err != nil {
			t.Fatal(err)
		}
		if a := w.s.Addresses(); len(a) != 0 {
			t.Errorf("compat %v: addresses left behind: %v", compat, a)
		}
		if err := w.s.Detach(w.p[0]); !errors.Is(err, ErrNoPort) {
			t.Errorf("second detach: %v, want ErrNoPort", err)
		}
	}
}

// Index assignment of NC E.5: a freed index is the next to be given.
func TestIndexAssignment(t *testing.T) {
	s := New("vale0", Options{})
	ports := map[string]*Port{}
	attach := func(name string, want int) {
		t.Helper()
		p, err := s.Attach(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ports[name] = p; p.Index() != want {
			t.Errorf("port %s has index %d, want %d", name, p.Index(), want)
		}
	}
	detach := func(name string) {
		t.Helper()
		if err := s.Detach(ports[name]); err != nil {
			t.Fatal(err)
		}
	}
	attach("a", 0)
	attach("b", 1)
	attach("c", 2)
	detach("a")
	detach("b")
	attach("d", 1)
	attach("e", 0)
	attach("f", 3)
	if ps := s.Ports(); ps[0].Name()+ps[1].Name()+ps[2].Name()+ps[3].Name() != "edcf" {
		t.Errorf("ports by index: %v", ps)
	}
}

// What was published before a port closed is still delivered (NC D.8).
func TestDrain(t *testing.T) {
	w := newNet(t, 2, shape{tx: 2, rx: 1, slots: 4096, buf: 64}, Options{Batch: 64})
	f := frame(broadcast, station(1), 60, 1)
	for _, r := range w.c[0].tx {
		for range 2000 {
			r.frame(f)
		}
		r.publish()
	}
	for ring := range w.c[0].tx {
		if n := w.pl.Drain(w.p[0], ring); n != 2000 {
			t.Errorf("Drain moved %d frames of ring %d, want 2000", n, ring)
		}
	}
	if n := len(w.got(1)); n != 4000 {
		t.Errorf("b received %d frames, want 4000", n)
	}
}

// restless is a client that publishes as fast as it is served.
type restless struct{ slots int }

func (r *restless) Next(b *Batch) int {
	b.Drop(TooShort, uint64(b.Limit()), 0)
	r.slots += b.Limit()
	return b.Limit()
}

func (*restless) Done(*Batch) {}

// A client that goes on sending while its ring is closed does not keep the lcore
// for longer than a ring is.
func TestDrainEnds(t *testing.T) {
	w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 64, buf: 64}, Options{})
	closing, other := &restless{}, &restless{}
	w.pl.Add(w.p[0], 1, closing)
	w.pl.Add(w.p[0], 2, other)
	w.pl.Drain(w.p[0], 1)
	if closing.slots > 4096 || other.slots != 0 {
		t.Errorf("Drain took %d slots of the ring that is closed and %d of another, want at most 4096 and 0", closing.slots, other.slots)
	}
}

func TestUnread(t *testing.T) {
	w := newNet(t, 2, small, Options{})
	for i := range 5 {
		w.send(0, frame(broadcast, station(1), 60, uint32(i)))
	}
	w.c[1].rx[0].read(2)
	frames, bytes := w.c[1].rx[0].Unread()
	w.p[1].Unread(frames, bytes, w.p[1].Counters().Rx)
	c := w.p[1].Counters()
	if c.Rx != (Count{2, 120}) || c.Drops[Unread] != 3 {
		t.Errorf("Rx %v, %d unread; want 2 frames of 120 bytes and 3", c.Rx, c.Drops[Unread])
	}
	w.p[1].Unread(1000, 1<<40, w.p[1].Counters().Rx) // a client that lies about its ring
	if c := w.p[1].Counters(); c.Rx != (Count{}) || c.Drops[Unread] != 5 {
		t.Errorf("Rx %v, %d unread; want nothing and 5", c.Rx, c.Drops[Unread])
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		name := r.String()
		if name == "" || seen[name] {
			t.Errorf("reason %d has the name %q", r, name)
		}
		seen[name] = true
	}
	if len(seen) > maxReasons {
		t.Errorf("%d reasons, room for %d", len(seen), maxReasons)
	}
}
