package port

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// null is a port that moves nothing: its rings hold buffers of a region that is
// there already (NC E.9).
type null struct{ plain }

// createNull makes the null port of one registration. Its name is for people, so
// several ports can have the same; what they are known by is their own.
func (g *Registry) createNull(full string, req *abi.Register) (*port, error) {
	const op = "register"
	region, err := g.regionByID(req.MemID)
	if err != nil {
		return nil, refuse(op, full, unix.ENOMEM, "%v", err)
	}
	s := shape{
		hwTx: int(req.TxRings), hwRx: int(req.RxRings), hostTx: int(req.HostTxRings), hostRx: int(req.HostRxRings),
		txSlots: req.TxSlots, rxSlots: req.RxSlots,
	}
	if s.hwTx+s.hostTx > 0 && s.txSlots < minSlots || s.hwRx+s.hostRx > 0 && s.rxSlots < minSlots {
		return nil, refuse(op, full, unix.EINVAL, "a ring has at least %d slots", minSlots)
	}
	p, err := g.newPort(full, KindNull, region, s)
	if err != nil {
		return nil, refuse(op, full, unix.ENOMEM, "%v", err)
	}
	p.unnamed = true
	p.be, p.ephemeral = &null{plain{g, p}}, true
	g.enlist(p)
	return p, nil
}

// minSlots of a ring: one is always left free.
const minSlots = 2

// start makes a TX ring one that nobody waits for.
func (*null) start(_ context.Context, k *kring) error {
	if k.Dir() == abi.DirTx {
		k.Hold()
	}
	return nil
}
