package ring

import (
	"testing"

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
