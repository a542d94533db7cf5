package netmap

import (
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// What every frame pays for indirect slots there could be.
func BenchmarkIndirectScan(b *testing.B) {
	const n = 512
	mem := abi.NewMem(make([]byte, abi.RingBytes(n)+abi.RingAlign))
	r := &Ring{n: n}
	for off := uint64(0); off < abi.RingAlign; off += 8 {
		v, err := mem.Ring(off, n)
		if err == nil {
			r.ring = v
			break
		}
	}
	for b.Loop() {
		r.fetchIndirect(0, n-1)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/slot")
}
