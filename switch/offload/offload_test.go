package offload

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// packet describes a packet to be made.
type packet struct {
	tags, options, tcpOptions, payload int
	v6, udp                            bool
	flags                              byte // TCP
}

// make builds it, with sums left as a kernel leaves them for hardware.
func (p packet) make() []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for i := range p.tags {
		b = concat(b, word(0x8100), word(100+i))
	}
	proto, l4 := byte(6), concat(word(1000), word(2000), long(0xfffffff0), long(77), []byte{byte(5+p.tcpOptions) << 4, p.flags}, word(512), word(0xbeef), word(0))
	l4 = append(l4, bytes.Repeat([]byte{1}, 4*p.tcpOptions)...)
	if p.udp {
		proto, l4 = 17, concat(word(1000), word(2000), word(8+p.payload), word(0xbeef))
	}
	n := len(l4) + p.payload
	if p.v6 {
		addr := concat(bytes.Repeat([]byte{0xfd, 0}, 8), bytes.Repeat([]byte{0xfd, 1}, 8))
		b = concat(b, word(0x86dd), []byte{0x60, 0, 0, 0}, word(n), []byte{proto, 64}, addr)
	} else {
		b = concat(b, word(0x0800), []byte{byte(0x45 + p.options), 0}, word(20+4*p.options+n), word(0xfffe), word(0x4000), []byte{64, proto}, word(0),
			[]byte{10, 0, 0, 1, 10, 0, 0, 2}, bytes.Repeat([]byte{1}, 4*p.options))
	}
	b = append(b, l4...)
	for i := range p.payload {
		b = append(b, byte(i*7+i>>8))
	}
	return b
}

func (p packet) gso() uint8 {
	switch {
	case p.udp:
		return GSOUDP
	case p.v6:
		return GSOTCPv6
	}
	return GSOTCPv4
}

// split cuts b into fragments of at most size bytes.
func split(b []byte, size int) (frags [][]byte) {
	for ; len(b) > size; b = b[size:] {
		frags = append(frags, bytes.Clone(b[:size]))
	}
	return append(frags, bytes.Clone(b))
}

// run makes all frames.
func run(s *Segmenter, h Header, frags [][]byte, most int) (frames [][]byte, ok bool) {
	n, err := s.Begin(h, append([][]byte{}, frags...), most)
	if err != nil {
		return nil, false
	}
	size := most
	for _, f := range frags {
		size += len(f)
	}
	buf := make([]byte, size)
	for range n {
		for i := range buf {
			buf[i] = 0xa5 // what was there must not matter
		}
		frames = append(frames, bytes.Clone(buf[:s.Next(buf)]))
	}
	return frames, s.Next(nil) == 0
}

// TestCut looks at what a receiver looks at: sizes, numbers, flags, sums.
func TestCut(t *testing.T) {
	for name, p := range map[string]packet{
		"TCPv4":                {payload: 64000, flags: 0x19 | tcpCWR, tcpOptions: 3},
		"TCPv4, options, tags": {payload: 5000, flags: 0x18, options: 3, tags: 2},
		"TCPv6":                {payload: 64000, flags: 0x11, v6: true, tags: 1},
		"UDPv4":                {payload: 9000, udp: true},
		"UDPv6, one byte left": {payload: 1452*2 + 1, udp: true, v6: true},
	} {
		t.Run(name, func(t *testing.T) {
			raw := p.make()
			var s Segmenter
			frames, ok := run(&s, Header{Flags: NeedsCsum, GSO: p.gso() | GSOECN}, split(raw, 2048), 1514)
			if !ok {
				t.Fatal("refused")
			}
			l, _ := parse(raw[:200], map[bool]byte{false: 6, true: 17}[p.udp])
			if want := (p.payload + 1513 - l.payload) / (1514 - l.payload); len(frames) != want {
				t.Errorf("%d frames, want %d", len(frames), want)
			}
			var payload []byte
			for i, f := range frames {
				if len(f) > 1514 || len(f) < 1514 && i != len(frames)-1 {
					t.Errorf("frame %d has %d bytes", i, len(f))
				}
				verify(t, f, l)
				ip, l4 := f[l.ip:], f[l.l4:]
				if !p.v6 && binary.BigEndian.Uint16(ip[4:]) != 0xfffe+uint16(i) {
					t.Errorf("frame %d has IP id %#x", i, ip[4:6])
				}
				if !p.udp {
					if seq := binary.BigEndian.Uint32(l4[4:]); seq != 0xfffffff0+uint32(len(payload)) {
						t.Errorf("frame %d has sequence number %#x", i, seq)
					}
					want := p.flags
					if i != len(frames)-1 {
						want &^= tcpFIN | tcpPSH
					}
					if i != 0 {
						want &^= tcpCWR
					}
					if l4[13] != want {
						t.Errorf("frame %d has TCP flags %#x, want %#x", i, l4[13], want)
					}
				}
				payload = append(payload, f[l.payload:]...)
			}
			if !bytes.Equal(payload, raw[l.payload:]) {
				t.Error("the payload is not what was sent")
			}
		})
	}
}

