package e2e

import (
	"fmt"
	"testing"
)

// A witness is a pair of honest clients whose traffic goes on during an attack,
// and what the daemon held before it.
type witness struct {
	d                *daemon
	asker, answerer  *child
	before           string
	nothing          string // before even the witness came
	askName, ansName string
}

// watch starts the pair on a switch of its own.
func (d *daemon) watch(t *testing.T) *witness {
	t.Helper()
	w := &witness{d: d, nothing: d.settled(t), askName: "vale9:asker", ansName: "vale9:answerer"}
	w.answerer = d.startChild(t, "answerer", w.ansName)
	w.answerer.expect(t, "ready")
	w.asker = d.startChild(t, "asker", w.askName)
	w.asker.expect(t, "ready")
	w.progress(t)
	w.before = d.settled(t)
	return w
}

// progress waits until the pair has exchanged some hundred frames more.
func (w *witness) progress(t *testing.T) {
	t.Helper()
	var first, now counts
	w.asker.ask(t, "counts", &first)
	waitFor(t, "traffic of the honest pair", func() error {
		if w.asker.ask(t, "counts", &now); now.Received < first.Received+10*window {
			return fmt.Errorf("%d frames exchanged, then %d", first.Received, now.Received)
		}
		return nil
	})
}

// undisturbed judges after an attack whose processes are gone or silent: the
// pair goes on, everything the attackers held came back, and in the end every
// frame of the pair is accounted for and none was lost.
func (w *witness) undisturbed(t *testing.T) {
	t.Helper()
	w.progress(t)
	w.d.returnsTo(t, w.before)
	w.finish(t)
}

// finish ends the pair and checks its books.
func (w *witness) finish(t *testing.T) {
	t.Helper()
	w.asker.end(t)
	w.answerer.end(t)
	w.d.returnsTo(t, w.nothing)
	s := w.d.snapshot(t)
	ask, ans := portStats(t, s, w.askName), portStats(t, s, w.ansName)
	n := ask.GetTx().GetFrames()
	if n == 0 || n%window != 0 {
		t.Errorf("the asker sent %d frames, want some windows of %d", n, window)
	}
	for what, got := range map[string]uint64{
		"received by the answerer": ans.GetRx().GetFrames(),
		"sent by the answerer":     ans.GetTx().GetFrames(),
		"received by the asker":    ask.GetRx().GetFrames(),
	} {
		if got != n {
			t.Errorf("%d frames sent by the asker, %d %s", n, got, what)
		}
	}
	if dropped(ask)+dropped(ans) > 0 || ask.GetBadRings()+ans.GetBadRings() > 0 {
		t.Errorf("honest clients lost frames: asker %v, answerer %v", ask, ans)
	}
	if !ask.GetGone() || !ans.GetGone() {
		t.Errorf("ports not marked as gone: %v, %v", ask, ans)
	}
}
