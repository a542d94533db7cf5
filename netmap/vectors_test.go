package netmap

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

const vectorFile = "../ring/testdata/sync.txt"

// vectorSession is the session that syncs in the vectors.
const vectorSession = 7

// A vector is the state that a sync meets; vectorFile says what the fields are.
type vector struct {
	dir                          string
	n                            uint32
	head, cur, tail              uint32
	rhead, rcur, rtail, busy     uint32
	phead, pcur                  uint32
	hwcur, hwtail, state, asleep uint32
	idx, length                  uint32
}

const vectorFormat = "%s %d ring %d %d %d lib %d %d %d %d client %d %d daemon %d %d %d %d slot %d %d"

func (v *vector) fields() []any {
	return []any{
		&v.dir, &v.n, &v.head, &v.cur, &v.tail, &v.rhead, &v.rcur, &v.rtail, &v.busy,
		&v.phead, &v.pcur, &v.hwcur, &v.hwtail, &v.state, &v.asleep, &v.idx, &v.length,
	}
}

func (v *vector) String() string {
	return fmt.Sprintf(vectorFormat, v.dir, v.n, v.head, v.cur, v.tail, v.rhead, v.rcur, v.rtail, v.busy,
		v.phead, v.pcur, v.hwcur, v.hwtail, v.state, v.asleep, v.idx, v.length)
}

// A vectorRing is memory that vectors are replayed in.
type vectorRing struct {
	mem, blk abi.Mem
}

func newVectorRing(tb testing.TB) *vectorRing {
	return &vectorRing{abi.NewMem(anon(tb, 4096+100*2048)), abi.NewMem(anon(tb, 4096))}
}

// replay lays the state out, syncs, and returns the line with the result behind it.
func (m *vectorRing) replay(tb testing.TB, v *vector) string {
	view, err := m.mem.Ring(0, v.n)
	must(tb, err)
	pool, err := m.mem.Bufs(4096, 100, 2048)
	must(tb, err)
	blk, err := m.blk.SyncBlock(0)
	must(tb, err)
	for i := range v.n {
		view.Store(i, abi.MakeWord(2+i, 0, 0))
	}
	view.Store(0, abi.MakeWord(v.idx, uint16(v.length), 0))
	view.SetUser(v.head, v.cur, v.tail)
	blk.Reset(0, 0)
	blk.SetLibrary(v.rhead, v.rcur, v.rtail)
	if v.busy != 0 {
		blk.Enter(v.busy)
	}
	blk.PublishClient(v.phead, v.pcur)
	blk.PublishDaemon(v.hwcur, v.hwtail)
	blk.SetState(abi.RingState(v.state))
	blk.DisarmDaemon()
	if v.asleep != 0 {
		blk.ArmDaemon()
	}
	r := Ring{ring: view, blk: blk, bufs: pool, n: v.n, dir: abi.DirTx, session: vectorSession}
	if v.dir == "rx" {
		r.dir = abi.DirRx
	}
	out := r.sync()

	rhead, rcur, rtail := blk.Library()
	phead, pcur := blk.LoadClient()
	var busy uint32
	if !blk.Enter(vectorSession) { // only what was there before can be in the way
		busy = v.busy
	}
	w := view.Load(0)
	return fmt.Sprintf("%v => %s ring %d %d %d lib %d %d %d %d client %d %d slot %d %d", v, outcomeText(out),
		r.Head(), r.Cur(), atomic.LoadUint32(&view.RingHeader.Tail), rhead, rcur, rtail, busy, phead, pcur, w.Idx(), w.Len())
}

func outcomeText(out outcome) string {
	var words []string
	for _, o := range []struct {
		bit  outcome
		word string
	}{{skipped, "skipped"}, {bad, "bad"}, {stopped, "stopped"}, {kick, "kick"}, {wakePeer, "wake"}} {
		if out&o.bit != 0 {
			words = append(words, o.word)
		}
	}
	if words == nil {
		return "ok"
	}
	return strings.Join(words, "+")
}

// The Go half of the shared test vectors; clib replays them on the sync in C.
func TestSyncVectors(t *testing.T) {
	text, err := os.ReadFile(vectorFile)
	must(t, err)
	m := newVectorRing(t)
	name, n := "", 0
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if comment, ok := strings.CutPrefix(line, "# "); ok {
			name = comment
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var v vector
		if _, err := fmt.Sscanf(line, vectorFormat, v.fields()...); err != nil {
			t.Fatalf("%s: %q: %v", vectorFile, line, err)
		}
		n++
		if got := m.replay(t, &v); got != line {
			t.Errorf("%s\n got %s\nwant %s", name, got, line)
		}
	}
	if n < 40 {
		t.Errorf("%d vectors, want them all", n)
	}
}

// The sync in Go and the sync in C do the same from any state, sensible or not.
func TestSyncAgreesWithC(t *testing.T) {
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler:", err)
	}
	driver := filepath.Join(t.TempDir(), "vectors")
	build := exec.Command(cc, "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", driver, "../clib/test/vectors.c", "../clib/src/sync.c",
		"../clib/src/forward.c", "../clib/src/indirect.c", "../clib/src/usermem.c")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	m := newVectorRing(t)
	var in, want strings.Builder
	for range 50000 {
		v := randomVector(rnd)
		fmt.Fprintln(&in, v)
		want.WriteString(m.replay(t, v) + "\n")
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

// randomVector makes states of which many are legal, and no part is always so.
func randomVector(r *rand.Rand) *vector {
	n := 2 + r.Uint32N(7)
	at := func() uint32 {
		switch r.Uint32N(40) {
		case 0:
			return n + r.Uint32N(3)
		case 1:
			return r.Uint32()
		}
		return r.Uint32N(n)
	}
	either := func(a, b uint32) uint32 {
		if r.Uint32N(3) == 0 {
			return b
		}
		return a
	}
	v := &vector{dir: []string{"tx", "rx"}[r.Uint32N(2)], n: n, rhead: at(), rtail: at(), hwcur: at()}
	v.head, v.tail, v.hwtail = either(v.rhead, at()), either(v.rtail, at()), either(v.rtail, at())
	v.cur, v.rcur = either(v.head, at()), either(v.rhead, at())
	v.phead, v.pcur = either(v.rhead, at()), either(v.rcur, at())
	v.state, v.asleep = either(1, r.Uint32N(5)), r.Uint32N(2)
	v.busy = either(0, either(0, r.Uint32N(9)))
	v.idx, v.length = either(2, r.Uint32N(110)), either(60, r.Uint32N(4096))
	return v
}
