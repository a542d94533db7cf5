package ring

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// newRing makes a ring of n slots in ordinary memory, whose client published
// ix.HwCur last. Slot i has buffer 2+i.
func newRing(tb testing.TB, dir int, n uint32, ix Indices) *Ring {
	tb.Helper()
	must := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
	page := func(size uint64) abi.Mem { return abi.NewMem(make([]byte, max(64<<10, size))) } // aligned
	v, err := page(abi.RingBytes(n)).Ring(0, n)
	must(err)
	bufs, err := page(uint64(n+2)*64).Bufs(0, n+2, 64)
	must(err)
	blk, err := page(abi.SyncBlockSize).SyncBlock(0)
	must(err)
	blk.PublishClient(ix.HwCur, ix.HwCur)
	for i := range n {
		v.Slots.Store(i, abi.MakeWord(2+i, 0, 0))
	}
	return New(Config{Dir: dir, ID: 3, Slots: v.Slots, Bufs: bufs, Block: blk, Indices: &ix})
}

func newTx(tb testing.TB, n uint32) *Ring {
	return newRing(tb, abi.DirTx, n, Indices{HwTail: n - 1})
}

// head publishes what a client would.
func head(r *Ring, h uint32) { r.Block().PublishClient(h, h) }

// daemon is what the client sees.
func daemon(r *Ring) [2]uint32 {
	hwcur, hwtail := r.Block().LoadDaemon()
	return [2]uint32{hwcur, hwtail}
}

func TestNewTakesIndicesOver(t *testing.T) {
	r := newRing(t, abi.DirRx, 8, Indices{HwCur: 5, HwTail: 2})
	if got := daemon(r); got != [2]uint32{5, 2} {
		t.Errorf("published hwcur and hwtail %v, want 5 and 2", got)
	}
	if r.Block().State() != abi.RingRunning {
		t.Error("the ring does not run")
	}
	if r.ID() != 3 || r.Dir() != abi.DirRx || r.Num() != 8 || r.Bufs().Size() != 64 || r.Slots().Num() != 8 {
		t.Error("the ring does not say what it was made of")
	}
	if start, got := r.Reserve(8); start != 2 || got != 2 {
		t.Errorf("reserved %d from %d, want 2 from 2", got, start)
	}
}

// Every published slot is seen once, and all come back at once: hwtail follows
// hwcur by one slot less than the ring (NC E.4). Rings need not be powers of two.
func TestPendingAndComplete(t *testing.T) {
	for _, num := range []uint32{2, 3, 7, 8} {
		r := newTx(t, num)
		at := uint32(0)
		for step := range 50 {
			n := uint32(step) % num
			to := (at + n) % num
			head(r, to)
			if from, got := r.Pending(); from != at || got != n {
				t.Fatalf("%d slots, step %d: %d pending from %d, want %d from %d", num, step, got, from, n, at)
			}
			r.Complete(to)
			if got, want := daemon(r), [2]uint32{to, (to + num - 1) % num}; got != want {
				t.Fatalf("%d slots, step %d: hwcur and hwtail %v, want %v", num, step, got, want)
			}
			if from, got := r.Pending(); from != to || got != 0 {
				t.Fatalf("%d slots, step %d: %d slots seen again", num, step, got)
			}
			at = to
		}
	}
}

// A batch may be completed in parts.
func TestCompletePart(t *testing.T) {
	r := newTx(t, 8)
	head(r, 6)
	r.Complete(4)
	if from, n := r.Pending(); from != 4 || n != 2 {
		t.Errorf("%d pending from %d, want 2 from 4", n, from)
	}
}

// An illegal head freezes the ring, is told to the client and counted once, and
// a legal one thaws it (NC D.4).
func TestHostileHeads(t *testing.T) {
	// hwcur 6, hwtail 2 of 8 slots: legal are 6, 7, 0, 1, 2.
	for _, bad := range []uint32{3, 4, 5, 8, 9, 1 << 31, ^uint32(0)} {
		for _, dir := range []int{abi.DirTx, abi.DirRx} {
			t.Run(fmt.Sprintf("dir %d head %d", dir, bad), func(t *testing.T) {
				r := newRing(t, dir, 8, Indices{HwCur: 6, HwTail: 2})
				look := func() (n uint32) {
					if dir == abi.DirTx {
						_, n = r.Pending()
						return n
					}
					return r.Release() - 3
				}
				r.Block().PublishClient(bad, 77)
				for range 5 {
					if n := look(); n != 0 {
						t.Fatalf("%d slots taken by an illegal head", n)
					}
				}
				if r.Bad() != 1 || !r.Frozen() || r.Block().State() != abi.RingFrozen {
					t.Errorf("%d bad heads, frozen %v, state %v; want one, frozen", r.Bad(), r.Frozen(), r.Block().State())
				}
				if n, h, cur := r.Block().Bad(); n != 1 || h != bad || cur != 77 {
					t.Errorf("the client is told of %d bad heads, last %d with cur %d", n, h, cur)
				}
				if got := daemon(r); got != [2]uint32{6, 2} {
					t.Errorf("hwcur and hwtail moved to %v", got)
				}
				if dir == abi.DirTx && !r.Arm() {
					t.Error("a frozen ring keeps the lcore awake")
				}
				head(r, 1)
				if n := look(); n != 3 {
					t.Errorf("%d slots taken by the next legal head, want 3", n)
				}
				if r.Frozen() || r.Block().State() != abi.RingRunning || r.Bad() != 1 {
					t.Error("the ring did not thaw")
				}
			})
		}
	}
}

