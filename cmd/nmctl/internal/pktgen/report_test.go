package pktgen

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	var out strings.Builder
	line(&out, totals{14_881_000, 892_860_000, 29_064}, time.Second, 17)
	summary(&out, "Sent", totals{10_000_000, 600_000_000, 20_000}, 2*time.Second)
	summary(&out, "Received", totals{}, 0)
	want := `14.881 Mpps (14.881 Mpkts 7.143 Gbps in 1000000 usec) 512.01 avg_batch 17 min_space
Sent 10000000 packets 600000000 bytes 20000 events 60 bytes each in 2.00 seconds.
Speed: 5.000 Mpps Bandwidth: 2.400 Gbps (raw 3.360 Gbps). Average batch: 500.00 pkts
Received 0 packets 0 bytes 0 events 0 bytes each in 0.00 seconds.
Speed: 0.000 pps Bandwidth: 0.000 bps (raw 0.000 bps). Average batch: 0.00 pkts
`
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", out.String(), want)
	}
}

// Quantiles are those of the sorted values, to the width of a bucket.
func TestHistogram(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []uint64{10, 1000, 1e6, 1e10} {
		var h histogram
		var all []uint64
		for range 10000 {
			v := rnd.Uint64N(scale) + 1
			h.add(v)
			all = append(all, v)
		}
		slices.Sort(all)
		if h.min != all[0] || h.max != all[len(all)-1] || h.n != 10000 {
			t.Errorf("scale %d: min %d max %d n %d", scale, h.min, h.max, h.n)
		}
		for _, q := range []float64{0, 0.5, 0.99, 1} {
			want := float64(all[min(int(q*10000), 9999)])
			if got := float64(h.quantile(q)); got < want || got > want*(1+1.0/subBuckets)+1 {
				t.Errorf("scale %d: quantile %v is %v, want %v", scale, q, got, want)
			}
		}
	}
}

// Each value falls into the bucket whose bounds it lies in.
func TestBucket(t *testing.T) {
	for _, v := range []uint64{0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 1000, 1<<40 - 1, 1 << 40, 1<<63 - 1, 1 << 63} {
		i := bucket(v)
		if low, high := lowest(i), lowest(i+1); v < low || high > low && v >= high {
			t.Errorf("%d is in bucket %d, [%d, %d)", v, i, low, high)
		}
	}
}

// The pacer allows whole bursts at their times, catches up a little, not more.
func TestPacer(t *testing.T) {
	p := newPacer(100_000, 100)
	at := func(d time.Duration) time.Time { return p.start.Add(d) }
	start := p.start
	if due, wait := p.due(at(0), 0); due != 0 || wait != time.Millisecond {
		t.Errorf("at the start: %d due, wait %v; want 0 and 1 ms", due, wait)
	}
	if due, _ := p.due(at(time.Millisecond), 0); due != 100 {
		t.Errorf("after 1 ms: %d due, want 100", due)
	}
	if due, wait := p.due(at(1500*time.Microsecond), 100); due != 50 || wait != 500*time.Microsecond {
		t.Errorf("after 1.5 ms: %d due, wait %v", due, wait)
	}
	if due, _ := p.due(at(5*time.Millisecond), 100); due != 400 {
		t.Errorf("4 ms late: %d due, want all 400", due)
	}
	if due, _ := p.due(start.Add(time.Second), 100); due != 1000 {
		t.Errorf("a second late: %d due, want 10 ms' worth", due)
	}
	if due, wait := p.due(start.Add(time.Second), 1100); due != 0 || wait <= 0 {
		t.Errorf("after catching up: %d due, wait %v", due, wait)
	}
	slow := newPacer(3, 512)
	if slow.burst != 1 {
		t.Errorf("bursts of %d at 3 frames a second", slow.burst)
	}
	if due, wait := slow.due(slow.start, 0); due != 0 || wait < 300*time.Millisecond || wait > 350*time.Millisecond {
		t.Errorf("3 a second: %d due, wait %v", due, wait)
	}
}
