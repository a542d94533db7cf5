package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// Options of a new region.
type Options struct {
	ID      uint16 // memory id, unique among live regions (NC A.11)
	Name    string
	Private bool // not the global region: shown to clients in ni_flags
	Huge    bool // 2 MiB pages: only for clients the operator trusts

	external bool // CreateIn
}

// Region is one allocator with its shared memory. Its methods may be called
// from any goroutine.
type Region struct {
	id      uint16
	name    string
	private bool
	// The memory was somebody's before, and is afterwards: nothing is cleared.
	external bool
	geo      Geometry
	data     *File
	ctl      *File
	bufs     abi.Bufs

	mu      sync.Mutex
	c       control
	nextBuf uint32 // no buffer below it is free
	endBuf  uint32 // no buffer from it on was ever taken, so that even what tells whose they are is memory that nobody touched
	freeBuf uint32
	users   int
	extras  int    // descriptors that hold extra buffers
	orphans uint64 // found by the last look
}

// PoolError says that a pool is exhausted: an ENOMEM that names pool, need and have.
type PoolError struct {
	Region     string
	Pool       string
	Need, Have uint64
}

func (e *PoolError) Error() string {
	return fmt.Sprintf("region %s: need %d objects of the %s pool, %d are free", e.Region, e.Need, e.Pool, e.Have)
}

// Unwrap makes errors.Is(err, unix.ENOMEM) work.
func (e *PoolError) Unwrap() error { return unix.ENOMEM }

// Create makes a region. Its memory is zero and costs nothing until touched.
func Create(o Options, g Geometry) (*Region, error) {
	data, err := NewFile("region:"+o.Name, g.Size(), o.Huge)
	if err != nil {
		return nil, err
	}
	return create(o, g, data)
}

// create makes a region in data, which it takes over.
func create(o Options, g Geometry, data *File) (*Region, error) {
	ctl, err := NewFile("control:"+o.Name, controlSize(g), false)
	if err != nil {
		_ = data.Close()
		return nil, err
	}
	r := &Region{data: data, ctl: ctl, geo: g}
	if r.c, err = viewControl(ctl.mem, g); err != nil {
		_ = r.Close()
		return nil, err
	}
	h := r.c.hdr
	h.magic, h.version, h.id, h.geometry = controlMagic, controlVersion, uint32(o.ID), g
	copy(h.name[:len(h.name)-1], o.Name)
	if o.Private {
		h.private = 1
	}
	if o.external {
		h.external = 1
	}
	r.allFree()
	return r, r.load()
}

// allFree sets up the allocator of buffers; what was taken of them has been cleared.
func (r *Region) allFree() {
	r.c.bufs[0], r.c.bufs[1] = bufReserved, bufReserved
	r.nextBuf, r.endBuf, r.freeBuf = abi.MinBufIndex, abi.MinBufIndex, r.geo.Buf.Count-abi.MinBufIndex
}

