package vale

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMACText(t *testing.T) {
	m := MAC{0x02, 0x1b, 0, 0xaa, 0xbb, 0xcc}
	if got := m.String(); got != "02:1b:00:aa:bb:cc" {
		t.Errorf("String() = %s", got)
	}
	if got := macOf(m.word()); got != m {
		t.Errorf("there and back: %v, want %v", got, m)
	}
}

// An address is kept for Age after its last frame, and for at most a fifth more.
func TestAgeing(t *testing.T) {
	const age = 300 * time.Second
	for _, tc := range []struct {
		name    string
		every   time.Duration // between two calls of Maintain
		quiet   time.Duration
		forgets bool
	}{
		{"seen lately", 10 * time.Second, 299 * time.Second, false},
		{"not seen", 10 * time.Second, 371 * time.Second, true},
		{"maintained seldom", 400 * time.Second, 400 * time.Second, true},
		{"maintained once a day", 24 * time.Hour, 24 * time.Hour, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// Whatever epoch it is when the address is seen.
			for start := range 9 {
				w := newNet(t, 2, small, Options{Age: age})
				pinned := station(7)
				if err := w.s.SetStatic(pinned, w.p[1]); err != nil {
					t.Fatal(err)
				}
				now := time.Unix(1e9, 0)
				w.s.Maintain(now)
				for range start {
					now = now.Add(35 * time.Second)
					w.s.Maintain(now)
				}
				w.send(0, frame(broadcast, station(1), 60, 1))
				end := now.Add(tc.quiet)
				for now.Before(end) {
					if now = now.Add(tc.every); now.After(end) {
						now = end
					}
					w.s.Maintain(now)
				}
				got := fmt.Sprint(w.s.Addresses())
				if strings.Contains(got, station(1).String()) == tc.forgets || !strings.Contains(got, pinned.String()) {
					t.Fatalf("begun after %d steps: addresses %s", start, got)
				}
			}
		})
	}
}

func TestAgeingIsRestartedByAFrame(t *testing.T) {
	w := newNet(t, 2, small, Options{Age: 300 * time.Second})
	now := time.Unix(1e9, 0)
	for range 20 {
		w.send(0, frame(broadcast, station(1), 60, 1))
		now = now.Add(200 * time.Second)
		w.s.Maintain(now)
	}
	if n := len(w.s.Addresses()); n != 1 {
		t.Errorf("%d addresses, want the one that is seen all the time", n)
	}
}

// Without Age, and with Compat, nothing is ever forgotten (NC E.5.1 step 5).
func TestNoAgeing(t *testing.T) {
	for _, opt := range []Options{{}, {Compat: true, Age: time.Second}} {
		w := newNet(t, 2, small, opt)
		w.send(0, frame(broadcast, station(1), 60, 1))
		now := time.Unix(1e9, 0)
		for range 100 {
			now = now.Add(time.Hour)
			w.s.Maintain(now)
		}
		if n := len(w.s.Addresses()); n != 1 {
			t.Errorf("%+v: %d addresses, want 1", opt, n)
		}
	}
}

// Age can be set later; silence is counted from then on.
func TestSetAge(t *testing.T) {
	w := newNet(t, 2, small, Options{})
	w.send(0, frame(broadcast, station(1), 60, 1))
	now := time.Unix(1e9, 0)
	w.s.Maintain(now)
	now = now.Add(time.Hour)
	w.s.SetAge(300 * time.Second)
	w.s.Maintain(now)
	if n := len(w.s.Addresses()); n != 1 {
		t.Errorf("%d addresses at once, want 1", n)
	}
	now = now.Add(371 * time.Second)
	w.s.Maintain(now)
	if n := len(w.s.Addresses()); n != 0 {
		t.Errorf("%d addresses 371 s later, want none", n)
	}
}

// The table grows with the number of stations, asked for by the lcore and done
// by the control plane.
func TestTableGrows(t *testing.T) {
	const stations = 20000
	asked, byLcore := 0, 0
	// Far from the limit, where a table may forget: the seed is random.
	w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 1024, buf: 64}, Options{Wanted: func() { asked++ }, MaxAddresses: 1 << 20})
	for round := range 3 {
		for i := 0; i < stations; {
			for range 500 {
				w.c[0].tx[0].frame(frame(broadcast, station(i), 60, 1))
				i++
			}
			w.c[0].tx[0].publish()
			before := asked
			w.pl.Poll()
			byLcore += asked - before
			w.s.Maintain(time.Time{})
		}
		w.got(1)
		if round > 0 && len(w.s.Addresses()) == stations {
			break
		}
	}
	if n := len(w.s.Addresses()); n != stations {
		t.Errorf("%d addresses known, want %d", n, stations)
	}
	if byLcore == 0 || byLcore > 8 {
		t.Errorf("growth asked for %d times, want once for each table", byLcore)
	}
	if asked != 2*byLcore {
		t.Errorf("%d times asked for in all, want once more for each table, to catch up", asked)
	}
}

// learnAll has stations send a frame each, before anybody maintains the table.
func learnAll(w *network, stations int) {
	for i := range stations {
		w.c[0].tx[0].frame(frame(broadcast, station(i), 60, 1))
		if w.c[0].tx[0].free() == 0 || i == stations-1 {
			w.c[0].tx[0].publish()
			w.pl.Poll()
			w.got(1)
		}
	}
}

