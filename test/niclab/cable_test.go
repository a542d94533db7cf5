package niclab

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// A cable is the far end of a NIC: what the NIC sends arrives here, what is written here the NIC receives.
type cable struct {
	c *net.UnixConn

	mu     sync.Mutex
	frames [][]byte
	more   chan struct{} // something was added
}

// plugCable takes an end that QEMU has made.
func plugCable(own, qemu string) (*cable, error) {
	_ = os.Remove(own)
	c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: qemu, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	// Frames wait here for the test; QEMU drops what does not fit.
	_ = c.SetReadBuffer(8 << 20)
	cb := &cable{c: c, more: make(chan struct{}, 1)}
	go cb.collect()
	return cb, nil
}

func (c *cable) collect() {
	buf := make([]byte, 1<<17)
	for {
		n, err := c.c.Read(buf)
		if err != nil {
			return // the machine is gone
		}
		c.mu.Lock()
		c.frames = append(c.frames, append([]byte(nil), buf[:n]...))
		c.mu.Unlock()
		select {
		case c.more <- struct{}{}:
		default:
		}
	}
}

// send puts frames on the wire. It waits for a NIC that takes none at the moment.
func (c *cable) send(frames ...[]byte) error {
	if err := c.c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for i, f := range frames {
		if _, err := c.c.Write(f); err != nil {
			return fmt.Errorf("frame %d of %d: %w", i, len(frames), err)
		}
	}
	return nil
}

// take removes the frames of ours that have come, and forgets the others: a guest's kernel says things of its own accord.
func (c *cable) take() (ours [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.frames {
		if isOurs(f) {
			ours = append(ours, f)
		}
	}
	c.frames = nil
	return ours
}

// recv waits for as many frames of ours.
func (c *cable) recv(count int) (got [][]byte, err error) {
	limit := time.After(patience)
	for got = c.take(); len(got) < count; got = append(got, c.take()...) {
		select {
		case <-c.more:
		case <-limit:
			return got, fmt.Errorf("%d of %d frames came within %v", len(got), count, patience)
		}
	}
	return got, nil
}

// etherType marks the frames of the tests: one for experiments (IEEE 802).
const etherType = 0x88b5

// numbered makes the frame with a number: addresses, our type, the number, and a pattern that depends on it.
func numbered(dst, src string, number, size int) []byte {
	f := make([]byte, size)
	copy(f, mustMAC(dst))
	copy(f[6:], mustMAC(src))
	binary.BigEndian.PutUint16(f[12:], etherType)
	binary.BigEndian.PutUint32(f[14:], uint32(number))
	for i := 18; i < size; i++ {
		f[i] = byte(i*7 + number*13)
	}
	return f
}

// series makes frames with the numbers from 0 on, of sizes that go round.
func series(dst, src string, count int, sizes ...int) (all [][]byte) {
	if len(sizes) == 0 {
		sizes = []int{60, 64, 128, 577, 1024, 1514}
	}
	for i := range count {
		all = append(all, numbered(dst, src, i, sizes[i%len(sizes)]))
	}
	return all
}

func mustMAC(s string) net.HardwareAddr {
	mac, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return mac
}

func isOurs(f []byte) bool { return len(f) >= 18 && binary.BigEndian.Uint16(f[12:]) == etherType }

func numberOf(f []byte) int { return int(binary.BigEndian.Uint32(f[14:])) }

// same checks that frames came as they were sent: all of them, whole, in their order.
func same(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d frames came, %d were sent; their numbers: %v", what, len(got), len(want), numbers(got))
	}
	for i := range want {
		if string(got[i]) != string(want[i]) {
			t.Fatalf("%s: frame %d came as\n%x\nand was sent as\n%x", what, i, got[i], want[i])
		}
	}
}

func numbers(frames [][]byte) (all []int) {
	for _, f := range frames {
		if isOurs(f) {
			all = append(all, numberOf(f))
		}
	}
	return all
}

// station is the address that the far end of a cable sends from.
const station = "02:00:00:00:00:01"
