package vale

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
)

// benchNet is a switch with n clients whose TX buffers are full of frames:
// sending is then nothing but publishing, so that what is measured is the
// switch. The lcore that runs it for real shares nothing but cache lines more.
func benchNet(tb testing.TB, n, size int, dst MAC, opt Options) *network {
	w := newNet(tb, n, shape{tx: 1, rx: 1, slots: 1024, buf: 2048}, opt)
	for i, c := range w.c {
		r := c.tx[0]
		for range r.Num() {
			r.put(frame(dst, station(i), size, 0), 0)
		}
		r.head = 0
	}
	// Everybody is known once.
	for i := range w.c {
		w.c[i].tx[0].advance(1)
		w.pl.Poll()
	}
	for i := range w.c {
		w.c[i].rx[0].release()
	}
	return w
}

// release gives back everything that was received.
func (r *clientRing) release() {
	_, r.head = r.Block().LoadDaemon()
	r.publish()
}

func perPacket(b *testing.B, packets int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkPoll(b *testing.B) {
	const n = 512
	for _, kind := range []string{"unicast", "broadcast"} {
		for _, size := range []int{60, 512, 1514} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				dst := station(1)
				if kind == "broadcast" {
					dst = broadcast
				}
				w := benchNet(b, 2, size, dst, Options{})
				tx, rx := w.c[0].tx[0], w.c[1].rx[0]
				b.ReportAllocs()
				for b.Loop() {
					tx.advance(n)
					w.pl.Poll()
					rx.release()
				}
				if c := w.p[1].Counters(); c.Drops[RingFull] != 0 {
					b.Fatalf("drops: %v", c.Drops.ByName())
				}
				perPacket(b, b.N*n)
			})
		}
	}
}

func BenchmarkBatchSize(b *testing.B) {
	const n = 1000
	for _, size := range []int{64, 128, 256, 512, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := benchNet(b, 2, 60, station(1), Options{Batch: size})
			tx, rx := w.c[0].tx[0], w.c[1].rx[0]
			for b.Loop() {
				tx.advance(n)
				for w.pl.Poll() != 0 {
				}
				rx.release()
			}
			perPacket(b, b.N*n)
		})
	}
}

// BenchmarkAcrossCPUs has both clients write and read real frames on another
// CPU, as one process with two ports would.
func BenchmarkAcrossCPUs(b *testing.B) {
	for _, size := range []int{60, 512, 1514} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := benchNet(b, 2, size, station(1), Options{})
			tx, rx := w.c[0].tx[0], w.c[1].rx[0]
			var sum uint64
			moved := pollAcross(b, w, func() {
				for range min(tx.free(), 256) {
					word := tx.Slots().Load(tx.head)
					buf := tx.bufs.Get(word.Idx())
					for i := 14; i < size; i += 64 {
						buf[i] = byte(sum)
					}
					tx.putWord(abi.MakeWord(word.Idx(), uint16(size), 0))
				}
				tx.publish()
				for range min(rx.free(), 256) {
					buf := rx.bufs.Get(rx.Slots().Load(rx.head).Idx())
					for i := 14; i < size; i += 64 {
						sum += uint64(buf[i])
					}
					rx.head = rx.Advance(rx.head, 1)
				}
				rx.publish()
			})
			c := w.p[1].Counters()
			b.ReportMetric(float64(c.Drops[RingFull])/float64(moved), "drops/packet")
		})
	}
}

// pollAcross polls while another goroutine does again and again what clients do, and returns how many frames were moved.
func pollAcross(b *testing.B, w *network, clients func()) (moved int) {
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			clients()
		}
	}()
	// Others use the machine too: the median of the polls is what the lcore
	// pays, the mean is what the scheduler took.
	var cost []float64
	for moved < b.N {
		t0 := time.Now()
		n := w.pl.Poll()
		if n >= 64 {
			cost = append(cost, float64(time.Since(t0).Nanoseconds())/float64(n))
		}
		moved += n
	}
	b.StopTimer()
	stop.Store(true)
	<-done
	if len(cost) > 0 {
		slices.Sort(cost)
		b.ReportMetric(cost[len(cost)/2], "median-ns/packet")
	}
	return moved
}

