package shm

import (
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// BenchmarkRenew is what the end of a client of one ring costs in a region of the default size, whose buffers are nearly all in rings.
func BenchmarkRenew(b *testing.B) {
	g, err := GlobalParams().Plan()
	if err != nil {
		b.Fatal(err)
	}
	r, err := Create(Options{ID: 7, Name: "bench"}, g)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var o Ring
	for range 159 {
		if o, err = r.NewRing(1, abi.DirRx, 0, 1024, ring.Indices{}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if err := r.Renew(o); err != nil {
			b.Fatal(err)
		}
	}
}
