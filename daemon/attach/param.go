package attach

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// param serves netmap's module parameters.
func (c *conn) param(rest []byte) (result, error) {
	var q wire.Param
	if err := takeAll(rest, &q, "parameter request"); err != nil {
		return result{}, err
	}
	if _, err := c.srv.session(q.Token); err != nil {
		return result{}, err
	}
	reg, name := c.srv.reg, abi.CString(q.Name[:])
	switch q.Op {
	case wire.ParamGet:
	case wire.ParamSet:
		if err := reg.SetParam(c.who, name, abi.CString(q.Value[:])); err != nil {
			return result{}, err
		}
	case wire.ParamList:
		q.Name, q.Value, q.Writable = [wire.ParamNameSize]byte{}, [wire.ParamValueSize]byte{}, 0
		return result{body: append(abi.Encode(nil, q), reg.Params()...)}, nil
	default:
		return result{}, fmt.Errorf("module parameters: no operation %d: %w", q.Op, unix.EINVAL)
	}
	text, writable, err := reg.Param(c.who, name)
	if err != nil {
		return result{}, err
	}
	q.Value, q.Writable = [wire.ParamValueSize]byte{}, 0
	copy(q.Value[:], text)
	if writable {
		q.Writable = 1
	}
	return result{body: abi.Encode(nil, q)}, nil
}
