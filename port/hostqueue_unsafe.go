package port

import (
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/hostif"
	vale "github.com/netmapd/netmapd/switch"
)

// tapBurst is how many frames are taken from a tap at a time, each with a system
// call unless vhost-net has them. What the host sends has cost it more already.
const tapBurst = 64

// tapRest is how many polls leave out a queue of a tap that had nothing, if a look
// costs a system call: a busy lcore looks often.
const tapRest = 7

// tapSource is what the host sends on one queue of a tap. Frames are read into
// memory of its own, outside of Go's heap, since devices are told where they lie;
// with vhost-net they lie in the memory of that.
type tapSource struct {
	fd     int
	v      *hostif.Vhost // nil: the queue is read
	mem    []byte
	stride int // bytes for each frame
	most   int // bytes of the longest frame that is not dropped
	rest   int // polls to leave out
}

func newTapSource(fd int, v *hostif.Vhost, most int) (*tapSource, error) {
	q := &tapSource{fd: fd, v: v, most: most, stride: (most + 64) &^ 63} // longer than most, to tell what was cut
	if v != nil {
		return q, nil
	}
	var err error
	q.mem, err = unix.Mmap(-1, 0, tapBurst*q.stride, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("make room for frames of the host: %w", err)
	}
	return q, nil
}

// wakes is what becomes readable when the host sends.
func (q *tapSource) wakes() int {
	if q.v != nil {
		return q.v.FD()
	}
	return q.fd
}

// Next takes a burst.
func (q *tapSource) Next(b *vale.Batch) (n int) {
	if q.rest > 0 {
		q.rest--
		return 0
	}
	b.Base = q.base()
	for ; n < min(tapBurst, b.Limit()); n++ {
		at, size, ok := q.take(n)
		if !ok {
			break
		}
		if size > q.most {
			b.Drop(vale.BadLength, 1, uint64(size))
			continue
		}
		b.Frags[b.N] = vale.Frag{Off: uint64(at), Len: uint16(size), Slots: 1}
		b.N++
	}
	if n == 0 && q.v == nil {
		q.rest = tapRest
	}
	return n
}

// base is what the places of frames count from. Those of the last burst are free
// again.
func (q *tapSource) base() unsafe.Pointer {
	if q.v != nil {
		q.v.Recycle()
		return q.v.Base()
	}
	return unsafe.Pointer(&q.mem[0])
}

// take takes the n-th frame of a burst.
func (q *tapSource) take(n int) (at, size int, ok bool) {
	if q.v != nil {
		return q.v.Recv()
	}
	at = n * q.stride
	size, err := unix.Read(q.fd, q.mem[at:at+q.stride])
	return at, size, err == nil
}

// Done has nothing to give back: the next burst does.
func (q *tapSource) Done(*vale.Batch) {}

// Arm has nothing to do for a queue that is read: the lcore watches it,
// edge-triggered, and a frame that arrives after the last look is such an edge.
func (q *tapSource) Arm() bool { return q.v == nil || q.v.Arm() }

// Disarm makes the next poll look.
func (q *tapSource) Disarm() {
	q.rest = 0
	if q.v != nil {
		q.v.Disarm()
	}
}

// empty throws away what the host sent before.
func (q *tapSource) empty() {
	for range 1 << 16 { // a host that goes on sending does not keep us here
		q.base()
		if _, _, ok := q.take(0); !ok {
			return
		}
	}
}

func (q *tapSource) free() {
	if q.mem != nil {
		_ = unix.Munmap(q.mem)
	}
}

// tapSink gives frames to the host through one queue of a tap.
type tapSink struct {
	fd int
	v  *hostif.Vhost // nil: the queue is written
	mu sync.Mutex    // a switch may deliver from several lcores; for whole and v
	// whole joins the fragments of a frame.
	whole []byte
}

func newTapSink(fd int, v *hostif.Vhost) *tapSink {
	return &tapSink{fd: fd, v: v, whole: make([]byte, 0, 1<<16)}
}

// minFrame is the length of an Ethernet header.
const minFrame = 14

// Deliver gives the host the frames of the list.
func (s *tapSink) Deliver(b *vale.Batch, list []uint16, d *vale.Drops) (frames, bytes uint64) {
	if s.v != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		defer s.v.Flush()
	}
	for _, first := range list {
		n := int(b.Frags[first].Slots)
		var err error
		var size int
		if n == 1 {
			size, err = s.write(fragment(b, int(first)))
		} else {
			size, err = s.writeChain(b, int(first), n)
		}
		switch {
		case err == nil:
			frames++
			bytes += uint64(size)
		case size < minFrame:
			d[vale.TooShort]++
		case s.v != nil:
			d[vale.RingFull]++
		default:
			d[vale.HostDown]++
		}
	}
	return frames, bytes
}

func fragment(b *vale.Batch, i int) []byte {
	return unsafe.Slice((*byte)(b.Addr(i)), int(b.Frags[i].Len))
}

func (s *tapSink) writeChain(b *vale.Batch, first, n int) (size int, err error) {
	if s.v == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	s.whole = s.whole[:0]
	for i := first; i < first+n; i++ {
		f := fragment(b, i)
		if len(s.whole)+len(f) > cap(s.whole) {
			return len(s.whole), unix.EMSGSIZE
		}
		s.whole = append(s.whole, f...)
	}
	return s.write(s.whole)
}

func (s *tapSink) write(f []byte) (size int, err error) {
	if len(f) < minFrame {
		return len(f), unix.EINVAL
	}
	if s.v != nil {
		if !s.v.Send(f) {
			err = unix.ENOBUFS
		}
		return len(f), err
	}
	_, err = unix.Write(s.fd, f)
	return len(f), err
}

// discard is a sink for frames that nobody is to have.
type discard struct{}

// Deliver takes the frames.
func (discard) Deliver(_ *vale.Batch, list []uint16, _ *vale.Drops) (frames, bytes uint64) {
	return uint64(len(list)), 0
}
