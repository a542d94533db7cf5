package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var hdrChecks = []check{
	tests("HDR-01", "header length set to 12, 0, 10 and read back", both, hdr01),
	tests("HDR-02", "header length 11: EINVAL; on an interface or an absent port: ENXIO", both, hdr02),
	tests("HDR-03", "12 to 12: header and data as they are", both, hdr03),
	tests("HDR-04", "between different lengths: zeros are added, bytes cut", both, hdr04),
	tests("HDR-05", "10 to 0, checksum wanted: computed, no header", both, hdr05),
	tests("HDR-06", "12 to 0, TCPv4 of 64 KiB: frames that fit, with right numbers and sums", both, hdr06),
	tests("HDR-07", "the same for TCPv6, UDP, with a VLAN tag", both, hdr07),
	tests("HDR-08", "an unknown type or flag: dropped", both, hdr08),
	tests("HDR-09", "the header alone in the first slot: delivered", both, hdr09),
	tests("HDR-10", "the header split otherwise: dropped", both, hdr10),
}

// setHeader sets the header length of a port.
func (d *port) setHeader(n uint32) {
	d.e.Helper()
	d.e.expect(0, d.p, d.fd, newRequest(abi.ReqPortHdrSet, d.name, abi.PortHdr{HdrLen: n}))
}

// header reads it.
func (d *port) header() uint32 {
	d.e.Helper()
	q := newRequest(abi.ReqPortHdrGet, d.name, abi.PortHdr{HdrLen: 77})
	d.e.expect(0, d.p, d.fd, q)
	return decode[abi.PortHdr](d.e, q).HdrLen
}

// headers opens ports a, b, ... of one switch, with these header lengths.
func (e *env) headers(lengths ...uint32) (all []*port) {
	e.Helper()
	all = e.ports(len(lengths))
	for i, n := range lengths {
		all[i].setHeader(n)
	}
	return all
}

func reg21(e *env) {
	p := e.program()
	d := e.openPort(p, e.vale()+":a")
	accept := flags(abi.FlagAcceptVnetHdr)
	for _, n := range []uint32{10, 12} {
		d.setHeader(n)
		e.refused(unix.EIO, p, d.name)
		e.refused(unix.EIO, p, d.name, mode(77, 0)) // this comes first
		e.openPort(p, d.name, accept).close()
		e.old(unix.EIO, p, p.open(), abi.NIOCREGIF, legacy(d.name, nil))
		e.old(0, p, p.open(), abi.NIOCREGIF, legacy(d.name, func(nr *abi.Legacy) { nr.Flags = abi.ModeAllNIC | abi.FlagAcceptVnetHdr }))
	}
	d.setHeader(0)
	e.openPort(p, d.name).close()
	e.openPort(p, d.name, accept).close()
}

func hdr01(e *env) {
	p := e.program()
	d := e.openPort(p, e.vale()+":a")
	if n := d.header(); n != 0 {
		e.Errorf("a new port has a header of %d bytes", n)
	}
	for _, n := range []uint32{12, 0, 10} {
		d.setHeader(n)
		if got := d.header(); got != n {
			e.Errorf("header length %d comes back as %d", n, got)
		}
		e.old(0, p, d.fd, abi.NIOCREGIF, legacy(d.name, func(nr *abi.Legacy) { nr.Cmd, nr.Arg1 = abi.CmdVnetHdr, uint16(n) }))
		nr := e.old(0, p, d.fd, abi.NIOCREGIF, legacy(d.name, func(nr *abi.Legacy) { nr.Cmd, nr.Arg1 = abi.CmdVnetHdrGet, 77 }))
		if uint32(nr.Arg1) != n {
			e.Errorf("header length %d comes back as %d by the old interface", n, nr.Arg1)
		}
	}
	d.close()
	e.isGone(d.name)
	if d = e.openPort(p, d.name); d.header() != 0 {
		e.Error("a port that was made again has the old one's header")
	}
	e.expect(unix.ENXIO, p, d.fd, newRequest(abi.ReqPortHdrGet, "nosuch", abi.PortHdr{}))
}

func hdr02(e *env) {
	p := e.program()
	fd := p.open()
	ifname, _ := e.veth()
	d := e.openPort(p, e.vale()+":a")
	set := func(want unix.Errno, name string, n uint32) {
		e.Helper()
		e.expect(want, p, fd, newRequest(abi.ReqPortHdrSet, name, abi.PortHdr{HdrLen: n}))
	}
	for _, name := range []string{d.name, ifname, "nosuch", ""} {
		set(unix.EINVAL, name, 11)
		set(unix.EINVAL, name, 1<<31)
	}
	for _, name := range []string{ifname, "nosuch", "", e.vale() + ":a"} {
		set(unix.ENXIO, name, 12)
	}
	open := e.openPort(p, ifname)
	set(unix.ENXIO, open.name, 12)
	set(0, d.name, 0)
}

