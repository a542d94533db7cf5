package port

import (
	"sync/atomic"

	"github.com/netmapd/netmapd/netmap/abi"
	vale "github.com/netmapd/netmapd/switch"
)

// hostUnit moves frames between the host's network stack, a port's host rings,
// and the queues of its device whose HW rings nobody has bound (NC E.2), as far as
// they are an lcore's.
//
//	host RX ring <---+                 +---> host
//	                 +-- tap queue <-->|
//	TX queue <-------+       ^         +---- host
//	  (HW ring not bound)    |
//	                         +---- host TX ring, RX queue (HW ring not bound),
//	                               slots released with NS_FORWARD
type hostUnit struct {
	from []fromHost
	to   []toHost
	hw   []*kring // HW RX rings, whose released slots are looked at

	silent bool // queues of the device that cannot wake the lcore are looked at
}

// fromHost is a queue of the tap as a source.
type fromHost struct {
	src  *tapSource
	hw   *kring     // HW TX ring that the queue belongs to
	ring *vale.Link // to a host RX ring
	wire *vale.Link // to a TX queue of the device; nil if the host sends there by itself
}

// toHost is a source of frames for the host, with the ring whose being bound
// makes them so, or keeps them from it.
type toHost struct {
	ring *kring
	link *vale.Link
	when bool // bound or not
}

// Poll moves one batch each way.
func (u *hostUnit) Poll() (n int) {
	for i := range u.from {
		q := &u.from[i]
		if q.wire != nil && !q.hw.Bound() {
			n += q.wire.Turn(tapBurst)
			continue
		}
		n += q.ring.Turn(tapBurst)
	}
	for i := range u.to {
		if q := &u.to[i]; q.ring.Bound() == q.when {
			n += q.link.Turn(tapBurst)
		}
	}
	for _, k := range u.hw {
		if k.Bound() {
			k.Release()
		}
	}
	return n
}

// Arm asks clients for kicks: at frames for the host, also those that will be
// released with NS_FORWARD.
func (u *hostUnit) Arm() bool {
	for i := range u.from {
		if !u.from[i].src.Arm() {
			return false
		}
	}
	for i := range u.to {
		if q := &u.to[i]; q.when && q.ring.Bound() && !q.ring.Arm() {
			return false
		}
	}
	for _, k := range u.hw {
		if k.Bound() && !k.Arm() {
			return false
		}
	}
	return true
}

// Disarm takes that back.
func (u *hostUnit) Disarm() {
	for i := range u.from {
		u.from[i].src.Disarm()
	}
	for i := range u.to {
		if q := &u.to[i]; q.when {
			q.ring.Disarm()
		}
	}
	for _, k := range u.hw {
		k.Disarm()
	}
}

// Silent says that the device has nothing to wake the lcore with.
func (u *hostUnit) Silent() bool { return u.silent }

// Fail tells the clients of host rings.
func (u *hostUnit) Fail(error) {
	for i := range u.to {
		if q := &u.to[i]; q.when {
			q.ring.Stop()
		}
	}
}

// drain sends what was published on host rings.
func (u *hostUnit) drain() {
	for i := range u.to {
		for moved := 0; u.to[i].when && moved < abi.ValeMaxSlots; {
			n := u.to[i].link.Turn(tapBurst)
			if n == 0 {
				break
			}
			moved += n
		}
	}
}

// forwarder gives the host the slots of an HW RX ring that its client released
// with NS_FORWARD, on a ring with NR_FORWARD (NC D.7). It belongs to the ring's
// lcore.
type forwarder struct {
	k     *kring
	sink  vale.Sink
	all   *atomic.Bool   // the module parameter fwd: as if all flags were set
	books *vale.Counters // drops
	batch vale.Batch
	list  [tapBurst]uint16
}

// released looks at n slots from slot at on, before they are filled again. Each
// is a frame of its own, as in netmap.
func (f *forwarder) released(at, n uint32) {
	all := f.all.Load()
	if !all && atomic.LoadUint32(&f.k.obj.View.RingHeader.Flags)&abi.NRForward == 0 {
		return
	}
	slots, bufs := f.k.Slots(), f.k.Bufs()
	b := &f.batch
	b.Base, b.N = bufs.Base(), 0
	for ; n > 0; n-- {
		w := slots.Load(at)
		if w.Flags()&abi.NSForward != 0 || all {
			slots.Store(at, abi.MakeWord(w.Idx(), w.Len(), w.Flags()&^abi.NSForward))
			switch {
			case !bufs.Valid(w.Idx()):
				f.books.Drops[vale.BadIndex]++
			case uint32(w.Len()) > bufs.Size():
				f.books.Drops[vale.BadLength]++
			default:
				b.Frags[b.N] = vale.Frag{Off: uint64(w.Idx()) * uint64(bufs.Size()), Len: w.Len(), Slots: 1}
				f.list[b.N] = uint16(b.N)
				b.N++
			}
		}
		if b.N == tapBurst || n == 1 {
			f.sink.Deliver(b, f.list[:b.N], &f.books.Drops)
			b.Settle()
			b.N = 0
		}
		at = f.k.Advance(at, 1)
	}
}
