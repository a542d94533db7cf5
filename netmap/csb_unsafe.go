package netmap

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// CSBApp is what a program in CSB mode says of one ring (NC E.10). All fields are
// for sync/atomic: cur is stored before head.
type CSBApp struct {
	Head      uint32
	Cur       uint32
	NeedKick  uint32 // not 0: it wants a call through the loop's Irq, or wants CSB.Wait to end
	SyncFlags uint32
	_         [48]byte
}

// CSBKern is what the sync loop, or the lcore, says of one ring. HwTail is loaded before HwCur.
type CSBKern struct {
	HwCur    uint32
	HwTail   uint32
	NeedKick uint32 // not 0: it wants a call through the loop's Kick after a publication
	_        [52]byte
}

var (
	_ [abi.CSBAlign]byte = [unsafe.Sizeof(CSBApp{})]byte{}
	_ [abi.CSBAlign]byte = [unsafe.Sizeof(CSBKern{})]byte{}
)

// NewCSB makes arrays for n rings.
func NewCSB(n int) ([]CSBApp, []CSBKern) {
	b := make([]CSBApp, 2*n+1)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % abi.CSBAlign
	first := unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), skip) // in b, which it keeps
	return unsafe.Slice((*CSBApp)(first), n), unsafe.Slice((*CSBKern)(unsafe.Add(first, n*abi.CSBAlign)), n)
}

// EnableCSB puts the descriptor into CSB mode (NC B.9.3): from now on TxSync and
// RxSync give EBUSY and Poll PollErr, and SyncLoop moves the frames. The arrays,
// one entry for each bound ring, TX rings first, are filled in. EINVAL: the port was
// not opened with abi.FlagExclusive, the arrays have another length, or do not begin
// at multiples of 64 bytes (see NewCSB). EBUSY: the loop runs. The descriptor is then
// as it was.
func (d *Desc) EnableCSB(app []CSBApp, kern []CSBKern) error {
	const op = "enable CSB mode of"
	rings := d.rings()
	misaligned := func(p unsafe.Pointer) bool { return uintptr(p)%abi.CSBAlign != 0 }
	switch {
	case len(rings) == 0:
		return nil
	case rings[0].blk.LoopRuns():
		return &Error{Op: op, Port: d.name, Errno: unix.EBUSY, Text: "its sync loop runs"}
	case d.served != nil:
		return d.servedError(op)
	case d.bind.Flags&abi.FlagExclusive == 0:
		return &Error{Op: op, Port: d.name, Errno: unix.EINVAL, Text: "it takes exclusive use of the rings"}
	case misaligned(unsafe.Pointer(unsafe.SliceData(app))) || misaligned(unsafe.Pointer(unsafe.SliceData(kern))):
		return &Error{Op: op, Port: d.name, Errno: unix.EINVAL, Text: "the arrays must begin at multiples of 64 bytes"}
	case len(app) != len(rings) || len(kern) != len(rings):
		return &Error{Op: op, Port: d.name, Errno: unix.EINVAL, Text: "the arrays must have an entry for each bound ring"}
	}
	for i, r := range rings {
		rhead, rcur, rtail := r.blk.Library()
		app[i].Head, app[i].Cur, app[i].NeedKick, app[i].SyncFlags = rhead, rcur, 1, 1
		kern[i] = CSBKern{HwCur: r.hwcur(), HwTail: rtail, NeedKick: 1}
	}
	d.app, d.kern = app, kern
	rings[0].blk.SetCSB(true)
	d.csb.Store(true)
	return nil
}

// mapArrays maps the two arrays of a file, of n entries each.
func (c *CSB) mapArrays(f csbFile, n int) (err error) {
	arrays := [2]unsafe.Pointer{}
	for i, at := range []int64{f.app, f.kern} {
		skip := int(at % pageSize)
		c.pages[i], err = unix.Mmap(int(f.file.Fd()), at-int64(skip), skip+n*abi.CSBAlign, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("map the CSB: %w", err)
		}
		arrays[i] = unsafe.Pointer(unsafe.SliceData(c.pages[i][skip:]))
	}
	c.App, c.Kern = unsafe.Slice((*CSBApp)(arrays[0]), n), unsafe.Slice((*CSBKern)(arrays[1]), n)
	return nil
}
