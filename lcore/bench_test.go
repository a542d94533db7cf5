package lcore

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// plainUnit is as small as a unit can be, so that the loop's own cost shows.
type plainUnit struct{ n, polls int }

func (u *plainUnit) Poll() int  { u.polls++; return u.n }
func (*plainUnit) Arm() bool    { return true }
func (*plainUnit) Disarm()      {}
func (*plainUnit) Fail(error)   {}
func (*plainUnit) Silent() bool { return false }

// BenchmarkLoop is the cost of one iteration around units that do nothing.
func BenchmarkLoop(b *testing.B) {
	for _, moved := range []int{0, 32} {
		for _, count := range []int{1, 8} {
			b.Run(fmt.Sprintf("packets=%d/units=%d", moved, count), func(b *testing.B) {
				l := newLcore(Config{Mode: Poll}.withDefaults())
				for range count {
					l.units = append(l.units, &plainUnit{n: moved})
				}
				l.start = Cycles()
				for b.Loop() {
					if !l.commands.empty() {
						l.runCommands()
					}
					l.iterate()
				}
				total := l.stats.BusyCycles + l.stats.IdleCycles
				b.ReportMetric(float64(total)/float64(l.stats.Polls), "cycles/iteration")
			})
		}
	}
}

// BenchmarkDo is the round trip of a command to a polling and to a sleeping lcore.
func BenchmarkDo(b *testing.B) {
	for name, cfg := range map[string]Config{
		"polling":  {CPU: -1, Mode: Poll},
		"sleeping": {CPU: -1, Spin: -1},
	} {
		b.Run(name, func(b *testing.B) {
			l := start(b, cfg)
			must(b, l.Add(deadline(b), &plainUnit{}))
			ctx := deadline(b)
			for b.Loop() {
				if err := l.Do(ctx, func() {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWakeUp is the time from a kick to the poll that sees its packet, at several pauses between
// packets: an adaptive lcore is still spinning at short ones and sleeps at long ones. The metrics are
// percentiles in microseconds and the share of packets that needed a kick. "bare" is a thread that does
// nothing but epoll_wait on the same kind of descriptor: what the machine itself takes in this run.
func BenchmarkWakeUp(b *testing.B) {
	for _, pause := range []time.Duration{20 * time.Microsecond, 200 * time.Microsecond, 2 * time.Millisecond} {
		b.Run(fmt.Sprintf("lcore/pause=%v", pause), func(b *testing.B) {
			l := start(b, Config{CPU: -1})
			m := newMailbox(b, l)
			var seen atomic.Uint64
			take := m.poll
			must(b, l.Do(deadline(b), func() {
				m.poll = func() int {
					n := take()
					if n > 0 {
						seen.Store(Cycles())
					}
					return n
				}
			}))
			packets := measureWakeUps(b, pause, &seen, func() { m.post(b, 1) })
			b.ReportMetric(float64(m.kicks.Load())/float64(packets), "kicks/packet")
		})
		b.Run(fmt.Sprintf("bare/pause=%v", pause), func(b *testing.B) {
			f, err := openFDs()
			must(b, err)
			var seen atomic.Uint64
			var over atomic.Bool
			var waiter sync.WaitGroup
			waiter.Go(func() {
				runtime.LockOSThread()
				events := make([]unix.EpollEvent, 1)
				for !over.Load() {
					_, _ = unix.EpollWait(f.epoll, events, -1)
					seen.Store(Cycles())
				}
			})
			kick := func() { _, _ = unix.Write(f.event, kickValue) }
			measureWakeUps(b, pause, &seen, kick)
			over.Store(true)
			kick()
			waiter.Wait()
			f.close()
		})
	}
}

// measureWakeUps posts packets with a pause between them and reports how long it took until each was seen.
func measureWakeUps(b *testing.B, pause time.Duration, seen *atomic.Uint64, post func()) (packets int) {
	perMicrosecond := float64(TSCHz()) / 1e6
	cycles := cyclesIn(pause)
	var latencies []float64
	for b.Loop() {
		// Not a timer: the kernel's slack would make 80 us out of 20.
		for from := Cycles(); Cycles()-from < cycles; {
		}
		seen.Store(0)
		posted := Cycles()
		post()
		for seen.Load() == 0 {
		}
		latencies = append(latencies, float64(seen.Load()-posted)/perMicrosecond)
	}
	slices.Sort(latencies)
	for _, p := range []int{50, 90, 99} {
		b.ReportMetric(latencies[(len(latencies)-1)*p/100], fmt.Sprintf("p%d-us", p))
	}
	return len(latencies)
}
