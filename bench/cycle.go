package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap"
)

// cycleReps is how often each batch size is timed; sizes are interleaved, so that a change of the machine's speed hits
// all alike.
const cycleReps = 400

// roleCycle is one thread on both ends, so nothing overlaps: it times a TX sync of n slots, and the RX syncs that take
// and give back the frames, for several n, and fits time = a + b*n to the 10th percentile of each. Ports[0] sends,
// Ports[1] receives.
func roleCycle(s *roleSpec) (sample, error) {
	tx, err := open(s, 0)
	if err != nil {
		return nil, err
	}
	rx, err := open(s, 1)
	if err != nil {
		return nil, err
	}
	if !s.Pipe {
		if err := teach(rx, receiverMAC(0), 0); err != nil {
			return nil, err
		}
	}
	f, err := newFlooder(tx, s)
	if err != nil {
		return nil, err
	}
	ns := 1e9 / float64(lcore.TSCHz())
	amReady()
	moved := 0.0
	txTimes, rxTimes := make([][]float64, len(s.Batch)), make([][]float64, len(s.Batch))
	for rep := -10; rep < cycleReps && !stopped.Load(); rep++ {
		for i, n := range s.Batch {
			t, r, err := cycle(tx, rx, f, uint32(n))
			if err != nil {
				return nil, err
			}
			moved += float64(n)
			if rep >= 0 && t > 0 {
				txTimes[i] = append(txTimes[i], float64(t)*ns)
				rxTimes[i] = append(rxTimes[i], float64(r)*ns)
			}
		}
	}
	var x, txLow, rxLow []float64
	for i, n := range s.Batch {
		x = append(x, float64(n))
		txLow, rxLow = append(txLow, quantile(txTimes[i], 0.1)), append(rxLow, quantile(rxTimes[i], 0.1))
	}
	out := fitted(x, txLow, rxLow)
	out["calls"] = 1000 * systemCalls(tx, rx)["calls"] / moved
	return out, nil
}

// fitted is what roleCycle tells: x are the sizes of batches, tx and rx the times in nanoseconds.
func fitted(x, tx, rx []float64) sample {
	a, b := fit(x, tx)
	ra, rb := fit(x, rx)
	return sample{"tx": b, "rx": rb, "sum": b + rb, "fixed_tx": a, "fixed_rx": ra / 2}
}

// cycleMetrics are the same, with what the fixed parts are those of.
func cycleMetrics(tx, rx string) []metric {
	return []metric{
		ns("sum", "per packet"), ns("tx", "of it in TxSync"), ns("rx", "of it in RxSync"),
		ns("fixed_tx", "fixed, a "+tx), ns("fixed_rx", "fixed, an "+rx),
	}
}

// cycle sends and receives n frames and returns the TSC cycles in TX syncs and in RX syncs, zero when the lcore stood
// still for so long that the TX sync gave up waiting.
func cycle(tx, rx *netmap.Desc, f *flooder, n uint32) (txCycles, rxCycles uint64, err error) {
	in := rx.RxRings()[0]
	if f.Space() < n {
		return 0, 0, fmt.Errorf("room for %d slots in a ring where everything was taken, want %d", f.Space(), n)
	}
	f.fill(n)
	t0 := lcore.CyclesDone()
	if err := tx.TxSync(); err != nil {
		return 0, 0, err
	}
	t1 := lcore.CyclesDone()
	if err := rx.RxSync(); err != nil {
		return 0, 0, err
	}
	t2 := lcore.CyclesDone()
	if got, _ := take(in); got != n {
		return 0, 0, late(tx, rx, n-got)
	}
	t3 := lcore.CyclesDone()
	if err := rx.RxSync(); err != nil {
		return 0, 0, err
	}
	t4 := lcore.CyclesDone()
	return t1 - t0, t2 - t1 + t4 - t3, nil
}

// late takes the n frames that were not delivered in time: somebody else had the lcore's CPU.
func late(tx, rx *netmap.Desc, n uint32) error {
	for start := time.Now(); n > 0; {
		if time.Since(start) > lostTime {
			return fmt.Errorf("%d frames did not come within %v", n, lostTime)
		}
		if err := errors.Join(tx.TxSync(), rx.RxSync()); err != nil {
			return err
		}
		got, _ := take(rx.RxRings()[0])
		n -= min(n, got)
	}
	return errors.Join(tx.TxSync(), rx.RxSync())
}

// roleSync times syncs of rings where nothing is new.
func roleSync(s *roleSpec) (sample, error) {
	d, err := open(s, 0)
	if err != nil {
		return nil, err
	}
	ns := 1e9 / float64(lcore.TSCHz())
	amReady()
	const calls = 1000
	times := map[string][]float64{}
	for !stopped.Load() && len(times["tx"]) < 2000 {
		for name, sync := range map[string]func() error{"tx": d.TxSync, "rx": d.RxSync} {
			start := lcore.Cycles()
			for range calls {
				if err := sync(); err != nil {
					return nil, err
				}
			}
			times[name] = append(times[name], float64(lcore.Cycles()-start)*ns/calls)
		}
	}
	return sample{"tx": median(times["tx"]), "rx": median(times["rx"])}, nil
}
