package vale

import (
	"slices"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// A link carries everything, addresses or not, in order, and closes the books.
func TestLink(t *testing.T) {
	for _, in := range []bool{false, true} {
		a := newClient(t, shape{tx: 1, slots: 256, buf: 256})
		b := newClient(t, shape{rx: 1, slots: 8, buf: 256})
		var c Counters
		l := NewLink(NewTxSource(a.tx[0].Ring), NewRxSink(b.rx[0].Ring), in, &c)
		if n := l.Turn(MaxBatch); n != 0 || c != (Counters{}) {
			t.Fatalf("an idle link moved %d slots and counted %+v", n, c)
		}
		f := frame(broadcast, station(1), 200, 1)
		tx := a.tx[0]
		tx.frame(f)
		tx.putWord(abi.MakeWord(1, 60, 0)) // refused
		tx.frame(f[:13])                   // a link does not read headers
		tx.frame(f[:100], f[100:])
		tx.frame(f[:50], f[:50], f[:50], f[:50]) // does not fit
		tx.publish()
		if n := l.Turn(MaxBatch); n != 9 {
			t.Errorf("%d slots taken, want 9", n)
		}
		want := []slot{{string(f), 0x100}, {string(f[:13]), 0x100}, {string(f[:100]), 0x220}, {string(f[100:]), 0x200}}
		if got := b.rx[0].readAll(); !slices.Equal(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
		if tx.free() != 255 {
			t.Errorf("%d slots came back, want all", tx.free())
		}
		books := Counters{Tx: Count{5, 200 + 60 + 13 + 200 + 200}}
		if in {
			books = Counters{Rx: Count{3, 200 + 13 + 200}}
		}
		books.Drops[BadIndex], books.Drops[RingFull] = 1, 1
		if c != books {
			t.Errorf("in %v: counted %+v, want %+v", in, c, books)
		}
	}
}

func TestLinkLimit(t *testing.T) {
	a := newClient(t, shape{tx: 1, slots: 300, buf: 64})
	b := newClient(t, shape{rx: 1, slots: 300, buf: 64})
	var c Counters
	l := NewLink(NewTxSource(a.tx[0].Ring), NewRxSink(b.rx[0].Ring), false, &c)
	for range 200 {
		a.tx[0].frame(frame(broadcast, station(1), 60, 1))
	}
	a.tx[0].publish()
	for i, want := range []int{MaxFrags, 100, 36, 0} {
		if n := l.Turn([]int{1, 100, MaxBatch, MaxBatch}[i]); n != want {
			t.Errorf("turn %d took %d slots, want %d", i, n, want)
		}
	}
}
