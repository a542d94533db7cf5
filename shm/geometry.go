package shm

import (
	"fmt"

	"github.com/netmapd/netmapd/netmap/abi"
)

const pageSize = 4096

// Pool is the geometry of one of a region's three pools.
type Pool struct {
	Count uint32 // objects
	Size  uint32 // bytes of an object
}

// Bytes the pool occupies in the region.
func (p Pool) Bytes() uint64 { return uint64(p.Count) * uint64(p.Size) }

// Geometry is the layout of a region: if-objects, rings, buffers, in this
// order, each pool from a page's beginning (NC A.10).
type Geometry struct {
	If, Ring, Buf Pool
}

// RingOffset is where the ring pool starts in the region.
func (g Geometry) RingOffset() uint64 { return pages(g.If.Bytes()) }

// BufOffset is where buffer 0 lies in the region.
func (g Geometry) BufOffset() uint64 { return g.RingOffset() + pages(g.Ring.Bytes()) }

// Size is the size of the region, netmap's nr_memsize.
func (g Geometry) Size() uint64 {
	return pages(g.BufOffset() + g.Buf.Bytes())
}

// pages rounds up to whole pages.
func pages(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }

// limits of a pool (NC A.10).
type limits struct {
	name             string
	minSize, maxSize uint64
	minNum, maxNum   uint64
}

var (
	ifLimits   = limits{"netmap_if", 56, 4096, 1, 10000}
	ringLimits = limits{"ring", 256, 131072, 2, 1024}
	bufLimits  = limits{"buffer", 64, 65536, 4, 1000000}
)

// round applies the sizing rules of NC A.10 to a wish.
func (l limits) round(num, size uint64) (Pool, error) {
	if size < l.minSize || size > l.maxSize {
		return Pool{}, fmt.Errorf("size %s pool: an object of %d bytes is outside [%d, %d]", l.name, size, l.minSize, l.maxSize)
	}
	if num < l.minNum || num > l.maxNum {
		return Pool{}, fmt.Errorf("size %s pool: %d objects are outside [%d, %d]", l.name, num, l.minNum, l.maxNum)
	}
	size = (size + 63) &^ 63
	cluster := uint64(1)
	for cluster*size%pageSize != 0 {
		cluster++ // ends at 64 objects, 4 MiB, since size is a multiple of 64
	}
	num = (num + cluster - 1) / cluster * cluster
	return Pool{Count: uint32(num), Size: uint32(size)}, nil
}

// Params are requested pool parameters, before rounding.
type Params struct {
	IfNum, IfSize, RingNum, RingSize, BufNum, BufSize uint32
}

// GlobalParams are the defaults of the region that NIC-like ports share.
func GlobalParams() Params {
	return Params{IfNum: 100, IfSize: 1024, RingNum: 200, RingSize: 36864, BufNum: 163840, BufSize: 2048}
}

// PrivateParams are the least that a private region gets.
func PrivateParams() Params {
	return Params{IfNum: 2, IfSize: 1024, RingNum: 4, RingSize: 20480, BufNum: 4098, BufSize: 2048}
}

// Plan rounds the parameters to the geometry of a region.
func (p Params) Plan() (g Geometry, err error) {
	if g.If, err = ifLimits.round(uint64(p.IfNum), uint64(p.IfSize)); err != nil {
		return g, err
	}
	if g.Ring, err = ringLimits.round(uint64(p.RingNum), uint64(p.RingSize)); err != nil {
		return g, err
	}
	if g.Buf, err = bufLimits.round(uint64(p.BufNum), uint64(p.BufSize)); err != nil {
		return g, err
	}
	if g.Ring.Size%abi.RingAlign != 0 { // NC A.3: so that every ring header is aligned
		return g, fmt.Errorf("size ring pool: object size %d is not a multiple of %d", g.Ring.Size, abi.RingAlign)
	}
	return g, nil
}

// PortShape is what a private region is made for.
type PortShape struct {
	TxRings, RxRings uint32
	TxSlots, RxSlots uint32
	ExtraBufs        uint32
	Pipes            uint32 // room for so many; VALE ports use 2, copy monitors 0
}

// ValePipes is the room for pipes in a VALE port's region (NC A.10).
const ValePipes = 2

// Params sizes a private region for the port by the formulas of NC A.10. A
// shape that no pool can hold is found out by Plan.
func (s PortShape) Params() Params { return s.AtLeast(PrivateParams()) }

// AtLeast is Params with other minimums, netmap's priv_ parameters.
func (s PortShape) AtLeast(m Params) Params {
	t, r, p := s.TxRings+1, s.RxRings+1, s.Pipes
	m.IfSize = max(m.IfSize, abi.IfHeaderSize+8*(t+r))
	m.IfNum = max(m.IfNum, 2+4*p)
	m.RingSize = max(m.RingSize, (abi.RingHeaderSize+abi.SlotSize*max(s.TxSlots, s.RxSlots)+abi.RingAlign-1)&^(abi.RingAlign-1))
	m.RingNum = max(m.RingNum, t+r+8*p)
	m.BufNum = max(m.BufNum, (4*p+r)*s.RxSlots+(4*p+t)*s.TxSlots+2+s.ExtraBufs)
	return m
}
