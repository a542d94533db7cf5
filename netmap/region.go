package netmap

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// A Region is the memory of one allocator, mapped once in this process however
// many ports of it are open. Two ports may swap buffers exactly when they have
// the same Region (compare the pointers).
type Region struct {
	id   uint16
	ino  inode
	raw  []byte
	mem  abi.Mem
	bufs abi.Bufs

	// All under regions.mu.
	refs   int
	placed span // where it lies also, being memory of the program's: see extmem
	ext    int  // the memfd of that, if placed is not empty
}

// ID is the memory id, netmap's nr_mem_id: unique among the daemon's regions
// of one moment (NC A.11).
func (r *Region) ID() uint16 { return r.id }

// Size of the region in bytes, netmap's nr_memsize.
func (r *Region) Size() uint64 { return r.mem.Size() }

// BufSize is the size of each buffer in bytes.
func (r *Region) BufSize() uint32 { return r.bufs.Size() }

// Buf is the buffer with the given index, nil if no slot can name it.
func (r *Region) Buf(idx uint32) []byte { return r.bufs.Get(idx) }

// inode identifies a file: what a memory id is to people, but nobody can forge
// it and no later region gets it while we have this one.
type inode struct{ dev, ino uint64 }

var regions = struct {
	mu sync.Mutex
	m  map[inode]*Region
}{m: map[inode]*Region{}}

// openRegion maps the region behind fd, or takes the mapping there is. The
// caller keeps fd.
func openRegion(fd int, b *wire.Bind) (*Region, error) {
	regions.mu.Lock()
	defer regions.mu.Unlock()
	st, err := statSealed(fd, b.RegionSize)
	if err != nil {
		return nil, fmt.Errorf("the region: %w", err)
	}
	key := inode{st.Dev, st.Ino}
	if r := regions.m[key]; r != nil {
		if r.Size() != b.RegionSize || r.bufs.Num() != b.BufCount || r.bufs.Size() != b.BufSize {
			return nil, fmt.Errorf("%w: region %d changed its shape", wire.ErrMalformed, b.MemID)
		}
		r.refs++
		return r, nil
	}
	raw, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the region, %d bytes: %w", st.Size, err)
	}
	r := &Region{id: b.MemID, ino: key, raw: raw, mem: abi.NewMem(raw[:b.RegionSize]), refs: 1}
	if r.bufs, err = r.mem.Bufs(b.BufOffset, b.BufCount, b.BufSize); err != nil {
		_ = unix.Munmap(raw)
		return nil, err
	}
	regions.m[key] = r
	return r, nil
}

// release unmaps the region when nobody in the process uses it any more.
func (r *Region) release() error {
	regions.mu.Lock()
	defer regions.mu.Unlock()
	if r.refs--; r.refs > 0 {
		return nil
	}
	delete(regions.m, r.ino)
	if r.placed != (span{}) {
		_ = unix.Close(r.ext)
	}
	return unix.Munmap(r.raw)
}

// statSealed makes sure that fd is memory of at least size bytes that nobody
// can take away from under a mapping.
func statSealed(fd int, size uint64) (st unix.Stat_t, err error) {
	if err := unix.Fstat(fd, &st); err != nil {
		return st, err
	}
	if st.Size < 0 || uint64(st.Size) < size {
		return st, fmt.Errorf("%w: file has %d bytes, want %d", wire.ErrMalformed, st.Size, size)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return st, fmt.Errorf("%w: file is not sealed against shrinking", wire.ErrMalformed)
	}
	return st, nil
}
