package port

import (
	"sync"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/netmap/abi"
	vale "github.com/netmapd/netmapd/switch"
)

// burst is how many frames are asked of a device at a time. The mbufs of twice as many do not stay in the first level
// cache, with half of it calls cost more than that (docs/performance.md).
const burst = 128

// rxQueue is a receive queue of a device as a source of frames. The frames lie
// in mbufs, which go back at the next burst.
type rxQueue struct {
	nic   *ethdev.Device
	id    uint16
	batch *ethdev.RxBatch
}

func newRxQueue(nic *ethdev.Device, id uint16) *rxQueue {
	return &rxQueue{nic: nic, id: id, batch: ethdev.NewRxBatch(burst)}
}

// Next takes a burst.
func (q *rxQueue) Next(b *vale.Batch) int {
	n := q.nic.RxBurst(q.id, q.batch)
	b.Base, b.Origin = nil, q.batch.Handle() // offsets are addresses
	for i := 0; i < n; {
		first := b.N
		for more := true; more && i < n; i++ {
			b.Frags[b.N] = vale.Frag{Off: uint64(uintptr(q.batch.Addr(i))), Len: uint16(q.batch.Len(i))}
			b.N++
			more = q.batch.More(i)
		}
		slots := b.N - first
		if slots > vale.MaxFrags {
			b.N, b.Origin = first, nil // they are no longer in step
			b.Drop(vale.TooManyFragments, 1, 0)
			continue
		}
		b.Frags[first].Slots = uint16(slots)
		b.Multi = b.Multi || slots > 1
	}
	return n
}

// Done has nothing to give back: the next burst does.
func (q *rxQueue) Done(*vale.Batch) {}

func (q *rxQueue) free() { q.batch.Free() }

// awakening is a receive queue whose lcore watches the device's sockets. They
// are watched edge-triggered, and a frame that arrives after the last burst is
// such an edge, so there is nothing to arm.
type awakening struct{ *rxQueue }

// Arm has nothing to do.
func (awakening) Arm() bool { return true }

// Disarm has nothing to do.
func (awakening) Disarm() {}

// A frame may be longer than the MTU by these.
const (
	etherLen = 14
	vlanRoom = 4 // one tag
)

// txQueue is a transmit queue of a device as a sink. Frames are copied to mbufs
// of the device.
type txQueue struct {
	nic   *ethdev.Device
	id    uint16
	mu    sync.Mutex // a switch may deliver from several lcores; one call a batch
	batch *ethdev.TxBatch
	least uint32 // bytes of the shortest and longest frame
	most  uint32

	move bool // the driver can send from memory that is not its own

	frames []sentFrame // scratch of copyTx
}

func newTxQueue(nic *ethdev.Device, id uint16, mtu int) *txQueue {
	return &txQueue{
		nic: nic, id: id, move: nic.ZeroCopy().Tx, batch: ethdev.NewTxBatch(vale.MaxBatch), frames: make([]sentFrame, 0, burst),
		least: uint32(nic.Info().MinFrame()), most: uint32(mtu) + etherLen + vlanRoom,
	}
}

// Deliver transmits the frames of the list until the device takes no more.
func (q *txQueue) Deliver(b *vale.Batch, list []uint16, d *vale.Drops) (frames, bytes uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.move && b.Origin != nil && !b.Multi && q.nic.Reaches(b.Origin) {
		return q.forward(b, list, d)
	}
	var offered uint64
	for _, first := range list {
		frags := b.Frags[first:]
		frags = frags[:frags[0].Slots]
		var length uint32
		for i := range frags {
			length += uint32(frags[i].Len)
		}
		if length-q.least > q.most-q.least { // below least it wraps
			d[q.unfit(length)]++
			continue
		}
		for i := range frags {
			q.batch.Add(b.Addr(int(first)+i), uint32(frags[i].Len), i < len(frags)-1)
		}
		offered++
		bytes += uint64(length)
	}
	refused := q.batch.Refused()
	frames = uint64(q.nic.TxBurst(q.id, q.batch))
	if lost := offered - frames; lost > 0 {
		d[vale.RingFull] += lost
		bytes = bytes * frames / offered // the device does not tell which
	}
	if refused = q.batch.Refused() - refused; refused > 0 {
		d[vale.RxBadLength] += refused
		frames -= refused
	}
	return frames, bytes
}

// forward transmits frames of another device without copying them.
func (q *txQueue) forward(b *vale.Batch, list []uint16, d *vale.Drops) (frames, bytes uint64) {
	n := 0
	for _, i := range list {
		length := uint32(b.Frags[i].Len)
		if length-q.least > q.most-q.least {
			d[q.unfit(length)]++
			continue
		}
		q.batch.Pick(n, i)
		n++
		bytes += uint64(length)
	}
	sent := q.nic.Forward(q.id, q.batch, b.Origin, n)
	if lost := n - sent; lost > 0 {
		d[vale.RingFull] += uint64(lost)
		bytes = bytes * uint64(sent) / uint64(n) // the device does not tell which
	}
	return uint64(sent), bytes
}

// unfit is why a frame of a length cannot be sent.
func (q *txQueue) unfit(length uint32) vale.Reason {
	if length < q.least {
		return vale.TooShort
	}
	return vale.RxBadLength
}

func (q *txQueue) free() { q.batch.Free() }

// copyTx transmits copies of what a client sends, and gives the slots back at
// once; what the device has no room for stays in the ring.
type copyTx struct {
	outlet
	q *txQueue
}

// Turn transmits what the client published.
func (t *copyTx) Turn(limit int) int {
	from, n := t.published()
	if n == 0 {
		return 0
	}
	skipped := t.refuse(from, n, nil)
	at := t.ring.Advance(from, skipped)
	t.q.mu.Lock()
	at = t.send(at, n-skipped, uint32(limit))
	t.q.mu.Unlock()
	if at != from {
		t.ring.Complete(at)
	}
	return t.dist(from, at)
}

// send transmits frames up to one that cannot be sent, and returns the slot after
// the last one taken.
func (t *copyTx) send(at, n, limit uint32) uint32 {
	slots, bufs := t.ring.Slots(), t.ring.Bufs()
	b, first := t.q.batch, at
	for taken := uint32(0); taken < n && taken < limit; {
		k, _, bad := t.judge(at, n-taken, nil)
		if bad || int(k) > b.Room() {
			break
		}
		var length uint32
		for i := range k {
			w := slots.Load(t.ring.Advance(at, i))
			// It was good a moment ago; if not any more, it is its client's loss.
			idx, size := w.Idx(), min(uint32(w.Len()), t.size)
			if !bufs.Valid(idx) {
				idx = abi.MinBufIndex
			}
			if i == k-1 && length+size < t.least {
				size = t.least - length
			}
			b.Add(unsafe.Add(bufs.Base(), uintptr(idx)*uintptr(t.size)), size, i < k-1)
			length += size
		}
		t.q.frames = append(t.q.frames, sentFrame{k, length})
		taken += k
		at = t.ring.Advance(at, k)
	}
	if len(t.q.frames) == 0 {
		return first
	}
	refused := b.Refused()
	used := t.q.nic.TxBurst(t.q.id, b)
	at = first
	for _, f := range t.q.frames[:used] {
		t.books.Tx.Frames++
		t.books.Tx.Bytes += uint64(f.bytes)
		at = t.ring.Advance(at, f.slots)
	}
	t.books.Drops[vale.RxBadLength] += b.Refused() - refused
	t.q.frames = t.q.frames[:0]
	return at
}

// sentFrame is a frame of a batch.
type sentFrame struct{ slots, bytes uint32 }
