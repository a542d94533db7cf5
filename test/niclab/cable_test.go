package niclab

import (
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/netmapd/netmapd/test/niclab/talk"
)

// An inbox holds frames until they are looked at.
type inbox struct {
	mu     sync.Mutex
	frames [][]byte
	more   chan struct{} // something was added
}

func newInbox() inbox { return inbox{more: make(chan struct{}, 1)} }

func (b *inbox) add(frame []byte) {
	b.mu.Lock()
	b.frames = append(b.frames, frame)
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// A cable is the far end of a NIC: what the NIC sends arrives here, what is written here the NIC receives.
type cable struct {
	inbox
	c *net.UnixConn
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
	cb := &cable{newInbox(), c}
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
		c.add(append([]byte(nil), buf[:n]...))
	}
}

// send puts frames on the wire. It waits for a NIC that takes none at the moment.
func (c *cable) send(t *testing.T, frames ...[]byte) {
	t.Helper()
	must(t, c.c.SetWriteDeadline(time.Now().Add(patience)))
	for i, f := range frames {
		if _, err := c.c.Write(f); err != nil {
			t.Fatalf("frame %d of %d onto the wire: %v", i, len(frames), err)
		}
	}
}

// take removes the frames of ours that have come, and forgets the others: a guest's kernel says things of its own accord.
func (b *inbox) take() (ours [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.frames {
		if talk.Ours(f) {
			ours = append(ours, f)
		}
	}
	b.frames = nil
	return ours
}

// waitFor waits for a frame of anybody's.
func (b *inbox) waitFor(wanted func([]byte) bool, limit time.Duration) bool {
	over := time.After(limit)
	for {
		b.mu.Lock()
		found := slices.ContainsFunc(b.frames, wanted)
		b.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-b.more:
		case <-over:
			return false
		}
	}
}

// recv waits for as many frames of ours.
func (b *inbox) recv(t *testing.T, count int) (got [][]byte) {
	t.Helper()
	limit := time.After(patience)
	for got = b.take(); len(got) < count; got = append(got, b.take()...) {
		select {
		case <-b.more:
		case <-limit:
			t.Fatalf("%d of %d frames came out: numbers %v", len(got), count, numbers(got))
		}
	}
	return got
}

// series makes frames with the numbers from 0 on, of sizes that go round.
func series(dst, src string, count int, sizes ...int) (all [][]byte) {
	if len(sizes) == 0 {
		sizes = []int{60, 64, 128, 577, 1024, 1514}
	}
	for i := range count {
		all = append(all, talk.Frame(mustMAC(dst), mustMAC(src), i, sizes[i%len(sizes)]))
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
		if talk.Ours(f) {
			all = append(all, talk.Number(f))
		}
	}
	return all
}

// station is the address that the far end of a cable sends from.
const station = "02:00:00:00:00:01"
