package vale

import (
	"math/bits"
	"testing"

	"github.com/netmapd/netmapd/lcore"
)

// stage is a part of the packet path, alone: what BenchmarkStage times, and what neither allocates nor grows by a tenth
// unnoticed.
type stage struct {
	name  string
	count int                        // packets of one call; 1 where the cost is that of a batch
	setup func(tb testing.TB) func() // returns the call
	cpu   bool                       // its instructions depend on what the CPU has
}

// stageBatch is the packets of a batch, half a ring.
const stageBatch = 512

var stages = []stage{
	{name: "judge", count: 1, setup: judgeStage},
	{name: "take", count: stageBatch, setup: takeStage},
	{name: "classify", count: stageBatch, setup: classifyStage},
	{name: "lookup/same", count: stageBatch, setup: lookupStage(1)},
	{name: "lookup/1000", count: stageBatch, setup: lookupStage(1000)},
	{name: "lookup/100000", count: stageBatch, setup: lookupStage(100000)},
	{name: "copy/60", count: stageBatch, setup: copyStage(60)},
	{name: "copy/128", count: stageBatch, setup: copyStage(128)},
	{name: "copy/1514", count: stageBatch, setup: copyStage(1514), cpu: true},
	{name: "publish/tx", count: 1, setup: publishTxStage},
	{name: "publish/rx", count: 1, setup: publishRxStage},
	{name: "all/unicast", count: stageBatch, setup: wholeStage(2, stageBatch, station(1), lcore.Cycles)},
	{name: "all/unicast/untimed", count: stageBatch, setup: wholeStage(2, stageBatch, station(1), nil)},
	{name: "all/broadcast/7", count: stageBatch, setup: wholeStage(8, stageBatch, broadcast, lcore.Cycles)},
	{name: "all/unicast/63", count: 63 * 4, setup: manyStage(63, 4)},
	{name: "all/one", count: 1, setup: wholeStage(2, 1, station(1), lcore.Cycles)},
	{name: "all/one/untimed", count: 1, setup: wholeStage(2, 1, station(1), nil)},
	{name: "all/idle", count: 1, setup: idleStage},
}

// fixed makes a table's places the same in every run.
func (t *table) fixed() *table {
	t.seed = [2]uint64{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9}
	return t
}

// stageNet is benchNet with a table that is the same in every run, and n slots published by the first client.
func stageNet(tb testing.TB, ports, size, n int, dst MAC) (*network, *source) {
	return clockedNet(tb, ports, size, n, dst, lcore.Cycles)
}

func clockedNet(tb testing.TB, ports, size, n int, dst MAC, clock func() uint64) (*network, *source) {
	w := benchNet(tb, ports, size, dst, Options{Clock: clock})
	tab := newTable(minTable, false).fixed()
	w.s.tab.each(func(e uint64) { tab.learn(e) })
	w.pl.view.Load().tab = tab
	w.c[0].tx[0].advance(uint32(n))
	s := &w.pl.sources[0]
	w.pl.batch.ctr, w.pl.batch.N = s.ctr, 0
	return w, s
}

// taken is stageNet with the slots in the poller's batch.
func taken(tb testing.TB, size int) (*network, *source) {
	w, s := stageNet(tb, 2, size, stageBatch, station(1))
	if got := s.Next(&w.pl.batch); got != stageBatch {
		tb.Fatalf("%d slots taken, want %d", got, stageBatch)
	}
	return w, s
}

func judgeStage(tb testing.TB) func() {
	w, _ := stageNet(tb, 2, 60, stageBatch, station(1))
	r := w.c[0].tx[0]
	return func() { r.Pending() }
}

func takeStage(tb testing.TB) func() {
	w, s := stageNet(tb, 2, 60, stageBatch, station(1))
	return func() {
		w.pl.batch.N = 0
		s.Next(&w.pl.batch)
	}
}

func classifyStage(tb testing.TB) func() {
	w, s := taken(tb, 60)
	return func() { w.pl.work.classify(&w.pl.batch, s.ctr) }
}

