package port_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
)

// A stream sends numbers and wants them back in order, as fast as the ends go, each waiting for the other.
type stream struct {
	tx, rx *netmap.Desc
	n      uint64
	base   uint64 // of what the slots carry
	moved  atomic.Uint64
}

func (s *stream) send(ctx context.Context, seed uint64) error {
	rnd, r := rand.New(rand.NewPCG(seed, 1)), s.tx.TxRings()[0]
	for seq := uint64(0); seq < s.n; {
		if re, err := s.tx.Poll(ctx, netmap.PollOut); err != nil || re&netmap.PollErr != 0 {
			return fmt.Errorf("sent %d, then poll: %v, %w", seq, re, err)
		}
		h := r.Head()
		for range 1 + rnd.Uint32N(r.NumSlots()) {
			if h == r.Tail() || seq == s.n {
				break
			}
			slot := r.Slot(h)
			slot.Len, slot.Ptr = 60, s.base+seq
			if slot.Flags = 0; seq%4 != 3 && rnd.Uint32N(8) == 0 && r.NumSlots() > 4 && seq+1 < s.n {
				slot.Flags = abi.NSMoreFrag
			}
			binary.LittleEndian.PutUint64(r.Buf(slot), seq)
			seq++
			h = r.Next(h)
		}
		r.Advance(h)
		s.moved.Add(1)
	}
	return s.tx.TxSync()
}

func (s *stream) receive(ctx context.Context, seed uint64) error {
	rnd, r := rand.New(rand.NewPCG(seed, 2)), s.rx.RxRings()[0]
	more := false
	for seq := uint64(0); seq < s.n; {
		if re, err := s.rx.Poll(ctx, netmap.PollIn); err != nil || re&netmap.PollErr != 0 {
			return fmt.Errorf("received %d, then poll: %v, %w", seq, re, err)
		}
		h := r.Head()
		for h != r.Tail() && (more || rnd.Uint32N(16) != 0) {
			slot := r.Slot(h)
			if got := binary.LittleEndian.Uint64(r.Buf(slot)); slot.Ptr != seq || got != seq || slot.Len != 60 {
				return fmt.Errorf("frame %d: %+v holds %d", seq, *slot, got)
			}
			more = slot.Flags&abi.NSMoreFrag != 0
			seq++
			h = r.Next(h)
		}
		if more && h == r.Tail() {
			return fmt.Errorf("frame %d: a packet arrived in parts", seq)
		}
		r.Advance(h)
		s.moved.Add(1)
	}
	return s.rx.RxSync()
}

// run runs both ends until everything has arrived.
func (s *stream) run(ctx context.Context, seed uint64) error {
	done := make(chan error, 2)
	go func() { done <- s.send(ctx, seed) }()
	go func() { done <- s.receive(ctx, seed) }()
	return errors.Join(<-done, <-done)
}

// However the ends meet, whoever moves the slots and however often that changes: nothing is lost, nor out of order, nor
// does anybody sleep for ever.
func TestPipeStreams(t *testing.T) {
	n := uint64(200_000)
	if testing.Short() {
		n /= 10
	}
	for _, mode := range []string{"direct", "carried", "switching"} {
		for _, slots := range []int{2, 3, 8, 1024} {
			t.Run(fmt.Sprintf("%s/%d", mode, slots), func(t *testing.T) {
				b := newBed(t, 1, port.Config{})
				m, s := b.open(fmt.Sprintf("netmap:p{1@conf:slots=%d", slots)), b.open("netmap:p}1")
				if mode == "carried" {
					must(t, b.reg.CarryPipe(limited(t), "p{1", true))
				}
				ctx, stop := context.WithCancel(context.Background())
				defer stop()
				n := min(n, uint64(slots)*5000)
				there, back := &stream{tx: m, rx: s, n: n}, &stream{tx: s, rx: m, n: n}
				over := make(chan error, 2)
				go func() { over <- there.run(ctx, 1) }()
				go func() { over <- back.run(ctx, 2) }()
				changes := 0
				seen, when := uint64(0), time.Now() // a busy machine may take long, as long as it goes on
				for left := 2; left > 0; {
					if now := there.moved.Load() + back.moved.Load(); now != seen {
						seen, when = now, time.Now()
					} else if time.Since(when) > patience {
						stop()
					}
					select {
					case err := <-over:
						must(t, err)
						left--
					case <-time.After(time.Millisecond):
						if mode == "switching" {
							changes++
							must(t, b.reg.CarryPipe(limited(t), "p{1", changes%2 == 1))
						}
					}
				}
				t.Logf("%d changes", changes)
			})
		}
	}
}

// A carried pipe behaves as a direct one, and says that it is carried.
func TestPipeCarried(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	m, s := b.open("netmap:p{1@conf:slots=8"), b.open("netmap:p}1")
	driver := func() string {
		i, err := b.reg.Port(limited(t), "p}1")
		must(t, err)
		return i.Driver
	}
	sent := frames(7, 0)
	publish(t, m, sent[:3]) // direct, and received when it is carried
	must(t, b.reg.CarryPipe(limited(t), "p{1", true))
	if d := driver(); d != "carried" {
		t.Errorf("a carried pipe is %q", d)
	}
	publish(t, m, sent[3:])
	same(t, receive(t, s, 7), sent)
	// An end that comes back goes on.
	publish(t, m, sent)
	b.close(s)
	s = b.open("netmap:p}1")
	same(t, receive(t, s, 4), sent[:4])
	must(t, b.reg.CarryPipe(limited(t), "p{1", false))
	if d := driver(); d != "direct" {
		t.Errorf("a direct pipe is %q", d)
	}
	same(t, receive(t, s, 3), sent[4:])
	must(t, b.reg.CarryPipe(limited(t), "p{1", true))
	b.close(m)
	b.close(s)
	if left := b.names(); left != "" {
		t.Errorf("%s left", left)
	}
}
