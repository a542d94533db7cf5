package port

import (
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	vale "github.com/netmapd/netmapd/switch"
)

// tapBurst is how many frames are read from a tap at a time, each with a system
// call. What the host sends has cost it more already.
const tapBurst = 64

// tapRest is how many polls leave out a queue of a tap that had nothing: a look
// costs a system call, and a busy lcore looks often.
const tapRest = 7

// tapSource is what the host sends on one queue of a tap. Frames are read into
// memory of its own, outside of Go's heap, since devices are told where they lie.
type tapSource struct {
	fd     int
	mem    []byte
	stride int // bytes for each frame
	most   int // bytes of the longest frame that is not dropped
	rest   int // polls to leave out
}

func newTapSource(fd, most int) (*tapSource, error) {
	q := &tapSource{fd: fd, most: most, stride: (most + 64) &^ 63} // longer than most, to tell what was cut
	var err error
	q.mem, err = unix.Mmap(-1, 0, tapBurst*q.stride, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("make room for frames of the host: %w", err)
	}
	return q, nil
}

// Next reads a burst.
func (q *tapSource) Next(b *vale.Batch) (n int) {
	if q.rest > 0 {
		q.rest--
		return 0
	}
	b.Base = unsafe.Pointer(&q.mem[0])
	for ; n < min(tapBurst, b.Limit()); n++ {
		at := n * q.stride
		size, err := unix.Read(q.fd, q.mem[at:at+q.stride])
		if err != nil {
			break
		}
		if size > q.most {
			b.Drop(vale.BadLength, 1, uint64(size))
			continue
		}
		b.Frags[b.N] = vale.Frag{Off: uint64(at), Len: uint16(size), Slots: 1}
		b.N++
	}
	if n == 0 {
		q.rest = tapRest
	}
	return n
}

// Done has nothing to give back.
func (q *tapSource) Done(*vale.Batch) {}

// Arm has nothing to do: the lcore watches the queue, edge-triggered, and a
// frame that arrives after the last look is such an edge.
func (q *tapSource) Arm() bool { return true }

// Disarm makes the next poll look.
func (q *tapSource) Disarm() { q.rest = 0 }

// empty throws away what the host sent before.
func (q *tapSource) empty() {
	for range 1 << 16 { // a host that goes on sending does not keep us here
		if _, err := unix.Read(q.fd, q.mem[:q.stride]); err != nil {
			return
		}
	}
}

func (q *tapSource) free() { _ = unix.Munmap(q.mem) }

// tapSink gives frames to the host through one queue of a tap.
type tapSink struct {
	fd int
	mu sync.Mutex // a switch may deliver from several lcores
	// whole joins the fragments of a frame.
	whole []byte
}

func newTapSink(fd int) *tapSink { return &tapSink{fd: fd, whole: make([]byte, 0, 1<<16)} }

// minFrame is the length of an Ethernet header.
const minFrame = 14

// Deliver gives the host the frames of the list.
func (s *tapSink) Deliver(b *vale.Batch, list []uint16, d *vale.Drops) (frames, bytes uint64) {
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
	s.mu.Lock()
	defer s.mu.Unlock()
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
	_, err = unix.Write(s.fd, f)
	return len(f), err
}

// discard is a sink for frames that nobody is to have.
type discard struct{}

// Deliver takes the frames.
func (discard) Deliver(_ *vale.Batch, list []uint16, _ *vale.Drops) (frames, bytes uint64) {
	return uint64(len(list)), 0
}
