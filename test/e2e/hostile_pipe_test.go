package e2e

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// scribble writes nonsense where the other end and the daemon look: the sync blocks of both ends, the rings of both, with
// their slots, and what says where they lie. Some of it is nearly right.
func (p *rawPort) scribble() {
	rings := p.region[:p.bind.BufOffset]
	for range 1 + rand.IntN(50) {
		where := p.sync
		if rand.IntN(3) == 0 {
			where = rings
		}
		v := rand.Uint64() >> rand.IntN(64)
		if rand.IntN(2) == 0 { // two indices, as most words are
			v = uint64(rand.Uint32N(p.bind.TxSlots+2)) | uint64(rand.Uint32N(p.bind.TxSlots+2))<<32
		}
		binary.NativeEndian.PutUint64(where[rand.IntN(len(where)/8)*8:], v)
	}
}

// peers is where the sync blocks of both ends say that the other end lies; undo writes that again.
func (p *rawPort) peers(t *testing.T) (undo func()) {
	t.Helper()
	type place struct {
		ring  uint64
		block uint32
	}
	var blocks []*abi.SyncBlock
	var places []place
	for i := range len(p.sync) / abi.SyncBlockSize {
		b, err := abi.NewMem(p.sync).SyncBlock(i)
		must(t, err)
		ring, block := b.Peer()
		blocks, places = append(blocks, b), append(places, place{ring, block})
	}
	return func() {
		for i, b := range blocks {
			b.SetPeer(places[i].ring, places[i].block)
		}
	}
}

// One end of a direct pipe corrupts everything that both ends and the daemon share, while the other end works, ends come and
// go, and a monitor has the daemon take the pipe over and give it back. The two ends suffer; nobody else does, and the daemon
// gets all memory back.
func TestPipePeerCorrupts(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	calm := [2]*netmap.Desc{d.open(t, "netmap:calm{1"), d.open(t, "netmap:calm}1")}
	before := d.settled(t)
	var buf [2048]byte
	for life := range 12 {
		bad := d.openRaw(t, "wild{1", abi.Register{Mode: abi.ModeAllNIC, TxSlots: 64, RxSlots: 64})
		undo := bad.peers(t)
		good := d.open(t, "netmap:wild}1")
		for n := range 60 {
			bad.scribble()
			good.TxRings()[0].Send(frame(buf[:], 1, 2, uint64(n)))
			_, _ = good.PollTimeout(0, netmap.PollIn|netmap.PollOut)
			bad.scribble()
			good.RxRings()[0].Recv(buf[:])
			_, _ = good.TxSync(), good.RxSync()
			if n%20 == 10 { // the daemon looks at the indices
				m := d.open(t, "netmap:wild}1/rt")
				bad.scribble()
				bad.wakeDaemon()
				_, _ = good.PollTimeout(0, netmap.PollIn|netmap.PollOut)
				must(t, m.Close())
			}
			if n == 30 { // the next one goes on where the last one stopped, or is told why not
				must(t, good.Close())
				if life%3 > 0 {
					undo()
				}
				next, err := netmap.Open(limited(t), "netmap:wild}1", netmap.WithRuntimeDir(d.dir))
				if err != nil && life%3 > 0 {
					t.Fatal(err)
				}
				if good = next; err != nil {
					break
				}
			}
			// Another pipe is not concerned.
			seq := uint64(life*60 + n)
			if !calm[0].TxRings()[0].Send(frame(buf[:], 3, 4, seq)) {
				t.Fatal("no room in the other pipe")
			}
			must(t, calm[0].TxSync())
			receive(t, calm[1], seq)
		}
		if good != nil {
			must(t, good.Close())
		}
		bad.close()
		d.returnsTo(t, before)
	}
	must(t, errors.Join(calm[0].Close(), calm[1].Close()))
	w.undisturbed(t)
}
