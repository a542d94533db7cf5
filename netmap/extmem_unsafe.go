package netmap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
)

// Regions in memory of the program's own (EXTMEM, NC B.9.1). The daemon takes
// memory only as a sealed memfd, which nobody can take away from under it: what the
// program has moves onto one and is mapped in its place. The C library does the same
// (clib/src/extmem.c).

const (
	pageSize = 4096
	pageMask = pageSize - 1
)

// extmem is the memory of one registration.
type extmem struct {
	mem   []byte        // whole pages of the program's; nil when a file was named
	there bool          // it is what is mapped already: the memory of another port of this program
	pools abi.PoolsInfo // the wish, and then what there is
	fd    int           // the memfd; -1 once the region has it
}

// span is a stretch of addresses.
type span struct{ from, to uintptr }

func spanOf(b []byte) span {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return span{at, at + uintptr(len(b))}
}

func (s span) overlaps(o span) bool { return s.from < o.to && o.from < s.to }

// newExtmem makes the memfd of memory that the options or else the name bring, nil if
// neither does. The program's memory stays as it is: see place.
func newExtmem(o *options, s name.Spec) (*extmem, error) {
	switch {
	case o.extmem != nil && s.Extmem != nil:
		return nil, &Error{Errno: unix.EINVAL, Text: "memory is brought by WithExtmem and by @extmem; a port lives in one region, leave one out"}
	case o.extmem != nil:
		x := *o.extmem
		return &x, x.take()
	case s.Extmem != nil:
		return extmemFromFile(s.Extmem)
	}
	return nil, nil
}

// take makes the memfd for memory of the program, or finds it.
func (x *extmem) take() error {
	x.mem = x.mem[:len(x.mem)&^pageMask] // what shares a page with others is not moved
	at := spanOf(x.mem)
	if len(x.mem) == 0 || at.from%pageSize != 0 {
		return &Error{Errno: unix.EINVAL, Text: "memory for a region begins at a page and has at least one"}
	}
	x.pools.MemSize = uint64(len(x.mem))
	regions.mu.Lock()
	defer regions.mu.Unlock()
	for _, r := range regions.m {
		switch {
		case !r.placed.overlaps(at):
		case r.placed != at:
			return &Error{Errno: unix.EBUSY, Text: fmt.Sprintf("part of the memory is that of region %d", r.id)}
		default:
			fd, err := unix.FcntlInt(uintptr(r.ext), unix.F_DUPFD_CLOEXEC, 0)
			x.fd, x.there = fd, err == nil
			return err
		}
	}
	return x.make(bytes.NewReader(x.mem))
}

// extmemFromFile makes a memfd with the contents of a file, which itself stays as
// it is.
func extmemFromFile(e *name.Extmem) (*extmem, error) {
	f, err := os.Open(e.File)
	if err != nil {
		return nil, fmt.Errorf("option extmem: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("option extmem: %w", err)
	}
	size := uint64(max(st.Size(), 0)) &^ pageMask
	if size == 0 {
		return nil, &Error{Errno: unix.EINVAL, Text: fmt.Sprintf("option extmem: %s has %d bytes, want at least a page; its size is that of the region", e.File, st.Size())}
	}
	x := &extmem{pools: abi.PoolsInfo{
		MemSize: size, IfCount: e.IfNum, IfSize: e.IfSize, RingCount: e.RingNum, RingSize: e.RingSize, BufCount: e.BufNum, BufSize: e.BufSize,
	}}
	return x, x.make(f)
}

// make makes the memfd and fills it from what is in the memory. Pages of zeros are
// left out: they cost nothing then.
func (x *extmem) make(from io.Reader) error {
	fd, err := unix.MemfdCreate("netmap:extmem", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err == nil {
		if err = unix.Ftruncate(fd, int64(x.pools.MemSize)); err == nil {
			err = fill(fd, io.LimitReader(from, int64(x.pools.MemSize)))
		}
		if err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
		}
		if err != nil {
			_ = unix.Close(fd)
		}
	}
	if err != nil {
		return fmt.Errorf("move %d bytes of memory onto a memfd: %w", x.pools.MemSize, err)
	}
	x.fd = fd
	return nil
}

func fill(fd int, from io.Reader) error {
	var zeros [pageSize]byte
	chunk := make([]byte, 64*pageSize)
	for at := int64(0); ; {
		n, err := io.ReadFull(from, chunk)
		for page := 0; page < n; page += pageSize {
			b := chunk[page:min(page+pageSize, n)]
			if bytes.Equal(b, zeros[:len(b)]) {
				continue
			}
			if _, err := unix.Pwrite(fd, b, at+int64(page)); err != nil {
				return err
			}
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// place maps the memory in place of the program's, and gives it to its region.
func (x *extmem) place(r *Region) error {
	if x.mem == nil || x.there {
		return nil
	}
	at := unsafe.Pointer(unsafe.SliceData(x.mem))
	if _, err := unix.MmapPtr(x.fd, 0, at, uintptr(len(x.mem)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return fmt.Errorf("map the region in place of the program's memory: %w", err)
	}
	regions.mu.Lock()
	defer regions.mu.Unlock()
	r.placed, r.ext, x.fd = spanOf(x.mem), x.fd, -1
	return nil
}

// done closes what the region did not take.
func (x *extmem) done() {
	if x != nil && x.fd >= 0 {
		_ = unix.Close(x.fd)
	}
}
