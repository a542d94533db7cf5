package ring

import (
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
)

// A carried pipe keeps the larger of the two ends' offsets, and the frame is there, whether the ends share buffers or not
// (NC A.8).
func TestPipeOffsets(t *testing.T) {
	sender := &Offsets{Mask: 0xff, Max: 40}
	for _, c := range []struct {
		name     string
		from, to *Offsets
		ptr, own uint64
		at       int // where the sender has the frame
		near     uint64
		far      uint64 // the receiver's ptr
	}{
		{"none", nil, nil, 0xabc, 7, 0, 0xabc, 0xabc},
		{"receiver's", nil, &Offsets{Mask: 0xff, Max: 40}, 0x500, 0x920, 0, 0x520, 0x520},
		{"receiver's is larger", sender, &Offsets{Mask: 0xff, Max: 40}, 0x508, 32, 8, 0x520, 0x520},
		{"sender's is larger", sender, &Offsets{Mask: 0xff, Max: 40}, 0x520, 8, 32, 0x520, 0x520},
		{"above the maximum", nil, &Offsets{Mask: 0xff, Max: 24}, 0, 99, 0, 24, 24},
		{"no room behind it", nil, &Offsets{Mask: 0xff, Max: 64}, 0, 50, 0, 0, 0},
	} {
		for _, far := range []bool{false, true} {
			tx, rx := newTx(t, 4), newRing(t, abi.DirRx, 4, Indices{})
			if !far {
				rx.bufs = tx.bufs
			}
			p := NewPipe(tx, rx)
			tx.SetOffsets(c.from)
			rx.SetOffsets(c.to)
			if mask, most := tx.blk.PeerOffsets(); c.to != nil && (mask != c.to.Mask || most != c.to.Max) {
				t.Errorf("%s: the sender is told %#x and %d", c.name, mask, most)
			}
			const text = "a frame of 20 bytes!"
			copy(tx.bufs.Get(2)[c.at:], text)
			tx.slots.Store(0, abi.MakeWord(2, uint16(len(text)), 0))
			tx.slots.StorePtr(0, c.ptr)
			rx.slots.StorePtr(0, c.own)
			head(tx, 1)
			p.Turn()
			want, at := c.near, 0
			if far {
				want = c.far
			}
			if c.to != nil {
				at = int(want & c.to.Mask)
			}
			got := rx.slots.LoadPtr(0)
			frame := string(rx.bufs.Get(rx.slots.Load(0).Idx())[at:][:len(text)])
			if got != want || frame != text {
				t.Errorf("%s, far %t: ptr %#x, and %q there; want %#x", c.name, far, got, frame, want)
			}
		}
	}
}

// A receiver that opens a pipe with other offsets than before finds the frames that wait for it where its slots say.
func TestPipeOffsetsOfWhatWaits(t *testing.T) {
	of := func(most uint32) *Offsets { return &Offsets{Mask: 0xff, Max: most} }
	for _, c := range []struct {
		name             string
		from, before, to *Offsets
		ptr              uint64 // the sender's
		initial          uint64
		want             uint64 // the receiver's
	}{
		{"none", nil, nil, nil, 0xabc, 0, 0xabc},
		{"none before", nil, nil, of(64), 0x500, 32, 0x520},
		{"larger than the sender's", of(64), nil, of(64), 0x508, 32, 0x520},
		{"smaller than the sender's", of(64), nil, of(64), 0x528, 16, 0x528},
		{"larger than before", nil, of(64), of(64), 0x500, 44, 0x52c},
		{"above the maximum", nil, nil, of(24), 0, 99, 24},
		{"none any more", nil, of(64), nil, 0x500, 0, 0x500},
	} {
		for _, way := range []string{"direct", "carried", "far"} {
			tx, rx := newTx(t, 4), newRing(t, abi.DirRx, 4, Indices{})
			if way != "far" {
				rx.bufs = tx.bufs
			}
			p := NewPipe(tx, rx)
			tx.SetOffsets(c.from)
			rx.SetOffsets(c.before)
			const text = "a frame of 20 bytes!"
			at := 0
			if c.from != nil {
				at = int(c.ptr & c.from.Mask)
			}
			for i := range uint32(2) { // the second one is the first half of a packet
				copy(tx.bufs.Get(2 + i)[at:], text)
				tx.slots.Store(i, abi.MakeWord(2+i, uint16(len(text)), abi.NSMoreFrag*uint16(i)))
				tx.slots.StorePtr(i, c.ptr)
			}
			if c.before != nil {
				for i := range uint32(4) {
					rx.slots.StorePtr(i, 40)
				}
			}
			head(tx, 2)
			p.Turn()
			if way == "direct" {
				p.GiveBack(time.Time{})
			}
			p.SetOffsets(rx, c.to, c.initial, time.Now())
			for i := range uint32(2) {
				got, at := rx.slots.LoadPtr(i), uint64(0)
				if c.to != nil {
					at = got & c.to.Mask
				}
				if frame := string(rx.bufs.Get(rx.slots.Load(i).Idx())[at:][:len(text)]); frame != text {
					t.Errorf("%s, %s: slot %d has ptr %#x, and %q there", c.name, way, i, got, frame)
				}
				if got != c.want && (way != "far" || c.from == nil) {
					t.Errorf("%s, %s: slot %d has ptr %#x, want %#x", c.name, way, i, got, c.want)
				}
			}
			if got := rx.slots.LoadPtr(3); c.to != nil && got != c.initial {
				t.Errorf("%s, %s: an empty slot has ptr %#x, want %#x", c.name, way, got, c.initial)
			}
		}
	}
}
