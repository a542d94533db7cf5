package hostif

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// VhostDevice is how the kernel offers vhost-net.
const VhostDevice = "/dev/vhost-net"

// Vhost is a queue of a tap whose frames pass through two virtio rings in memory
// that the kernel shares with us, as between a virtual machine and its host, so
// that a burst of them costs at most one system call, or none while the kernel's
// thread is at work. The rings are split ones of the old layout, in this machine's
// byte order; frames have a header, and may be spread over several buffers.
//
// Recv, Recycle, Arm and Disarm are for one thread at a time, Send and Flush for
// one, which may be another. Nothing that a client can write lies in this memory.
type Vhost struct {
	fd     int
	mem    []byte
	base   unsafe.Pointer
	rx, tx vring
	chains [vhostTxNum]uint16 // buffers of the frame that begins in a TX buffer
	place  int                // the TX buffer that is next
	free   int                // TX buffers, from there on
	call   int                // eventfd: the kernel has frames
}

// vhostRxNum and vhostTxNum are how many buffers the rings have; powers of two.
// What does not fit on its way to us waits in the tap; on the other way it is lost.
const (
	vhostRxNum = 256
	vhostTxNum = 1024
)

// vhostHeader is the length of what comes before each frame (struct
// virtio_net_hdr_mrg_rxbuf); at mergedAt is how many buffers the frame has.
const (
	vhostHeader = 12
	mergedAt    = 10
)

// Of linux/vhost.h.
const (
	vhostGetFeatures = 0x8008af00
	vhostSetFeatures = 0x4008af00
	vhostSetOwner    = 0xaf01
	vhostSetMemTable = 0x4008af03
	vhostVringNum    = 0x4008af10
	vhostVringAddr   = 0x4028af11
	vhostVringBase   = 0x4008af12
	vhostVringKick   = 0x4008af20
	vhostVringCall   = 0x4008af21
	vhostNetBackend  = 0x4008af30

	featureMerge = 1 << 15 // VIRTIO_NET_F_MRG_RXBUF
)

// Of linux/virtio_ring.h.
const (
	descNext    = 1
	descWrite   = 2
	noInterrupt = 1 // of the available ring
	noNotify    = 1 // of the used ring
)

type vringDesc struct {
	addr        uint64
	size        uint32
	flags, next uint16
}

type vringUsed struct{ id, size uint32 }

// vring is our side of a ring. Its buffers are as many, and descriptor i is for
// buffer i.
type vring struct {
	descs  []vringDesc
	avail  *uint32 // flags, and above them the index
	offers []uint16
	used   *uint32 // likewise
	done   []vringUsed
	bufs   uintptr // offset of the buffers in the memory
	stride int     // bytes of each
	next   uint16  // index of what is offered
	seen   uint16  // index of what was taken back
	quiet  uint32  // noInterrupt, or 0
	kick   int     // eventfd
}

// newVhost makes the rings of a queue, in which frames up to longest bytes have
// one buffer. The interface has to have IFF_VNET_HDR.
func newVhost(tap, longest int) (v *Vhost, err error) {
	v = &Vhost{fd: -1, call: -1, free: vhostTxNum}
	v.rx.kick, v.tx.kick = -1, -1
	defer func() {
		if err != nil {
			v.close()
			v, err = nil, fmt.Errorf("vhost-net: %w", err)
		}
	}()
	if v.fd, err = unix.Open(VhostDevice, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return v, fmt.Errorf("open %s: %w", VhostDevice, err)
	}
	for _, fd := range []*int{&v.call, &v.rx.kick, &v.tx.kick} {
		if *fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
			return v, err
		}
	}
	if err := unix.IoctlSetPointerInt(tap, unix.TUNSETVNETHDRSZ, vhostHeader); err != nil {
		return v, fmt.Errorf("set the length of the header: %w", err)
	}
	if err := v.layOut((longest + vhostHeader + 63) &^ 63); err != nil {
		return v, err
	}
	return v, v.connect(tap)
}

