package shm

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Owners says who has each buffer of a region. It lies in control memory. The allocator changes it under the region's lock,
// lcores change it while they swap buffers with a device; the two meet only where a client presents one index to both, so
// whatever takes a buffer from a client is one atomic step.
//
// A word is one of the states below, and in its upper 24 bits the number of transmissions from the buffer that a device has
// not finished.
type Owners []uint32

// The states of a buffer. Only a client's buffer without transmissions can be swapped, and only that or an idle ring's given
// back, so an index that a client presents twice cannot enter the pool twice.
const (
	bufFree     uint32 = iota // in the allocator
	bufClient                 // in a slot or an extra list, or lost by a client
	bufReserved               // buffers 0 and 1
	bufDevice                 // a device receives into it
	bufIdle                   // in a slot of a ring that nobody has opened since it got it
)

const oneFlight = 1 << 8

// ToDevice takes a buffer from the clients for a device to receive into. It fails for an index that does not exist, is not
// a client's, or is being transmitted. Any lcore.
func (o Owners) ToDevice(idx uint32) bool {
	return uint64(idx) < uint64(len(o)) && atomic.CompareAndSwapUint32(&o[idx], bufClient, bufDevice)
}

// ToClient gives a buffer that a device received into to the clients. Only the lcore that the device's queue belongs to.
func (o Owners) ToClient(idx uint32) {
	o[idx] = bufClient // nobody else changes a device's buffer, and a word is written whole
}

// Held tells whether a buffer that exists is a client's at the moment.
func (o Owners) Held(idx uint32) bool { return atomic.LoadUint32(&o[idx])%oneFlight == bufClient }

// Launch notes that a device transmits from a client's buffer. It fails as ToDevice does, except that a buffer can be
// transmitted several times at once. Any lcore.
func (o Owners) Launch(idx uint32) bool {
	if uint64(idx) >= uint64(len(o)) {
		return false
	}
	for {
		w := atomic.LoadUint32(&o[idx])
		if w%oneFlight != bufClient {
			return false
		}
		if atomic.CompareAndSwapUint32(&o[idx], w, w+oneFlight) {
			return true
		}
	}
}

// Land takes one Launch back. Any lcore.
func (o Owners) Land(idx uint32) { atomic.AddUint32(&o[idx], ^uint32(oneFlight-1)) }

// Open makes the buffers of a ring its clients': before, no client's index of them is worth anything.
func (r *Region) Open(o Ring) (err error) {
	defer r.faults(&err)()
	for s := range o.View.Num() {
		if idx := o.View.Load(s).Idx(); r.bufs.Valid(idx) {
			atomic.CompareAndSwapUint32(&r.c.bufs[idx], bufIdle, bufClient)
		}
	}
	return nil
}

// Owners is what the packet path needs to move buffers.
func (r *Region) Owners() Owners { return r.c.bufs }

// Lend takes n free buffers for a device to receive into.
func (r *Region) Lend(n int) (idx []uint32, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if uint32(n) > r.freeBuf {
		return nil, &PoolError{r.name, "buffer", uint64(n), uint64(r.freeBuf)}
	}
	for range n {
		idx = append(idx, r.takeBuf(bufDevice))
	}
	return idx, nil
}

// Recover takes back buffers that a device has, all or as many as it still had. No device uses them any more.
func (r *Region) Recover(idx []uint32) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range idx {
		if !r.bufs.Valid(i) || !atomic.CompareAndSwapUint32(&r.c.bufs[i], bufDevice, bufFree) {
			return fmt.Errorf("region %s: buffer %d is not a device's: %w", r.name, i, unix.EINVAL)
		}
		r.freeBuf++
		r.nextBuf = min(r.nextBuf, i)
	}
	return nil
}
