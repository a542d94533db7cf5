package port_test

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/port"
)

// A switch whose ports are polled by two lcores delivers each flow in order and
// unchanged, and its books balance.
func TestSwitchOnTwoLcores(t *testing.T) {
	if len(eal.Probe().CPUs) < 2 {
		t.Skip("needs two CPUs")
	}
	const senders, frames = 4, 3000
	b := newBed(t, 2, port.Config{})
	sink := b.open("vale0:sink")
	gens := make([]*netmap.Desc, senders)
	for i := range gens {
		gens[i] = b.open(fmt.Sprintf("vale0:g%d", i))
	}
	used := map[int]bool{}
	ports, err := b.reg.Ports(limited(t))
	must(t, err)
	for _, p := range ports {
		used[p.Lcore] = true
	}
	if len(used) != 2 {
		t.Fatalf("the ports are on lcores %v, want two", used)
	}
	send(t, sink, 0, frame(everyone, 9, 60, 0)) // station 9 is known
	for _, g := range gens {
		receive(t, g, 1)
	}

	var wg sync.WaitGroup
	for i, g := range gens {
		wg.Go(func() {
			f := frame(9, byte(i), 64, i)
			for n := range uint32(frames) {
				binary.BigEndian.PutUint32(f[14:], n)
				f[18] = byte(n * 31)
				for !g.TxRings()[0].Send(f) {
					if err := g.TxSync(); err != nil {
						t.Error(err)
						return
					}
				}
			}
			if err := g.Flush(limited(t)); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()

	got, last := 0, [senders]int64{-1, -1, -1, -1}
	buf := make([]byte, 2048)
	for sending := true; sending; {
		select {
		case <-done:
			sending = false // one more look: all has been delivered
		default:
		}
		must(t, sink.RxSync())
		for {
			n, ok := sink.RxRings()[0].Recv(buf)
			if !ok {
				break
			}
			got++
			from, seq := buf[11], binary.BigEndian.Uint32(buf[14:])
			if n != 64 || from >= senders || int64(seq) <= last[from] || buf[18] != byte(seq*31) {
				t.Fatalf("frame %d of station %d after %v, %d bytes: % x", seq, from, last, n, buf[:n])
			}
			last[from] = int64(seq)
		}
	}
	must(t, sink.RxSync())
	st := b.stats("vale0:sink")
	if st.Rx.Frames != uint64(got) {
		t.Errorf("%d frames received, the books say %d", got, st.Rx.Frames)
	}
	if st.Rx.Frames+st.Drops["ring_full"] != senders*frames || len(st.Drops) > 1 {
		t.Errorf("%d frames sent, %d received, drops %v", senders*frames, st.Rx.Frames, st.Drops)
	}
	for i := range gens {
		if g := b.stats(fmt.Sprintf("vale0:g%d", i)); g.Tx.Frames != frames || len(g.Drops) != 0 {
			t.Errorf("sender %d: %+v", i, g)
		}
	}
}
