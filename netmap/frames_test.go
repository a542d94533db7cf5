package netmap

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// loop carries what TX ring 0 holds to RX ring 0, slot by slot, like a wire.
func (b *bench) loop() {
	tx, rx := b.dtx[0], b.drx[0]
	from, n := tx.Pending()
	start, got := rx.Reserve(n)
	for k := range got {
		w := tx.Slots().Load(tx.Advance(from, k))
		i := rx.Advance(start, k)
		idx := rx.Slots().Load(i).Idx()
		copy(b.region.Buf(idx), b.region.Buf(w.Idx())[:w.Len()])
		rx.Slots().Store(i, abi.MakeWord(idx, w.Len(), w.Flags()))
	}
	rx.Commit(start, got, got)
	tx.Complete(tx.Advance(from, n))
}

func pattern(n, seed int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + seed)
	}
	return p
}

func TestSendRecv(t *testing.T) {
	b := newBench(t, 1, 1, 16)
	tx, rx := b.txRings[0], b.rxRings[0]
	buf := make([]byte, 4096)
	for i, n := range []int{0, 1, 60, benchBufSize - 1, benchBufSize, benchBufSize + 1, 5*benchBufSize + 3, 15 * benchBufSize, 60} {
		want := pattern(n, i)
		if !tx.Send(want) {
			t.Fatalf("no room for %d bytes", n)
		}
		for range 2 { // publish and give back, then carry, then look
			_, err := b.PollTimeout(0, PollIn|PollOut)
			must(t, err)
			b.loop()
		}
		must(t, b.RxSync())
		got, ok := rx.Recv(buf)
		if !ok || !bytes.Equal(buf[:got], want) {
			t.Errorf("frame of %d bytes came as %d, ok %v", n, got, ok)
		}
		if _, ok := rx.Recv(buf); ok {
			t.Error("a frame too many")
		}
	}
	if tx.Send(make([]byte, 16*benchBufSize)) {
		t.Error("a frame of more slots than the ring has was accepted")
	}
	for i := 0; tx.Send(pattern(60, i)); i++ {
		if i >= 15 {
			t.Fatal("more frames than slots")
		}
	}
}

// Recv does not take the beginning of a frame whose end has not come.
func TestRecvPartial(t *testing.T) {
	b := newBench(t, 0, 1, 8)
	r, d := b.rxRings[0], b.drx[0]
	put := func(flags uint16) {
		start, _ := d.Reserve(1)
		d.Slots().Store(start, abi.MakeWord(d.Slots().Load(start).Idx(), 10, flags))
		d.Commit(start, 1, 1)
		must(t, b.RxSync())
	}
	put(abi.NSMoreFrag)
	if _, ok := r.Recv(nil); ok {
		t.Error("half a frame was received")
	}
	put(0)
	if n, ok := r.Recv(nil); !ok || n != 20 {
		t.Errorf("frame of %d bytes, %v; want 20", n, ok)
	}
}

func TestFrames(t *testing.T) {
	b := newBench(t, 1, 1, 8)
	want := [][]byte{pattern(60, 1), pattern(3*benchBufSize+1, 2), pattern(1, 3)}
	b.lcore(func() { b.loop() })
	for _, f := range want {
		b.txRings[0].Send(f)
	}
	must(t, b.TxSync())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := 0
	for f, err := range b.Frames(ctx) {
		if got == len(want) {
			if !errors.Is(err, context.Canceled) || f != nil {
				t.Errorf("last pair: %v, %v", f, err)
			}
			got++
			continue
		}
		if err != nil || !bytes.Equal(f, want[got]) {
			t.Errorf("frame %d: %d bytes, %v; want %d", got, len(f), err, len(want[got]))
		}
		if got++; got == len(want) {
			cancel()
		}
	}
	if got != len(want)+1 {
		t.Errorf("%d pairs, want %d", got, len(want)+1)
	}
}

func TestExtraBufs(t *testing.T) {
	b := newBench(t, 1, 0, 8)
	var err error
	b.netif, err = b.mem.If(0, 2)
	must(t, err)
	b.reg.ExtraBufs = 3
	list := []uint32{12, 11, 10}
	must(t, b.SetExtraBufs(list))
	if got := b.ExtraBufs(); len(got) != 3 || got[0] != 10 || got[2] != 12 {
		t.Errorf("list %v, want 10 11 12", got)
	}
	b.region.Buf(12)[0] = 10 // a circle
	if got := b.ExtraBufs(); len(got) != 3 {
		t.Errorf("circular list read as %v", got)
	}
	if err := b.SetExtraBufs([]uint32{1}); err == nil {
		t.Error("buffer 1 was accepted")
	}
}

// With offsets packets lie where their slots say, and the slots are no more to be
// trusted than their lengths.
func TestOffsets(t *testing.T) {
	b := newBench(t, 1, 1, 8)
	tx, rx := b.TxRings()[0], b.RxRings()[0]
	tx.SetOffset(0, 10)
	if tx.Offset(0) != 0 || tx.ring.LoadPtr(0) != 0 {
		t.Error("a ring without offsets has some")
	}
	tx.offsets, rx.offsets = 0xffff, 0xffff
	for i := range uint32(8) {
		tx.ring.StorePtr(i, 0xabcd_0000_0000)
		tx.SetOffset(i, 100)
	}
	if got := tx.ring.LoadPtr(3); got != 0xabcd_0000_0064 || tx.Offset(3) != 100 {
		t.Errorf("ptr is %#x", got)
	}
	// 256 bytes a buffer: 156 behind the offset. The third slot's is out of its buffer.
	frame := bytes.Repeat([]byte("netmap"), 50)
	tx.SetOffset(1, 112)
	if !tx.Send(frame) {
		t.Fatal("a frame in two slots has no room")
	}
	if got := append(bytes.Clone(tx.Frame(0)), tx.Frame(1)...); len(tx.Frame(0)) != 156 || len(tx.Frame(1)) != 144 || !bytes.Equal(got, frame) {
		t.Errorf("slots have %d and %d bytes, want 156 and 144 of the frame", len(tx.Frame(0)), len(tx.Frame(1)))
	}
	if got := tx.Buf(tx.Slot(1))[112:]; !bytes.Equal(got, frame[156:]) {
		t.Error("the second part does not begin at its offset")
	}
	tx.SetOffset(2, 1000)
	if f := tx.Frame(2); len(f) != 0 {
		t.Errorf("a slot beyond its buffer has %d bytes", len(f))
	}
	for i := range uint32(8) {
		tx.SetOffset(i, 256)
	}
	if tx.Send(frame) || !tx.Send(nil) {
		t.Error("slots without room take a frame, or none does not fit")
	}

	for i := range uint32(8) {
		rx.SetOffset(i, uint64(20*i))
	}
	b.deliver(0, 3, 200)
	must(t, b.RxSync())
	for i := range uint32(3) {
		copy(rx.Buf(rx.Slot(i))[20*i:], "begin")
	}
	buf := make([]byte, 256)
	for i := range 3 {
		if n, ok := rx.Recv(buf); !ok || n != 200 || string(buf[:5]) != "begin" {
			t.Errorf("frame %d: %d bytes, %v, %q", i, n, ok, buf[:5])
		}
	}
}
