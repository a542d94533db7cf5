package shm

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Limits of regions in memory that clients bring. The reference has none; ours
// bound what the daemon keeps for them: a file costs its client nothing until
// it is written to.
const (
	MaxExternal     = 64 << 30 // bytes
	maxExternalObjs = 10000    // netmap_ifs, rings
	maxExternalBufs = 4 << 20
)

// FileID identifies a file as long as it exists.
type FileID struct{ Dev, Ino uint64 }

// IDOf identifies an open file.
func IDOf(f *os.File) (FileID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return FileID{}, fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	return FileID{st.Dev, st.Ino}, nil
}

// CreateIn makes a region in memory that a client brings: a memfd of exactly
// want.MemSize bytes, sealed against shrinking, growing and further seals, of
// ordinary pages, so that no access to it can be a SIGBUS. want is as in the
// EXTMEM option (NC B.9.1). CreateIn takes over f, whatever comes of it.
func CreateIn(o Options, f *os.File, want abi.PoolsInfo) (*Region, error) {
	if err := checkExternal(f, want.MemSize); err != nil {
		_ = f.Close()
		return nil, err
	}
	g, err := planExternal(want)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	data, err := mapFile(f, want.MemSize)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", unix.ENOMEM, err)
	}
	o.external = true
	return create(o, g, data)
}

// checkExternal makes sure that the file can be relied on.
func checkExternal(f *os.File, size uint64) error {
	const what = "use a client's memory"
	has, err := checkSealed(what, f)
	switch {
	case err != nil:
		return err
	case size == 0 || size%pageSize != 0 || has != size:
		return fmt.Errorf("%s: the option says %d bytes, the file has %d; both must be the same whole number of pages: %w", what, size, has, unix.EINVAL)
	case size > MaxExternal:
		return fmt.Errorf("%s: %d bytes, more than %d are not served: %w", what, size, uint64(MaxExternal), unix.ENOMEM)
	}
	return nil
}

// checkSealed makes sure that no access to a client's memory can be a SIGBUS, ever, and
// returns its size.
func checkSealed(what string, f *os.File) (size uint64, err error) {
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	has, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil {
		return 0, fmt.Errorf("%s: it is no memfd: %w", what, unix.EINVAL)
	}
	if has&seals != seals || has&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return 0, fmt.Errorf("%s: its seals are %#x, it must have those against shrinking, growing and sealing, and none against writing: %w", what, has, unix.EINVAL)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil || fs.Type != unix.TMPFS_MAGIC {
		return 0, fmt.Errorf("%s: it must be of ordinary pages; of hugepages, some could be missing: %w", what, unix.EINVAL)
	}
	st, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return uint64(st.Size()), nil
}

// planExternal lays out the pools in the memory there is. Objects are rounded up
// so that all are aligned; what is left over becomes buffers.
func planExternal(want abi.PoolsInfo) (g Geometry, err error) {
	p := PrivateParams()
	if g.If, err = externalPool("netmap_if", want.IfCount, want.IfSize, p.IfNum, p.IfSize, 64); err != nil {
		return g, err
	}
	if g.Ring, err = externalPool("ring", want.RingCount, want.RingSize, p.RingNum, p.RingSize, abi.RingAlign); err != nil {
		return g, err
	}
	if g.Buf, err = externalPool("buffer", want.BufCount, want.BufSize, p.BufNum, p.BufSize, 64); err != nil {
		return g, err
	}
	if g.If.Count > maxExternalObjs || g.Ring.Count > maxExternalObjs || g.Buf.Count > maxExternalBufs {
		return g, fmt.Errorf("lay out a client's memory: %d netmap_ifs, %d rings and %d buffers; at most %d, %d and %d are served: %w",
			g.If.Count, g.Ring.Count, g.Buf.Count, maxExternalObjs, maxExternalObjs, maxExternalBufs, unix.ENOMEM)
	}
	if need := g.BufOffset() + g.Buf.Bytes(); need > want.MemSize {
		return g, fmt.Errorf("lay out a client's memory: the pools need %d bytes, it has %d: %w", need, want.MemSize, unix.ENOMEM)
	}
	g.Buf.Count = uint32(min((want.MemSize-g.BufOffset())/uint64(g.Buf.Size), maxExternalBufs))
	if g.Buf.Count < abi.MinBufIndex {
		return g, fmt.Errorf("lay out a client's memory: no room for a buffer: %w", unix.ENOMEM)
	}
	return g, nil
}

// externalPool is a pool as the client wishes, with our defaults for 0.
func externalPool(name string, count, size, defCount, defSize uint32, align uint64) (Pool, error) {
	if count == 0 {
		count = defCount
	}
	if size == 0 {
		size = defSize
	}
	rounded := (uint64(size) + align - 1) &^ (align - 1)
	if rounded > math.MaxUint32 {
		return Pool{}, fmt.Errorf("lay out a client's memory: a %s of %d bytes: %w", name, size, unix.ENOMEM)
	}
	return Pool{Count: count, Size: uint32(rounded)}, nil
}
