package talk

import (
	"encoding/binary"
	"net"
)

// EtherType marks the frames of the tests: one for experiments (IEEE 802).
const EtherType = 0x88b5

// MinFrame is the size of the smallest frame.
const MinFrame = 60

// Frame makes the frame with a number: addresses, our type, the number, the size, and a pattern that depends on both.
func Frame(dst, src net.HardwareAddr, number, size int) []byte {
	f := make([]byte, size)
	copy(f, dst)
	copy(f[6:], src)
	binary.BigEndian.PutUint16(f[12:], EtherType)
	binary.BigEndian.PutUint32(f[14:], uint32(number))
	binary.BigEndian.PutUint32(f[18:], uint32(size))
	for i := 22; i < size; i++ {
		f[i] = byte(i*7 + number*13 + size)
	}
	return f
}

// Ours tells whether a frame was made by Frame, whatever became of it.
func Ours(f []byte) bool {
	return len(f) >= 22 && binary.BigEndian.Uint16(f[12:]) == EtherType
}

// Number is the number of a frame of ours.
func Number(f []byte) int { return int(binary.BigEndian.Uint32(f[14:])) }

// Whole tells whether a frame of ours is as Frame made it.
func Whole(f []byte) bool {
	return int(binary.BigEndian.Uint32(f[18:])) == len(f) && string(Frame(f[:6], f[6:12], Number(f), len(f))) == string(f)
}