// Adopt takes over a region from its two files, made by Create in this process
// or an earlier one. Allocators, rings and indices are as they were.
func Adopt(data, ctl *os.File) (*Region, error) {
	cf, err := OpenFile(ctl)
	if err != nil {
		return nil, err
	}
	r := &Region{ctl: cf}
	h, err := readHeader(cf.mem)
	if err == nil {
		r.geo = h.geometry
		r.c, err = viewControl(cf.mem, r.geo)
	}
	if err == nil {
		r.data, err = OpenFile(data)
	}
	if err == nil && uint64(len(r.data.mem)) < r.geo.Size() {
		err = fmt.Errorf("adopt region %s: %d bytes, its geometry says %d", h.nameString(), len(r.data.mem), r.geo.Size())
	}
	if err == nil {
		err = r.load()
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	r.nextBuf = abi.MinBufIndex
	for i, s := range r.c.bufs {
		if s == bufFree {
			r.freeBuf++
		} else {
			r.endBuf = uint32(i) + 1
		}
	}
	return r, nil
}

// load derives from control memory what the region is.
func (r *Region) load() (err error) {
	h := r.c.hdr
	r.id, r.name, r.private = uint16(h.id), h.nameString(), h.private != 0
	r.external = h.external != 0
	r.bufs, err = r.data.Mem().Bufs(r.geo.BufOffset(), r.geo.Buf.Count, r.geo.Buf.Size)
	return err
}

// PageSize is that of its memory, in bytes.
func (r *Region) PageSize() int {
	var st unix.Statfs_t
	if err := unix.Fstatfs(r.data.FD(), &st); err == nil && st.Type == unix.HUGETLBFS_MAGIC {
		return int(st.Bsize)
	}
	return pageSize
}

// ID is the memory id (NC A.11).
func (r *Region) ID() uint16 { return r.id }

// Name of the region.
func (r *Region) Name() string { return r.name }

// Geometry of the region.
func (r *Region) Geometry() Geometry { return r.geo }

// File of the shared memory: what clients are given.
func (r *Region) File() *os.File { return r.data.file }

// ControlFile holds the authority over the region: no client gets it.
func (r *Region) ControlFile() *os.File { return r.ctl.file }

// Bufs views the buffers.
func (r *Region) Bufs() abi.Bufs { return r.bufs }

// Close unmaps the region. Every lcore must have passed a poll boundary since
// its last ring was taken from it.
func (r *Region) Close() error {
	var err error
	for _, f := range []*File{r.data, r.ctl} {
		if f == nil {
			continue
		}
		if e := f.Close(); err == nil {
			err = e
		}
	}
	return err
}

// Retain notes one more port living in the region.
func (r *Region) Retain() {
	r.mu.Lock()
	r.users++
	r.mu.Unlock()
}

// Users counts the ports that live in the region.
func (r *Region) Users() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.users
}

// Release notes that a port left, and reports whether it was the last one. Then comes Reset or Discard.
func (r *Region) Release() (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users--
	return r.users <= 0
}

// Reset makes the region, which no port lives in, as it was made: the allocators are reset and the pages returned (NC A.11).
func (r *Region) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.c.rings)
	clear(r.c.ifs)
	clear(r.c.bufs[:r.endBuf])
	r.allFree()
	r.extras, r.orphans = 0, 0
	if !r.external {
		_ = r.data.Clear() // best effort: it only saves memory
	}
}

// Discard is Close for a region that nobody is to use again: its pages are returned, whoever has still mapped them.
func (r *Region) Discard() error {
	if r.external {
		return r.Close()
	}
	return errors.Join(r.data.discard(), r.ctl.Close())
}

// If is an allocated netmap_if.
type If struct {
	Index  uint32
	Offset uint64 // in the region: nr_offset
	View   abi.If
}

// NewIf allocates a netmap_if with n ring offsets for a descriptor, zeroed.
func (r *Region) NewIf(owner uint64, n int) (f If, err error) {
	defer r.faults(&err)()
	r.mu.Lock()
	defer r.mu.Unlock()
	if abi.IfBytes(n) > uint64(r.geo.If.Size) {
		return If{}, fmt.Errorf("region %s: a netmap_if of %d rings needs %d bytes, objects have %d: %w", r.name, n, abi.IfBytes(n), r.geo.If.Size, unix.ENOMEM)
	}
	for i, o := range r.c.ifs {
		if o != 0 {
			continue
		}
		off := uint64(i) * uint64(r.geo.If.Size)
		v, err := r.data.Mem().If(off, n)
		if err != nil {
			return If{}, err
		}
		r.c.ifs[i] = owner
		*v.IfHeader = abi.IfHeader{}
		clear(v.RingOfs)
		if r.private {
			v.IfHeader.Flags = abi.IfPrivate
		}
		return If{uint32(i), off, v}, nil
	}
	return If{}, &PoolError{r.name, "netmap_if", 1, 0}
}

// FreeIf gives a netmap_if back.
func (r *Region) FreeIf(f If) {
	r.mu.Lock()
	r.c.ifs[f.Index] = 0
	r.mu.Unlock()
}

// Ring is an allocated ring object with its buffers.
type Ring struct {
	Index   uint32
	Offset  uint64 // in the region
	View    abi.Ring
	Indices *ring.Indices // in control memory
	Port    uint64
	Dir, ID int
}

// NewRing allocates a ring with slots buffers for a port and writes its header
// and slots (NC A.2, A.3). The indices are the caller's: those of a fresh ring,
// or what the port retained (NC A.3).
func (r *Region) NewRing(port uint64, dir, id int, slots uint32, ix ring.Indices) (o Ring, err error) {
	defer r.faults(&err)()
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, err = r.newRing(port, dir, id, slots, slots, ix); err == nil {
		r.fill(o)
	}
	return o, err
}

