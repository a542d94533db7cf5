package shm

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// CSB are the two arrays of a descriptor in CSB mode, in memory of its client's, for
// lcores to serve (NC E.10): hostile as a sync block is.
type CSB struct {
	ID         FileID
	atok, ktoa csbArray
}

// csbArray is one array: the pages that it lies in, and where.
type csbArray struct {
	pages []byte
	mem   abi.Mem
}

// maxCSBFile bounds the memory. Who takes its pages away (punches holes) holds up an
// lcore that touches one meanwhile: for longer, the more there are.
const maxCSBFile = 64 << 20

// OpenCSB maps arrays of n entries that lie at these offsets of a client's memory, as
// CreateIn wants it, of any size up to 64 MiB. The second array is zeroed. f stays the caller's.
func OpenCSB(f *os.File, atok, ktoa uint64, n int) (_ *CSB, err error) {
	const what = "use the memory of a CSB"
	size, err := checkSealed(what, f)
	if err != nil {
		return nil, err
	}
	length := uint64(n) * abi.CSBAlign
	outside := func(at uint64) bool { return length > size || at > size-length }
	switch {
	case size > maxCSBFile:
		return nil, fmt.Errorf("%s: it has %d bytes, at most %d are served: %w", what, size, maxCSBFile, unix.EINVAL)
	case (atok|ktoa)%abi.CSBAlign != 0:
		return nil, fmt.Errorf("%s: its arrays begin at offsets %d and %d, they must at multiples of %d: %w", what, atok, ktoa, abi.CSBAlign, unix.EINVAL)
	case outside(atok) || outside(ktoa):
		return nil, fmt.Errorf("%s: arrays of %d entries, %d bytes, at offsets %d and %d do not lie in its %d bytes: %w", what, n, length, atok, ktoa, size, unix.EINVAL)
	case atok < ktoa+length && ktoa < atok+length:
		return nil, fmt.Errorf("%s: its arrays at offsets %d and %d, of %d bytes each, overlap: %w", what, atok, ktoa, length, unix.EINVAL)
	}
	c := &CSB{}
	if c.ID, err = IDOf(f); err != nil {
		return nil, err
	}
	if c.atok, err = mapArray(f, atok, length); err == nil {
		c.ktoa, err = mapArray(f, ktoa, length)
	}
	if err == nil {
		err = touch("a CSB", func() { clear(c.ktoa.mem.Bytes()) })
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return c, nil
}

// mapArray maps no more than the pages that it needs.
func mapArray(f *os.File, at, length uint64) (a csbArray, err error) {
	skip := at % pageSize
	a.pages, err = unix.Mmap(int(f.Fd()), int64(at-skip), int(skip+length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return a, fmt.Errorf("map %d bytes at offset %d: %w", length, at, err)
	}
	a.mem = abi.NewMem(a.pages[skip:])
	return a, nil
}

// Entry is the i-th of both arrays, below n.
func (c *CSB) Entry(i int) (*abi.AtoK, *abi.KtoA, error) {
	a, err := c.atok.mem.AtoK(i)
	if err != nil {
		return nil, nil, err
	}
	k, err := c.ktoa.mem.KtoA(i)
	return a, k, err
}

// Touch runs fn, which looks at entries outside an lcore: see Region.Touch.
func (c *CSB) Touch(fn func()) error { return touch("a CSB", fn) }

// Close unmaps the arrays. No lcore may use them any more.
func (c *CSB) Close() {
	for _, a := range []csbArray{c.atok, c.ktoa} {
		if a.pages != nil {
			_ = unix.Munmap(a.pages)
		}
	}
}
