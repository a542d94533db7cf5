package lb

import (
	"encoding/binary"
	"math/bits"
)

const (
	typeIPv4  = 0x0800
	typeIPv6  = 0x86dd
	typeVLAN  = 0x8100
	typeQinQ  = 0x88a8
	protoTCP  = 6
	protoUDP  = 17
	protoSCTP = 132
)

// flow is a number that all frames of a connection have in common, in both
// directions: addresses, protocol and ports. Fragments of IP packets have no
// ports, but for the first, so none of them count. 0 means that the frame
// is no IP.
func flow(f []byte) uint32 {
	if len(f) < 14 {
		return 0
	}
	kind, at := binary.BigEndian.Uint16(f[12:]), 14
	for range 2 { // at most two VLAN tags
		if kind != typeVLAN && kind != typeQinQ || len(f) < at+4 {
			break
		}
		kind, at = binary.BigEndian.Uint16(f[at+2:]), at+4
	}
	switch kind {
	case typeIPv4:
		return flow4(f[at:])
	case typeIPv6:
		return flow6(f[at:])
	}
	return 0
}

func flow4(p []byte) uint32 {
	if len(p) < 20 {
		return 0
	}
	ends := mix(uint64(binary.BigEndian.Uint32(p[12:]))) + mix(uint64(binary.BigEndian.Uint32(p[16:])))
	proto, fragment := p[9], binary.BigEndian.Uint16(p[6:])&0x3fff != 0
	return finish(ends, proto, fragment, p, int(p[0]&15)*4)
}

func flow6(p []byte) uint32 {
	if len(p) < 40 {
		return 0
	}
	address := func(b []byte) uint64 {
		return mix(binary.BigEndian.Uint64(b) ^ mix(binary.BigEndian.Uint64(b[8:])))
	}
	return finish(address(p[8:24])+address(p[24:40]), p[6], false, p, 40)
}

// finish adds protocol and ports. Each end is mixed before the two are added:
// adding makes the directions equal, mixing keeps a-b and (a+1)-(b-1) apart.
func finish(ends uint64, proto byte, fragment bool, p []byte, at int) uint32 {
	h := ends + uint64(proto)
	if (proto == protoTCP || proto == protoUDP || proto == protoSCTP) && !fragment && len(p) >= at+4 {
		h += mix(uint64(binary.BigEndian.Uint16(p[at:]))<<32|1) + mix(uint64(binary.BigEndian.Uint16(p[at+2:]))<<32|1)
	}
	h = mix(h)
	return uint32(h>>32) | 1 // 0 means something else
}

// mix spreads every bit of x over the result.
func mix(x uint64) uint64 {
	hi, lo := bits.Mul64(x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return hi ^ lo
}

// pick is which of n a flow belongs to.
func pick(h uint32, n int) int { return int(uint64(h) * uint64(n) >> 32) }
