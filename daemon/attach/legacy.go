package attach

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// legacy serves netmap's old interface by translating it to the new one (NC B.2).
func (c *conn) legacy(ctx context.Context, rest []byte) (result, error) {
	var q wire.Legacy
	tail, err := wire.Take(rest, &q)
	if err != nil {
		return result{}, err
	}
	want := abi.LegacyRequestSize
	if q.Ioctl == abi.NIOCCONFIG {
		want = abi.LegacyConfigSize
	}
	if len(tail) != want {
		return result{}, fmt.Errorf("%w: the argument of ioctl %#x has %d bytes, this one has %d", wire.ErrMalformed, q.Ioctl, want, len(tail))
	}
	sess, err := c.asDescriptor(q.Token)
	if err != nil {
		return result{}, err
	}
	q.Bound = 0
	switch q.Ioctl {
	case abi.NIOCREGIF, abi.NIOCGINFO:
	case abi.NIOCCONFIG:
		return result{}, fmt.Errorf("no switch has a configuration callback: %w", unix.EINVAL)
	default:
		return result{}, fmt.Errorf("ioctl %#x is not one of the old interface: %w", q.Ioctl, unix.EOPNOTSUPP)
	}
	var nr abi.Legacy
	if err := abi.Decode(tail, &nr); err != nil {
		return result{}, err
	}
	if nr.Version < abi.MinAPIVersion {
		return result{}, fmt.Errorf("netmap API version %d, the least accepted is %d: %w", nr.Version, abi.MinAPIVersion, unix.EINVAL)
	}
	nr.Name[len(nr.Name)-1] = 0
	if q.Ioctl == abi.NIOCREGIF && nr.Cmd == abi.CmdRegister {
		return c.legacyRegister(ctx, sess, q, nr)
	}
	if err := c.legacyRequest(ctx, q.Ioctl, &nr); err != nil {
		return result{}, err
	}
	return result{body: abi.Encode(abi.Encode(nil, q), nr)}, nil
}

func (c *conn) legacyRegister(ctx context.Context, sess *port.Session, q wire.Legacy, nr abi.Legacy) (result, error) {
	name, reg, ok := nr.RegisterOf()
	if !ok {
		return result{}, fmt.Errorf("register %q: the name is too long: %w", name, unix.ENOMEM)
	}
	res, err := c.bindFor(ctx, sess, name, &reg, &options{})
	if err != nil {
		return result{}, err
	}
	nr.TakeRegister(&reg)
	q.Bound = 1
	res.body = abi.Encode(append(abi.Encode(nil, q), res.body...), nr)
	return res, nil
}

// legacyRequest carries out the commands that bind nothing.
func (c *conn) legacyRequest(ctx context.Context, ioctl uint32, nr *abi.Legacy) (err error) {
	reg, full := c.srv.reg, abi.CString(nr.Name[:])
	if err := c.permitLegacy(ioctl, nr); err != nil {
		return err
	}
	defer func() {
		if ioctl == abi.NIOCREGIF {
			c.audit(legacyTypes[nr.Cmd], full, err)
		}
	}()
	if ioctl == abi.NIOCGINFO {
		if nr.Cmd == abi.CmdList {
			name, bridge, port, err := reg.ValeList(full, nr.Arg1, uint32(nr.Arg2))
			if err != nil {
				return err
			}
			nr.Name = [16]byte{}
			copy(nr.Name[:len(nr.Name)-1], name)
			nr.Arg1, nr.Arg2 = bridge, uint16(port)
			return nil
		}
		b := abi.PortInfo{MemID: nr.Arg2, TxSlots: nr.TxSlots, RxSlots: nr.RxSlots, TxRings: nr.TxRings, RxRings: nr.RxRings}
		if err := reg.PortInfo(ctx, c.who, full, &b); err != nil {
			return err
		}
		nr.MemSize, nr.Arg2 = uint32(b.MemSize), b.MemID
		nr.TxSlots, nr.RxSlots, nr.TxRings, nr.RxRings = b.TxSlots, b.RxSlots, b.TxRings, b.RxRings
		return nil
	}
	switch nr.Cmd {
	case abi.CmdAttach:
		mode := uint32(abi.ModeAllNIC)
		if nr.Arg1&1 != 0 {
			mode = abi.ModeNICSW
		}
		_, err := reg.ValeAttach(ctx, full, &abi.Register{Mode: mode, MemID: nr.Arg2})
		return err
	case abi.CmdDetach:
		_, err := reg.ValeDetach(ctx, full)
		return err
	case abi.CmdVnetHdr:
		return reg.SetHeaderLen(ctx, full, uint32(nr.Arg1))
	case abi.CmdVnetHdrGet:
		n, err := reg.HeaderLen(full)
		nr.Arg1 = uint16(n)
		return err
	case abi.CmdPtCreate, abi.CmdPtDelete:
		return fmt.Errorf("passthrough is not served: %w", unix.ENOMEM)
	case abi.CmdNewif:
		b := abi.ValeNewif{TxSlots: nr.TxSlots, RxSlots: nr.RxSlots, TxRings: nr.TxRings, RxRings: nr.RxRings, MemID: nr.Arg2}
		err := reg.NewIf(c.who, full, &b)
		nr.TxSlots, nr.RxSlots, nr.TxRings, nr.RxRings, nr.Arg2 = b.TxSlots, b.RxSlots, b.TxRings, b.RxRings, b.MemID
		return err
	case abi.CmdDelif:
		return reg.DelIf(ctx, full)
	case abi.CmdPollOn:
		return reg.PollingOn(ctx, full, nr.Polling())
	case abi.CmdPollOff:
		return reg.PollingOff(ctx, full)
	}
	return fmt.Errorf("no command %d: %w", nr.Cmd, unix.EINVAL)
}

// iface answers what programs ask about an interface.
func (c *conn) iface(ctx context.Context, rest []byte) (result, error) {
	var q wire.Iface
	if err := takeAll(rest, &q, "query of an interface"); err != nil {
		return result{}, err
	}
	if _, err := c.srv.session(q.Token); err != nil {
		return result{}, err
	}
	info, err := c.srv.reg.Port(ctx, abi.CString(q.Name[:]))
	if err != nil {
		return result{}, fmt.Errorf("%w: %w", unix.ENODEV, err)
	}
	mac, _ := parseMAC(info.MAC)
	q.MAC, q.MTU, q.Up = mac, uint32(info.MTU), 0
	if info.LinkUp {
		q.Up = 1
	}
	// Far above what the kernel counts up to, and different for each port.
	q.Index = 1<<30 | uint32(info.ID)&(1<<30-1)
	q.TxRings, q.RxRings = uint16(info.TxRings), uint16(info.RxRings)
	q.TxSlots, q.RxSlots = uint32(info.TxSlots), uint32(info.RxSlots)
	return result{body: abi.Encode(nil, q)}, nil
}
