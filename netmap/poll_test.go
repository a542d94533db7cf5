package netmap

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wantPoll polls without waiting.
func (b *bench) wantPoll(events, want Events) {
	b.tb.Helper()
	if re, err := b.PollTimeout(0, events); re != want || err != nil {
		b.tb.Errorf("poll for %#x: %#x, %v; want %#x", events, re, err, want)
	}
}

// fillTx publishes all the room of TX ring 0.
func (b *bench) fillTx() {
	b.txRings[0].Advance(b.txRings[0].Tail())
	b.tx[0].sync()
}

func TestPollReadiness(t *testing.T) {
	for _, c := range []struct {
		id   string
		do   func(b *bench)
		ask  Events
		want Events
	}{
		{"POL-03 room", func(*bench) {}, PollOut, PollOut},
		{"POL-05 cur at tail, head behind", func(b *bench) { b.txRings[0].SetCur(b.txRings[0].Tail()) }, PollOut, 0},
		{"TX ring full", func(b *bench) { b.fillTx() }, PollOut, 0},
		{"POL-06 no frame", func(*bench) {}, PollIn, 0},
		{"POL-07 unread frames", func(b *bench) { b.deliver(0, 2, 60) }, PollIn, PollIn},
		{"POL-08 all seen, none released", func(b *bench) {
			b.deliver(0, 2, 60)
			b.rx[0].sync()
			b.rxRings[0].SetCur(b.rxRings[0].Tail())
		}, PollIn, 0},
		{"POL-17 only TX ready", func(*bench) {}, PollIn | PollOut, PollOut},
		{"POL-14 the second ring", func(b *bench) { b.deliver(1, 1, 60) }, PollIn, PollIn},
		{"events 0", func(b *bench) { b.deliver(0, 1, 60) }, 0, 0},
		{"one bit of PollIn", func(b *bench) { b.deliver(0, 1, 60) }, unix.POLLIN, unix.POLLIN},
		{"POLLPRI is unknown", func(b *bench) { b.deliver(0, 1, 60) }, unix.POLLPRI, 0},
		{"POL-16 bad RX ring with frames", func(b *bench) {
			b.deliver(0, 1, 60)
			b.rxRings[0].SetHead(70)
		}, PollIn, PollErr | PollIn},
		{"bad TX ring", func(b *bench) { b.txRings[0].SetHead(70) }, PollOut, PollErr},
		{"bad TX ring, not asked for", func(b *bench) { b.txRings[0].SetHead(70) }, PollIn, PollErr},
	} {
		t.Run(c.id, func(t *testing.T) {
			b := newBench(t, 1, 2, 8)
			c.do(b)
			b.wantPoll(c.ask, c.want)
			if c.want&PollErr == 0 {
				b.wantPoll(c.ask, c.want) // level-triggered
			} else {
				b.wantPoll(c.ask, c.want&^PollErr|c.ask&PollOut) // repaired
			}
		})
	}
}

// POL-09 to POL-13: which rings a poll syncs, whatever it reports.
func TestPollSideEffects(t *testing.T) {
	for _, c := range []struct {
		id       string
		noTxPoll bool
		ask      Events
		pushed   uint32 // TX slots the daemon then sees
		released uint32 // RX slots likewise
	}{
		{"POL-09 implicit TX", false, PollIn, 2, 1},
		{"POL-10 NO_TX_POLL", true, PollIn, 0, 1},
		{"POL-10 NO_TX_POLL, POLLOUT", true, PollOut, 2, 0},
		{"POL-11 no events", false, 0, 2, 0},
		{"POL-12 POLLOUT only", false, PollOut, 2, 0},
		{"POL-13 both, timeout 0", false, PollIn | PollOut, 2, 1},
	} {
		t.Run(c.id, func(t *testing.T) {
			b := newBench(t, 1, 1, 8)
			b.noTxPoll = c.noTxPoll
			b.deliver(0, 1, 60)
			must(t, b.RxSync())
			b.rxRings[0].Advance(1)
			b.txRings[0].Advance(2)
			_, err := b.PollTimeout(0, c.ask)
			must(t, err)
			if _, n := b.dtx[0].Pending(); n != c.pushed {
				t.Errorf("%d slots pushed, want %d", n, c.pushed)
			}
			if free := b.drx[0].Release(); free != 6+c.released {
				t.Errorf("%d slots released, want %d", free-6, c.released)
			}
		})
	}
}