// vnet is a virtio-net header of 12 bytes: flags, type, size of the headers and of segments, start and offset of the
// checksum, and a number of buffers that must not survive a change of length.
func vnet(flags, gso byte, words ...uint16) []byte {
	b := make([]byte, 10, 12)
	b[0], b[1] = flags, gso
	for i, w := range words {
		binary.LittleEndian.PutUint16(b[2+2*i:], w)
	}
	return append(b, 0x5a, 0xa5)
}

func hdr03(e *env) {
	p := e.headers(12, 12)
	for i, h := range [][]byte{vnet(1, 1, 54, 1460, 34, 16), vnet(0, 0), vnet(0xff, 0xff)} {
		f := slices.Concat(h, flood(uint32(i)))
		p[0].tx[0].send(f)
		p[1].rx[0].receives(f)
	}
	parts := [][]byte{append(vnet(1, 1), flood(1)...), bytes.Repeat([]byte{7}, 2048), {}}
	p[0].tx[0].chain(true, parts...)
	p[1].rx[0].flagsAre(0x0320, 0x0320, 0x0300)
	p[1].rx[0].receives(parts...)
}

func hdr04(e *env) {
	p := e.headers(0, 10, 12, 10, 12)
	h := vnet(1, 1, 54, 1460, 34, 16)
	zero := make([]byte, 12)
	for from, want := range map[int][2][]byte{ // what ports with 10 and with 12 get
		0: {zero[:10], zero},
		1: {h[:10], append(h[:10:10], 0, 0)},
		2: {h[:10], h},
	} {
		sent := flood(uint32(from))
		f := slices.Concat(h[:[]int{0, 10, 12}[from]], sent)
		p[from].tx[0].send(f)
		p[3].rx[0].flagsAre(0x0100)
		p[3].rx[0].receives(append(want[0][:10:10], sent...))
		p[4].rx[0].receives(append(want[1][:12:12], sent...))
		// The same with a second slot.
		p[from].tx[0].chain(true, f, []byte("more"))
		p[3].rx[0].flagsAre(0x0220, 0x0200)
		p[3].rx[0].receives(append(want[0][:10:10], sent...), []byte("more"))
		p[4].rx[0].receives(append(want[1][:12:12], sent...), []byte("more"))
	}
}

// inet describes a TCP or UDP packet.
type inet struct {
	v6, udp, vlan bool
	payload       int
}

// offsets of the IP header, the TCP or UDP header, the payload.
func (i inet) offsets() (ip, l4, payload int) {
	ip = 14
	if i.vlan {
		ip = 18
	}
	l4 = ip + 20
	if i.v6 {
		l4 = ip + 40
	}
	if i.udp {
		return ip, l4, l4 + 8
	}
	return ip, l4, l4 + 32
}

func (i inet) proto() byte {
	if i.udp {
		return 17
	}
	return 6
}