func TestOtherBadHeadIsCounted(t *testing.T) {
	r := newTx(t, 8)
	for i, h := range []uint32{9, 9, 10, 9} {
		head(r, h)
		r.Pending()
		if want := []uint32{1, 1, 2, 3}[i]; r.Bad() != want {
			t.Errorf("after head %d: %d bad heads, want %d", h, r.Bad(), want)
		}
	}
	// Back where it was, which is legal and has nothing in it.
	head(r, 0)
	if r.Pending(); r.Frozen() {
		t.Error("the head that was there before did not thaw the ring")
	}
}

func TestArmSeesWhatWasPublishedBefore(t *testing.T) {
	r := newTx(t, 8)
	if !r.Arm() || !r.Block().DaemonSleeps() {
		t.Error("an empty ring lets the lcore sleep and asks for a kick")
	}
	r.Disarm()
	if r.Block().DaemonSleeps() {
		t.Error("a kick is asked for after Disarm")
	}
	head(r, 1)
	if r.Arm() {
		t.Error("the lcore would sleep over a published slot")
	}
}

// A client that asked for it is woken once, others are not; an eventfd that is full
// blocks nobody.
func TestNotify(t *testing.T) {
	r := newTx(t, 8)
	r.Block().ArmClient(abi.AskDescriptor)
	r.Complete(0) // nobody to wake yet
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r.SetWaiters([]int{fd}, 1)
	wakes := func() uint64 {
		var b [8]byte
		if n, err := unix.Read(fd, b[:]); n != len(b) || err != nil {
			return 0
		}
		return binary.NativeEndian.Uint64(b[:])
	}
	r.Complete(1)
	if n := wakes(); n != 0 {
		t.Errorf("woken %d times, and nobody had asked for it", n)
	}
	r.Block().ArmClient(abi.AskDescriptor)
	r.Complete(2)
	r.Complete(3)
	if n := wakes(); n != 1 {
		t.Errorf("woken %d times, want once: the mark was taken", n)
	}
	if _, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, math.MaxUint64-1)); err != nil {
		t.Fatal(err)
	}
	r.Block().ArmClient(abi.AskDescriptor)
	r.Complete(4)
	if got := daemon(r); got != [2]uint32{4, 3} {
		t.Errorf("hwcur and hwtail %v, want 4 and 3", got)
	}
}

func TestStop(t *testing.T) {
	r := newTx(t, 8)
	r.Stop()
	if r.Block().State() != abi.RingStopped {
		t.Error("the client is not told")
	}
}

func TestUnread(t *testing.T) {
	r := newRing(t, abi.DirRx, 8, Indices{HwCur: 6, HwTail: 6})
	start, got := r.Reserve(5)
	for i, flags := range []uint16{0x100, 0x220, 0x200, 0x100, 0x100} {
		r.Slots().Store(r.Advance(start, uint32(i)), abi.MakeWord(2, uint16(10+i), flags))
	}
	r.Commit(start, got, got)
	if f, b := r.Unread(); f != 4 || b != 60 {
		t.Errorf("%d frames of %d bytes unread, want 4 of 60", f, b)
	}
	head(r, 1) // three slots
	if f, b := r.Unread(); f != 2 || b != 27 {
		t.Errorf("%d frames of %d bytes unread, want 2 of 27", f, b)
	}
	head(r, 100) // hostile: as if nothing more had been read
	if f, _ := r.Unread(); f > 4 {
		t.Errorf("%d frames unread of 4 delivered", f)
	}
}

// A daemon can die between the stores of a TX ring's two indices. An RX ring's are independent.
func TestMend(t *testing.T) {
	for _, c := range []struct {
		dir       int
		ix        Indices
		ok        bool
		cur, tail uint32
	}{
		{abi.DirTx, Indices{HwCur: 5, HwTail: 4}, true, 5, 4},
		{abi.DirTx, Indices{HwCur: 5, HwTail: 1}, true, 5, 4}, // hwcur went on, hwtail not yet
		{abi.DirTx, Indices{HwCur: 0, HwTail: 6}, true, 0, 7},
		{abi.DirRx, Indices{HwCur: 5, HwTail: 1}, true, 5, 1},
		{abi.DirRx, Indices{HwCur: 8, HwTail: 1}, false, 8, 1},
		{abi.DirTx, Indices{HwCur: 1, HwTail: 8}, false, 1, 8},
	} {
		ix := c.ix
		if ok := ix.Mend(c.dir, 8); ok != c.ok || ix.HwCur != c.cur || ix.HwTail != c.tail {
			t.Errorf("%+v of direction %d becomes %+v, %v; want %d, %d, %v", c.ix, c.dir, ix, ok, c.cur, c.tail, c.ok)
		}
	}
}
