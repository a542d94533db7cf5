package hostif

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/test/netns"
)

// TestVhost moves frames of all lengths both ways, until each ring has been round
// more than once, and with other numbers of queues.
func TestVhost(t *testing.T) {
	if _, err := os.Stat(VhostDevice); errors.Is(err, fs.ErrNotExist) {
		t.Skip(err, "(make nic-lab runs this test where there is one)")
	}
	netns.New(t) // or skip
	const longest = 2048
	tap := openTap(t, TapConfig{Name: "nic0", Queues: 1, MTU: 9000, Hidden: true, Vhost: longest})
	ifi, err := net.InterfaceByIndex(tap.Index())
	if err != nil {
		t.Fatal(err)
	}
	kernel := wire(t, ifi)
	if err := unix.SetsockoptInt(kernel, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<24); err != nil { // for what fills a ring
		t.Fatal(err)
	}
	frame := func(i int) []byte {
		sizes := []int{14, 60, 1514, longest - vhostHeader, longest, longest + 1, 5000, 9014}
		f := make([]byte, sizes[i%len(sizes)])
		for j := range f {
			f[j] = byte(i + j)
		}
		copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5})
		return f
	}
	exchange := func(count int) {
		t.Helper()
		for i := range count {
			want := frame(i)
			v := tap.Vhosts()[i%len(tap.Vhosts())]
			if !v.Send(want) {
				t.Fatalf("frame %d: no room", i)
			}
			v.Flush()
			if got := fromWire(t, kernel); !bytes.Equal(got, want) {
				t.Fatalf("frame %d to the host: %d bytes came, of %d", i, len(got), len(want))
			}
			if _, err := unix.Write(kernel, want); err != nil {
				t.Fatal(err)
			}
			got, size := fromVhosts(t, tap.Vhosts())
			if size != len(want) || size <= longest && !bytes.Equal(got, want) {
				t.Fatalf("frame %d from the host: %d bytes came, of %d", i, size, len(want))
			}
		}
	}
	exchange(2000)
	for _, n := range []int{4, 2, 1} {
		if err := tap.SetQueues(n); err != nil || len(tap.Vhosts()) != n {
			t.Fatalf("%d queues, want %d: %v", len(tap.Vhosts()), n, err)
		}
		exchange(100)
	}
	full := 0
	for full < 1<<17 && tap.Vhosts()[0].Send(frame(1)) { // the kernel is not told
		full++
	}
	if full != vhostTxNum {
		t.Errorf("the host is sent %d frames without having taken one", full)
	}
	tap.Vhosts()[0].Flush()
	for range full {
		fromWire(t, kernel)
	}
	exchange(10)
}

// fromWire waits for a frame.
func fromWire(t *testing.T, fd int) []byte {
	t.Helper()
	buf := make([]byte, 1<<16)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if n, err := unix.Read(fd, buf); err == nil {
			return buf[:n]
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
	}
	t.Fatal("no frame came to the host")
	return nil
}

// fromVhosts waits for a frame of the host's on any queue, asleep until one has an
// event.
func fromVhosts(t *testing.T, vs []*Vhost) (frame []byte, size int) {
	t.Helper()
	for {
		var fds []unix.PollFd
		idle := true
		for _, v := range vs {
			_, _ = unix.Read(v.FD(), make([]byte, 8))
			fds = append(fds, unix.PollFd{Fd: int32(v.FD()), Events: unix.POLLIN})
			idle = v.Arm() && idle
		}
		if idle {
			if n, err := unix.Poll(fds, 20_000); n == 0 {
				t.Fatalf("no event came: %v", err)
			}
		}
		for _, v := range vs {
			v.Disarm()
		}
		for _, v := range vs {
			at, size, ok := v.Recv()
			if !ok {
				continue
			}
			frame = bytes.Clone(v.mem[at:][:min(size, v.rx.stride-vhostHeader)])
			v.Recycle()
			return frame, size
		}
	}
}
