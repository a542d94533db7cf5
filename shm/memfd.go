// Package shm makes and keeps regions: the shared memory that netmap programs
// map, laid out as netmap lays it out (NC A.10), and beside each region its
// control memory, which no client ever sees.
//
// A region is a memfd sealed against shrinking and growing, of ordinary pages:
// a client can punch holes into it, and then everybody reads zeros, but nobody
// gets a SIGBUS. Hugetlb memory does not have that property and is for uids
// that the operator trusts.
//
// All allocation is control plane: it happens when ports and descriptors come
// and go, never on the packet path.
package shm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

const hugePage = 2 << 20

// File is a sealed memfd, mapped.
type File struct {
	file *os.File
	mem  []byte
}

// NewFile makes a zeroed, sealed memfd of at least size bytes and maps it.
// With huge it consists of 2 MiB pages, all allocated here, so that a missing
// one is an error now and not a SIGBUS later.
func NewFile(name string, size uint64, huge bool) (*File, error) {
	flags := unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	page := uint64(pageSize)
	if huge {
		flags |= unix.MFD_HUGETLB | unix.MFD_HUGE_2MB
		page = hugePage
	}
	size = (size + page - 1) &^ (page - 1)
	fd, err := unix.MemfdCreate("netmapd:"+name, flags)
	if err != nil {
		return nil, fmt.Errorf("create memfd %s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := prepare(fd, size, huge); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("create memfd %s of %d bytes: %w", name, size, err)
	}
	return mapFile(f, size)
}

func prepare(fd int, size uint64, huge bool) error {
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return fmt.Errorf("set size: %w", err)
	}
	if huge {
		if err := unix.Fallocate(fd, 0, 0, int64(size)); err != nil {
			return fmt.Errorf("allocate hugepages (are enough reserved in vm.nr_hugepages?): %w", err)
		}
	}
	// F_SEAL_SEAL too: a client must not be able to seal it against writing.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// OpenFile maps a memfd that an earlier daemon made, after checking that it is
// sealed: an unsealed one could be truncated under us.
func OpenFile(f *os.File) (*File, error) {
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("adopt %s: read its seals: %w", f.Name(), err)
	}
	if want := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW; seals&want != want {
		return nil, fmt.Errorf("adopt %s: it is not sealed against shrinking and growing (seals %#x)", f.Name(), seals)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("adopt %s: %w", f.Name(), err)
	}
	return mapFile(f, uint64(st.Size()))
}

func mapFile(f *os.File, size uint64) (*File, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("map %s, %d bytes: %w", f.Name(), size, err)
	}
	return &File{f, mem}, nil
}

// FD is the file descriptor, owned by f.
func (f *File) FD() int { return int(f.file.Fd()) }

// File is the open file, owned by f.
func (f *File) File() *os.File { return f.file }

// Mem views the mapping, valid until Close.
func (f *File) Mem() abi.Mem { return abi.NewMem(f.mem) }

// populate has the kernel find the pages of a stretch that is about to be written, all at once: a fault for each
// costs several times that. Kernels before 5.14 cannot, and then each page comes when it is written.
func (f *File) populate(offset, size uint64) {
	from := offset &^ (pageSize - 1)
	_ = unix.Madvise(f.mem[from:offset+size], unix.MADV_POPULATE_WRITE)
}

// Clear gives all pages back to the system; the file reads as zeros then.
func (f *File) Clear() error { return f.punch(len(f.mem)) }

func (f *File) punch(size int) error {
	return unix.Fallocate(f.FD(), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(size))
}

// Close unmaps and closes. No lcore may still use a view of it.
func (f *File) Close() error { return errors.Join(f.unmap(), f.file.Close()) }

func (f *File) unmap() error {
	mem := f.mem
	f.mem = nil
	return unix.Munmap(mem)
}

// discard is Close, and gives all pages back, whoever else has mapped them. It does not interrupt the CPUs of this process for
// them, which has not mapped them any more.
func (f *File) discard() error {
	size, err := len(f.mem), f.unmap()
	_ = f.punch(size) // best effort: it only saves memory
	return errors.Join(err, f.file.Close())
}
