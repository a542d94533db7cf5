package shm

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The worked examples of NC A.10 and the lines ABI-21 and ABI-22.
func TestGeometryWorkedExamples(t *testing.T) {
	vale := func(tr, rr, slots uint32) Params {
		return PortShape{TxRings: tr, RxRings: rr, TxSlots: slots, RxSlots: slots, Pipes: ValePipes}.Params()
	}
	for _, c := range []struct {
		name    string
		p       Params
		ifs     Pool
		rings   Pool
		bufs    Pool
		memsize uint64
		bufOfs  uint64
	}{
		{"ABI-21 global", GlobalParams(), Pool{100, 1024}, Pool{200, 36864}, Pool{163840, 2048}, 343019520, 7475200},
		{"private minimum", PrivateParams(), Pool{4, 1024}, Pool{4, 20480}, Pool{4098, 2048}, 8478720, 4096 + 4*20480},
		{"ABI-22 VALE 1+1x1024", vale(1, 1, 1024), Pool{12, 1024}, Pool{20, 20480}, Pool{20482, 2048}, 42369024, 12*1024 + 20*20480},
		{"VALE 4+4x1024", vale(4, 4, 1024), Pool{12, 1024}, Pool{26, 20480}, Pool{26626, 2048}, 55074816, 12*1024 + 26*20480},
		{"VALE 1+1x4096", vale(1, 1, 4096), Pool{12, 1024}, Pool{32, 65792}, Pool{81922, 2048}, 169893888, 12*1024 + 32*65792},
		{"copy monitor of 1+1x1024", PortShape{TxRings: 1, RxRings: 1, TxSlots: 1024, RxSlots: 1024}.Params(), Pool{4, 1024}, Pool{4, 20480}, Pool{4098, 2048}, 8478720, 4096 + 4*20480},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := c.p.Plan()
			if err != nil {
				t.Fatal(err)
			}
			if g.If != c.ifs || g.Ring != c.rings || g.Buf != c.bufs {
				t.Errorf("pools are %+v, want %v %v %v", g, c.ifs, c.rings, c.bufs)
			}
			if g.Size() != c.memsize || g.BufOffset() != c.bufOfs {
				t.Errorf("size %d, buffers at %d, want %d, %d", g.Size(), g.BufOffset(), c.memsize, c.bufOfs)
			}
		})
	}
}

func TestGeometryRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Params)
		want string
	}{
		{"if object too small", func(p *Params) { p.IfSize = 55 }, "netmap_if pool: an object of 55 bytes is outside [56, 4096]"},
		{"ring object too big", func(p *Params) { p.RingSize = 131073 }, "ring pool: an object of 131073"},
		{"too many rings", func(p *Params) { p.RingNum = 1025 }, "ring pool: 1025 objects are outside [2, 1024]"},
		{"too few buffers", func(p *Params) { p.BufNum = 3 }, "buffer pool: 3 objects"},
		{"rings would not be aligned", func(p *Params) { p.RingSize = 320 }, "not a multiple of 128"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := GlobalParams()
			c.edit(&p)
			if _, err := p.Plan(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestSealedAgainstClients(t *testing.T) {
	f, err := NewFile("test", 3*pageSize, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, do := range map[string]func() error{
		"shrink": func() error { return unix.Ftruncate(f.FD(), pageSize) },
		"grow":   func() error { return unix.Ftruncate(f.FD(), 9*pageSize) },
		"seal": func() error {
			_, err := unix.FcntlInt(uintptr(f.FD()), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
			return err
		},
	} {
		if err := do(); !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: %v, want EPERM", name, err)
		}
	}
	f.mem[pageSize] = 7
	if err := f.Clear(); err != nil || f.mem[pageSize] != 0 {
		t.Errorf("a punched hole reads %d (%v), want 0 and no fault", f.mem[pageSize], err)
	}
}

// Hugetlb memory is rounded to its pages and allocated whole, or refused.
func TestHugeFile(t *testing.T) {
	reserveHugepages(t, 2)
	f, err := NewFile("huge", hugePage+1, true)
	if err != nil {
		if errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOSPC) {
			if !strings.Contains(err.Error(), "nr_hugepages") && !strings.Contains(err.Error(), "map ") {
				t.Errorf("without hugepages: %v, want a word on how to reserve them", err)
			}
			t.Skipf("needs two free hugepages: %v", err)
		}
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.mem) != 2*hugePage {
		t.Errorf("mapped %d bytes, want two pages", len(f.mem))
	}
	f.mem[len(f.mem)-1] = 1
}

// reserveHugepages asks for n more hugepages during the test. Where that is not
// allowed, or there is no room, the test finds out by itself.
func reserveHugepages(t *testing.T, n int) {
	const file = "/proc/sys/vm/nr_hugepages"
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	old, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || os.WriteFile(file, []byte(strconv.Itoa(old+n)), 0) != nil {
		return
	}
	t.Cleanup(func() { _ = os.WriteFile(file, b, 0) })
}
