package shm

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

func newRegion(t *testing.T, p Params) *Region {
	t.Helper()
	g, err := p.Plan()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Create(Options{ID: 7, Name: "test", Private: true}, g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	r.Retain()
	return r
}

func mustRing(t *testing.T, r *Region, dir, id int, slots uint32) Ring {
	t.Helper()
	ix := ring.Indices{}
	if dir == abi.DirTx {
		ix.HwTail = slots - 1
	}
	o, err := r.NewRing(1, dir, id, slots, ix)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFreshRingsLookAsNetmapSays(t *testing.T) {
	r := newRegion(t, PrivateParams())
	rx, tx := mustRing(t, r, abi.DirRx, 0, 512), mustRing(t, r, abi.DirTx, 0, 256)
	g := r.Geometry()
	seen := map[uint32]bool{}
	for _, o := range []Ring{rx, tx} {
		h := o.View.RingHeader
		if o.Offset%abi.RingAlign != 0 {
			t.Errorf("ABI-04: ring at %d is not aligned", o.Offset)
		}
		if want := int64(g.BufOffset()) - int64(o.Offset); h.BufOfs != want {
			t.Errorf("ABI-20: buf_ofs %d, want %d", h.BufOfs, want)
		}
		for i := range o.View.Num() {
			s := o.View.At(i)
			if s.BufIdx < abi.MinBufIndex || seen[s.BufIdx] || s.Len != 2048 || s.Flags != 0 || s.Ptr != 0 {
				t.Fatalf("ABI-09: slot %d is %+v", i, *s)
			}
			seen[s.BufIdx] = true
		}
	}
	if rx.View.At(0).BufIdx != 2 || rx.Offset != g.RingOffset() {
		t.Errorf("lowest free first: first ring has buffer %d at %d", rx.View.At(0).BufIdx, rx.Offset)
	}
	if h := tx.View.RingHeader; h.Head != 0 || h.Cur != 0 || h.Tail != 255 || h.NumSlots != 256 || h.Dir != abi.DirTx {
		t.Errorf("ABI-07: fresh TX ring %+v", *h)
	}
	if h := rx.View.RingHeader; h.Head != 0 || h.Cur != 0 || h.Tail != 0 {
		t.Errorf("ABI-08: fresh RX ring %+v", *h)
	}
}

// A client writes whatever it likes into its slots; the pool stays exact.
func TestFreeRingWithHostileSlots(t *testing.T) {
	r := newRegion(t, PrivateParams())
	before := r.Stats()
	a, b := mustRing(t, r, abi.DirRx, 0, 64), mustRing(t, r, abi.DirTx, 0, 64)
	a.View.At(0).BufIdx = 0xffffffff          // outside
	a.View.At(1).BufIdx = 1                   // reserved
	a.View.At(2).BufIdx = 4000                // in the pool
	a.View.At(3).BufIdx = a.View.At(4).BufIdx // doubled
	a.View.At(5).BufIdx = b.View.At(5).BufIdx // the other ring's, as in the middle of a swap
	if n := r.FreeRing(a); n != 5 {
		t.Errorf("refused %d indices, want 5", n)
	}
	if n := r.FreeRing(b); n != 0 {
		t.Errorf("refused %d indices of the second ring, whose buffers are its own", n)
	}
	seen, _ := r.Sweep(nil)
	if got := r.Stats(); got.Orphans != 5 || got.Buf.Free != before.Buf.Free-5 {
		t.Errorf("after the first sweep: %+v, want 5 orphans", got)
	}
	if _, n := r.Sweep(seen); n != 5 {
		t.Errorf("second sweep gave %d back, want 5", n)
	}
	if got := r.Stats(); got != before {
		t.Errorf("pools are %+v, were %+v", got, before)
	}
}

// What a client puts into its slots or its list of another's slots is the other's still: nothing is given to a third while it
// stands in somebody's slot, and the pool is exact in the end.
func TestStolenBuffers(t *testing.T) {
	for name, end := range map[string]func(r *Region, thief Ring, stolen uint32) (freed bool){
		"a ring that is renewed": func(r *Region, thief Ring, _ uint32) bool {
			if err := r.Renew(thief); err != nil {
				t.Error(err)
			}
			return false
		},
		"a ring that is freed": func(r *Region, thief Ring, _ uint32) bool {
			r.FreeRing(thief)
			return true
		},
		"a list": func(r *Region, _ Ring, stolen uint32) bool {
			r.NewExtra(1)
			r.FreeExtra(stolen)
			return false
		},
	} {
		r := newRegion(t, PrivateParams())
		before := r.Stats()
		victim, thief := mustRing(t, r, abi.DirRx, 0, 64), mustRing(t, r, abi.DirTx, 0, 64)
		stolen := victim.View.At(7).BufIdx
		thief.View.At(3).BufIdx = stolen
		freed := end(r, thief, stolen)
		third, err := r.Lend(int(r.Stats().Buf.Free))
		if err != nil || slices.Contains(third, stolen) {
			t.Errorf("%s: the buffer of a ring in use was given to another (%v)", name, err)
		}
		if err := r.Recover(third); err != nil {
			t.Error(err)
		}
		if !freed {
			r.FreeRing(thief)
		}
		r.FreeRing(victim)
		seen, _ := r.Sweep(nil)
		r.Sweep(seen)
		if got := r.Stats(); got != before {
			t.Errorf("%s: pools are %+v, were %+v", name, got, before)
		}
	}
}

// A client that writes the index of a ring that nobody has opened neither sends its buffer nor receives into it.
func TestIdleRing(t *testing.T) {
	r := newRegion(t, PrivateParams())
	o := mustRing(t, r, abi.DirRx, 0, 64)
	own := r.Owners()
	a, b := o.View.At(0).BufIdx, o.View.At(1).BufIdx
	try := func(want bool) {
		t.Helper()
		if held, sent, given := own.Held(a), own.Launch(a), own.ToDevice(b); held != want || sent != want || given != want {
			t.Errorf("held %v, sent %v, given to a device %v, want all %v", held, sent, given, want)
		}
	}
	try(false)
	if err := r.Open(o); err != nil {
		t.Fatal(err)
	}
	try(true)
	own.Land(a)
	own.ToClient(b)
	if err := r.Renew(o); err != nil {
		t.Fatal(err)
	}
	try(false)
}

func TestExtraBuffers(t *testing.T) {
	r := newRegion(t, PrivateParams())
	before := r.Stats()
	o := mustRing(t, r, abi.DirTx, 0, 32)
	head, got := r.NewExtra(10)
	if got != 10 {
		t.Fatalf("got %d of 10", got)
	}
	n := 0
	for i := head; i != 0; i = binary.LittleEndian.Uint32(r.Bufs().Get(i)) {
		n++
	}
	if n != 10 {
		t.Errorf("ABI-25: the list has %d buffers, want 10", n)
	}
	// ABI-28: swap one with a slot, and put the slot's old one in the list.
	s := o.View.At(3)
	next := binary.LittleEndian.Uint32(r.Bufs().Get(head))
	old := s.BufIdx
	s.BufIdx = head
	binary.LittleEndian.PutUint32(r.Bufs().Get(old), next)
	if freed := r.FreeExtra(old); freed != 10 {
		t.Errorf("freed %d, want 10", freed)
	}
	r.FreeRing(o)
	if got := r.Stats(); got != before {
		t.Errorf("pools are %+v, were %+v", got, before)
	}
	// ABI-27: more than there are; and a list with a cycle ends.
	head, got = r.NewExtra(1 << 20)
	if uint64(got) != before.Buf.Free {
		t.Errorf("got %d, free were %d", got, before.Buf.Free)
	}
	binary.LittleEndian.PutUint32(r.Bufs().Get(head), head)
	if freed := r.FreeExtra(head); freed != 1 {
		t.Errorf("a cyclic list freed %d buffers, want 1", freed)
	}
	last := r.Release()
	if r.Reset(); !last || r.Stats().Buf.Free != before.Buf.Free {
		t.Errorf("ABI-29: after the last user (%v) %+v", last, r.Stats())
	}
}

// A list of extra buffers is the client's to write: what it names is freed once, up to the first entry that is wrong
// (NC A.9), and the rest when the region has no users.
func TestHostileExtraLists(t *testing.T) {
	for _, c := range []struct {
		what string
		link func(r *Region, list []uint32) (at int, to uint32) // the entry at leads to, -1 is the head
		want uint32
	}{
		{"whole", func(_ *Region, list []uint32) (int, uint32) { return 9, 0 }, 10},
		{"a circle", func(_ *Region, list []uint32) (int, uint32) { return 9, list[0] }, 10},
		{"a circle in the middle", func(_ *Region, list []uint32) (int, uint32) { return 5, list[3] }, 6},
		{"an entry that is its own next", func(_ *Region, list []uint32) (int, uint32) { return 4, list[4] }, 5},
		{"reserved", func(*Region, []uint32) (int, uint32) { return 2, 1 }, 3},
		{"behind the pool", func(r *Region, _ []uint32) (int, uint32) { return 2, r.Bufs().Num() }, 3},
		{"far behind it", func(*Region, []uint32) (int, uint32) { return 0, ^uint32(0) }, 1},
		{"a head behind the pool", func(*Region, []uint32) (int, uint32) { return -1, ^uint32(0) }, 0},
		{"one that nobody has", func(r *Region, _ []uint32) (int, uint32) { return 6, r.Bufs().Num() - 1 }, 7},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := newRegion(t, PrivateParams())
			before := r.Stats().Buf.Free
			head, _ := r.NewExtra(10)
			var list []uint32
			for i := head; i != 0; i = binary.LittleEndian.Uint32(r.Bufs().Get(i)) {
				list = append(list, i)
			}
			at, to := c.link(r, list)
			if at < 0 {
				head = to
			} else {
				binary.LittleEndian.PutUint32(r.Bufs().Get(list[at]), to)
			}
			if got := r.FreeExtra(head); got != c.want {
				t.Errorf("freed %d buffers, want %d", got, c.want)
			}
			if free := r.Stats().Buf.Free; free != before-10+uint64(c.want) {
				t.Errorf("%d buffers are free, want %d", free, before-10+uint64(c.want))
			}
			last := r.Release()
			if r.Reset(); !last || r.Stats().Buf.Free != before {
				t.Errorf("after the last user %d buffers are free, want %d", r.Stats().Buf.Free, before)
			}
		})
	}
}

