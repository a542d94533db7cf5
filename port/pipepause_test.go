package port_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/netmapd/netmapd/port"
)

// A sync that meets the daemon changing who moves the slots waits for it: what a program called TxSync for, once, is
// sent (NC D.1: who meets a short administrative pause waits, and is not left out).
func TestPipePause(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	m, s := b.open("netmap:p{1"), b.open("netmap:p}1")
	ctx, stop := context.WithCancel(limited(t))
	changes, over := 0, make(chan error, 1)
	go func() {
		var err error
		for ; err == nil && ctx.Err() == nil; changes++ {
			err = b.reg.CarryPipe(context.WithoutCancel(ctx), "p{1", changes%2 == 0)
		}
		over <- err
	}()
	defer func() {
		stop()
		must(t, <-over)
		if changes < 10 {
			t.Errorf("only %d changes of who carries", changes)
		}
	}()
	tx, rx := m.TxRings()[0], s.RxRings()[0]
	for seq := uint64(0); seq < 20_000; seq++ {
		slot := tx.Slot(tx.Head())
		slot.Len = 60
		binary.LittleEndian.PutUint64(tx.Buf(slot), seq)
		tx.Advance(tx.Next(tx.Head()))
		must(t, m.TxSync())
		for began := time.Now(); rx.Head() == rx.Tail(); must(t, s.RxSync()) {
			if time.Since(began) > patience {
				t.Fatalf("frame %d was not sent", seq)
			}
		}
		slot = rx.Slot(rx.Head())
		if got := binary.LittleEndian.Uint64(rx.Buf(slot)); got != seq {
			t.Fatalf("received frame %d, want %d", got, seq)
		}
		rx.Advance(rx.Next(rx.Head()))
	}
}