// NewMirror allocates the ring at the other end of a pipe: its slots are those of
// the given ring, which has the buffers (NC E.7).
func (r *Region) NewMirror(port uint64, dir, id int, of Ring, ix ring.Indices) (o Ring, err error) {
	defer r.faults(&err)()
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, err = r.newRing(port, dir, id, of.View.Num(), 0, ix); err == nil {
		r.head(o)
		for s := range o.View.Num() {
			*o.View.At(s) = *of.View.At(s)
		}
	}
	return o, err
}

// newRing takes a ring object, for which so many buffers must be free.
func (r *Region) newRing(port uint64, dir, id int, slots, bufs uint32, ix ring.Indices) (o Ring, err error) {
	if need := abi.RingBytes(slots); need > uint64(r.geo.Ring.Size) {
		return Ring{}, fmt.Errorf("region %s: a ring of %d slots needs %d bytes, objects have %d: %w", r.name, slots, need, r.geo.Ring.Size, unix.ENOMEM)
	}
	if bufs > r.freeBuf {
		return Ring{}, &PoolError{r.name, "buffer", uint64(bufs), uint64(r.freeBuf)}
	}
	for i := range r.c.rings {
		if r.c.rings[i].used != 0 {
			continue
		}
		off := r.geo.RingOffset() + uint64(i)*uint64(r.geo.Ring.Size)
		v, err := r.data.Mem().Ring(off, slots)
		if err != nil {
			return Ring{}, err
		}
		r.data.populate(off, abi.RingBytes(slots))
		rec := &r.c.rings[i]
		*rec = ringRecord{indices: ix, port: port, used: 1, slots: slots, dir: uint16(dir), ringID: uint16(id)}
		return Ring{uint32(i), off, v, &rec.indices, port, dir, id}, nil
	}
	return Ring{}, &PoolError{r.name, "ring", 1, 0}
}

// takeBuf takes the lowest free buffer for somebody; the caller has checked that there is one.
func (r *Region) takeBuf(whose uint32) uint32 {
	for r.c.bufs[r.nextBuf] != bufFree {
		r.nextBuf++
	}
	i := r.nextBuf
	r.nextBuf++
	r.endBuf = max(r.endBuf, r.nextBuf)
	atomic.StoreUint32(&r.c.bufs[i], whose)
	r.freeBuf--
	return i
}

// giveBuf returns a buffer that a client or a ring held. An index of one that was
// never taken, stands in a slot, or is of neither, is refused: clients write slots as
// they please.
func (r *Region) giveBuf(i uint32, standing []bool) bool {
	if i >= uint32(len(standing)) || standing[i] {
		return false
	}
	b := &r.c.bufs[i]
	if !atomic.CompareAndSwapUint32(b, bufClient, bufFree) && !atomic.CompareAndSwapUint32(b, bufIdle, bufFree) {
		return false
	}
	r.freeBuf++
	r.nextBuf = min(r.nextBuf, i)
	return true
}

// FreeRing gives a ring object back with the buffers found in its slots (NC
// A.12), and reports how many indices were refused: foreign, doubled, or in
// another ring's slot as well. Nobody may poll the ring any more.
func (r *Region) FreeRing(o Ring) (refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.Touch(func() { refused = r.drain(o) }) // after a fault its buffers are lost, as to a client that hid them
	r.c.rings[o.Index] = ringRecord{}
	return refused
}

// Renew gives rings that nobody uses fresh buffers and fresh headers, from the
// indices on where they stopped: whoever binds them next finds nothing of the last
// user. It fails when that one lost buffers and no others are free.
func (r *Region) Renew(rings ...Ring) (err error) {
	defer r.faults(&err)()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drain(rings...)
	need := uint32(0)
	for _, o := range rings {
		need += o.View.Num()
	}
	if need > r.freeBuf {
		return &PoolError{r.name, "buffer", uint64(need), uint64(r.freeBuf)}
	}
	for _, o := range rings {
		r.fill(o)
	}
	return nil
}

