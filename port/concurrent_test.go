package port_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
)

// Operators and clients do everything at once, while frames move, and at the
// end all is as it was.
func TestEverythingAtOnce(t *testing.T) {
	b := newBed(t, min(2, len(eal.Probe().CPUs)), port.Config{})
	for _, name := range []string{"loop0", "loop1"} {
		b.device(name, "net_ring_"+name, 1, 64)
	}
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	keep := b.open("netmap:loop1")

	const rounds = 60
	var wg sync.WaitGroup
	do := func(what string, fn func(round int) error, allowed ...unix.Errno) {
		wg.Go(func() {
			for i := range rounds {
				err := fn(i)
				for _, errno := range allowed {
					if errors.Is(err, errno) {
						err = nil
					}
				}
				if err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	open := func(spec string) func(int) error {
		return func(round int) error {
			d, err := netmap.Open(limited(t), spec, netmap.WithRuntimeDir(b.dir), netmap.WithSlots(64, 64))
			if err != nil {
				return err
			}
			for i := range 20 {
				d.TxRings()[0].Send(frame(byte(i), byte(round), 60+i, i))
			}
			_, err = d.PollTimeout(time.Millisecond, netmap.PollIn)
			return errors.Join(err, d.Close())
		}
	}
	for i := range 3 {
		do("own port", open(fmt.Sprintf("vale0:p%d", i)))
		do("shared port", open("vale0:shared"), unix.EBUSY)
	}
	do("shared device", open("netmap:loop1"))
	do("device", open("netmap:loop0"), unix.EBUSY)
	do("exclusive", open("vale0:shared/x"), unix.EBUSY)
	do("attach", func(int) error {
		_, err := b.reg.Attach(limited(t), "vale0", "loop0")
		return err
	}, unix.EBUSY)
	do("detach", func(int) error {
		time.Sleep(time.Millisecond)
		return b.reg.Detach(limited(t), "vale0", "loop0")
	}, unix.ENXIO)
	do("snapshot", func(int) error {
		_, err := b.reg.Snapshot(limited(t))
		return err
	})
	do("list", func(int) error {
		_, err := b.reg.Ports(limited(t))
		b.reg.Tend(time.Now())
		return err
	})
	do("create and delete", func(int) error {
		if _, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale5"}); err != nil {
			return err
		}
		return b.reg.DeleteSwitch(limited(t), "vale5")
	})
	wg.Wait()

	fails(t, errors.Join(b.reg.Detach(limited(t), "vale0", "loop0"), unix.ENXIO), unix.ENXIO) // it may be attached
	if t.Failed() {
		return
	}
	b.eventually("the clients to be gone", func() bool { return b.snapshot().Descriptors == 1 })
	if got := b.names(); got != "loop0 loop1" {
		t.Errorf("ports are %s", got)
	}
	must(t, keep.Close())
	b.eventually("the last client to be gone", func() bool { return b.snapshot().Descriptors == 0 })
	must(t, b.reg.DeletePort(limited(t), "loop0"))
	must(t, b.reg.DeletePort(limited(t), "loop1"))
	// Before that the devices may hold frames that were sent into them and that nobody received.
	if r := b.region(abi.MemIDGlobal); r.If.Total != r.If.Free || r.Ring.Total != r.Ring.Free || r.Buf.Total-r.Buf.Free != r.Lent {
		t.Errorf("the region holds %+v when everything is gone, want nothing", r)
	}
}
