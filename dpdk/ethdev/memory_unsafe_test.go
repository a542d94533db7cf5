package ethdev

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena is memory outside Go's heap, as the buffers of a region are.
type arena struct {
	mem  []byte
	used int
}

func newArena(t testing.TB, size int) *arena {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return &arena{mem: mem}
}

// put copies b into the arena and returns where it lies.
func (a *arena) put(b []byte) unsafe.Pointer {
	p := unsafe.Pointer(&a.mem[a.used])
	a.used += copy(a.mem[a.used:], b)
	return p
}

// addFrame adds a frame to a batch, cut into segments of the given lengths; the last takes the rest.
func addFrame(t testing.TB, b *TxBatch, a *arena, frame []byte, cuts ...int) {
	t.Helper()
	for _, n := range cuts {
		if !b.Add(a.put(frame[:n]), uint32(n), true) {
			t.Fatal("the batch is full")
		}
		frame = frame[n:]
	}
	if !b.Add(a.put(frame), uint32(len(frame)), false) {
		t.Fatal("the batch is full")
	}
}

// frames copies the frames of a burst of n segments.
func frames(b *RxBatch, n int) [][]byte {
	var out [][]byte
	var cur []byte
	for i := range n {
		cur = append(cur, unsafe.Slice((*byte)(b.Addr(i)), b.Len(i))...)
		if !b.More(i) {
			out, cur = append(out, cur), nil
		}
	}
	return out
}

// receive takes frames from a queue until there are want of them, or the deadline is over.
func receive(t testing.TB, d *Device, b *RxBatch, want int) [][]byte {
	t.Helper()
	var got [][]byte
	poll(t, func() bool {
		got = append(got, frames(b, d.RxBurst(0, b))...)
		return len(got) >= want
	})
	b.Reset()
	return got
}

// handlersOnSmallStacks are the real-time signals whose handler does not ask for the signal stack.
func handlersOnSmallStacks(t testing.TB) (sigs []int) {
	t.Helper()
	const onStack = 0x08000000
	for sig := 34; sig <= 64; sig++ {
		var sa struct{ handler, flags, restorer, mask uintptr } // the kernel's
		if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(&sa)), 8, 0, 0); e != 0 {
			t.Fatal(e)
		}
		if sa.handler > 1 && sa.flags&onStack == 0 {
			sigs = append(sigs, sig)
		}
	}
	return sigs
}
