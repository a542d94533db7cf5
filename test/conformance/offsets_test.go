package conformance

import (
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// takesAt receives exactly these frames at an offset, which the slots say, and gives the slots back.
func (r *ring) takesAt(off uint64, want ...[]byte) {
	r.e.Helper()
	r.rxsync()
	h, tail := r.head(), r.tail()
	for i, f := range want {
		if h == tail {
			r.e.Errorf("%s received %d frames, want %d", r.name, i, len(want))
			return
		}
		s := r.slot(h)
		got := r.p.load(r.base, r.bufAt(s.BufIdx)+off, len(f))
		if s.Ptr != off || int(s.Len) != len(f) || string(got) != string(f) {
			r.e.Errorf("%s: frame %d has ptr %#x, %d bytes, and % x at %d, want % x", r.name, i, s.Ptr, s.Len, got[:20], off, f[:20])
		}
		h = r.at(h, 1)
	}
	if h != tail {
		r.e.Errorf("%s received more than %d frames", r.name, len(want))
	}
	r.set(h, h)
	r.rxsync()
}

// One end of a direct pipe has offsets and the other has none: both find frames where their slots say (NC A.8), in both
// directions, again and again around the rings.
func TestOffsetsOfOneEnd(t *testing.T) {
	for _, h := range ways {
		t.Run(h.String(), func(t *testing.T) {
			e := newEnv(t, h)
			for _, slave := range []bool{false, true} {
				_, plain, other := e.pipe()
				if slave {
					plain, other = other, plain
				}
				a := e.openPort(e.program(), plain, slots(16, 16))
				b := openOffsets(e, e.program(), other, abi.Offsets{Max: 200, Initial: 64, Bits: 16})
				for i := range uint32(9) {
					a.tx[0].publish(floods(5, 10*i)...)
					b.rx[0].takesAt(64, floods(5, 10*i)...)
					for k := range uint32(3) {
						b.tx[0].putAt(100, 100, flood(10*i+k), 0)
					}
					b.tx[0].txsync()
					a.rx[0].takesAt(100, floods(3, 10*i)...)
				}
			}
		})
	}
}

// Frames that wait in a pipe are where a receiver finds them that opens it with offsets, and then one without (NC A.8, B.9.5).
func TestOffsetsOfFramesThatWait(t *testing.T) {
	for _, h := range ways {
		t.Run(h.String(), func(t *testing.T) {
			e := newEnv(t, h)
			_, master, slave := e.pipe()
			a := e.openPort(e.program(), master, slots(16, 16))
			a.tx[0].publish(floods(5, 0)...)
			p := e.program()
			b := openOffsets(e, p, slave, abi.Offsets{Max: 200, Initial: 64, Bits: 16})
			a.tx[0].publish(floods(2, 5)...)
			b.rx[0].takesAt(64, floods(7, 0)...)
			a.tx[0].publish(floods(4, 7)...)
			b.close()
			e.isUnused(slave)
			b = e.openPort(p, slave)
			if m := b.rx[0].OffsetMask | b.tx[0].OffsetMask; m != 0 {
				e.Errorf("opened without offsets, the mask is %#x", m)
			}
			a.tx[0].publish(floods(2, 11)...)
			b.rx[0].takesAt(0, floods(6, 7)...)
			b.tx[0].publish(floods(20, 0)[:3]...)
			a.rx[0].takes(floods(3, 0)...)
		})
	}
}
