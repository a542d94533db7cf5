package attach

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// options are the options of a request (NC B.8), whose list the library has
// walked. What nobody takes keeps the status that the walk leaves.
type options struct {
	blob []byte // as they came, and go back
	list []option
	port port.Options // those of a registration
}

// option is one of them.
type option struct {
	typ  uint32
	blob []byte // header and body
	body []byte
}

// parseOptions checks the form and presets every status.
func parseOptions(blob []byte) (*options, error) {
	o := &options{blob: blob}
	for rest := blob; len(rest) > 0; {
		var h wire.Option
		tail, err := wire.Take(rest, &h)
		if err != nil {
			return o, err
		}
		body := (uint64(h.Size) + 7) &^ 7
		if body > uint64(len(tail)) {
			return o, fmt.Errorf("%w: an option of %d bytes, %d are left", wire.ErrMalformed, h.Size, len(tail))
		}
		opt := option{typ: h.Type, blob: rest, body: tail[:h.Size]}
		opt.setStatus(unix.EOPNOTSUPP)
		o.list = append(o.list, opt)
		rest = tail[body:]
	}
	return o, nil
}

// setStatus writes the status of an option as it goes back.
func (o option) setStatus(errno unix.Errno) {
	copy(o.blob, abi.Encode(nil, wire.Option{Type: o.typ, Status: uint32(errno), Size: uint32(len(o.body))}))
}

// find is the first option of a type.
func (o *options) find(typ uint32) (option, bool) {
	for _, opt := range o.list {
		if opt.typ == typ {
			return opt, true
		}
	}
	return option{}, false
}

// forPort decodes the options of a registration and takes the memory that came
// with them.
func (o *options) forPort(req uint16, m *message) error {
	var x *abi.Extmem
	if req == abi.ReqRegister {
		err := errors.Join(decode(o, abi.OptExtmem, &x), decode(o, abi.OptOffsets, &o.port.Offsets), decode(o, abi.OptCsb, &o.port.CSB))
		if err != nil {
			return err
		}
	}
	switch {
	case x != nil && m.memory < 0, x == nil && o.port.CSB == nil && m.memory >= 0:
		return fmt.Errorf("%w: memory comes with the EXTMEM option of a registration, which needs it, or with its CSB option", wire.ErrMalformed)
	case x != nil:
		o.port.Extmem = &port.Extmem{File: m.takeMemory(), Pools: x.Pools}
	default:
		o.port.CSBFile = m.takeMemory()
	}
	return nil
}

// decode sets *to if there is an option of a type.
func decode[T any](o *options, typ uint32, to **T) error {
	opt, ok := o.find(typ)
	if !ok {
		return nil
	}
	*to = new(T)
	if err := abi.Decode(opt.body, *to); err != nil {
		return fmt.Errorf("%w: option %d: %w", wire.ErrMalformed, typ, err)
	}
	return nil
}

// store writes what a registration made of its options: statuses, and the bodies
// of those that it carried out.
func (o *options) store(err error) {
	if failed, ok := errors.AsType[*port.OptionError](err); ok {
		if opt, ok := o.find(failed.Option); ok {
			opt.setStatus(errnoOf(failed))
		}
	}
	if err != nil {
		return
	}
	if x := o.port.Extmem; x != nil {
		opt, _ := o.find(abi.OptExtmem)
		opt.setStatus(0)
		copy(opt.body[8:], abi.Encode(nil, x.Pools)) // behind the address
	}
	if x := o.port.Offsets; x != nil {
		opt, _ := o.find(abi.OptOffsets)
		opt.setStatus(0)
		copy(opt.body, abi.Encode(nil, *x))
	}
	if o.port.CSB != nil {
		opt, _ := o.find(abi.OptCsb)
		opt.setStatus(0)
	}
}

// unprocessed is how REGISTER, and only REGISTER, ends with an option that
// nobody took.
func (o *options) unprocessed() error {
	for _, opt := range o.list {
		var h wire.Option
		if _, err := wire.Take(opt.blob, &h); err != nil || h.Status == uint32(unix.EOPNOTSUPP) {
			return fmt.Errorf("an option of the request, of type %d, is not served: %w", opt.typ, unix.EOPNOTSUPP)
		}
	}
	return nil
}

// discard closes the memory unless somebody took it over. What a CSB lies in stays
// mapped without its descriptor.
func (o *options) discard() {
	if f := o.port.CSBFile; f != nil {
		_ = f.Close()
	}
	if x := o.port.Extmem; x != nil && x.File != nil {
		_ = x.File.Close()
	}
}

func parseMAC(s string) (mac [6]byte, err error) {
	hw, err := net.ParseMAC(s)
	copy(mac[:], hw)
	return mac, err
}
