package mempool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/dpdk/mbuf"
)

// TestMain starts the one EAL of the test binary, in the embedded default.
func TestMain(m *testing.M) {
	eal.SetLog(func(eal.Level, string) {})
	if _, err := CreateMbufPool("early", 63, 2048); !eal.IsNotStarted(err) {
		fmt.Fprintln(os.Stderr, "before the start, CreateMbufPool says", err)
		os.Exit(1)
	}
	args, _ := eal.PlanArgs(eal.Probe(), eal.Options{CPU: -1, Huge: eal.HugeNever})
	if err := eal.Start(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func free(t *testing.T, m *Mempool) {
	t.Helper()
	for range 2 {
		if err := m.Free(); err != nil {
			t.Error(err)
		}
	}
}

func TestPool(t *testing.T) {
	m, err := CreateMbufPool("pool", 1023, 2048+mbuf.Headroom, OptCacheSize(64), OptSocket(SocketAny))
	if err != nil {
		t.Fatal(err)
	}
	defer free(t, m)
	if m.Size() != 1023 || m.AvailCount() != 1023 || m.InUseCount() != 0 || m.DataRoom() != 2048+mbuf.Headroom {
		t.Errorf("%d mbufs, %d free, %d used, %d bytes each", m.Size(), m.AvailCount(), m.InUseCount(), m.DataRoom())
	}
	frame := bytes.Repeat([]byte{0xa5}, 2048)
	if err := m.Fill(frame); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.DataAddrs() {
		if !bytes.Equal(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), p)), 2048), frame) { //nolint:gosec // C memory
			t.Fatalf("mbuf %d does not hold the frame", i)
		}
	}
	if err := m.Fill(make([]byte, 2049)); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("a frame too long gave %v, want EMSGSIZE", err)
	}
	if _, err := CreateMbufPool("pool", 63, 2048); !errors.Is(err, syscall.EEXIST) || !strings.Contains(err.Error(), "pool") {
		t.Errorf("the same name again gave %v, want EEXIST", err)
	}
	if _, err := CreateMbufPool("large", 1<<20, 2048); !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("more than there is gave %v, want ENOMEM", err)
	}
}

// mapRegion maps a memfd, as a region is, with a page before it.
func mapRegion(t *testing.T, size int) unsafe.Pointer {
	t.Helper()
	fd, err := unix.MemfdCreate("region", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Ftruncate(fd, int64(size+ExtPage)); err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(fd, 0, size+ExtPage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return unsafe.Pointer(&mem[ExtPage])
}

func TestExtbufPutsMbufIAtBufferI(t *testing.T) {
	const n, elt = 32768, 2048
	base := mapRegion(t, n*elt)
	m, err := CreateExtbuf("region", base, n*elt, elt)
	if err != nil {
		t.Fatal(err)
	}
	defer free(t, m)
	if m.Size() != n || m.DataRoom()-mbuf.Headroom != elt {
		t.Errorf("%d mbufs with %d bytes of data, want %d with %d", m.Size(), m.DataRoom()-mbuf.Headroom, n, elt)
	}
	wrong := 0
	for i, p := range m.DataAddrs() {
		if p != uintptr(base)+uintptr(i)*elt {
			wrong++
		}
	}
	if wrong != 0 {
		t.Errorf("%d of %d mbufs are not at their buffer", wrong, n)
	}
	if err := m.Fill(bytes.Repeat([]byte{7}, elt)); err != nil {
		t.Errorf("a frame as long as a buffer: %v", err)
	}
	all := unsafe.Slice((*byte)(base), n*elt)
	if i := bytes.IndexFunc(all, func(r rune) bool { return r != 7 }); i >= 0 {
		t.Errorf("byte %d of the region is not the frame's", i)
	}
}

func TestExtbufCanBeMadeAgain(t *testing.T) {
	base := mapRegion(t, 1<<20)
	for range 3 {
		m, err := CreateExtbuf("again", base, 1<<20, 2048)
		if err != nil {
			t.Fatal(err)
		}
		free(t, m)
	}
}

func TestExtbufRefusesWhatCannotWork(t *testing.T) {
	base := mapRegion(t, 1<<20)
	tests := []struct {
		name      string
		base      unsafe.Pointer
		size, elt int
		says      string
	}{
		{"no memory", nil, 1 << 20, 2048, "starts at 0x0"},
		{"not aligned", unsafe.Add(base, 64), 1 << 20, 2048, "multiple of 4096"},
		{"no size", base, 0, 2048, "0 bytes of memory"},
		{"not a whole number of elements", base, 4096, 3000, "element size 3000"},
		{"elements smaller than a headroom", base, 4096, 128, "more than 128"},
		{"elements larger than an mbuf can say", base, 1 << 20, 1 << 16, "at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CreateExtbuf("bad", tt.base, tt.size, tt.elt)
			if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want EINVAL and %q", err, tt.says)
			}
		})
	}
}
