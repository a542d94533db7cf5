package netmap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	"github.com/netmapd/netmapd/netmap/wire"
)

// A binding is a registration with its options (NC B.9) on the way to the daemon.
type binding struct {
	ext     *extmem      // nil without
	offsets *abi.Offsets // nil without
	csb     *csbFile     // nil without
}

// newBinding gathers the options that the program or the name gives.
func newBinding(o *options, s name.Spec) (*binding, error) {
	b := &binding{offsets: o.offsets, csb: o.csb}
	if s.Offset != nil {
		if o.offsets != nil {
			return nil, &Error{Errno: unix.EINVAL, Text: "offsets are given by WithOffsets and by @offset; leave one out"}
		}
		b.offsets = &abi.Offsets{Max: s.Offset.Initial, Initial: s.Offset.Initial, Bits: s.Offset.Bits}
	}
	switch {
	case b.csb != nil && (o.extmem != nil || s.Extmem != nil):
		return nil, &Error{Errno: unix.EINVAL, Text: "memory is brought for a region and for a CSB; lcores serve a CSB of a port in a region of netmapd's only"}
	case b.csb != nil && int(b.csb.file.Fd()) < 0:
		return nil, &Error{Errno: unix.EBADF, Text: "the file of the CSB is not open"}
	}
	var err error
	b.ext, err = newExtmem(o, s)
	return b, err
}

// encode is the options as they follow the body of the request.
func (b *binding) encode() (opts []byte) {
	add := func(typ uint32, body any) {
		opts = abi.Encode(opts, wire.Option{Type: typ, Size: uint32(binary.Size(body))})
		opts = abi.Encode(opts, body) // all of them are multiples of 8 bytes long
	}
	if b.ext != nil {
		add(abi.OptExtmem, abi.Extmem{Pools: b.ext.pools})
	}
	if b.offsets != nil {
		add(abi.OptOffsets, *b.offsets)
	}
	if b.csb != nil {
		add(abi.OptCsb, abi.CSBOption{AtoK: uint64(b.csb.app), KtoA: uint64(b.csb.kern)})
	}
	return opts
}

// decode takes in what the daemon made of the options.
func (b *binding) decode(d *Desc, opts []byte) (err error) {
	take := func(body any) {
		var o wire.Option
		if err == nil {
			opts, err = wire.Take(opts, &o)
		}
		if err == nil {
			opts, err = wire.Take(opts, body)
		}
	}
	if b.ext != nil {
		var x abi.Extmem
		take(&x)
		d.pools = x.Pools
	}
	if b.offsets != nil {
		take(&d.offsets)
	}
	if b.csb != nil {
		take(&abi.CSBOption{})
	}
	return err
}

// bindNamed registers d and maps what the daemon hands out. It takes over d.
func (d *Desc) bindNamed(ctx context.Context, port string, reg abi.Register, b *binding) (*Desc, error) {
	opts := b.encode()
	q := controlRequest{req: abi.ReqRegister, port: port, body: abi.Encode(nil, reg), opts: opts, wantFDs: wire.BindFDs, memory: -1}
	if b.ext != nil {
		q.memory = b.ext.fd
	}
	if b.csb != nil {
		q.memory = int(b.csb.file.Fd())
	}
	_, body, a, err := d.carryOut(ctx, q)
	if err == nil && len(body) < len(opts) {
		a.closeFDs()
		err = fmt.Errorf("%w: the answer lacks the request's options", wire.ErrMalformed)
	}
	if err == nil {
		err = b.decode(d, body[len(body)-len(opts):])
	}
	if err != nil {
		_ = d.release()
		return nil, err
	}
	if d, err = d.bindTo(body[:len(body)-len(opts)], a); err != nil {
		return nil, err
	}
	if b.ext != nil {
		err = b.ext.place(d.region)
	}
	if err = errors.Join(err, d.mapCSB(b.csb)); err != nil {
		_ = d.release()
		return nil, err
	}
	return d, nil
}
