package ring

import (
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// entries are those of a CSB, in ordinary memory.
func entries(t *testing.T) (*abi.AtoK, *abi.KtoA) {
	t.Helper()
	m := abi.NewMem(make([]byte, 64<<10)) // aligned
	a, err := m.AtoK(3)
	if err != nil {
		t.Fatal(err)
	}
	k, err := m.KtoA(8)
	if err != nil {
		t.Fatal(err)
	}
	return a, k
}

// A ring that is served in a CSB looks and publishes there, and not in its sync block, until that ends.
func TestServe(t *testing.T) {
	r := newRing(t, abi.DirTx, 8, Indices{HwCur: 3, HwTail: 2})
	a, k := entries(t)
	r.Serve(a, k)
	hwcur, hwtail := k.LoadDaemon()
	if h, c := a.LoadClient(); h != 3 || c != 3 || hwcur != 3 || hwtail != 2 || !k.DaemonSleeps() || !r.Served() {
		t.Fatalf("the entries begin with %d, %d and %d, %d", h, c, hwcur, hwtail)
	}
	if a.TakeClientMark() == 0 {
		t.Error("the client's mark is not set at first")
	}
	head(r, 5) // in the block: nobody looks
	if _, n := r.Pending(); n != 0 {
		t.Errorf("%d slots are taken from the sync block", n)
	}
	a.PublishClient(6, 6)
	if from, n := r.Pending(); from != 3 || n != 3 {
		t.Errorf("%d pending from %d, want 3 from 3", n, from)
	}
	if r.Arm() {
		t.Error("the lcore may sleep though something is published")
	}
	r.Disarm()
	a.ArmClient(abi.AskDescriptor)
	r.Take(6)
	if hwcur, hwtail = k.LoadDaemon(); hwcur != 6 || hwtail != 5 || k.DaemonSleeps() {
		t.Errorf("published %d and %d, want 6 and 5, and no mark", hwcur, hwtail)
	}
	if !r.TakeMark(&Told{}) || r.TakeMark(&Told{}) {
		t.Error("the client's mark is not taken once")
	}
	r.SetWaiters(nil, 7)
	for _, ask := range []uint32{abi.AskProcess, abi.AskOthers} {
		told := Told{}
		told.add(7)
		if a.ArmClient(ask); !r.TakeMark(&told) {
			t.Errorf("a client that writes %d is not woken", ask)
		}
	}
	if got := daemon(r); got != [2]uint32{3, 2} {
		t.Errorf("the sync block says %v, want what it said", got)
	}
	r.Unserve()
	r.Clear()
	a.PublishClient(7, 7)
	if _, n := r.Pending(); n != 0 || r.Served() || daemon(r) != [2]uint32{6, 5} {
		t.Errorf("no longer served: %d pending, the block says %v", n, daemon(r))
	}
}

// A wrong head freezes the ring, and empties the client's wrong slots, which no library sees (NC D.4); a legal one goes on.
func TestServedBadHead(t *testing.T) {
	r := newRing(t, abi.DirRx, 8, Indices{})
	a, k := entries(t)
	r.Serve(a, k)
	for _, i := range []uint32{0, 5} { // the client's, and the core's
		r.slots.Store(i, abi.MakeWord(1<<30, 60, 7))
	}
	r.slots.Store(1, abi.MakeWord(3, 65, 0))
	r.Reserve(4)
	r.Commit(0, 4, 4)
	for _, h := range []uint32{5, 8, ^uint32(0)} {
		a.PublishClient(h, h)
		r.Release()
		if hwcur, hwtail := k.LoadDaemon(); !r.Frozen() || hwcur != 0 || hwtail != 4 || r.Block().State() != abi.RingFrozen {
			t.Fatalf("head %d: %d and %d, state %d", h, hwcur, hwtail, r.Block().State())
		}
	}
	want := []abi.Word{abi.MakeWord(0, 0, 7), abi.MakeWord(3, 0, 0), abi.MakeWord(4, 0, 0), abi.MakeWord(5, 0, 0), abi.MakeWord(6, 0, 0), abi.MakeWord(1<<30, 60, 7)}
	for i, w := range want {
		if got := r.slots.Load(uint32(i)); got != w {
			t.Errorf("slot %d is %#x, want %#x", i, got, w)
		}
	}
	if r.Bad() != 3 {
		t.Errorf("%d wrong heads are counted, want 3", r.Bad())
	}
	a.PublishClient(4, 4)
	if free := r.Release(); free != 7 || r.Frozen() {
		t.Errorf("%d free after a legal head, frozen %t", free, r.Frozen())
	}
	// A ring that syncs is left to its client's library.
	r.Unserve()
	r.slots.Store(4, abi.MakeWord(1<<30, 60, 7))
	head(r, 7)
	r.Release()
	if r.slots.Load(4) != abi.MakeWord(1<<30, 60, 7) {
		t.Error("the slots of a ring that is not served were changed")
	}
}
