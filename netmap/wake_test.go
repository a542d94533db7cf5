package netmap

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two wait, and the one that took the event waits again before the other comes to wait for it: that one does not wait
// for another one.
func TestWakeTwoWaiters(t *testing.T) {
	w, event := newTestWake(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	slow := w.generation() // and now it looks once more at its rings
	if _, err := unix.Write(event, kickWord[:]); err != nil {
		t.Fatal(err)
	}
	if err := w.wait(ctx, time.Time{}, w.generation()); err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 1)
	go func() { held <- w.wait(ctx, time.Time{}, w.generation()) }()
	for len(w.turn) > 0 { // until the other one waits again
		time.Sleep(time.Millisecond)
	}
	if err := w.wait(ctx, time.Time{}, slow); err != nil {
		t.Errorf("one had come, and wait says %v", err)
	}
	// And with both there, one event wakes both.
	both := make(chan error, 1)
	go func() { both <- w.wait(ctx, time.Time{}, w.generation()) }()
	for waiting := false; !waiting; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		waiting = w.news != nil
		w.mu.Unlock()
	}
	if _, err := unix.Write(event, kickWord[:]); err != nil {
		t.Fatal(err)
	}
	for _, c := range []chan error{held, both} {
		if err := <-c; err != nil {
			t.Error(err)
		}
	}
}
