package shm

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// A client can take the pages of a region of hugepages away. No operation of the
// control plane dies of it, and what needs the memory fails.
func TestMemoryTakenAway(t *testing.T) {
	r := newRegion(t, PrivateParams())
	f, err := r.NewIf(1, 4)
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.NewRing(1, abi.DirRx, 0, 64, ring.Indices{})
	if err != nil {
		t.Fatal(err)
	}
	head, got := r.NewExtra(10)
	if got != 10 {
		t.Fatalf("%d extra buffers", got)
	}
	// Stands for a page that cannot be had: the access is a fault as well.
	if err := unix.Mprotect(r.data.mem, unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	for what, op := range map[string]func() error{
		"a netmap_if": func() error { _, err := r.NewIf(1, 4); return err },
		"a ring":      func() error { _, err := r.NewRing(1, abi.DirTx, 0, 64, ring.Indices{}); return err },
		"renewal":     func() error { return r.Renew(o) },
		"a look":      func() error { return r.Touch(func() { f.View.LoadBufsHead() }) },
		"extra buffers": func() error {
			if _, got := r.NewExtra(5); got == 0 {
				return errors.New("none")
			}
			return nil
		},
	} {
		if op() == nil {
			t.Errorf("%s can be had of memory that is gone", what)
		}
	}
	r.FreeExtra(head)
	r.FreeIf(f)
	r.FreeRing(o)
	r.Sweep(nil)
	if !r.Release() {
		t.Error("the region has users left")
	}
	r.Reset()
	defer func() {
		if recover() == nil {
			t.Error("a mistake of ours is hidden")
		}
	}()
	_ = r.Touch(func() { panic("ours") })
}
