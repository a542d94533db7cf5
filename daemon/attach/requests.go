package attach

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// request carries out a netmap request that binds nothing (NC B.7) and returns
// its body as it goes back. body has the length that the type asks for.
func (c *conn) request(ctx context.Context, q *wire.Control, body []byte) (_ []byte, err error) {
	reg, full := c.srv.reg, abi.CString(q.Name[:])
	if err := c.permit(q.ReqType, full); err != nil {
		return nil, err
	}
	defer func() { c.audit(q.ReqType, full, err) }()
	switch q.ReqType {
	case abi.ReqPortInfoGet:
		return with(body, func(b *abi.PortInfo) error { return reg.PortInfo(ctx, c.who, full, b) })
	case abi.ReqPoolsInfoGet:
		return with(body, func(b *abi.PoolsInfo) error { return reg.PoolsInfo(ctx, c.who, full, b) })
	case abi.ReqValeAttach:
		return with(body, func(b *abi.ValeAttach) (err error) {
			b.PortIndex, err = reg.ValeAttach(ctx, full, &b.Register)
			return err
		})
	case abi.ReqValeDetach:
		return with(body, func(b *abi.ValeDetach) (err error) {
			b.PortIndex, err = reg.ValeDetach(ctx, full)
			return err
		})
	case abi.ReqValeList:
		return with(body, func(b *abi.ValeList) error {
			name, bridge, port, err := reg.ValeList(full, b.BridgeIdx, b.PortIdx)
			if err != nil {
				return err
			}
			b.BridgeIdx, b.PortIdx = bridge, port
			q.Name = [abi.NameSize]byte{}
			copy(q.Name[:len(q.Name)-1], name)
			return nil
		})
	case abi.ReqValeNewif:
		return with(body, func(b *abi.ValeNewif) error { return reg.NewIf(c.who, full, b) })
	case abi.ReqValeDelif:
		return nil, reg.DelIf(ctx, full)
	case abi.ReqValePollingEnable:
		return with(body, func(b *abi.ValePolling) error { return reg.PollingOn(ctx, full, b) })
	case abi.ReqValePollingDisable:
		return body, reg.PollingOff(ctx, full)
	case abi.ReqPortHdrGet:
		return with(body, func(b *abi.PortHdr) (err error) {
			b.HdrLen, err = reg.HeaderLen(full)
			return err
		})
	case abi.ReqPortHdrSet:
		return with(body, func(b *abi.PortHdr) error { return reg.SetHeaderLen(ctx, full, b.HdrLen) })
	case abi.ReqSyncKloopStart, abi.ReqSyncKloopStop, abi.ReqCsbEnable:
		return body, c.syncLoop(q.ReqType, body)
	case 0:
		return nil, fmt.Errorf("no netmap request has type 0: %w", unix.EINVAL)
	}
	if q.ReqType > abi.ReqCsbEnable {
		return nil, fmt.Errorf("no netmap request has type %d: %w", q.ReqType, unix.EINVAL)
	}
	return nil, fmt.Errorf("netmap request type %d is not served by this version of netmapd: %w", q.ReqType, unix.EOPNOTSUPP)
}

// syncLoop answers the requests of CSB mode (NC E.10), which the client's library
// carries out, as far as a client makes them without one. What is left for us is
// to wake the loop, in whatever process it runs.
func (c *conn) syncLoop(typ uint16, body []byte) error {
	switch {
	case typ == abi.ReqCsbEnable:
		return fmt.Errorf("CSB mode is a matter of the client's library: %w", unix.EINVAL)
	case typ == abi.ReqSyncKloopStart && binary.LittleEndian.Uint32(body) > abi.KloopMaxSleep:
		return fmt.Errorf("a loop sleeps for at most %d us: %w", abi.KloopMaxSleep, unix.EINVAL)
	case c.desc == nil:
		return fmt.Errorf("the descriptor is not bound to a port: %w", unix.ENXIO)
	case typ == abi.ReqSyncKloopStart:
		return fmt.Errorf("the sync loop runs in the client's library: %w", unix.EINVAL)
	}
	c.desc.Wake()
	return nil
}

// with decodes a request body, runs fn on it, and encodes what fn left.
func with[T any](body []byte, fn func(*T) error) ([]byte, error) {
	var b T
	if err := abi.Decode(body, &b); err != nil {
		return nil, err
	}
	if err := fn(&b); err != nil {
		return nil, err
	}
	return abi.Encode(nil, b), nil
}
