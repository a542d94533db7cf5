package netmap

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who waits for rings that lcores serve is told when any of them stops, as those of one queue of several do when its
// lcore fails with them.
func TestCSBWaitOfAStoppedRing(t *testing.T) {
	for stopped := range 4 {
		t.Run(fmt.Sprint(stopped), func(t *testing.T) {
			b := newBench(t, 2, 2, 8)
			c := &CSB{App: make([]CSBApp, 4), Kern: make([]CSBKern, 4), d: b.Desc}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			told := make(chan error, 1)
			go func() { told <- c.Wait(ctx, PollIn|PollOut, func() bool { return true }) }()
			for b.waits.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			append(b.dtx, b.drx...)[stopped].Stop()
			if err := <-told; err != nil {
				if !errors.Is(err, unix.EIO) {
					t.Errorf("the wait says %v, want EIO", err)
				}
				return
			}
			// It was woken before it could see why, and says nothing; the next one does.
			if err := c.Wait(ctx, PollIn|PollOut, func() bool { return true }); !errors.Is(err, unix.EIO) {
				t.Errorf("the next wait says %v, want EIO", err)
			}
		})
	}
}