// verify checks lengths and sums of a frame as a receiver does.
func verify(t *testing.T, f []byte, l layout) {
	t.Helper()
	ip, l4 := f[l.ip:], f[l.l4:]
	pseudo := concat(ip[12:20], []byte{0, l.proto}, word(len(l4)))
	if l.v6 {
		pseudo = concat(ip[8:40], long(len(l4)), word(0), word(int(l.proto)))
		if num(ip[4:6]) != len(l4) {
			t.Errorf("IPv6 payload length %d, want %d", num(ip[4:6]), len(l4))
		}
	} else {
		if num(ip[2:4]) != len(ip) {
			t.Errorf("IPv4 length %d, want %d", num(ip[2:4]), len(ip))
		}
		if modelSum(ip[:l.l4-l.ip]) != 0 {
			t.Error("wrong IPv4 header checksum")
		}
	}
	if l.proto == protoUDP && num(l4[4:6]) != len(l4) {
		t.Errorf("UDP length %d, want %d", num(l4[4:6]), len(l4))
	}
	if modelSum(pseudo, l4) != 0 {
		t.Error("wrong TCP or UDP checksum")
	}
}

func TestSegmentSize(t *testing.T) {
	raw := packet{payload: 6000}.make()
	for _, c := range []struct {
		size uint16
		most int
		want int // bytes of the first frame
	}{
		{0, 1514, 1514},
		{1, 1514, 1514}, // below what every host must accept: not believed
		{535, 1514, 1514},
		{536, 1514, 590},
		{1400, 1514, 1454},
		{9000, 1514, 1514},
		{0, 2048, 2048},
		{0, 55, 55},
		{0, 54, 0}, // no room for payload
		{0, 0, 0},
	} {
		var s Segmenter
		frames, ok := run(&s, Header{GSO: GSOTCPv4, GSOSize: c.size}, [][]byte{raw}, c.most)
		if ok != (c.want != 0) || ok && len(frames[0]) != c.want {
			t.Errorf("segment size %d, frames of at most %d: %v, %d frames", c.size, c.most, ok, len(frames))
		}
	}
}

// TestRefused is about packets that are not what their header says.
func TestRefused(t *testing.T) {
	tcp4 := Header{GSO: GSOTCPv4}
	edit := func(at int, v byte) []byte {
		b := packet{payload: 3000}.make()
		b[at] = v
		return b
	}
	for name, c := range map[string]struct {
		h     Header
		frags [][]byte
	}{
		"unknown type":                 {Header{GSO: 2}, [][]byte{edit(0, 2)}},
		"UDP_L4, which netmap has not": {Header{GSO: 5}, [][]byte{edit(0, 2)}},
		"unknown flag":                 {Header{Flags: 4}, [][]byte{edit(0, 2)}},
		"nothing":                      {Header{}, nil},
		"nothing in a fragment":        {tcp4, [][]byte{{}}},
		"no payload":                   {tcp4, [][]byte{packet{}.make()}},
		"not IP":                       {tcp4, [][]byte{edit(13, 6)}},
		"IPv4 that says 6":             {tcp4, [][]byte{edit(14, 0x65)}},
		"IPv4 header too short":        {tcp4, [][]byte{edit(14, 0x44)}},
		"UDP that claims TCP":          {tcp4, [][]byte{edit(23, 17)}},
		"TCP that claims UDP":          {Header{GSO: GSOUDP}, [][]byte{edit(23, 6)}},
		"TCP header too short":         {tcp4, [][]byte{edit(46, 0x40)}},
		"headers in two fragments":     {tcp4, split(edit(0, 2), 50)},
		"endless tags":                 {tcp4, [][]byte{bytes.Repeat([]byte{0x81, 0}, 1000)}},
		"IPv6 extension header":        {Header{GSO: GSOTCPv6}, [][]byte{func() []byte { b := packet{v6: true, payload: 99}.make(); b[20] = 0; return b }()}},
	} {
		var s Segmenter
		if n, err := s.Begin(c.h, c.frags, 1514); err == nil {
			t.Errorf("%s: %d frames, want a refusal", name, n)
		}
	}
}

// TestChecksum is about packets that stay whole.
func TestChecksum(t *testing.T) {
	raw := packet{udp: true, payload: 1000}.make()
	udp := 34
	copy(raw[udp+6:], word(0xffff-int(modelSum(raw[26:34], word(17), word(1008))))) // as a kernel leaves it
	l, _ := parse(raw, protoUDP)
	for _, size := range []int{42, 43, 700, 5000} {
		var s Segmenter
		frames, ok := run(&s, Header{Flags: NeedsCsum, CsumStart: uint16(udp), CsumOffset: 6}, split(raw, size), 1514)
		if !ok || len(frames) != 1 {
			t.Fatalf("fragments of %d: %d frames, %v", size, len(frames), ok)
		}
		frames[0][24], frames[0][25] = 0, 0
		copy(frames[0][24:], word(int(modelSum(frames[0][14:34])))) // was not asked for
		verify(t, frames[0], l)
	}
	for _, h := range []Header{
		{},
		{Flags: DataValid},
		{Flags: NeedsCsum, CsumStart: 0xffff, CsumOffset: 0xffff},
		{Flags: NeedsCsum, CsumStart: uint16(len(raw) - 1)},
		{Flags: NeedsCsum, CsumOffset: uint16(len(raw) - 1)},
	} {
		var s Segmenter
		if frames, ok := run(&s, h, [][]byte{raw}, 1514); !ok || !bytes.Equal(frames[0], raw) {
			t.Errorf("%+v: not the frame that was sent", h)
		}
	}
}

