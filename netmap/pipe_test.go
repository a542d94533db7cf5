package netmap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

const pipeVectorFile = "../ring/testdata/pipe.txt"

// A pipeVector is the state that a sync of a direct pipe meets; pipeVectorFile says what the fields are.
type pipeVector struct {
	dir              string
	n                uint32
	head, cur, tail  uint32
	rhead, rcur      uint32
	rtail            uint32
	hwcur, given     uint32
	others, hwtail   uint32
	mark             uint32
	chained, changed uint32
	from, mask       uint64
	most             uint32
}

const pipeVectorFormat = "pipe %s %d ring %d %d %d lib %d %d %d own %d %d other %d %d mark %d slots %d %d offsets %d %d %d"

func (v *pipeVector) fields() []any {
	return []any{
		&v.dir, &v.n, &v.head, &v.cur, &v.tail, &v.rhead, &v.rcur, &v.rtail, &v.hwcur, &v.given, &v.others, &v.hwtail,
		&v.mark, &v.chained, &v.changed, &v.from, &v.mask, &v.most,
	}
}

func (v *pipeVector) String() string {
	return fmt.Sprintf(pipeVectorFormat, v.dir, v.n, v.head, v.cur, v.tail, v.rhead, v.rcur, v.rtail, v.hwcur, v.given,
		v.others, v.hwtail, v.mark, v.chained, v.changed, v.from, v.mask, v.most)
}

// sum is FNV-1a of the slots of a ring, word by word, and of what they carry.
func sum(s abi.Slots) uint64 {
	h := uint64(14695981039346656037)
	for i := range s.Num() {
		for _, w := range [...]uint64{uint64(s.Load(i)), s.LoadPtr(i)} {
			h = (h ^ w) * 1099511628211
		}
	}
	return h
}

const vectorBufs = 40

// fillBufs gives every eight bytes another value.
func fillBufs(b abi.Bufs) {
	const step = 0x9e3779b97f4a7c15
	x := uint64(abi.MinBufIndex) * uint64(b.Size()/8)
	x *= step
	for i := range b.Num() - abi.MinBufIndex {
		for buf := b.Get(abi.MinBufIndex + i); len(buf) > 0; buf = buf[8:] {
			binary.NativeEndian.PutUint64(buf, x)
			x += step
		}
	}
}

// sumBufs is FNV-1a of the buffers of the ring, word by word, where frames may have been moved in them.
func sumBufs(b abi.Bufs, v *pipeVector) uint64 {
	if v.mask == 0 {
		return 0
	}
	h := uint64(14695981039346656037)
	for i := range v.n {
		for buf := b.Get(2 + i); len(buf) > 0; buf = buf[8:] {
			h = (h ^ binary.NativeEndian.Uint64(buf)) * 1099511628211
		}
	}
	return h
}

// replayPipe lays the state out, syncs, and returns the line with the result behind it.
func (m *vectorRing) replayPipe(tb testing.TB, v *pipeVector) string {
	view, err := m.mem.Ring(0, v.n)
	must(tb, err)
	other, err := m.mem.Ring(2048, v.n)
	must(tb, err)
	pool, err := m.mem.Bufs(4096, vectorBufs, 2048)
	must(tb, err)
	blk, err := m.blk.SyncBlock(0)
	must(tb, err)
	peerBlk, err := m.blk.SyncBlock(1)
	must(tb, err)
	for i := range v.n {
		view.Store(i, abi.MakeWord(2+i, 60, uint16(v.chained>>i&1*abi.NSMoreFrag|v.changed>>i&1*abi.NSBufChanged)))
		view.StorePtr(i, uint64(1000+i))
		other.Store(i, abi.MakeWord(50+i, 0, 0))
		other.StorePtr(i, 0)
		if v.mask != 0 {
			other.StorePtr(i, uint64(290*i))
		}
	}
	if v.mask != 0 {
		fillBufs(pool)
	}
	view.OffsetMask = v.from
	view.SetUser(v.head, v.cur, v.tail)
	blk.Reset(0, 0)
	peerBlk.Reset(0, 0)
	blk.SetLibrary(v.rhead, v.rcur, v.rtail)
	blk.SetPeerOffsets(v.mask, v.most)
	blk.PublishDaemon(v.others, v.hwtail)
	peerBlk.PublishDaemon(v.hwcur, v.given)
	blk.SetState(abi.RingDirect)
	if v.mark != 0 {
		peerBlk.ArmClient(abi.AskDescriptor)
	}
	r := Ring{ring: view, blk: blk, bufs: pool, n: v.n, dir: abi.DirTx, session: vectorSession, peer: &peer{other.Slots, peerBlk}}
	if v.dir == "rx" {
		r.dir = abi.DirRx
	}
	out := r.sync()
	rhead, rcur, rtail := blk.Library()
	hwcur, given := peerBlk.LoadDaemon()
	mark := 0
	if peerBlk.TakeClientMark() != 0 {
		mark = 1
	}
	return fmt.Sprintf("%v => %s ring %d %d %d lib %d %d %d own %d %d mark %d sums %d %d %d", v, outcomeText(out),
		r.Head(), r.Cur(), r.Tail(), rhead, rcur, rtail, hwcur, given, mark, sum(view.Slots), sum(other.Slots), sumBufs(pool, v))
}

