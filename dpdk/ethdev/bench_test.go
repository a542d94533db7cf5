package ethdev

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/lcore"
)

// BenchmarkNull is the cost of a burst on net_null, per frame of 60 bytes: of rx, with every segment looked at from Go, and of
// both ways, with a copy of each frame.
func BenchmarkNull(b *testing.B) {
	for _, burst := range []int{32, 64, 256} {
		b.Run(fmt.Sprintf("rx/%d", burst), func(b *testing.B) { benchNull(b, burst, false) })
		b.Run(fmt.Sprintf("rxtx/%d", burst), func(b *testing.B) { benchNull(b, burst, true) })
	}
}

func benchNull(b *testing.B, burst int, send bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := lcore.Register(); err != nil { // for the pool's cache
		b.Fatal(err)
	}
	defer lcore.Unregister()
	d := attach(b, "net_null5,size=60", Config{})
	rx, tx := NewRxBatch(burst), NewTxBatch(burst)
	defer tx.Free()
	defer rx.Free()
	var bytes uint64
	frames := 0
	start := threadTime(b)
	for b.Loop() {
		n := d.RxBurst(0, rx)
		for i := range n {
			bytes += uint64(rx.Len(i))
			if send {
				tx.Add(rx.Addr(i), rx.Len(i), rx.More(i))
			}
		}
		if send {
			n = d.TxBurst(0, tx)
		}
		frames += n
	}
	if bytes == 0 || frames == 0 {
		b.Fatal("nothing was moved")
	}
	perFrame := float64(threadTime(b)-start) / float64(frames)
	b.ReportMetric(perFrame, "ns/frame")
	b.ReportMetric(perFrame*float64(eal.TSCHz())/1e9, "cycles/frame")
	rx.Reset()
}

// threadTime is the CPU time of the thread in ns: on a busy machine, the wall time would be that of others too.
func threadTime(b *testing.B) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		b.Fatal(err)
	}
	return ts.Nano()
}

// TestBurstsDoNotAllocate guards the packet path.
func TestBurstsDoNotAllocate(t *testing.T) {
	d := attach(t, "net_null6,size=60", Config{})
	rx, tx := NewRxBatch(32), NewTxBatch(32)
	defer tx.Free()
	defer rx.Free()
	if n := testing.AllocsPerRun(100, func() {
		for i := range d.RxBurst(0, rx) {
			tx.Add(rx.Addr(i), rx.Len(i), rx.More(i))
		}
		d.TxBurst(0, tx)
	}); n != 0 {
		t.Errorf("%v allocations per burst", n)
	}
	rx.Reset()
}