// BenchmarkAddresses has frames for many stations in random order: what a table larger than the caches costs.
func BenchmarkAddresses(b *testing.B) {
	const sets = 200
	for _, stations := range []int{1, 100, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(stations), func(b *testing.B) {
			w, s := taken(b, 60)
			pl, v := w.pl, w.pl.view.Load()
			v.tab = newTable(max(minTable, 1<<bits.Len(uint(2*stations))), false).fixed()
			address := func(i int) uint64 { return 2 | uint64(i+256)<<16 }
			for i := range stations {
				v.tab.learn(entry(address(i), 1, 1))
			}
			batches := make([][stageBatch]run, sets)
			for i := range batches {
				for k := range batches[i] {
					batches[i][k] = run{dst: address(rand.IntN(stations)), src: station(0).word(), from: uint16(k)}
				}
			}
			for i := 0; b.Loop(); i++ {
				copy(pl.work.run[:], batches[i%sets][:])
				pl.work.n, pl.work.runs = stageBatch, stageBatch
				pl.work.lookup(pl, v, s)
			}
			perPacket(b, b.N*stageBatch)
		})
	}
}

func BenchmarkCopy(b *testing.B) {
	c := newClient(b, shape{tx: 1, rx: 1, slots: 1024, buf: 2048})
	base := c.bufs.Base()
	for _, size := range []int{14, 60, 64, 65, 128, 129, 256, 512, 1514} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			i := uint32(0)
			for b.Loop() {
				copyBytes(bufAt(base, 2+1024+i&511, 2048), bufAt(base, 2+i&511, 2048), uintptr(size))
				i++
			}
		})
	}
}

// Nothing on the packet path allocates.
func TestPollDoesNotAllocate(t *testing.T) {
	for _, dst := range []MAC{station(1), broadcast} {
		w := benchNet(t, 4, 60, dst, Options{})
		for i := range w.c[0].tx[0].Num() {
			if i%16 == 0 { // chains as well
				word := w.c[0].tx[0].Slots().Load(i)
				w.c[0].tx[0].Slots().Store(i, abi.MakeWord(word.Idx(), word.Len(), abi.NSMoreFrag))
			}
		}
		got := testing.AllocsPerRun(20, func() {
			w.c[0].tx[0].advance(500)
			w.c[2].tx[0].advance(3)
			w.pl.Poll()
			for _, c := range w.c {
				c.rx[0].release()
			}
			w.pl.Arm()
			w.pl.Disarm()
		})
		if got != 0 {
			t.Errorf("to %v: %v allocations in a poll, want none", dst, got)
		}
	}
}

// portsNet has one sender whose frames go to all other ports by chance.
func portsNet(b *testing.B, ports int) *network {
	w := newNet(b, ports, shape{tx: 1, rx: 1, slots: 256, buf: 2048}, Options{})
	for i, c := range w.c {
		r := c.tx[0]
		for range r.Num() {
			r.put(frame(station(1+rand.IntN(ports-1)), station(i), 60, 0), 0)
		}
		r.head = 0
		r.advance(1)
		w.pl.Poll()
	}
	return w
}

// portsBatch is how many frames a batch of its sender has at most.
const portsBatch = 240

// BenchmarkPorts: what it costs that each port gets a few frames of a batch, and that their rings and buffers are larger than
// the caches.
func BenchmarkPorts(b *testing.B) {
	for _, ports := range []int{2, 8, 64} {
		b.Run(fmt.Sprint(ports), func(b *testing.B) {
			w := portsNet(b, ports)
			for b.Loop() {
				for _, c := range w.c[1:] {
					c.rx[0].release()
				}
				w.c[0].tx[0].advance(portsBatch)
				w.pl.Poll()
			}
			perPacket(b, b.N*portsBatch)
		})
	}
}

// BenchmarkPortsAcrossCPUs is BenchmarkPorts with the sender and the readers on another CPU: one thread, which looks at all
// rings in turn.
func BenchmarkPortsAcrossCPUs(b *testing.B) {
	for _, ports := range []int{2, 8, 64} {
		b.Run(fmt.Sprint(ports), func(b *testing.B) {
			w := portsNet(b, ports)
			var sum uint64
			pollAcross(b, w, func() {
				if tx := w.c[0].tx[0]; tx.free() >= portsBatch/2 {
					for range min(tx.free(), portsBatch) {
						tx.putWord(tx.Slots().Load(tx.head))
					}
					tx.publish()
				}
				for _, c := range w.c[1:] {
					rx := c.rx[0]
					for range rx.free() {
						sum += uint64(rx.Slots().Load(rx.head).Len())
						rx.head = rx.Advance(rx.head, 1)
					}
					rx.publish()
				}
			})
		})
	}
}