func TestPipeVectors(t *testing.T) {
	text, err := os.ReadFile(pipeVectorFile)
	must(t, err)
	m := newVectorRing(t)
	name, n := "", 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if comment, ok := strings.CutPrefix(line, "# "); ok {
			name = comment
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var v pipeVector
		if _, err := fmt.Sscanf(line, pipeVectorFormat, v.fields()...); err != nil {
			t.Fatalf("%s: %q: %v", pipeVectorFile, line, err)
		}
		n++
		if got := m.replayPipe(t, &v); got != line {
			t.Errorf("%s\n got %s\nwant %s", name, got, line)
		}
	}
	if n < 12 {
		t.Errorf("%d vectors, want them all", n)
	}
}

// The sync of a direct pipe in Go and the one in C do the same from any state, sensible or not.
func TestPipeAgreesWithC(t *testing.T) {
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler:", err)
	}
	driver := filepath.Join(t.TempDir(), "vectors")
	args := []string{
		"-std=c11", "-D_GNU_SOURCE", "-O2", "-o", driver, "../clib/test/vectors.c", "../clib/src/sync.c",
		"../clib/src/forward.c", "../clib/src/indirect.c", "../clib/src/usermem.c",
	}
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	m := newVectorRing(t)
	var in, want strings.Builder
	for range 50000 {
		v := randomPipe(rnd)
		fmt.Fprintln(&in, v)
		want.WriteString(m.replayPipe(t, v) + "\n")
	}
	c := exec.Command(driver)
	c.Stdin = strings.NewReader(in.String())
	out, err := c.Output()
	must(t, err)
	got, wanted := strings.Split(string(out), "\n"), strings.Split(want.String(), "\n")
	for i := range wanted {
		if i >= len(got) || got[i] != wanted[i] {
			t.Fatalf("vector %d\n C  %s\n Go %s", i, append(got, "(nothing)")[min(i, len(got))], wanted[i])
		}
	}
}

// randomPipe makes states of which many are legal, and no part is always so.
func randomPipe(r *rand.Rand) *pipeVector {
	n := 2 + r.Uint32N(7)
	at := func() uint32 {
		if r.Uint32N(60) == 0 {
			return n + r.Uint32N(3)
		}
		return r.Uint32N(n)
	}
	either := func(a, b uint32) uint32 {
		if r.Uint32N(3) == 0 {
			return b
		}
		return a
	}
	v := &pipeVector{dir: []string{"tx", "rx"}[r.Uint32N(2)], n: n, hwcur: at(), rtail: at(), others: at()}
	v.head, v.hwtail, v.rhead = either(at(), v.hwcur), either(v.rtail, at()), either(v.hwcur, at())
	v.cur, v.rcur, v.tail = either(v.head, at()), either(v.rhead, at()), either(v.rtail, at())
	v.given, v.mark = either(v.hwcur, at()), r.Uint32N(2)
	v.chained, v.changed = r.Uint32()&r.Uint32()&(1<<n-1), r.Uint32()&r.Uint32()&(1<<n-1)
	if r.Uint32N(16) == 0 {
		masks := []uint64{0, 0x3f, 0x7ff, ^uint64(0)}
		v.from, v.mask, v.most = masks[r.Uint32N(4)], masks[1+r.Uint32N(3)], r.Uint32N(2100)
	}
	return v
}
