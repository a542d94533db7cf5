package port_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/port"
)

// Many ports of one process sleep, some for as long as it takes, others only for a moment, and all get each frame. Whoever
// is left asleep holds up the next frame for good.
func TestManySleepers(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 400
	}
	const receivers = 8
	b := newBed(t, 1, port.Config{})
	tx := b.open("valeS:t")
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	var wg sync.WaitGroup
	var got [receivers]atomic.Int64
	var waits atomic.Int64
	for i := range receivers {
		d := b.open(fmt.Sprintf("valeS:%d", i))
		wg.Go(func() {
			r := d.RxRings()[0]
			for n := 0; n < rounds; got[i].Store(int64(n)) {
				var err error
				if i%2 == 0 {
					_, err = d.Poll(ctx, netmap.PollIn)
				} else {
					_, err = d.PollTimeout(time.Duration(rand.IntN(300))*time.Microsecond, netmap.PollIn)
				}
				if err != nil {
					t.Errorf("receiver %d after %d frames: %v", i, n, err)
					return
				}
				n += int(r.Space())
				r.Advance(r.Tail())
				if ctx.Err() != nil {
					return
				}
			}
			waits.Add(int64(d.Stats().Waits))
		})
	}
	r := tx.TxRings()[0]
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 46)...)
	for n := range rounds {
		r.Send(frame)
		must(t, tx.TxSync())
		for i := range got {
			for got[i].Load() <= int64(n) {
				if ctx.Err() != nil {
					t.Fatalf("receiver %d has %d of %d frames: %v", i, got[i].Load(), n+1, ctx.Err())
				}
				time.Sleep(10 * time.Microsecond)
			}
		}
		time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
	}
	wg.Wait()
	if waits.Load() == 0 {
		t.Error("nobody ever slept")
	}
}
