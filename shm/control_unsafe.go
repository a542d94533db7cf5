package shm

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/netmapd/netmapd/ring"
)

// The control memory of a region: the authority over its objects, in a layout
// that outlives the process (design: a restarted daemon adopts it).
//
//	offset 0     controlHeader, one page
//	4096         ringRecord for each ring object, 64 bytes each
//	then         uint64 for each netmap_if: the owning descriptor, 0 for free
//	then         uint32 for each buffer: its state (owners.go)
//
// All words are host-endian: the file never leaves the machine.
type controlHeader struct {
	magic    uint64
	version  uint32
	id       uint32 // memory id (NC A.11)
	private  uint32
	external uint32
	geometry Geometry
	name     [64]byte
}

const (
	controlMagic   = 0x6c72746364706d6e // "nmpdctrl"
	controlVersion = 2
)

// ringRecord is the daemon's word on one ring object. A cache line each, since
// the indices of different rings are written by different lcores.
type ringRecord struct {
	indices ring.Indices
	port    uint64 // id of the port it belongs to
	used    uint32
	slots   uint32
	dir     uint16
	ringID  uint16
	_       [28]byte
}

const ringRecordSize = 64

var _ [ringRecordSize]byte = [unsafe.Sizeof(ringRecord{})]byte{}

// control is a typed view of the control memory.
type control struct {
	hdr   *controlHeader
	rings []ringRecord
	ifs   []uint64
	bufs  Owners
}

func controlSize(g Geometry) uint64 {
	return pageSize + uint64(g.Ring.Count)*ringRecordSize + uint64(g.If.Count)*8 + uint64(g.Buf.Count)*4
}

// viewControl casts the mapping; the geometry decides the lengths.
func viewControl(mem []byte, g Geometry) (control, error) {
	if need := controlSize(g); uint64(len(mem)) < need {
		return control{}, fmt.Errorf("view control memory: geometry needs %d bytes, file has %d", need, len(mem))
	}
	p := unsafe.Pointer(unsafe.SliceData(mem))
	c := control{hdr: (*controlHeader)(p)}
	p = unsafe.Add(p, pageSize)
	c.rings = unsafe.Slice((*ringRecord)(p), g.Ring.Count)
	p = unsafe.Add(p, uintptr(g.Ring.Count)*ringRecordSize)
	c.ifs = unsafe.Slice((*uint64)(p), g.If.Count)
	p = unsafe.Add(p, uintptr(g.If.Count)*8)
	c.bufs = unsafe.Slice((*uint32)(p), g.Buf.Count)
	return c, nil
}

// readHeader checks that mem is control memory of this version.
func readHeader(mem []byte) (*controlHeader, error) {
	if len(mem) < pageSize {
		return nil, fmt.Errorf("read control memory: want at least a page, have %d bytes", len(mem))
	}
	h := (*controlHeader)(unsafe.Pointer(unsafe.SliceData(mem)))
	if h.magic != controlMagic || h.version != controlVersion {
		return nil, fmt.Errorf("read control memory: magic %#x version %d, want %#x version %d", h.magic, h.version, uint64(controlMagic), controlVersion)
	}
	return h, nil
}

func (h *controlHeader) nameString() string {
	n, _, _ := bytes.Cut(h.name[:], []byte{0})
	return string(n)
}