// POL-06, POL-04: a blocked poll wakes when a frame or room comes, on any bound
// ring (POL-14).
func TestPollWakes(t *testing.T) {
	for _, c := range []struct {
		what string
		ask  Events
		then func(b *bench)
	}{
		{"frame", PollIn, func(b *bench) { b.deliver(0, 1, 60) }},
		{"frame on the second ring", PollIn, func(b *bench) { b.deliver(1, 1, 60) }},
		{"room", PollOut, func(b *bench) { b.consume(0) }},
		{"room or frame", PollIn | PollOut, func(b *bench) { b.consume(0) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := newBench(t, 1, 2, 8)
			b.fillTx()
			time.AfterFunc(5*time.Millisecond, func() { c.then(b) })
			re, err := b.Poll(t.Context(), c.ask)
			if err != nil || re == 0 || re&^c.ask != 0 {
				t.Errorf("poll: %#x, %v", re, err)
			}
		})
	}
}

func TestPollEnds(t *testing.T) {
	b := newBench(t, 1, 1, 8)
	if re, err := b.PollTimeout(time.Millisecond, PollIn); re != 0 || err != nil {
		t.Errorf("timeout: %v, %v", re, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if re, err := b.Poll(ctx, PollIn); re != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v, %v", re, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if re, err := b.Poll(ctx, PollIn); re != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", re, err)
	}
	// The early end of one wait leaves nothing behind that ends the next one.
	time.AfterFunc(5*time.Millisecond, func() { b.deliver(0, 1, 60) })
	if re, err := b.Poll(t.Context(), PollIn); re != PollIn || err != nil {
		t.Errorf("after all these: %v, %v", re, err)
	}
}

// A ring that is stopped, and a daemon that ends, end a blocked poll.
func TestPollGone(t *testing.T) {
	for what, end := range map[string]func(b *bench){
		"stopped ring": func(b *bench) { b.drx[0].Stop() },
		"daemon ends": func(b *bench) {
			b.session.dead.Store(true)
			b.wake.hangup()
		},
		"poll of a closed descriptor": func(b *bench) {
			b.closed.Store(true)
			b.wake.close()
		},
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t, 1, 1, 8)
			time.AfterFunc(3*time.Millisecond, func() { end(b) })
			re, err := b.Poll(t.Context(), PollIn)
			if what == "poll of a closed descriptor" {
				if !errors.Is(err, unix.ENXIO) {
					t.Errorf("%v, want ENXIO", err)
				}
				return
			}
			if re != PollErr || !errors.Is(err, unix.EIO) {
				t.Errorf("%v, %v; want POLLERR and EIO", re, err)
			}
		})
	}
}

// POL-21: no wake-up is lost when frames come between the look and the sleep.
// Each round trip needs one wake-up on each side or none; a lost one would block for
// good. Two goroutines poll one descriptor, one for frames and one for room.
func TestPollRace(t *testing.T) {
	const rounds = 20000
	b := newBench(t, 1, 1, 4)
	b.lcore(func() {
		for range 50 { // no sleep in between: that is where races are
			b.consume(0)
			b.deliver(0, 1, 60)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		r := b.rxRings[0]
		for i := 0; i < rounds; {
			if _, err := b.Poll(ctx, PollIn); err != nil {
				t.Errorf("receiver, frame %d: %v", i, err)
				return
			}
			i += int(r.Space())
			r.Advance(r.Tail())
		}
	})
	wg.Go(func() {
		r := b.txRings[0]
		for i := 0; i < rounds; {
			if _, err := b.Poll(ctx, PollOut); err != nil {
				t.Errorf("sender, frame %d: %v", i, err)
				return
			}
			i += int(r.Space())
			r.Advance(r.Tail())
		}
	})
	wg.Wait()
}

// A ring whose sync another process is inside of does not block a poll for good.
func TestPollSkipped(t *testing.T) {
	b := newBench(t, 0, 1, 8)
	b.rx[0].blk.Enter(42)
	b.deliver(0, 1, 60) // no wake message: nobody had armed
	time.AfterFunc(3*time.Millisecond, b.rx[0].blk.Leave)
	if re, err := b.Poll(t.Context(), PollIn); re != PollIn || err != nil {
		t.Errorf("%v, %v", re, err)
	}
}
