package pktgen

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Where the headers of a frame lie: Ethernet, IPv4 without options, UDP.
const (
	ipAt       = 14
	udpAt      = ipAt + 20
	headersLen = udpAt + 8
	pingLen    = 16 // magic, sequence number, time
	udpPort    = 1234
)

var be = binary.BigEndian

// A frame is the template that buffers are filled from. With address or port
// ranges it changes from frame to frame.
type frame struct {
	bytes    []byte // at least headersLen; what is sent is the first length bytes
	length   int
	src, dst span
	varies   bool
	ipSum    uint32 // of all that does not vary, unfolded
	udpSum   uint32
}

// newFrame builds the frame that the options describe.
func newFrame(o *Options) (*frame, error) {
	f := &frame{length: o.Length, bytes: make([]byte, max(o.Length, headersLen))}
	var err error
	if f.src, err = parseSpan("-s", o.Src); err != nil {
		return nil, err
	}
	if f.dst, err = parseSpan("-d", o.Dst); err != nil {
		return nil, err
	}
	f.varies = f.src.varies() || f.dst.varies()
	srcMAC := interfaceMAC(o.Interface)
	if o.SrcMAC != "" {
		if srcMAC, err = parseMAC("-S", o.SrcMAC); err != nil {
			return nil, err
		}
	}
	dstMAC, err := parseMAC("-D", o.DstMAC)
	if err != nil {
		return nil, err
	}
	f.build(srcMAC, dstMAC)
	return f, nil
}

func (f *frame) build(src, dst net.HardwareAddr) {
	b := f.bytes
	copy(b[0:6], dst)
	copy(b[6:12], src)
	be.PutUint16(b[12:], 0x0800)
	ip, udp := b[ipAt:udpAt], b[udpAt:]
	ip[0] = 0x45 // version 4, five words of header
	be.PutUint16(ip[2:], uint16(len(b)-ipAt))
	ip[8] = 64 // time to live
	ip[9] = 17 // UDP
	be.PutUint16(udp[4:], uint16(len(udp)))
	for i := range udp[8:] {
		udp[8+i] = byte(i)
	}
	f.ipSum = sum(ip)
	f.udpSum = sum(udp) + uint32(ip[9]) + uint32(len(udp))
	f.address()
}

// address writes the current addresses and ports, and the checksums.
func (f *frame) address() {
	ip, udp := f.bytes[ipAt:udpAt], f.bytes[udpAt:]
	be.PutUint32(ip[12:], f.src.addr)
	be.PutUint32(ip[16:], f.dst.addr)
	be.PutUint16(udp[0:], uint16(f.src.port))
	be.PutUint16(udp[2:], uint16(f.dst.port))
	addrs := f.src.addr>>16 + f.src.addr&0xffff + f.dst.addr>>16 + f.dst.addr&0xffff
	be.PutUint16(ip[10:], ^fold(f.ipSum+addrs))
	c := ^fold(f.udpSum + addrs + f.src.port + f.dst.port)
	if c == 0 {
		c = 0xffff // 0 would mean none
	}
	be.PutUint16(udp[6:], c)
}

// next moves on to the next addresses: source ports first, destination
// addresses last.
func (f *frame) next() {
	if f.src.next() {
		f.dst.next()
	}
	f.address()
}

// sum adds 16-bit words without folding; b is below 64 KiB, so 32 bits do.
func sum(b []byte) (s uint32) {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(be.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}

// A span is a range of addresses and ports and where in it we are.
type span struct {
	addr, firstAddr, lastAddr uint32
	port, firstPort, lastPort uint32
}

func (s *span) varies() bool { return s.firstAddr != s.lastAddr || s.firstPort != s.lastPort }

// next steps through ports, then addresses, and reports that it started over.
func (s *span) next() (over bool) {
	if s.port++; s.port <= s.lastPort {
		return false
	}
	s.port = s.firstPort
	if s.addr != s.lastAddr {
		s.addr++
		return false
	}
	s.addr = s.firstAddr
	return true
}

func (s *span) String() string {
	a := func(v uint32) string {
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}).String()
	}
	text := a(s.firstAddr) + ":" + strconv.Itoa(int(s.firstPort))
	if s.varies() {
		text += "-" + a(s.lastAddr) + ":" + strconv.Itoa(int(s.lastPort))
	}
	return text
}

func parseSpan(flag, text string) (s span, err error) {
	first, last, ranged := strings.Cut(text, "-")
	if s.firstAddr, s.firstPort, err = parseAddr(first, 0, udpPort); err == nil {
		s.lastAddr, s.lastPort = s.firstAddr, s.firstPort
		if ranged {
			s.lastAddr, s.lastPort, err = parseAddr(last, s.firstAddr, s.firstPort)
		}
	}
	if err == nil && (s.lastAddr < s.firstAddr || s.lastPort < s.firstPort) {
		err = fmt.Errorf("the range ends before it begins")
	}
	if err != nil {
		return s, fmt.Errorf("%s %q: expected address[:port] or a range of two with -, in IPv4: %w", flag, text, err)
	}
	s.addr, s.port = s.firstAddr, s.firstPort
	return s, nil
}

// parseAddr parses address[:port]; what is missing has the given values, and an
// address of 0 must not be missing.
func parseAddr(text string, addr, port uint32) (uint32, uint32, error) {
	host, portText, withPort := strings.Cut(text, ":")
	if withPort {
		p, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return 0, 0, fmt.Errorf("port %q is not a number below 65536", portText)
		}
		port = uint32(p)
	}
	if host == "" && addr != 0 {
		return addr, port, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Is4() {
		return 0, 0, fmt.Errorf("%q is not an IPv4 address", host)
	}
	b := ip.As4()
	return be.Uint32(b[:]), port, nil
}

func parseMAC(flag, text string) (net.HardwareAddr, error) {
	m, err := net.ParseMAC(text)
	if err != nil || len(m) != 6 {
		return nil, fmt.Errorf("%s %q: expected a MAC address such as 02:00:00:00:00:01", flag, text)
	}
	return m, nil
}
