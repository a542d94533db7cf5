package vale

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// TestScatter holds scatter to what delivery from receiver to receiver does: with the same history, all memory that receivers
// see, and all counters, are the same.
func TestScatter(t *testing.T) {
	for seed := range uint64(60) {
		one, other := scatterHistory(t, seed, 1), scatterHistory(t, seed, 1000)
		for i := range one.c {
			a, b := one.c[i], other.c[i]
			for idx := uint32(abi.MinBufIndex); idx < a.bufs.Num(); idx++ {
				if !bytes.Equal(a.bufs.Get(idx), b.bufs.Get(idx)) {
					t.Fatalf("seed %d, client %d: buffer %d is %x and %x", seed, i, idx, a.bufs.Get(idx), b.bufs.Get(idx))
				}
			}
			for k := range a.rx[0].Num() {
				if x, y := a.rx[0].Slots().Load(k), b.rx[0].Slots().Load(k); x != y {
					t.Fatalf("seed %d, client %d: slot %d is %#x and %#x", seed, i, k, x, y)
				}
			}
			if x, y := one.p[i].Counters(), other.p[i].Counters(); x != y {
				t.Fatalf("seed %d, client %d counts %+v and %+v", seed, i, x, y)
			}
			_, x := a.rx[0].Block().LoadDaemon()
			if _, y := b.rx[0].Block().LoadDaemon(); x != y {
				t.Fatalf("seed %d, client %d: tail %d and %d", seed, i, x, y)
			}
		}
	}
}

// scatterHistory is some batches from one client to many others, by scatter if there are at least many.
func scatterHistory(t *testing.T, seed uint64, many int) *network {
	rng := rand.New(rand.NewPCG(seed, 2))
	const receivers = 9
	w := &network{s: New("vale0", Options{})}
	w.pl = w.s.NewPoller()
	w.pl.many = many
	for i := range receivers + 1 {
		sh := shape{tx: 1, rx: 1, slots: 16 + rng.Uint32N(60), buf: []uint32{64, 128, 2048}[rng.IntN(3)]}
		if i == 0 {
			sh.slots, sh.buf = 200, 2048
		}
		c := newClient(t, sh)
		w.c, w.p = append(w.c, c), append(w.p, c.join(w.s, w.pl, fmt.Sprint(i)))
		if err := w.s.SetStatic(station(i), w.p[i]); err != nil {
			t.Fatal(err)
		}
	}
	junk := []uint32{0, 1, 1 << 20, ^uint32(0)}
	for range 12 {
		for k := range 1 + rng.IntN(150) {
			length := 14 + rng.IntN(150)
			if rng.IntN(5) == 0 {
				length = 14 + rng.IntN(2000)
			}
			to := rng.IntN(receivers + 1) // now and then to itself
			for range 1 + rng.IntN(2) {
				w.c[0].tx[0].put(frame(station(to), station(0), length, uint32(k)), 0)
			}
		}
		for _, c := range w.c[1:] {
			r := c.rx[0]
			r.SetBound(rng.IntN(12) != 0)
			if rng.IntN(3) != 0 { // else it may become full
				r.readAll()
			}
			if rng.IntN(6) == 0 {
				at := rng.Uint32N(r.Num())
				r.Slots().Store(at, abi.MakeWord(junk[rng.IntN(len(junk))], 9, 3))
			}
		}
		w.c[0].tx[0].publish()
		w.pl.Poll()
	}
	return w
}

// When the memory of a receiver is gone, those are told that may have got half of a batch.
func TestFaultDuringScatter(t *testing.T) {
	w := &network{s: New("vale0", Options{})}
	w.pl = w.s.NewPoller()
	w.pl.many = 2
	sender := newClient(t, shape{tx: 1, rx: 1, slots: 64, buf: 2048})
	sender.join(w.s, w.pl, "sender")
	var receivers []*client
	for i := range 3 {
		c := newClient(t, shape{rx: 1, slots: 16, buf: 4096})
		p, err := w.s.Attach(fmt.Sprint(i), c.sinks())
		if err == nil {
			err = w.s.SetStatic(station(i), p)
		}
		if err != nil {
			t.Fatal(err)
		}
		receivers = append(receivers, c)
		sender.tx[0].frame(frame(station(i), station(9), 60, 1))
	}
	pool := receivers[1].bufs
	mem := unsafe.Slice((*byte)(pool.Base()), uintptr(pool.Num())*uintptr(pool.Size()))
	if err := unix.Mprotect(mem, unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	sender.tx[0].publish()
	func() {
		defer func() { w.pl.Fail(fmt.Errorf("panic: %v", recover())) }()
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		w.pl.Poll()
	}()
	if err := unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	for i, c := range receivers {
		if c.rx[0].Block().State() != abi.RingStopped {
			t.Errorf("receiver %d is not told that its ring stopped", i)
		}
	}
}

// A process that sleeps on the rings of many receivers is woken once for a batch, also where somebody who gets many frames by
// himself would be woken in the middle of it.
func TestScatterWakesOnce(t *testing.T) {
	const receivers, each = 16, 12
	if receivers*each < prompt {
		t.Fatalf("%d frames are no more than wake somebody in the middle, %d", receivers*each, prompt)
	}
	w := newNet(t, receivers+1, shape{tx: 1, rx: 1, slots: 256, buf: 2048}, Options{})
	var woken []func() bool
	for i := range receivers {
		if err := w.s.SetStatic(station(1+i), w.p[1+i]); err != nil {
			t.Fatal(err)
		}
		woken = append(woken, sleeperOf(t, w.c[1+i].rx[0].Ring, 7, abi.AskProcess))
		for k := range each {
			w.c[0].tx[0].frame(frame(station(1+i), station(0), 60, uint32(k)))
		}
	}
	w.c[0].tx[0].publish()
	w.pl.Poll()
	n := 0
	for i, was := range woken {
		if was() {
			n++
		}
		if got := len(w.got(1 + i)); got != each {
			t.Errorf("receiver %d got %d frames, want %d", i, got, each)
		}
	}
	if n != 1 {
		t.Errorf("%d eventfds were written, want 1", n)
	}
}
