package netmap

import (
	"context"

	"github.com/netmapd/netmapd/netmap/abi"
)

// WithVnetHeader says that the program knows what to do with frames that begin
// with virtio-net headers. A port that has them refuses others with EIO.
func WithVnetHeader() Option { return WithFlags(abi.FlagAcceptVnetHdr) }

// SetVnetHeader makes the frames of the port, in both directions, begin with a
// virtio-net header of 0, 10 or 12 bytes (NC B.7, E.11). Between ports of a
// switch whose lengths differ, the switch converts, and does what a header asks
// for (checksum, segmentation) where the destination has none. ENXIO says that
// ports of this kind have no headers.
func (d *Desc) SetVnetHeader(ctx context.Context, length int) error {
	_, err := d.control(ctx, abi.ReqPortHdrSet, d.PortName(), abi.Encode(nil, abi.PortHdr{HdrLen: uint32(length)}))
	if err != nil {
		return failed("set the header length of", d.name, err)
	}
	return nil
}

// VnetHeader is the length of the virtio-net header that frames of the port
// begin with, 0 for none.
func (d *Desc) VnetHeader(ctx context.Context) (length int, err error) {
	var h abi.PortHdr
	body, err := d.control(ctx, abi.ReqPortHdrGet, d.PortName(), abi.Encode(nil, h))
	if err == nil {
		err = abi.Decode(body, &h)
	}
	if err != nil {
		return 0, failed("get the header length of", d.name, err)
	}
	return int(h.HdrLen), nil
}
