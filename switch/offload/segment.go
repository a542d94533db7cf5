package offload

import (
	"encoding/binary"
	"errors"
)

// Errors of Begin. They are values, as they occur for each packet of a client
// that means no good.
var (
	ErrRequest = errors.New("the virtio-net header has a type or flag that is not known")
	ErrPacket  = errors.New("the packet is not one that can be cut as its virtio-net header says")
)

// maxHeaders is how long the protocol headers of a packet to be cut may be, all
// together: IP and TCP with all options, and 30 VLAN tags.
const maxHeaders = 256

// minMSS is the least segment that a header may ask for: what every host must
// accept over IPv4. NC E.11 knows only the largest frame of the destination; a
// smaller segment is what the sender knows about the path beyond it, but taken
// literally it would let a client have a packet cut into any number of frames.
const minMSS = 536

// Segmenter makes of one packet with a virtio-net header the frames that a port
// without headers can carry. The zero value is ready for Begin.
type Segmenter struct {
	frags [][]byte // what is left of the packet, from the first on
	left  int      // bytes in them

	// Of a packet that stays whole.
	check, at int // where the sum begins and where it is stored; at is negative if none is wanted

	// Of a packet that is cut.
	cut     bool
	mss     int // bytes of payload in a frame
	ecn     bool
	layout  layout
	headers [maxHeaders]byte
	index   int // frames made
	sent    int // bytes of payload in them
}

// layout says where the protocol headers of a packet are.
type layout struct {
	ip, l4, payload int  // offsets
	v6              bool // IP version
	proto           byte
}

const (
	etherLen  = 14
	etherVLAN = 0x8100
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	protoTCP  = 6
	protoUDP  = 17
	ipv4Len   = 20
	ipv6Len   = 40
	tcpLen    = 20
	udpLen    = 8
)

// Begin takes a packet, given as the fragments that follow its virtio-net
// header, and returns how many frames Next will make of it. Where the packet is
// cut, none of them is longer than most bytes, which is at most 65535; else there
// is one frame of the packet's length. frags is kept until then and changed.
func (s *Segmenter) Begin(h Header, frags [][]byte, most int) (frames int, err error) {
	s.frags, s.left, s.at, s.cut, s.index, s.sent = frags, 0, -1, false, 0, 0
	for _, f := range frags {
		s.left += len(f)
	}
	switch {
	case !h.known():
		return 0, ErrRequest
	case s.left == 0:
		return 0, ErrPacket
	case h.GSO != GSONone:
		return s.beginCut(&h, most)
	}
	start, at := int(h.CsumStart), int(h.CsumStart)+int(h.CsumOffset)
	if h.Flags&NeedsCsum != 0 && at+2 <= len(frags[0]) { // a sum elsewhere is not wanted (NC E.11)
		s.check, s.at = start, at
	}
	return 1, nil
}

func (s *Segmenter) beginCut(h *Header, most int) (frames int, err error) {
	// The header says the same for both versions of IP; the packet itself decides.
	proto := byte(protoTCP)
	if h.GSO&^GSOECN == GSOUDP {
		proto = protoUDP
	}
	// One look at memory that somebody else can write.
	n := copy(s.headers[:], s.frags[0])
	var ok bool
	if s.layout, ok = parse(s.headers[:n], proto); !ok {
		return 0, ErrPacket
	}
	s.skip(s.layout.payload)
	s.mss = most - s.layout.payload
	if size := int(h.GSOSize); proto == protoTCP && size >= minMSS && size < s.mss {
		s.mss = size
	}
	if s.mss <= 0 || s.left == 0 {
		return 0, ErrPacket
	}
	s.cut, s.ecn = true, h.GSO&GSOECN != 0
	return (s.left + s.mss - 1) / s.mss, nil
}

