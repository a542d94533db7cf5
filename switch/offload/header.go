package offload

import "encoding/binary"

// Lengths of the header (NC E.11). The longer form ends in a number of buffers,
// which says nothing here.
const (
	HeaderLen       = 10
	HeaderLenMerged = 12
)

// Values of Header.Flags.
const (
	NeedsCsum = 1 // the checksum from CsumStart on is missing
	DataValid = 2 // checksums were looked at and are right
)

// Values of Header.GSO.
const (
	GSONone  = 0
	GSOTCPv4 = 1
	GSOUDP   = 3
	GSOTCPv6 = 4
	GSOECN   = 0x80 // added to the others: congestion notification is in use
)

// Header is a virtio-net header. Positions count from the frame that follows it.
type Header struct {
	Flags, GSO            uint8
	HdrLen, GSOSize       uint16
	CsumStart, CsumOffset uint16 // where the sum begins, and from there where it is stored
}

// ParseHeader reads a header from the first HeaderLen bytes of b, each once.
func ParseHeader(b *[HeaderLen]byte) Header {
	return Header{
		Flags: b[0], GSO: b[1],
		HdrLen: binary.LittleEndian.Uint16(b[2:]), GSOSize: binary.LittleEndian.Uint16(b[4:]),
		CsumStart: binary.LittleEndian.Uint16(b[6:]), CsumOffset: binary.LittleEndian.Uint16(b[8:]),
	}
}

// known tells whether the header asks for nothing that netmap does not know.
func (h *Header) known() bool {
	switch h.GSO &^ GSOECN {
	case GSONone, GSOTCPv4, GSOUDP, GSOTCPv6:
		return h.Flags&^(NeedsCsum|DataValid) == 0
	}
	return false
}