// lookupStage learns and looks up frames of that many stations, which come and go in no order.
func lookupStage(stations int) func(testing.TB) func() {
	return func(tb testing.TB) func() {
		w, s := taken(tb, 60)
		pl, v := w.pl, w.pl.view.Load()
		v.tab = newTable(max(minTable, 1<<bits.Len(uint(4*stations))), false).fixed()
		other := station(0).word() | 2<<40
		for i := range stations {
			v.tab.learn(entry(station(i).word(), 1, 1))
			v.tab.learn(entry(other+uint64(i)<<8, 0, 1))
		}
		frames := w.c[0].tx[0]
		for i := range uint32(stageBatch) {
			k := int(i) * 7919 % stations
			buf := frames.bufs.Get(frames.first + (1+i)%frames.Num())
			d, src := station(k), macOf(other+uint64(k)<<8)
			copy(buf, d[:])
			copy(buf[6:], src[:])
		}
		pl.work.classify(&pl.batch, s.ctr)
		n := pl.work.runs
		return func() {
			pl.work.n, pl.work.runs = stageBatch, n // all are kept
			pl.work.lookup(pl, v, s)
		}
	}
}

// lookup is what forward does between reading headers and delivering.
func (w *work) lookup(pl *Poller, v *view, s *source) {
	w.look(v.tab)
	pl.resolve(v, s)
	w.group(v)
	for _, g := range w.touched {
		v.count[g] = 0
	}
	w.touched = w.touched[:0]
}

// copyStage fills the slots of a receiver, without giving them to it.
func copyStage(size int) func(testing.TB) func() {
	return func(tb testing.TB) func() {
		w, _ := taken(tb, size)
		sink := NewRxSink(w.c[1].rx[0].Ring)
		list := make([]uint16, stageBatch)
		for i := range list {
			list[i] = uint16(i)
		}
		var d Drops
		return func() { sink.fillSingle(&w.pl.batch, list, 0, &d) }
	}
}

func publishTxStage(tb testing.TB) func() {
	w, _ := stageNet(tb, 2, 60, 0, station(1))
	r := w.c[0].tx[0]
	return func() { r.Complete(r.HwCur()) }
}

func publishRxStage(tb testing.TB) func() {
	w, _ := stageNet(tb, 2, 60, 0, station(1))
	r := w.c[1].rx[0]
	return func() {
		start, got := r.Reserve(stageBatch)
		r.Commit(start, got, got)
		r.release()
	}
}

// wholeStage is a turn of the poller with n frames, its stages timed or not, and the receivers' answer.
func wholeStage(ports, n int, dst MAC, clock func() uint64) func(testing.TB) func() {
	return func(tb testing.TB) func() {
		w, _ := clockedNet(tb, ports, 60, 0, dst, clock)
		return func() {
			w.c[0].tx[0].advance(uint32(n))
			w.pl.Poll()
			for _, c := range w.c[1:] {
				c.rx[0].release()
			}
		}
	}
}

// manyStage is a turn of the poller with a few frames for each of many receivers.
func manyStage(receivers, each int) func(testing.TB) func() {
	return func(tb testing.TB) func() {
		w, _ := clockedNet(tb, receivers+1, 60, 0, broadcast, lcore.Cycles)
		for i, p := range w.p[1:] {
			if err := w.s.SetStatic(station(101+i), p); err != nil {
				tb.Fatal(err)
			}
		}
		tab := newTable(minTable, false).fixed()
		w.s.tab.each(func(e uint64) { tab.learn(e) })
		w.pl.view.Load().tab = tab
		tx := w.c[0].tx[0]
		for i := range tx.Num() {
			copy(tx.bufs.Get(tx.first+i), frame(station(101+int(i*7919)%receivers), station(100), 60, 0))
		}
		return func() {
			tx.advance(uint32(receivers * each))
			w.pl.Poll()
			for _, c := range w.c[1:] {
				c.rx[0].release()
			}
		}
	}
}

// idleStage finds nothing on two ports.
func idleStage(tb testing.TB) func() {
	w, _ := stageNet(tb, 2, 60, 0, station(1))
	return func() { w.pl.Poll() }
}

func BenchmarkStage(b *testing.B) {
	for _, s := range stages {
		b.Run(s.name, func(b *testing.B) {
			call := s.setup(b)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
			perPacket(b, b.N*s.count)
		})
	}
}

// Nothing on the packet path allocates.
func TestStagesDoNotAllocate(t *testing.T) {
	for _, s := range stages {
		call := s.setup(t)
		if n := testing.AllocsPerRun(20, call); n != 0 {
			t.Errorf("stage %s: %v allocations in a call, want none", s.name, n)
		}
	}
}