// arbitrary draws a request that may well be nonsense, about a packet that is
// nearly right.
func arbitrary(t *rapid.T) (h Header, frags [][]byte, most int) {
	p := packet{
		tags: rapid.IntRange(0, 3).Draw(t, "tags"), options: rapid.IntRange(0, 10).Draw(t, "options"),
		tcpOptions: rapid.IntRange(0, 10).Draw(t, "TCP options"), payload: rapid.IntRange(0, 5000).Draw(t, "payload"),
		v6: rapid.Bool().Draw(t, "v6"), udp: rapid.Bool().Draw(t, "udp"), flags: rapid.Byte().Draw(t, "flags"),
	}
	raw := p.make()
	h = Header{
		Flags:   rapid.SampledFrom([]uint8{0, 1, 1, 1, 2, 3, 4, 255}).Draw(t, "header flags"),
		GSO:     rapid.SampledFrom([]uint8{0, 0, p.gso(), p.gso(), p.gso() | GSOECN, 1, 2, 3, 4, 0x80, 255}).Draw(t, "type"),
		GSOSize: rapid.SampledFrom([]uint16{0, 1, 535, 536, 1000, 65535}).Draw(t, "size"),
	}
	if rapid.Bool().Draw(t, "good sum") {
		h.CsumStart, h.CsumOffset = 34, 6
	} else {
		h.CsumStart, h.CsumOffset = rapid.Uint16().Draw(t, "start"), rapid.Uint16().Draw(t, "offset")
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 5}).Draw(t, "damage") {
		raw[rapid.IntRange(12, min(len(raw), 120)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	frags = split(raw, rapid.SampledFrom([]int{20, 60, 100, 300, 2048, 9999}).Draw(t, "fragments"))
	if rapid.Bool().Draw(t, "gap") {
		frags = append(frags[:1:1], append([][]byte{{}}, frags[1:]...)...)
	}
	return h, frags, rapid.SampledFrom([]int{1514, 1514, 600, 200, 54, 0, 2048, 65535}).Draw(t, "most")
}

func compare(t interface{ Fatalf(string, ...any) }, s *Segmenter, h Header, frags [][]byte, most int) {
	got, ok := run(s, h, frags, most)
	want, wantOK := model(h, frags, most)
	if ok != wantOK || len(got) != len(want) {
		t.Fatalf("%+v: %d frames, %v; the model makes %d, %v", h, len(got), ok, len(want), wantOK)
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("%+v: frame %d is\n%x\nthe model says\n%x", h, i, got[i], want[i])
		}
	}
}

func TestModel(t *testing.T) {
	var s Segmenter // one for all: nothing may be left of the packet before
	rapid.Check(t, func(t *rapid.T) {
		h, frags, most := arbitrary(t)
		compare(t, &s, h, frags, most)
	})
}

// FuzzModel gives all that a client writes to the fuzzer: header, packet, and
// where the packet is cut into fragments.
func FuzzModel(f *testing.F) {
	for _, p := range []packet{{payload: 3000}, {payload: 3000, v6: true, tags: 1}, {payload: 3000, udp: true}} {
		f.Add(concat([]byte{1, p.gso(), 0, 0, 0, 4, 34, 0, 6, 0}, p.make()), uint16(1500), uint16(1514))
	}
	f.Fuzz(func(t *testing.T, b []byte, size, most uint16) {
		if len(b) < HeaderLen || size < 16 {
			return
		}
		var s Segmenter
		compare(t, &s, ParseHeader((*[HeaderLen]byte)(b)), split(b[HeaderLen:], int(size)), int(most))
	})
}

func TestSumLengths(t *testing.T) {
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(255 - i%3)
	}
	for n := range b {
		var got [2]byte
		store(got[:], add(0, b[:n]))
		if num(got[:]) != int(modelSum(b[:n])) {
			t.Errorf("sum of %d bytes: %x, want %x", n, got, modelSum(b[:n]))
		}
	}
}

func BenchmarkCut(b *testing.B) {
	frags := split(packet{payload: 64000}.make(), 2048)
	scratch := make([][]byte, len(frags))
	buf := make([]byte, 2048)
	var s Segmenter
	b.SetBytes(64000)
	b.ReportAllocs()
	for b.Loop() {
		copy(scratch, frags)
		n, _ := s.Begin(Header{GSO: GSOTCPv4}, scratch, 1514)
		for range n {
			s.Next(buf)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	buf := make([]byte, 1500)
	b.SetBytes(1500)
	for b.Loop() {
		add(0, buf)
	}
}
