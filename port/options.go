package port

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// Options of a registration (NC B.9); what was not given is nil. Bodies are
// completed as they go back.
type Options struct {
	Extmem  *Extmem
	Offsets *abi.Offsets
	CSB     *abi.CSBOption
	CSBFile *os.File // CSB says offsets in it, and lcores serve it; nil: addresses, for the client's library
}

// OptionError says which option a registration failed of.
type OptionError struct {
	Option uint32 // abi.OptExtmem, ...
	Err    error
}

func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap gives the refusal.
func (e *OptionError) Unwrap() error { return e.Err }

func optionError(option uint32, err error) error {
	if err == nil {
		return nil
	}
	return &OptionError{Option: option, Err: err}
}

// checkOffsets makes the checks of NC B.9.5 that come before those of rings, and
// returns what a ring gets that has no offsets yet.
func checkOffsets(full string, o *abi.Offsets, bufSize uint32) (*ring.Offsets, error) {
	const op = "register with offsets"
	switch {
	case o.Bits > 64:
		return nil, refuse(op, full, unix.EINVAL, "an offset has at most 64 bits, not %d", o.Bits)
	case o.Max > uint64(bufSize):
		return nil, refuse(op, full, unix.EINVAL, "the largest offset, %d, is beyond the buffers of %d bytes", o.Max, bufSize)
	case o.Bits != 0 && o.Bits < 64 && o.Max>>o.Bits != 0:
		return nil, refuse(op, full, unix.EINVAL, "the largest offset, %d, does not fit %d bits", o.Max, o.Bits)
	case o.Initial > o.Max:
		return nil, refuse(op, full, unix.EINVAL, "the initial offset, %d, is above the largest, %d", o.Initial, o.Max)
	}
	r := &ring.Offsets{Mask: ^uint64(0), Max: uint32(o.Max), Room: bufSize - uint32(o.Max)}
	if o.Bits != 0 {
		r.Mask >>= 64 - o.Bits
	}
	if o.MinGap != 0 {
		r.Room = uint32(min(uint64(r.Room), o.MinGap))
	}
	return r, nil
}

// offsets negotiates the offsets of the rings of a new descriptor (NC B.9.5) and
// returns those that its rings get, unless they have some, which they keep. One that
// somebody else has open without cannot get any: the lcores are at work on it.
func (d *Desc) offsets(full string, o *abi.Offsets) (*ring.Offsets, error) {
	p := d.port
	if !p.be.offsets() {
		return nil, refuse("register with offsets", full, unix.EOPNOTSUPP, "ports of kind %s have no offsets", p.kind)
	}
	want, err := checkOffsets(full, o, p.region.Geometry().Buf.Size)
	if err != nil {
		return nil, err
	}
	for _, k := range d.bound() {
		switch has := k.Offsets(); {
		case k.users == 0:
		case has == nil || want.Mask&^has.Mask != 0 || want.Max > has.Max:
			return nil, refuse("register with offsets", full, unix.EBUSY, "ring %s is open with no offsets, or with smaller ones", k)
		default:
			o.Max = max(o.Max, uint64(has.Max))
		}
	}
	return want, nil
}

// setOffsets gives the rings without users their offsets, nil for none.
func (d *Desc) setOffsets(ctx context.Context, o *ring.Offsets, initial uint64) error {
	until := time.Now().Add(busyTime)
	for _, k := range d.bound() {
		if k.users > 0 || o == nil && k.Offsets() == nil {
			continue
		}
		if err := d.port.be.setOffsets(ctx, k, o, initial, until); err != nil {
			return fmt.Errorf("set the offsets of ring %s of %s: %w", k, d.port.name, err)
		}
		mask := uint64(0)
		if o != nil {
			mask = o.Mask
		}
		_ = d.port.region.Touch(func() { k.obj.View.OffsetMask = mask }) // memory that is gone has no offsets either
	}
	return nil
}

// setOffsets gives a ring without users and without frames its offsets.
func (b plain) setOffsets(_ context.Context, k *kring, o *ring.Offsets, initial uint64, _ time.Time) error {
	k.SetOffsets(o)
	_ = b.p.region.Touch(func() {
		for i := range k.Num() {
			k.obj.View.StorePtr(i, initial)
		}
	})
	return nil
}