func TestExhaustionNamesPoolNeedAndHave(t *testing.T) {
	r := newRegion(t, PrivateParams())
	for i := range 3 {
		mustRing(t, r, abi.DirRx, i, 1024)
	}
	_, err := r.NewRing(1, abi.DirRx, 3, 1025, ring.Indices{})
	if !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "need 1025 objects of the buffer pool, 1024 are free") {
		t.Errorf("buffers: %v", err)
	}
	mustRing(t, r, abi.DirRx, 3, 8)
	if _, err = r.NewRing(1, abi.DirRx, 4, 8, ring.Indices{}); !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "ring pool") {
		t.Errorf("rings: %v", err)
	}
	if _, err = r.NewRing(1, abi.DirRx, 4, 4096, ring.Indices{}); !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "65792 bytes") {
		t.Errorf("ring size: %v", err)
	}
	for range 4 {
		if _, err = r.NewIf(9, 4); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = r.NewIf(9, 4); !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "netmap_if") {
		t.Errorf("ifs: %v", err)
	}
}

// A daemon that lost its Go state finds everything in the two files.
func TestAdopt(t *testing.T) {
	r := newRegion(t, PrivateParams())
	rx, tx := mustRing(t, r, abi.DirRx, 0, 128), mustRing(t, r, abi.DirTx, 1, 128)
	if _, err := r.NewIf(42, 4); err != nil {
		t.Fatal(err)
	}
	r.NewExtra(5)
	blocks, err := NewFile("sync", 2*abi.SyncBlockSize, false)
	if err != nil {
		t.Fatal(err)
	}
	defer blocks.Close()
	use := func(o Ring, i int) *ring.Ring {
		b, err := blocks.Mem().SyncBlock(i)
		if err != nil {
			t.Fatal(err)
		}
		return ring.New(ring.Config{Dir: o.Dir, ID: o.ID, Slots: o.View.Slots, Bufs: r.Bufs(), Block: b, Indices: o.Indices})
	}
	k := use(rx, 0)
	start, got := k.Reserve(9)
	k.Commit(start, got, got)
	k.Block().PublishClient(4, 4)
	k.Release()
	k = use(tx, 1)
	k.Block().PublishClient(100, 100)
	k.Pending()
	k.Complete(100)
	want := r.Stats()

	dup := func(f *os.File) *os.File {
		fd, err := unix.Dup(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), f.Name())
	}
	n, err := Adopt(dup(r.File()), dup(r.ControlFile()))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	n.Retain()
	if n.ID() != 7 || n.Name() != "test" || n.Geometry() != r.Geometry() || n.Stats() != want {
		t.Errorf("adopted region %d %q %+v, want %+v", n.ID(), n.Name(), n.Stats(), want)
	}
	rings, err := n.Rings()
	if err != nil || len(rings) != 2 {
		t.Fatalf("adopted rings: %v (%v)", rings, err)
	}
	if a := rings[0]; a.Dir != abi.DirRx || a.Indices.HwCur != 4 || a.Indices.HwTail != 9 {
		t.Errorf("RX ring: %+v %+v", a, *a.Indices)
	}
	if a := rings[1]; a.Dir != abi.DirTx || a.ID != 1 || a.Indices.HwCur != 100 || a.Indices.HwTail != 99 {
		t.Errorf("TX ring: %+v %+v", a, *a.Indices)
	}
	// The new allocator goes on from there: no buffer is given twice.
	o := mustRing(t, n, abi.DirRx, 5, 64)
	for i := range o.View.Num() {
		idx := o.View.At(i).BufIdx
		for _, old := range []Ring{rx, tx} {
			for s := range old.View.Num() {
				if old.View.At(s).BufIdx == idx {
					t.Fatalf("buffer %d given twice", idx)
				}
			}
		}
	}
	// The truth is not in what clients see: an unsealed or foreign file is refused.
	if _, err := Adopt(dup(r.File()), dup(r.File())); err == nil {
		t.Error("a region without its control memory was adopted")
	}
}

// Memory is used for what is used: a region for a million buffers costs no more at first than one for a thousand.
func TestUnusedCostsNothing(t *testing.T) {
	p := GlobalParams()
	p.BufNum = 1_000_000
	r := newRegion(t, p)
	before := r.Stats()
	o := mustRing(t, r, abi.DirRx, 0, 64)
	seen, _ := r.Sweep(nil)
	r.Sweep(seen)
	r.FreeRing(o)
	if got := r.Stats(); got != before {
		t.Errorf("pools are %+v, were %+v", got, before)
	}
	for what, f := range map[string]*os.File{"region": r.File(), "control memory": r.ControlFile()} {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		if used := st.Blocks * 512; used > 128<<10 {
			t.Errorf("the %s of %d bytes uses %d", what, st.Size, used)
		}
	}
}