// parse finds the protocol headers at the beginning of a packet. Options of IPv6
// are not looked for (NC E.11): such a packet is not of the wanted protocol.
func parse(b []byte, proto byte) (l layout, ok bool) {
	l.proto = proto
	l.ip = etherLen
	var etherType uint16
	for {
		if len(b) < l.ip {
			return l, false
		}
		if etherType = binary.BigEndian.Uint16(b[l.ip-2:]); etherType != etherVLAN {
			break
		}
		l.ip += 4
	}
	ip := b[l.ip:]
	switch {
	case etherType == etherIPv4 && len(ip) >= ipv4Len:
		size := 4 * int(ip[0]&0x0f)
		if size < ipv4Len || ip[0]>>4 != 4 || ip[9] != proto {
			return l, false
		}
		l.l4 = l.ip + size
	case etherType == etherIPv6 && len(ip) >= ipv6Len:
		if ip[0]>>4 != 6 || ip[6] != proto {
			return l, false
		}
		l.v6, l.l4 = true, l.ip+ipv6Len
	default:
		return l, false
	}
	l.payload = l.l4 + udpLen
	if proto == protoTCP {
		if len(b) < l.l4+tcpLen {
			return l, false
		}
		size := 4 * int(b[l.l4+12]>>4)
		if size < tcpLen {
			return l, false
		}
		l.payload = l.l4 + size
	}
	return l, len(b) >= l.payload
}

// skip drops n bytes, which the first fragment has.
func (s *Segmenter) skip(n int) {
	s.frags[0] = s.frags[0][n:]
	s.left -= n
}

// Next writes the next frame to dst, which must be long enough for it, and
// returns its length; 0 means that all frames have been made.
func (s *Segmenter) Next(dst []byte) (n int) {
	if s.left == 0 {
		return 0
	}
	if s.cut {
		return s.nextSegment(dst)
	}
	n = s.take(dst[:s.left])
	if s.at >= 0 {
		// The sum includes what the sender left in its place: that of the pseudo
		// header.
		storeNonzero(dst[s.at:n], add(0, dst[s.check:n]))
	}
	return n
}

// take moves bytes of the packet to dst until it is full.
func (s *Segmenter) take(dst []byte) (n int) {
	for n < len(dst) {
		k := copy(dst[n:], s.frags[0])
		n += k
		if s.frags[0] = s.frags[0][k:]; len(s.frags[0]) == 0 {
			s.frags = s.frags[1:]
		}
	}
	s.left -= n
	return n
}

func (s *Segmenter) nextSegment(dst []byte) int {
	l := &s.layout
	n := min(s.mss, s.left)
	frame := dst[:l.payload+n]
	copy(frame, s.headers[:l.payload])
	s.take(frame[l.payload:])
	l4 := frame[l.l4:]
	s.fixIP(frame[l.ip:])
	addresses := frame[l.ip+12 : l.ip+20]
	if l.v6 {
		addresses = frame[l.ip+8 : l.ip+40]
	}
	sum := pseudo(addresses, l.proto, len(l4))
	if l.proto == protoTCP {
		s.fixTCP(l4)
		l4[16], l4[17] = 0, 0
		store(l4[16:], add(sum, l4))
	} else {
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
		l4[6], l4[7] = 0, 0
		storeNonzero(l4[6:], add(sum, l4))
	}
	s.index++
	s.sent += n
	return len(frame)
}

// fixIP sets what differs from frame to frame in the IP header that packet
// begins with.
func (s *Segmenter) fixIP(packet []byte) {
	if s.layout.v6 {
		binary.BigEndian.PutUint16(packet[4:], uint16(len(packet)-ipv6Len))
		return
	}
	header := packet[:s.layout.l4-s.layout.ip]
	binary.BigEndian.PutUint16(header[2:], uint16(len(packet)))
	binary.BigEndian.PutUint16(header[4:], binary.BigEndian.Uint16(header[4:])+uint16(s.index))
	header[10], header[11] = 0, 0
	store(header[10:], add(0, header))
}

const (
	tcpFIN = 0x01
	tcpPSH = 0x08
	tcpCWR = 0x80
)

// fixTCP sets the sequence number and the flags that belong to one frame only.
func (s *Segmenter) fixTCP(tcp []byte) {
	binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+uint32(s.sent))
	if s.left > 0 {
		tcp[13] &^= tcpFIN | tcpPSH
	}
	if s.ecn && s.index > 0 {
		tcp[13] &^= tcpCWR // said once (RFC 3168)
	}
}