// layOut makes the memory. Its buffers cost nothing until they are used.
func (v *Vhost) layOut(stride int) (err error) {
	room := func(n int) int { return 16*n + (2*n+8+63)&^63 + (8*n+8+63)&^63 }
	rings := room(vhostRxNum) + room(vhostTxNum)
	size := rings + stride*(vhostRxNum+vhostTxNum)
	v.mem, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("make room for the rings: %w", err)
	}
	v.base = unsafe.Pointer(&v.mem[0])
	at, bufs := uintptr(0), uintptr(rings)
	for _, r := range []struct {
		*vring
		n     int
		flags uint16
	}{{&v.rx, vhostRxNum, descWrite}, {&v.tx, vhostTxNum, 0}} {
		n := uintptr(r.n)
		r.descs = unsafe.Slice((*vringDesc)(unsafe.Add(v.base, at)), r.n)
		at += 16 * n
		r.avail = (*uint32)(unsafe.Add(v.base, at))
		r.offers = unsafe.Slice((*uint16)(unsafe.Add(v.base, at+4)), r.n)
		at += (2*n + 8 + 63) &^ 63
		r.used = (*uint32)(unsafe.Add(v.base, at))
		r.done = unsafe.Slice((*vringUsed)(unsafe.Add(v.base, at+4)), r.n)
		at += (8*n + 8 + 63) &^ 63
		r.bufs, r.stride, r.quiet = bufs, stride, noInterrupt
		bufs += n * uintptr(stride)
		for i := range r.descs {
			r.descs[i] = vringDesc{addr: uint64(uintptr(v.base) + r.buf(i)), size: uint32(stride), flags: r.flags}
		}
	}
	for i := range v.rx.offers {
		v.rx.offer(uint16(i))
	}
	v.rx.publish()
	v.tx.publish()
	return nil
}

// connect tells the kernel of all that. Its addresses of a virtual machine are
// ours, in one piece.
func (v *Vhost) connect(tap int) error {
	type step struct {
		what    string
		request uintptr
		arg     unsafe.Pointer
	}
	do := func(steps ...step) error {
		for _, s := range steps {
			if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(v.fd), s.request, uintptr(s.arg)); e != 0 {
				return fmt.Errorf("%s: %w", s.what, e)
			}
		}
		return nil
	}
	start, features := uint64(uintptr(v.base)), uint64(0)
	table := struct {
		n, _                 uint32
		guest, size, user, _ uint64
	}{n: 1, guest: start, size: uint64(len(v.mem)), user: start}
	if err := do(
		step{"become its owner", vhostSetOwner, nil},
		step{"ask for its features", vhostGetFeatures, unsafe.Pointer(&features)},
	); err != nil {
		return err
	}
	if features&featureMerge == 0 {
		return fmt.Errorf("its features are %#x, without merged buffers: %w", features, unix.EOPNOTSUPP)
	}
	features = featureMerge
	if err := do(
		step{"set its features", vhostSetFeatures, unsafe.Pointer(&features)},
		step{"set its memory", vhostSetMemTable, unsafe.Pointer(&table)},
	); err != nil {
		return err
	}
	type state struct{ index, value uint32 }
	for i, r := range []*vring{&v.rx, &v.tx} { // in its order
		index := uint32(i)
		address := func(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }
		addr := struct {
			index, _             uint32
			desc, used, avail, _ uint64
		}{index: index, desc: address(unsafe.Pointer(&r.descs[0])), used: address(unsafe.Pointer(r.used)), avail: address(unsafe.Pointer(r.avail))}
		num, from, kick := state{index, uint32(len(r.descs))}, state{index, 0}, state{index, uint32(r.kick)}
		call, backend := state{index, uint32(v.call)}, state{index, uint32(tap)}
		if r == &v.tx {
			call.value = ^uint32(0) // we do not wait for room
		}
		if err := do(
			step{"set the size of a ring", vhostVringNum, unsafe.Pointer(&num)},
			step{"set the beginning of a ring", vhostVringBase, unsafe.Pointer(&from)},
			step{"set the place of a ring", vhostVringAddr, unsafe.Pointer(&addr)},
			step{"set the kick of a ring", vhostVringKick, unsafe.Pointer(&kick)},
			step{"set the call of a ring", vhostVringCall, unsafe.Pointer(&call)},
			step{"join a ring and the tap", vhostNetBackend, unsafe.Pointer(&backend)},
		); err != nil {
			return err
		}
	}
	return nil
}

// close ends the rings. The kernel is told to let go of them before their memory
// goes, as another process may have a copy of the descriptor for a moment.
func (v *Vhost) close() {
	for index := range uint32(2) {
		none := struct{ index, fd uint32 }{index, ^uint32(0)}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(v.fd), vhostNetBackend, uintptr(unsafe.Pointer(&none))) // if it was joined
	}
	for _, fd := range []int{v.fd, v.call, v.rx.kick, v.tx.kick} {
		if fd >= 0 {
			_ = unix.Close(fd) // nothing that could be lost
		}
	}
	if v.mem != nil {
		_ = unix.Munmap(v.mem)
	}
}

