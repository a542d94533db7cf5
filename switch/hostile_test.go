package vale

import (
	"slices"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Hostile slots lose their own frame and no other (NC D.5, VAL-16, VAL-17).
func TestVAL16HostileSlots(t *testing.T) {
	good := func(tag uint32) []byte { return frame(broadcast, station(1), 60, tag) }
	for _, tc := range []struct {
		name   string
		reason Reason
		put    func(r *clientRing)
	}{
		{"index 0", BadIndex, func(r *clientRing) { r.putWord(abi.MakeWord(0, 60, 0)) }},
		{"index 1", BadIndex, func(r *clientRing) { r.putWord(abi.MakeWord(1, 60, 0)) }},
		{"index past the pool", BadIndex, func(r *clientRing) { r.putWord(abi.MakeWord(r.bufs.Num(), 60, 0)) }},
		{"largest index", BadIndex, func(r *clientRing) { r.putWord(abi.MakeWord(^uint32(0), 60, 0)) }},
		{"length above the buffer", BadLength, func(r *clientRing) { r.putWord(abi.MakeWord(5, 257, 0)) }},
		{"largest length", BadLength, func(r *clientRing) { r.putWord(abi.MakeWord(5, 65535, 0)) }},
		{"indirect, not readable", Indirect, func(r *clientRing) { r.putWord(abi.MakeWord(5, 60, abi.NSIndirect|abi.NSIndirectFault)) }},
		{"indirect, too long", BadLength, func(r *clientRing) { r.putWord(abi.MakeWord(5, 257, abi.NSIndirect)) }},
		{"bad first fragment", BadIndex, func(r *clientRing) {
			r.putWord(abi.MakeWord(0, 60, abi.NSMoreFrag))
			r.put(good(9), 0)
		}},
		{"bad second fragment", BadLength, func(r *clientRing) {
			r.put(good(9), abi.NSMoreFrag)
			r.putWord(abi.MakeWord(5, 300, 0))
		}},
		{"65 fragments", TooManyFragments, func(r *clientRing) {
			for range 64 {
				r.put(good(9), abi.NSMoreFrag)
			}
			r.put(good(9), 0)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 256, buf: 256}, Options{})
			tx := w.c[0].tx[0]
			tx.frame(good(1))
			tc.put(tx)
			tx.frame(good(2))
			tx.publish()
			w.pl.Poll()
			wantSlots(t, "b", w.got(1), good(1), good(2))
			wantDrops(t, w.p[0], map[string]uint64{tc.reason.String(): 1})
			if c := w.p[0].Counters(); c.Tx.Frames != 3 {
				t.Errorf("Tx %v, want 3 frames", c.Tx)
			}
			if tx.free() != tx.Num()-1 {
				t.Errorf("%d slots came back, want all", tx.free())
			}
		})
	}
}

func TestLongestFramePasses(t *testing.T) {
	w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 256, buf: 256}, Options{})
	frags := make([][]byte, MaxFrags)
	for i := range frags {
		frags[i] = frame(broadcast, station(1), 256, uint32(i))
	}
	w.send(0, frags...)
	if got := w.got(1); len(got) != MaxFrags || got[0].flags != MaxFrags<<8|abi.NSMoreFrag || got[63].flags != MaxFrags<<8 {
		t.Errorf("received %d slots, want all %d", len(got), MaxFrags)
	}
}

// A receiver that spoils its own slots gets empty ones there.
func TestHostileReceiverSlots(t *testing.T) {
	w := newNet(t, 3, shape{tx: 1, rx: 1, slots: 8, buf: 256}, Options{})
	rx := w.c[1].rx[0]
	rx.Slots().Store(1, abi.MakeWord(1, 0, 0))
	f := [][]byte{}
	for i := range 3 {
		f = append(f, frame(broadcast, station(1), 60, uint32(i)))
		w.c[0].tx[0].frame(f[i])
	}
	w.c[0].tx[0].publish()
	w.pl.Poll()
	got := w.got(1)
	if len(got) != 3 || got[0].data != string(f[0]) || got[1] != (slot{"", 0x100}) || got[2].data != string(f[2]) {
		t.Errorf("received %v, want three slots, the second empty", got)
	}
	wantDrops(t, w.p[1], map[string]uint64{"rx_bad_index": 1})
	wantSlots(t, "c", w.got(2), f...)
}

func TestFragmentLongerThanTheReceiversBuffers(t *testing.T) {
	w := newNet(t, 1, small, Options{})
	b := newClient(t, shape{tx: 1, rx: 1, slots: 8, buf: 256})
	p := b.join(w.s, w.pl, "b")
	fit, long := frame(broadcast, station(1), 256, 1), frame(broadcast, station(1), 257, 2)
	w.send(0, fit)
	w.send(0, long)
	w.send(0, fit, long)
	want := []slot{{string(fit), 0x100}, {"", 0x100}, {string(fit), 0x220}, {"", 0x200}}
	if got := b.rx[0].readAll(); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	wantDrops(t, p, map[string]uint64{"rx_bad_length": 2})
	if c := p.Counters(); c.Rx != (Count{1, 256}) {
		t.Errorf("Rx %v, want the one whole frame", c.Rx)
	}
}
