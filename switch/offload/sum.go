package offload

import (
	"encoding/binary"
	"math/bits"
)

// add adds the 16-bit words of b to a one's complement sum; an odd byte at the
// end counts as if a zero followed. Such a sum does not mind the order of bytes
// as long as it is stored in the order it was loaded in, so whole machine words
// are added, with the carry around the end.
func add(sum uint64, b []byte) uint64 {
	var c uint64
	for len(b) >= 32 {
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(b), 0)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(b[8:]), c)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(b[16:]), c)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(b[24:]), c)
		sum, c = bits.Add64(sum, 0, c)
		sum += c
		b = b[32:]
	}
	for len(b) >= 8 {
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(b), 0)
		sum += c
		b = b[8:]
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(last[:]), 0)
		sum += c
	}
	return sum
}

// fold makes the checksum of a sum.
func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum)
}

// store stores the checksum of a sum.
func store(b []byte, sum uint64) { binary.LittleEndian.PutUint16(b, fold(sum)) }

// storeNonzero stores all ones for zero, which is the same number: in UDP, zero
// says that there is no checksum.
func storeNonzero(b []byte, sum uint64) {
	check := fold(sum)
	if check == 0 {
		check = 0xffff
	}
	binary.LittleEndian.PutUint16(b, check)
}

// pseudo is the sum of what TCP and UDP checksum beside themselves: addresses,
// protocol, length.
func pseudo(addresses []byte, proto byte, length int) uint64 {
	var p [8]byte
	binary.BigEndian.PutUint32(p[:], uint32(length))
	p[7] = proto
	return add(add(0, addresses), p[:])
}
