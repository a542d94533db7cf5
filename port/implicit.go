package port

import (
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
)

// implicit is what pipes hang on when their parent does not exist: nothing but a
// region. It goes with its last pipe (NC E.6).
type implicit struct{ plain }

// implicitRegion bounds the regions of implicit ports. They are made for as many
// pipes as fit, since pages cost nothing until they are used.
const implicitRegion = 5 << 28

func (*implicit) admit(full string, _ *abi.Register) error {
	return refuse("register", full, unix.ENXIO, "it only exists for the pipes that hang on it")
}

func (g *Registry) implicitPort(who Caller, full string, req *abi.Register) (*port, error) {
	s := shape{
		hwTx: wish(req.TxRings, abi.ValeMaxRings, 1), hwRx: wish(req.RxRings, abi.ValeMaxRings, 1),
		txSlots: uint32(max(wish(req.TxSlots, abi.ValeMaxSlots, abi.DefaultSlots), 2)),
		rxSlots: uint32(max(wish(req.RxSlots, abi.ValeMaxSlots, abi.DefaultSlots), 2)),
	}
	region, err := g.regionFor(who, "register", full, req.MemID)
	if err != nil {
		return nil, err
	}
	if region == nil {
		region, err = g.pipesRegion(who, full, shm.PortShape{
			TxRings: uint32(s.hwTx), RxRings: uint32(s.hwRx), TxSlots: s.txSlots, RxSlots: s.rxSlots,
			ExtraBufs: min(req.ExtraBufs, abi.ExtraBufsMax),
		})
	}
	if err != nil {
		return nil, refuse("register", full, unix.ENOMEM, "%v", err)
	}
	p, err := g.newPort(full, KindImplicit, region, s)
	if err != nil {
		return nil, refuse("register", full, unix.ENOMEM, "%v", err)
	}
	p.be, p.ephemeral = &implicit{plain{g, p}}, true
	g.enlist(p)
	return p, nil
}

// pipesRegion makes a private region with room for as many pipes as fit.
func (g *Registry) pipesRegion(who Caller, full string, s shm.PortShape) (*shm.Region, error) {
	for s.Pipes = maxPipes; s.Pipes > shm.ValePipes; s.Pipes /= 2 {
		if geo, err := s.AtLeast(g.params.private()).Plan(); err == nil && geo.Size() <= implicitRegion {
			break
		}
	}
	return g.privateRegion(who, full, s)
}
