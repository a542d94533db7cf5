package vale

import (
	"errors"
	"testing"
	"time"
)

// A port whose addresses are not learned sends and receives as others do; what
// it sends from is unknown.
func TestNoLearning(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	if err := w.s.Configure(w.p[0], PortOptions{NoLearning: true}); err != nil {
		t.Fatal(err)
	}
	w.send(0, frame(broadcast, station(0), 60, 1))
	w.send(1, frame(broadcast, station(1), 60, 2))
	if got := w.s.Addresses(); len(got) != 1 || got[0].MAC != station(1) {
		t.Errorf("addresses %v, want that of port 1 alone", got)
	}
	if err := w.s.Configure(w.p[0], PortOptions{}); err != nil {
		t.Fatal(err)
	}
	w.send(0, frame(broadcast, station(0), 60, 3))
	if got := w.s.Addresses(); len(got) != 2 {
		t.Errorf("addresses %v after learning was switched on again", got)
	}
}

// Frames beyond the limit are dropped and counted at the port that sent them;
// known addresses are not concerned.
func TestFloodLimit(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	if err := w.s.Configure(w.p[0], PortOptions{FloodLimit: 50}); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	for _, b := range w.p[0].floods {
		b.now, b.filled = func() time.Time { return now }, now
	}
	flood := func(n int) (passed, dropped uint64) {
		t.Helper()
		before := w.p[0].Counters()
		rx := w.p[1].Counters().Rx.Frames
		for i := range n {
			w.send(0, frame(broadcast, station(0), 60, uint32(i)))
			w.got(1)
			w.got(2)
		}
		return w.p[1].Counters().Rx.Frames - rx, w.p[0].Counters().Drops[FloodLimit] - before.Drops[FloodLimit]
	}
	expect := func(what string, n int, wantPassed, wantDropped uint64) {
		t.Helper()
		if p, d := flood(n); p != wantPassed || d != wantDropped {
			t.Errorf("%s: %d passed, %d dropped, want %d and %d", what, p, d, wantPassed, wantDropped)
		}
	}
	expect("a fifth of a second's worth at once", 15, 10, 5)
	now = now.Add(100 * time.Millisecond)
	expect("100 ms later", 6, 5, 1)
	now = now.Add(time.Hour)
	expect("much later", 12, 10, 2)
	w.send(1, frame(station(0), station(1), 60, 1))
	before := w.p[1].Counters().Rx.Frames
	w.send(0, frame(station(1), station(0), 60, 1))
	if got := w.p[1].Counters().Rx.Frames - before; got != 1 {
		t.Errorf("a frame for a known address: %d arrived", got)
	}
	if err := w.s.Configure(w.p[0], PortOptions{FloodLimit: -1}); err == nil {
		t.Error("a negative limit is accepted")
	}
	if err := w.s.Detach(w.p[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.s.Configure(w.p[0], PortOptions{}); !errors.Is(err, ErrNoPort) {
		t.Errorf("a port that left is configured: %v", err)
	}
}

// What Trace says of a frame is what happens to it.
func TestTrace(t *testing.T) {
	w := newNet(t, 3, small, Options{})
	w.send(1, frame(broadcast, station(1), 60, 1))
	if err := w.s.SetStatic(station(9), w.p[2]); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what   string
		frame  []byte
		rule   Rule
		to     []int
		learns bool
		reason Reason
	}{
		{"known", frame(station(1), station(0), 60, 1), RuleKnown, []int{1}, true, 0},
		{"known and static", frame(station(9), station(0), 60, 1), RuleKnown, []int{2}, true, 0},
		{"unknown", frame(station(5), station(0), 60, 1), RuleUnknown, []int{1, 2}, true, 0},
		{"broadcast", frame(broadcast, station(0), 60, 1), RuleGroup, []int{1, 2}, true, 0},
		{"a static source", frame(station(1), station(9), 60, 1), RuleKnown, []int{1}, false, 0},
		{"a source that moves", frame(station(9), station(1), 60, 1), RuleKnown, []int{2}, true, 0},
		{"to itself", frame(station(0), station(0), 60, 1), RuleOwn, nil, true, OwnAddress},
		{"too short", frame(station(1), station(0), 60, 1)[:13], RuleTooShort, nil, false, TooShort},
	} {
		before := w.s.Addresses()
		v, err := w.s.Trace(w.p[0], tt.frame)
		if err != nil {
			t.Fatal(err)
		}
		if len(w.s.Addresses()) != len(before) {
			t.Errorf("%s: asking changed the table", tt.what)
		}
		if v.Rule != tt.rule || v.Learns != tt.learns || v.Dropped != (tt.to == nil) || v.Reason != tt.reason || len(v.To) != len(tt.to) {
			t.Errorf("%s: %+v", tt.what, v)
			continue
		}
		for i, p := range tt.to {
			if v.To[i] != w.p[p] {
				t.Errorf("%s: goes to %s", tt.what, v.To[i].Name())
			}
		}
		var rx [3]uint64
		for i, p := range w.p {
			rx[i] = p.Counters().Rx.Frames
		}
		drops := w.p[0].Counters().Drops
		w.send(0, tt.frame)
		for i, p := range w.p {
			want := rx[i]
			for _, to := range v.To {
				if to == p {
					want++
				}
			}
			if got := p.Counters().Rx.Frames; got != want {
				t.Errorf("%s: port %d has received %d frames, the verdict makes it %d", tt.what, i, got, want)
			}
		}
		if now := w.p[0].Counters().Drops; v.Dropped && now[v.Reason] != drops[v.Reason]+1 {
			t.Errorf("%s: it was not dropped for %v", tt.what, v.Reason)
		}
		if w.s.Forget(station(0)); tt.what == "a source that moves" {
			w.send(1, frame(broadcast, station(1), 60, 1))
		}
	}
}

func TestTableAndFlush(t *testing.T) {
	w := newNet(t, 2, small, Options{Age: 300 * time.Second})
	for i := range 40 {
		w.send(i%2, frame(broadcast, station(i), 60, 1))
	}
	if err := w.s.SetStatic(station(99), w.p[0]); err != nil {
		t.Fatal(err)
	}
	if st := w.s.Table(); st.Size != minTable || st.Used != 41 || st.Static != 1 || st.Age != 300*time.Second || st.Limit != defaultMaxAddresses {
		t.Errorf("table %+v", st)
	}
	if n := w.s.Flush(w.p[1]); n != 20 {
		t.Errorf("%d addresses of one port were flushed, want 20", n)
	}
	if n := w.s.Flush(nil); n != 20 {
		t.Errorf("%d addresses of the rest were flushed, want 20", n)
	}
	if got := w.s.Addresses(); len(got) != 1 || !got[0].Static {
		t.Errorf("left are %v, want the static one", got)
	}
	now := time.Unix(1e9, 0)
	w.s.Maintain(now)
	w.send(0, frame(broadcast, station(1), 60, 1))
	w.s.Maintain(now.Add(130 * time.Second))
	for _, a := range w.s.Addresses() {
		if want := 120 * time.Second; !a.Static && a.Age != want {
			t.Errorf("%v is %v old, want %v", a.MAC, a.Age, want)
		}
	}
}
