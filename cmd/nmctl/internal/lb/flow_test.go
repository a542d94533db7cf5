package lb

import (
	"encoding/binary"
	"testing"
)

// packet4 is an IPv4 frame.
func packet4(proto byte, src, dst uint32, sport, dport uint16) []byte {
	f := make([]byte, 60)
	f[12], f[13], f[14], f[23] = 8, 0, 0x45, proto
	binary.BigEndian.PutUint32(f[26:], src)
	binary.BigEndian.PutUint32(f[30:], dst)
	binary.BigEndian.PutUint16(f[34:], sport)
	binary.BigEndian.PutUint16(f[36:], dport)
	return f
}

func packet6(src, dst byte, sport, dport uint16) []byte {
	f := make([]byte, 80)
	f[12], f[13], f[14], f[20] = 0x86, 0xdd, 0x60, protoTCP
	f[37], f[53] = src, dst
	binary.BigEndian.PutUint16(f[54:], sport)
	binary.BigEndian.PutUint16(f[56:], dport)
	return f
}

func vlan(f []byte) []byte {
	return append(append(append([]byte{}, f[:12]...), 0x81, 0, 0, 5), f[12:]...)
}

func TestFlow(t *testing.T) {
	tcp := packet4(protoTCP, 0x0a000001, 0x0a000002, 1234, 80)
	fragment := func(f []byte, offset uint16) []byte {
		f = append([]byte{}, f...)
		binary.BigEndian.PutUint16(f[20:], offset)
		return f
	}
	for _, c := range []struct {
		what string
		a, b []byte
		same bool
	}{
		{"the other direction", tcp, packet4(protoTCP, 0x0a000002, 0x0a000001, 80, 1234), true},
		{"a VLAN", tcp, vlan(tcp), true},
		{"two VLANs", tcp, vlan(vlan(tcp)), true},
		{"another port", tcp, packet4(protoTCP, 0x0a000001, 0x0a000002, 1235, 80), false},
		{"another address", tcp, packet4(protoTCP, 0x0a000001, 0x0a000003, 1234, 80), false},
		{"another protocol", tcp, packet4(protoUDP, 0x0a000001, 0x0a000002, 1234, 80), false},
		{"addresses that add up to the same", tcp, packet4(protoTCP, 0x0a000000, 0x0a000003, 1234, 80), false},
		{"ports of ICMP, which has none", packet4(1, 1, 2, 3, 4), packet4(1, 1, 2, 5, 6), true},
		{"fragments", fragment(tcp, 0x2000), fragment(packet4(protoTCP, 0x0a000001, 0x0a000002, 9, 9), 0x0010), true},
		{"don't fragment", tcp, fragment(tcp, 0x4000), true},
		{"IPv6, the other direction", packet6(1, 2, 5, 6), packet6(2, 1, 6, 5), true},
		{"IPv6, another address", packet6(1, 2, 5, 6), packet6(1, 3, 5, 6), false},
		{"IPv6, another port", packet6(1, 2, 5, 6), packet6(1, 2, 5, 7), false},
	} {
		if a, b := flow(c.a), flow(c.b); (a == b) != c.same || a == 0 || b == 0 {
			t.Errorf("%s: %#x and %#x", c.what, a, b)
		}
	}
}

// A frame is whatever somebody sent.
func FuzzFlow(f *testing.F) {
	f.Add(packet4(protoTCP, 1, 2, 3, 4))
	f.Add(vlan(vlan(packet6(1, 2, 3, 4))))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		for n := range frame {
			flow(frame[:n])
		}
		if h := flow(frame); pick(h, 4) < 0 || pick(h, 4) > 3 {
			t.Error(h)
		}
	})
}

func TestFlowsSpreadEvenly(t *testing.T) {
	const pipes, flows = 4, 10000
	var got [pipes]int
	for i := range flows {
		got[pick(flow(packet4(protoUDP, 0x0a000001, 0x0a010001+uint32(i%100), uint16(1000+i/100), 80)), pipes)]++
	}
	for i, n := range got {
		if n < flows/pipes*9/10 || n > flows/pipes*11/10 {
			t.Errorf("pipe %d has %d of %d flows: %v", i, n, flows, got)
		}
	}
}

func BenchmarkFlow(b *testing.B) {
	f := packet4(protoTCP, 1, 2, 3, 4)
	for range b.N {
		flow(f)
	}
}