// drain takes the buffers out of the slots of rings and gives back those that
// stand in no other ring's: a client can write any index, and what is another's
// stays its own. The slots are empty then: what stood in them may be another's
// when we come here again.
func (r *Region) drain(rings ...Ring) (refused int) {
	var idx []uint32
	for _, o := range rings {
		for s := range o.View.Num() {
			idx = append(idx, o.View.Load(s).Idx())
			o.View.At(s).BufIdx = 0
		}
	}
	standing := r.standing()
	for _, i := range idx {
		if !r.giveBuf(i, standing) {
			refused++
		}
	}
	return refused
}

// standing tells of each buffer that was ever taken whether it stands in a slot of some ring.
func (r *Region) standing() []bool {
	standing := make([]bool, r.endBuf)
	for i := range r.c.rings {
		rec := &r.c.rings[i]
		if rec.used == 0 {
			continue
		}
		v, err := r.data.Mem().Ring(r.geo.RingOffset()+uint64(i)*uint64(r.geo.Ring.Size), rec.slots)
		if err != nil {
			continue // cannot be: the record is ours
		}
		for s := range v.Num() {
			if idx := v.Load(s).Idx(); idx < r.endBuf {
				standing[idx] = true
			}
		}
	}
	return standing
}

// fill writes the header of a ring and gives each slot a buffer; the caller has
// checked that there are enough.
func (r *Region) fill(o Ring) {
	r.head(o)
	for s := range o.View.Num() {
		*o.View.At(s) = abi.Slot{BufIdx: r.takeBuf(bufIdle), Len: uint16(r.geo.Buf.Size)}
	}
}

// head writes the header of a ring.
func (r *Region) head(o Ring) {
	*o.View.RingHeader = abi.RingHeader{
		BufOfs: int64(r.geo.BufOffset()) - int64(o.Offset), NumSlots: o.View.Num(), BufSize: r.geo.Buf.Size,
		RingID: uint16(o.ID), Dir: uint16(o.Dir), Head: o.Indices.HwCur, Cur: o.Indices.HwCur, Tail: o.Indices.HwTail,
	}
}

// Rings lists the rings in use, as an adopting daemon needs them.
func (r *Region) Rings() ([]Ring, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Ring
	for i := range r.c.rings {
		rec := &r.c.rings[i]
		if rec.used == 0 {
			continue
		}
		off := r.geo.RingOffset() + uint64(i)*uint64(r.geo.Ring.Size)
		v, err := r.data.Mem().Ring(off, rec.slots)
		if err != nil {
			return nil, err
		}
		out = append(out, Ring{uint32(i), off, v, &rec.indices, rec.port, int(rec.dir), int(rec.ringID)})
	}
	return out, nil
}

// NewExtra allocates up to n extra buffers for a descriptor and threads them
// through their first words; the last one allocated heads the list (NC A.9).
func (r *Region) NewExtra(n uint32) (head, got uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.Touch(func() {
		for ; got < n && r.freeBuf > 0; got++ {
			i := r.takeBuf(bufClient)
			binary.LittleEndian.PutUint32(r.bufs.Get(i), head)
			head = i
		}
	})
	if got > 0 {
		r.extras++
	}
	return head, got
}

// FreeExtra gives back the buffers found by walking the list from head, up to
// the first index that is not a client's buffer or stands in a slot, and zeroes
// each first word (NC A.9). It is called once for each descriptor that got some.
func (r *Region) FreeExtra(head uint32) (freed uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.Touch(func() {
		standing := r.standing()
		for r.giveBuf(head, standing) {
			b := r.bufs.Get(head)
			head = binary.LittleEndian.Uint32(b)
			binary.LittleEndian.PutUint32(b, 0)
			freed++
		}
	})
	r.extras--
	return freed
}

// PoolsInfo describes the region as POOLS_INFO_GET does (NC B.6).
func (r *Region) PoolsInfo() abi.PoolsInfo {
	g := r.geo
	return abi.PoolsInfo{
		MemSize: g.Size(), MemID: r.id,
		IfOffset: 0, IfCount: g.If.Count, IfSize: g.If.Size,
		RingOffset: g.RingOffset(), RingCount: g.Ring.Count, RingSize: g.Ring.Size,
		BufOffset: g.BufOffset(), BufCount: g.Buf.Count, BufSize: g.Buf.Size,
	}
}