func wantStations(t *testing.T, w *network, want int) {
	t.Helper()
	known := map[MAC]bool{}
	for _, a := range w.s.Addresses() {
		known[a.MAC] = true
	}
	for i := range want {
		if !known[station(i)] {
			t.Fatalf("%d addresses are known, and %v is not", len(known), station(i))
		}
	}
}

// Stations that show up faster than the table can grow are known as soon as it has grown: they may be silent from then on.
func TestBurstOfStations(t *testing.T) {
	w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 1024, buf: 64}, Options{MaxAddresses: 1 << 20})
	const stations = minTable + 3000
	learnAll(w, stations)
	w.s.Maintain(time.Time{})
	wantStations(t, w, stations)
}

// A poller that was in the middle of a batch when the table was replaced learned into the old one. That is not forgotten,
// unless it was to be.
func TestLateLearner(t *testing.T) {
	w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 1024, buf: 64}, Options{MaxAddresses: 1 << 20})
	learnAll(w, minTable)
	old := w.s.tab
	w.s.Maintain(time.Time{})
	if w.s.tab == old {
		t.Fatal("the table did not grow")
	}
	late := func(i int) { old.learn(entry(station(i).word(), 0, 1)) }
	late(minTable)
	w.s.Maintain(time.Time{})
	late(minTable + 1) // its CPU was somebody else's for longer
	w.s.Maintain(time.Time{})
	wantStations(t, w, minTable+2)

	// Who moved since is where he went.
	learnFrom := func(p, i int) { w.s.tab.learn(entry(station(i).word(), p, 1)) }
	learnFrom(1, minTable+2)
	late(minTable + 2)
	w.s.Maintain(time.Time{})
	if e := w.s.tab.lookup(station(minTable + 2).word()); entryPort(e) != 1 {
		t.Error("older news took the place of newer")
	}
	if !w.s.Forget(station(3)) {
		t.Fatal("no station 3")
	}
	late(3)
	w.s.Maintain(time.Time{})
	w.s.Flush(nil)
	late(4)
	w.s.Maintain(time.Time{})
	if n := len(w.s.Addresses()); n != 0 {
		t.Errorf("%d addresses after a flush", n)
	}
}

// At its limit the table forgets old addresses for new ones, but no pinned one.
func TestFullTable(t *testing.T) {
	const limit = 1024
	w := newNet(t, 2, shape{tx: 1, rx: 1, slots: 1024, buf: 64}, Options{MaxAddresses: limit})
	pinned := []MAC{station(60001), station(60002), station(60003)}
	for _, m := range pinned {
		if err := w.s.SetStatic(m, w.p[1]); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 10*limit; {
		for range 512 {
			w.c[0].tx[0].frame(frame(station(i), station(i), 60, 1))
			i++
		}
		w.c[0].tx[0].publish()
		w.pl.Poll()
		w.s.Maintain(time.Time{})
	}
	if c := w.p[0].Counters(); c.Drops[OwnAddress] != 10*limit {
		t.Errorf("%d of %d frames found the address just learned", c.Drops[OwnAddress], 10*limit)
	}
	if n := len(w.s.Addresses()); n > limit || n < limit*9/10 {
		t.Errorf("%d addresses in a table for %d", n, limit)
	}
	for _, m := range pinned {
		f := frame(m, station(1), 60, 1)
		w.send(0, f)
		wantSlots(t, "b", w.got(1), f)
	}
}

func TestSetStaticRefuses(t *testing.T) {
	w := newNet(t, 1, small, Options{})
	if err := w.s.SetStatic(broadcast, w.p[0]); err == nil || !strings.Contains(err.Error(), "group address") {
		t.Errorf("a group address: %v", err)
	}
	w.pl.Remove(w.p[0])
	if err := w.s.Detach(w.p[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.s.SetStatic(station(1), w.p[0]); err == nil {
		t.Error("a port that left was accepted")
	}
}

// Lcores that learn at the same time never place an address twice, and lose
// none while there is room.
func TestConcurrentLearning(t *testing.T) {
	tab := newTable(1<<16, false) // so sparse that no seed crowds 16 addresses together
	var wg sync.WaitGroup
	for lcore := range 4 {
		wg.Go(func() {
			for i := range 1500 {
				k := (i*7 + lcore*375) % 1500
				tab.learn(entry(station(k).word(), lcore, 1))
			}
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	tab.each(func(e uint64) {
		if seen[e&macMask] {
			t.Errorf("%v is there twice", macOf(e&macMask))
		}
		seen[e&macMask] = true
	})
	if len(seen) != 1500 || tab.used.Load() != 1500 {
		t.Errorf("%d addresses, %d counted, want 1500", len(seen), tab.used.Load())
	}
}

func TestEntryHoldsTheLargestPort(t *testing.T) {
	e := entry(broadcast.word(), MaxPorts-1, epochs)
	if entryPort(e) != MaxPorts-1 || entryEpoch(e) != epochs || e&macMask != broadcast.word() {
		t.Errorf("entry %#x: port %d, epoch %d", e, entryPort(e), entryEpoch(e))
	}
}