// buf is the offset of a buffer.
func (r *vring) buf(i int) uintptr { return r.bufs + uintptr(i)*uintptr(r.stride) }

// offer puts a buffer, and what is chained to it, on the ring.
func (r *vring) offer(i uint16) {
	r.offers[int(r.next)%len(r.offers)] = i
	r.next++
}

// publish lets the kernel see what was offered. It is a full barrier (abi.Fence).
func (r *vring) publish() { atomic.SwapUint32(r.avail, r.quiet|uint32(r.next)<<16) }

// flush is publish, and wakes the kernel's thread if it asks for that.
func (r *vring) flush() {
	if atomic.LoadUint32(r.avail)>>16 == uint32(r.next) {
		return
	}
	r.publish() // before the look
	if atomic.LoadUint32(r.used)&noNotify == 0 {
		one := [8]byte{1}
		_, _ = unix.Write(r.kick, one[:]) // fails only while a kick is pending
	}
}

// some tells whether the kernel has given buffers back.
func (r *vring) some() bool { return uint16(atomic.LoadUint32(r.used)>>16) != r.seen }

// take takes the next of those.
func (r *vring) take() vringUsed {
	u := r.done[int(r.seen)%len(r.done)]
	r.seen++
	return u
}

// FD becomes readable, edge-triggered, when the host sends while Arm was the last
// of Arm and Disarm. It need not be read.
func (v *Vhost) FD() int { return v.call }

// Base is what offsets of frames count from.
func (v *Vhost) Base() unsafe.Pointer { return v.base }

// Recv takes the next frame that the host sent: where it lies until Recycle, and
// its length in bytes. Of one that is longer than was said when the rings were
// made, there is only the beginning.
func (v *Vhost) Recv() (at, size int, ok bool) {
	r := &v.rx
	if !r.some() {
		return 0, 0, false
	}
	u := r.take()
	start := r.buf(int(u.id) % len(r.descs))
	size = int(u.size) - vhostHeader
	for more := int(*(*uint16)(unsafe.Add(v.base, start+mergedAt))); more > 1 && r.some(); more-- {
		size += int(r.take().size)
	}
	return int(start) + vhostHeader, max(size, 0), true
}

// Recycle gives the kernel the buffers of all frames that were received.
func (v *Vhost) Recycle() {
	r := &v.rx
	// A ring of as many places as buffers: what lies between is ours.
	for i := r.next; i != r.seen+uint16(len(r.descs)); i++ {
		r.offer(uint16(r.done[int(i)%len(r.done)].id))
	}
	r.flush()
}

// Arm asks for an event when the host sends. It returns false if there is
// something already.
func (v *Vhost) Arm() bool {
	v.rx.quiet = 0
	v.rx.publish()
	return !v.rx.some()
}

// Disarm takes that back.
func (v *Vhost) Disarm() {
	v.rx.quiet = noInterrupt
	v.rx.publish()
}

// Send copies a frame for the host, which sees it after Flush. It returns false if
// there is no room.
func (v *Vhost) Send(frame []byte) bool {
	r := &v.tx
	n := (vhostHeader + len(frame) + r.stride - 1) / r.stride
	for v.free < n {
		if !r.some() {
			return false
		}
		v.free += int(v.chains[int(r.take().id)%vhostTxNum])
	}
	first, skip := v.place, vhostHeader
	clear(v.mem[r.buf(first):][:skip]) // it asks for nothing
	for i := range n {
		at := (first + i) % vhostTxNum
		copied := copy(v.mem[int(r.buf(at))+skip:][:r.stride-skip], frame)
		frame = frame[copied:]
		d := &r.descs[at]
		d.size, d.flags, d.next = uint32(skip+copied), descNext, uint16((at+1)%vhostTxNum)
		if i == n-1 {
			d.flags = 0
		}
		skip = 0
	}
	v.chains[first] = uint16(n)
	v.place, v.free = (first+n)%vhostTxNum, v.free-n
	r.offer(uint16(first))
	return true
}

// Flush lets the host have what was sent.
func (v *Vhost) Flush() { v.tx.flush() }