// packet makes it as a host leaves it to its network card: the checksum is that of the pseudo header.
func (i inet) packet() []byte {
	ip, l4, payload := i.offsets()
	b := make([]byte, payload+i.payload)
	copy(b, frame(broadcast, mac(1), 0)[:12])
	if i.vlan {
		copy(b[12:], []byte{0x81, 0, 0, 5})
	}
	be := binary.BigEndian
	if i.v6 {
		copy(b[ip-2:], []byte{0x86, 0xdd, 0x60, 0, 0, 0, byte((len(b) - l4) >> 8), byte(len(b) - l4), i.proto(), 64, 0xfd})
		b[ip+24] = 0xfe
	} else {
		copy(b[ip-2:], []byte{8, 0, 0x45, 0, byte((len(b) - ip) >> 8), byte(len(b) - ip), 0xff, 0xf0, 0, 0, 64, i.proto(), 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
		be.PutUint16(b[ip+10:], ^inetSum(b[ip:l4]))
	}
	copy(b[l4:], []byte{1, 2, 3, 4})
	if i.udp {
		be.PutUint16(b[l4+4:], uint16(len(b)-l4))
		be.PutUint16(b[l4+6:], i.pseudo(b))
	} else {
		copy(b[l4+4:], []byte{0xff, 0xff, 0xf0, 0, 0, 0, 0, 1, 0x80, 0x19}) // ACK, PSH, FIN
		be.PutUint16(b[l4+16:], i.pseudo(b))
	}
	for k := payload; k < len(b); k++ {
		b[k] = byte(k * 7 >> 3)
	}
	return b
}

// inetSum is a one's complement sum (RFC 1071), 0xffff for data with a right checksum.
func inetSum(b []byte) uint16 {
	sum := uint32(0)
	for i, x := range b {
		sum += uint32(x) << (8 * (1 - i%2))
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// pseudo is the sum of addresses, protocol and length of a frame.
func (i inet) pseudo(b []byte) uint16 {
	ip, l4, _ := i.offsets()
	addresses := b[ip+12 : ip+20]
	if i.v6 {
		addresses = b[ip+8 : ip+40]
	}
	return inetSum(append(append([]byte{}, addresses...), 0, i.proto(), byte((len(b)-l4)>>8), byte(len(b)-l4)))
}

// right tells what is wrong with lengths and sums of a frame.
func (i inet) right(b []byte) error {
	ip, l4, payload := i.offsets()
	be := binary.BigEndian
	switch {
	case len(b) <= payload:
		return fmt.Errorf("%d bytes", len(b))
	case i.v6 && int(be.Uint16(b[ip+4:])) != len(b)-l4:
		return fmt.Errorf("IPv6 payload length %d of %d", be.Uint16(b[ip+4:]), len(b)-l4)
	case !i.v6 && int(be.Uint16(b[ip+2:])) != len(b)-ip:
		return fmt.Errorf("IPv4 length %d of %d", be.Uint16(b[ip+2:]), len(b)-ip)
	case !i.v6 && inetSum(b[ip:l4]) != 0xffff:
		return errorString("wrong checksum of the IPv4 header")
	case i.udp && int(be.Uint16(b[l4+4:])) != len(b)-l4:
		return fmt.Errorf("UDP length %d of %d", be.Uint16(b[l4+4:]), len(b)-l4)
	}
	p := i.pseudo(b)
	if sum := inetSum(append(append([]byte{}, b[l4:]...), make([]byte, (len(b)-l4)%2)...)); inetSum([]byte{byte(p >> 8), byte(p), byte(sum >> 8), byte(sum)}) != 0xffff {
		return errorString("wrong checksum")
	}
	return nil
}

func hdr05(e *env) {
	p := e.headers(10, 0)
	for _, i := range []inet{{udp: true, payload: 777}, {payload: 1000}, {udp: true, v6: true, payload: 1}, {vlan: true, payload: 1}} {
		_, l4, payload := i.offsets()
		offset := uint16(16)
		if i.udp {
			offset = 6
		}
		h, f := vnet(1, 0, 0, 0, uint16(l4), offset)[:10], i.packet()
		for _, slots := range []int{1, 2} {
			sent := slices.Concat(h[:10], f)
			if slots == 1 {
				p[0].tx[0].send(sent)
			} else {
				p[0].tx[0].chain(true, sent[:len(sent)-1], sent[len(sent)-1:])
			}
			got := bytes.Join(p[1].rx[0].receive(), nil)
			if err := i.right(got); err != nil || len(got) != len(f) || !bytes.Equal(got[payload:], f[payload:]) {
				e.Errorf("%+v in %d slots: %d bytes arrive, want %d: %v", i, slots, len(got), len(f), err)
			}
		}
	}
	// A place outside the frame: it is delivered as it is.
	f := flood(1)
	for _, h := range [][]byte{vnet(1, 0, 0, 0, 65535, 65535), vnet(1, 0, 0, 0, 59, 0), vnet(1, 0, 0, 0, 0, 59)} {
		p[0].tx[0].send(append(h[:10:10], f...))
		p[1].rx[0].receives(f)
	}
}

// pieces cuts a packet into slots of 2 KiB.
func pieces(b []byte) (parts [][]byte) {
	for ; len(b) > 2048; b = b[2048:] {
		parts = append(parts, b[:2048])
	}
	return append(parts, b)
}

// segmented sends a large packet from p[0] to p[1], and looks at the frames it becomes.
func (i inet) segmented(e *env, p []*port, gso byte) {
	e.Helper()
	packet := i.packet()
	p[0].tx[0].chain(true, pieces(append(vnet(1, gso, 0, 1448, 34, 16), packet...))...)
	ip, l4, payload := i.offsets()
	got := p[1].rx[0].receive()
	var data []byte
	be := binary.BigEndian
	for k, f := range got {
		if err := i.right(f); err != nil || len(f) > 1514 {
			e.Errorf("%+v: frame %d of %d bytes: %v", i, k, len(f), err)
			return
		}
		last := k == len(got)-1
		if !i.v6 && be.Uint16(f[ip+4:]) != 0xfff0+uint16(k) {
			e.Errorf("%+v: frame %d has IP id %#x", i, k, f[ip+4:ip+6])
		}
		if !i.udp {
			if seq := be.Uint32(f[l4+4:]); seq != 0xfffff000+uint32(len(data)) {
				e.Errorf("%+v: frame %d has sequence number %#x after %d bytes", i, k, seq, len(data))
			}
			if want := map[bool]byte{false: 0x10, true: 0x19}[last]; f[l4+13] != want {
				e.Errorf("%+v: frame %d has TCP flags %#x, want %#x", i, k, f[l4+13], want)
			}
		}
		if !bytes.Equal(f[:ip], packet[:ip]) {
			e.Errorf("%+v: frame %d begins with % x", i, k, f[:ip])
		}
		data = append(data, f[payload:]...)
	}
	if !bytes.Equal(data, packet[payload:]) {
		e.Errorf("%+v: %d bytes of payload in %d frames, want %d", i, len(data), len(got), i.payload)
	}
}

func hdr06(e *env) {
	p := e.headers(12, 0)
	for _, n := range []int{65535 - 52, 1448, 1449, 1, 30000} {
		inet{payload: n}.segmented(e, p, 1)
	}
	inet{payload: 3000}.segmented(e, p, 0x81)
}

func hdr07(e *env) {
	p := e.headers(12, 0)
	for _, vlan := range []bool{false, true} {
		inet{v6: true, vlan: vlan, payload: 60000}.segmented(e, p, 4)
		inet{vlan: vlan, payload: 60000}.segmented(e, p, 1)
		inet{udp: true, vlan: vlan, payload: 60000}.segmented(e, p, 3)
		inet{udp: true, v6: true, vlan: vlan, payload: 60001}.segmented(e, p, 3)
	}
}

func hdr08(e *env) {
	p := e.headers(12, 0)
	f := inet{payload: 100}.packet()
	for _, h := range [][]byte{vnet(4, 0), vnet(0x80, 0), vnet(0, 2), vnet(0, 5), vnet(0, 0x7f), vnet(255, 255)} {
		p[0].tx[0].send(append(h, f...))
		p[1].rx[0].receives()
	}
	// A type that is known, on what it does not fit.
	for _, bad := range [][]byte{flood(1), f[:54], f[:40], inet{udp: true, payload: 99}.packet()} {
		p[0].tx[0].send(append(vnet(0, 1), bad...))
		p[1].rx[0].receives()
	}
	if n := e.drops(p[1].name, "bad_offload"); n != 10 {
		e.Errorf("%d frames are counted as dropped, want 10", n)
	}
	p[0].tx[0].send(append(vnet(2, 0), f...))
	p[1].rx[0].receives(f)
}

func hdr09(e *env) {
	p := e.headers(12, 0, 12, 10)
	h, f := vnet(0, 0, 1, 2, 3, 4), frame(broadcast, mac(9), 1)
	p[0].tx[0].chain(true, h, f)
	p[1].rx[0].flagsAre(0x0100)
	p[1].rx[0].receives(f)
	p[2].rx[0].receives(h, f)
	p[3].rx[0].receives(h[:10], f)
	// What was learned is the source of the frame.
	answer := frame(mac(9), mac(8), 2)
	p[1].tx[0].send(answer)
	p[0].rx[0].receives(append(make([]byte, 12), answer...))
	p[2].rx[0].receives()
	// A large packet begins in the second slot.
	big := inet{payload: 5000}
	p[0].tx[0].chain(true, append([][]byte{vnet(1, 1)}, pieces(big.packet())...)...)
	if got := p[1].rx[0].receive(); len(got) != 4 || big.right(got[3]) != nil {
		e.Errorf("a packet of 5000 bytes behind a header of its own arrives as %d frames, want 4", len(got))
	}
}

func hdr10(e *env) {
	p := e.headers(12, 0, 12)
	h, f := make([]byte, 12), flood(1)
	for _, parts := range [][][]byte{
		{h[:5], append(h[5:12:12], f...)},
		{h[:11], f},
		{h[:0], h, f},
		{append(h[:12:12], f[:6]...), f[6:]}, // the addresses are in one slot, or the frame is dropped
		{h, f[:13], f[13:]},
		{h},
		{h[:3]},
		{{}},
	} {
		p[0].tx[0].chain(true, parts...)
		p[1].rx[0].receives()
		p[2].rx[0].receives()
	}
	if bad, short := e.drops(p[0].name, "bad_header"), e.drops(p[0].name, "too_short"); bad != 6 || short != 2 {
		e.Errorf("%d and %d frames are counted as dropped for their header and as too short, want 6 and 2", bad, short)
	}
	p[0].tx[0].send(append(h[:12:12], f...))
	p[1].rx[0].receives(f)
}
