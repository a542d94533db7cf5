package vale

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// TestFillSingle holds the assembly and the Go around it to what a frame in a slot means, byte by byte: lengths of all
// classes, bad indices of the receiver, buffers that are too small, wrapped rings, and nothing written beside.
func TestFillSingle(t *testing.T) {
	for _, size := range []uint32{64, 128, 2048} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(size), 1))
			for range 300 {
				fillOnce(t, rng, size)
			}
		})
	}
}

func fillOnce(t *testing.T, rng *rand.Rand, size uint32) {
	t.Helper()
	src := newClient(t, shape{tx: 1, rx: 0, slots: 64, buf: 2048})
	dst := newClient(t, shape{tx: 0, rx: 1, slots: 48, buf: size})
	rx, b := dst.rx[0], &Batch{Base: src.bufs.Base()}
	n := 1 + rng.IntN(int(rx.Num())-1)
	var list []uint16
	for k := range n {
		length := rng.IntN(2049)
		if rng.IntN(4) != 0 {
			length = rng.IntN(160)
		}
		idx := src.tx[0].first + uint32(k)
		fill(src.bufs.Get(idx), byte(k+1))
		b.Frags[k] = Frag{Off: uint64(idx) * 2048, Len: uint16(length), Slots: 1}
		if rng.IntN(5) != 0 {
			list = append(list, uint16(k))
		}
	}
	b.N = n
	at := uint32(rng.IntN(int(rx.Num())))
	bad := map[int]bool{}
	for k := range list {
		if rng.IntN(10) == 0 {
			bad[k] = true
			junk := []uint32{0, 1, dst.bufs.Num(), dst.bufs.Num() + 7, ^uint32(0)}[rng.IntN(5)]
			rx.Slots().Store(rx.Advance(at, uint32(k)), abi.MakeWord(junk, 9, 3))
		}
	}
	for idx := uint32(abi.MinBufIndex); idx < dst.bufs.Num(); idx++ {
		fill(dst.bufs.Get(idx), 0xee)
	}
	var d Drops
	frames, total := NewRxSink(rx.Ring).fillSingle(b, list, at, &d)

	var wantFrames, wantBytes, wantIdx, wantLen uint64
	used := map[uint32]bool{}
	for k, i := range list {
		slot := rx.Advance(at, uint32(k))
		w, length, idx := rx.Slots().Load(slot), b.Frags[i].Len, rx.first+slot
		switch {
		case bad[k]:
			wantIdx++
			length = 0
		case uint32(length) > size:
			wantLen++
			length = 0
		default:
			wantFrames++
			wantBytes += uint64(length)
			used[idx] = true
			want := append(bytes.Repeat([]byte{byte(i + 1)}, int(length)), bytes.Repeat([]byte{0xee}, int(size)-int(length))...)
			if !bytes.Equal(dst.bufs.Get(idx), want) {
				t.Fatalf("frame %d of %d bytes: the buffer holds %x", k, length, dst.bufs.Get(idx))
			}
		}
		if w.Len() != length || w.Flags() != oneSlot || !bad[k] && w.Idx() != idx {
			t.Fatalf("frame %d: slot %d says index %d, %d bytes, flags %#x; want %d bytes in %d", k, slot, w.Idx(), w.Len(), w.Flags(), length, idx)
		}
	}
	if frames != wantFrames || total != wantBytes || d[RxBadIndex] != wantIdx || d[RxBadLength] != wantLen {
		t.Fatalf("%d frames, %d bytes, drops %v; want %d, %d, %d, %d", frames, total, d.ByName(), wantFrames, wantBytes, wantIdx, wantLen)
	}
	for idx := uint32(abi.MinBufIndex); idx < dst.bufs.Num(); idx++ {
		if !used[idx] && !bytes.Equal(dst.bufs.Get(idx), bytes.Repeat([]byte{0xee}, int(size))) {
			t.Fatalf("buffer %d was written to, and belongs to no frame", idx)
		}
	}
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}
