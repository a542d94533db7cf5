package ethdev

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/mempool"
)

// newPinned makes a pool over memory like a region's, of which devices have all buffers.
func newPinned(t *testing.T, name string) *mempool.Pinned {
	t.Helper()
	const count, size, front = 1024, 2048, 4096 // drivers compute addresses in front of it
	mem, err := unix.Mmap(-1, 0, front+count*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	p, err := mempool.NewPinned(name, unsafe.Pointer(&mem[front]), count, size, unix.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Free(); err != nil {
			t.Error(err)
		}
		_ = unix.Munmap(mem)
	})
	var all []uint32
	for i := range uint32(count) {
		all = append(all, i)
	}
	p.Put(all)
	return p
}

// A buffer of a region must not wait in a device that would still have it when the region is gone.
func TestReaches(t *testing.T) {
	one, two := newPinned(t, "reach1"), newPinned(t, "reach2")
	ones, twos := attach(t, "net_null_r1,size=60", Config{Pinned: one}), attach(t, "net_null_r2,size=60", Config{Pinned: two})
	own := attach(t, "net_null_r3,size=60", Config{})
	ring1, ring2 := attach(t, "net_ring_r1", Config{Pinned: one}), attach(t, "net_ring_r2", Config{Pinned: two})
	for _, c := range []struct {
		what     string
		from, to *Device
		want     bool
	}{
		{"of its own region", ones, ring1, true},
		{"of another region", twos, ring1, false},
		{"of another region, the other way", ones, ring2, false},
		{"of no region", own, ring1, true},
		{"of another region, done at once", ones, twos, true},
	} {
		b := NewRxBatch(32)
		if c.from.RxBurst(0, b) == 0 {
			t.Fatalf("%s: nothing was received", c.what)
		}
		if got := c.to.Reaches(b.Handle()); got != c.want {
			t.Errorf("frames %s: reaches %v, want %v", c.what, got, c.want)
		}
		b.Free()
	}
}
