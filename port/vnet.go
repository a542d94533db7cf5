package port

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/switch/offload"
)

// vnetHeader is what PORT_HDR_SET changes about a port. Kinds whose ports may
// have virtio-net headers embed it (NC E.4, E.6).
type vnetHeader struct {
	length int
	most   int // bytes of the longest frame it gets where a larger packet is cut, 0 for the default
}

func (v *vnetHeader) vnet() *vnetHeader { return v }

// vnet is the header of a port, nil if it cannot have one.
func (p *port) vnet() *vnetHeader {
	if h, ok := p.be.(interface{ vnet() *vnetHeader }); ok {
		return h.vnet()
	}
	return nil
}

// defaultFrame is the longest frame that a port gets unless something is known of
// it (NC E.11).
const defaultFrame = 1514

// tellHeader tells the switch that the port is on about its header.
func (p *port) tellHeader() {
	length, most := 0, defaultFrame
	if h := p.vnet(); h != nil {
		length = h.length
		if h.most != 0 {
			most = h.most
		}
	}
	if d, ok := p.be.(interface{ longestFrame() int }); ok {
		most = min(most, d.longestFrame())
	}
	p.vp.SetHeader(length, most)
}

// admitHeader refuses a client that would take headers for frames (NC B.5).
func (p *port) admitHeader(full string, req *abi.Register) error {
	if h := p.vnet(); h != nil && h.length != 0 && req.Flags&abi.FlagAcceptVnetHdr == 0 {
		return refuse("register", full, unix.EIO,
			"its frames begin with virtio-net headers of %d bytes; register with NR_ACCEPT_VNET_HDR, or set the header length to 0", h.length)
	}
	return nil
}

// HeaderLen answers PORT_HDR_GET.
func (g *Registry) HeaderLen(full string) (uint32, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.lookup(full)
	if p == nil {
		return 0, refuse("get header length", full, unix.ENXIO, "no port has this name")
	}
	if h := p.vnet(); h != nil {
		return uint32(h.length), nil
	}
	return 0, nil
}

// SetHeaderLen answers PORT_HDR_SET: from now on the frames of a port begin with
// a virtio-net header of so many bytes, in both directions. Who has it open
// already is not asked. Larger packets that are cut for the port come in frames
// of a buffer's size once it has had a header (NC B.7).
func (g *Registry) SetHeaderLen(ctx context.Context, full string, length uint32) error {
	const op = "set header length"
	switch length {
	case 0, offload.HeaderLen, offload.HeaderLenMerged:
	default:
		return refuse(op, full, unix.EINVAL, "a virtio-net header has 0, 10 or 12 bytes, not %d", length)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.lookup(full)
	if p == nil || p.vnet() == nil {
		return refuse(op, full, unix.ENXIO, "no port of a switch has this name")
	}
	h := p.vnet()
	if h.length = int(length); length != 0 {
		h.most = int(min(p.region.Geometry().Buf.Size, 1<<16-1))
	}
	p.tellCaptures()
	g.rekeep(p)
	if p.vp == nil {
		return nil
	}
	p.tellHeader()
	return g.quiesce(ctx) // what the client sends next is already seen so
}
