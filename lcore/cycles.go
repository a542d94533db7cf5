package lcore

import (
	"sync"
	"time"
)

// tscSpan is how long the counter is compared with the clock; reading the two together is off by
// well under 1 us, so the frequency is good to 50 ppm.
const tscSpan = 20 * time.Millisecond

// tscBase is the first reading of both.
var tscBase = readTSC()

// tscReading is the counter and the clock at one moment.
type tscReading struct {
	cycles uint64
	at     time.Time
}

// readTSC reads both, and repeats it so that an interruption between the two does not count.
func readTSC() (best tscReading) {
	gap := ^uint64(0)
	for range 16 {
		before := Cycles()
		at := time.Now()
		if after := Cycles(); after-before < gap {
			gap = after - before
			best = tscReading{before + gap/2, at}
		}
	}
	return best
}

// TSCHz returns the frequency of [Cycles] in Hz. It is measured once, over the time since the program
// started: the first call may take up to 20 ms.
func TSCHz() uint64 { return measureTSC() }

var measureTSC = sync.OnceValue(func() uint64 {
	time.Sleep(tscSpan - time.Since(tscBase.at))
	now := readTSC()
	return uint64(float64(now.cycles-tscBase.cycles) / now.at.Sub(tscBase.at).Seconds())
})

// cyclesIn is how many cycles pass in that time.
func cyclesIn(d time.Duration) uint64 { return uint64(d.Seconds() * float64(TSCHz())) }
