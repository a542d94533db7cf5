package port_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// device makes a device port.
func (b *bed) device(name, devargs string, rings, slots int) port.Info {
	b.t.Helper()
	i, err := b.reg.CreatePort(limited(b.t), port.Spec{Name: name, Kind: port.KindDevice, Devargs: devargs, Rings: rings, Slots: slots})
	must(b.t, err)
	return i
}

func TestDeviceRefusals(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("there", "net_null_there", 0, 0)
	for _, c := range []struct {
		what  string
		spec  port.Spec
		errno unix.Errno
		words string
	}{
		{"no driver", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "net_nosuch0"}, unix.ENODEV, "net_nosuch0"},
		{"unknown parameter", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "net_null_a,bogus=1"}, 0, "bogus"},
		{"device in use", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "net_null_there"}, unix.EEXIST, "net_null_there"},
		{"name in use", port.Spec{Name: "there", Kind: port.KindDevice, Devargs: "net_null_a"}, unix.EEXIST, "device"},
		{"no device", port.Spec{Name: "a", Kind: port.KindDevice}, unix.EINVAL, "devargs"},
		{"too many rings", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "net_null_a", Rings: 5000}, unix.EINVAL, "5000"},
		{"name of a switch port", port.Spec{Name: "vale0:a", Kind: port.KindDevice, Devargs: "net_null_a"}, unix.EINVAL, "switches"},
		{"not a name", port.Spec{Name: "a b", Kind: port.KindDevice, Devargs: "net_null_a"}, unix.EINVAL, "a b"},
		{"unknown kind", port.Spec{Name: "a", Kind: "bus"}, unix.EINVAL, "bus"},
		{"no interface", port.Spec{Name: "nosuch", Kind: port.KindInterface}, unix.ENXIO, "nosuch"},
		{"unknown driver", port.Spec{Name: "lo", Kind: port.KindInterface, Driver: "raw"}, unix.EINVAL, "raw"},
		{"ring too large", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "net_null_a", Slots: 1 << 15}, unix.ENOMEM, "524544 bytes"},
		{"more descriptors than there can be", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "net_null_a", Slots: 1 << 16}, unix.EINVAL, "65536 descriptors"},
		{"MTU too long", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "net_null_a", MTU: 9000}, unix.EINVAL, "MTU"},
		{"no such PCI device", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "0000:7f:1f.7"}, unix.ENODEV, "lspci"},
		{"short PCI address", port.Spec{Name: "a", Kind: port.KindDevice, Devargs: "7f:1f.7,x=1"}, unix.ENODEV, "0000:7f:1f.7"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := b.reg.CreatePort(limited(t), c.spec)
			if err == nil {
				t.Fatal("it was created")
			}
			if c.errno == 0 {
				c.errno = err.(*port.Error).Errno //nolint:errorlint // whatever the driver said
			}
			fails(t, err, c.errno, c.words)
			if got := b.names(); got != "there" {
				t.Errorf("ports are %s", got)
			}
		})
	}
	// What was refused can be made afterwards: nothing holds the name.
	b.device("a", "net_null_a", 0, 0)
}

// The rings of a device have what was asked for; else as many slots as its queues,
// which have as many as its driver recommends, if that is more than usual.
func TestSlotsOfADevice(t *testing.T) {
	for _, c := range []struct {
		what, devargs string
		slots, want   int
	}{
		{"as asked", "net_null_slots", 100, 100},
		{"no recommendation", "net_null_slots", 0, abi.DefaultSlots},
		{"a recommendation", "net_af_xdp_slots,iface=" + ours, 0, 2048},
	} {
		t.Run(c.what, func(t *testing.T) {
			if strings.Contains(c.devargs, ours) {
				newCable(t)
			}
			b := newBed(t, 1, port.Config{})
			i, err := b.reg.CreatePort(limited(t), port.Spec{Name: "dev", Kind: port.KindDevice, Devargs: c.devargs, Slots: c.slots})
			if err != nil && strings.Contains(c.devargs, ours) {
				t.Skipf("no AF_XDP here: %v", err)
			}
			must(t, err)
			if i.TxSlots != c.want || i.RxSlots != c.want {
				t.Errorf("the rings have %d and %d slots, want %d", i.TxSlots, i.RxSlots, c.want)
			}
			d := b.open("netmap:dev")
			send(t, d, 0, manyFrames(300)...)
			b.close(d)
		})
	}
}

// A frame that is shorter than an Ethernet header does not reach a device, which it
// might bring down; those before and after do.
func TestShortFrames(t *testing.T) {
	check := func(t *testing.T, b *bed, name string, arrived func(d *netmap.Desc, n int) [][]byte) {
		t.Helper()
		d := b.open("netmap:" + name)
		whole := func(i int) []byte { return frame(everyone, 1, 60, i) }
		send(t, d, 0, whole(0)[:13], whole(1), whole(2)[:1], whole(3)[:0], whole(4), whole(5)[:7])
		same(t, arrived(d, 2), [][]byte{whole(1), whole(4)})
		b.close(d)
		if st := b.stats(name); st.Tx.Frames != 6 || st.Drops["too_short"] != 4 || len(st.Drops) != 1 {
			t.Errorf("counters %+v, want 4 frames of 6 too short", st)
		}
	}
	t.Run("zero copy", func(t *testing.T) {
		b := newBed(t, 1, port.Config{})
		b.device("loop", "net_ring_short", 0, 0)
		check(t, b, "loop", func(d *netmap.Desc, n int) [][]byte { return receive(t, d, n) })
	})
	drivers(t, func(t *testing.T, driver port.Driver, c *cable) {
		b := newBed(t, 1, port.Config{})
		_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "lan", Kind: port.KindInterface, Ifname: ours, Driver: driver})
		must(t, err)
		check(t, b, "lan", func(_ *netmap.Desc, n int) (frames [][]byte) {
			for range n {
				frames = append(frames, c.peer.receive(t, testEtherType))
			}
			return frames
		})
	})
}

// Nor does a frame that its client makes shorter while it is looked at.
func TestFramesThatShrink(t *testing.T) {
	const least = 14
	check := func(t *testing.T, b *bed, name string, slots uint32) {
		t.Helper()
		d := b.open("netmap:" + name + "/T")
		r := d.TxRings()[0]
		for i := range r.NumSlots() {
			r.Slot(i).Len = uint16(least / slots)
			if (i+1)%slots != 0 {
				r.Slot(i).Flags = abi.NSMoreFrag
			}
		}
		stop, stopped := make(chan bool), make(chan bool)
		go func() {
			defer close(stopped)
			for n := uint16(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				for i := slots - 1; i < r.NumSlots(); i += slots { // the last slot of each frame
					r.Slot(i).Len = 1 + (least/uint16(slots)-1)*(n%2)
				}
			}
		}()
		for range 1000 {
			whole := r.Space() / slots * slots
			r.Advance((r.Head() + whole) % r.NumSlots())
			must(t, d.TxSync())
		}
		close(stop)
		<-stopped
		must(t, d.Flush(limited(t)))
		b.close(d)
		st := b.stats(name)
		if sent := st.Tx.Frames - st.Drops["too_short"]; st.Tx.Bytes != least*sent || sent == 0 {
			t.Errorf("%d frames of at least %d bytes have %d bytes; counters %+v", sent, least, st.Tx.Bytes, st)
		}
	}
	t.Run("zero copy", func(t *testing.T) {
		b := newBed(t, 1, port.Config{})
		b.device("null", "net_null_shrink", 0, 256)
		b.wantZeroCopy("null")
		check(t, b, "null", 2)
	})
	t.Run("copy", func(t *testing.T) {
		newCable(t)
		b := newBed(t, 1, port.Config{})
		_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "lan", Kind: port.KindInterface, Ifname: ours, Driver: port.DriverAFPacket, Slots: 256})
		must(t, err)
		check(t, b, "lan", 1)
	})
}

func TestNullDevice(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	info := b.device("null", "net_null_c,size=60", 0, 256)
	if info.Driver != "net_null" || info.TxRings != 1 || info.RxRings != 1 || info.TxSlots != 256 || info.RegionID != abi.MemIDGlobal || info.Ephemeral {
		t.Errorf("info %+v", info)
	}
	d := b.open("netmap:null")
	for _, f := range receive(t, d, 500) {
		if len(f) != 60 {
			t.Fatalf("a frame of %d bytes, want 60", len(f))
		}
	}
	for i := range 100 {
		send(t, d, 0, frame(everyone, 1, 60, i))
	}
	fails(t, b.reg.DeletePort(limited(t), "null"), unix.EBUSY, fmt.Sprint(os.Getpid()))
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale0", "null")
	fails(t, err, unix.EBUSY, fmt.Sprint(os.Getpid()))
	b.close(d)
	st := b.stats("null")
	if st.Tx.Frames != 100 || st.Tx.Bytes != 6000 || st.Device["tx_frames"] != 100 || st.Rx.Frames < 500 {
		t.Errorf("counters %+v", st)
	}
	must(t, b.reg.DeletePort(limited(t), "null"))
	fails(t, b.reg.DeletePort(limited(t), "null"), unix.ENXIO)
	if r := b.region(abi.MemIDGlobal); r.Users != 0 || r.Buf.Free != r.Buf.Total || r.Ring.Free != r.Ring.Total || r.If.Free != r.If.Total {
		t.Errorf("the region is not empty: %+v", r)
	}
	if st := b.stats("null"); !st.Gone || st.Device["tx_frames"] != 100 {
		t.Errorf("last counters %+v", st)
	}
}

// A device that gives back what it is given: everything comes through unchanged.
func TestRingDevice(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("loop", "net_ring_loop", 0, 0)
	for range 2 { // also when it is opened again
		d := b.open("netmap:loop")
		var sent [][]byte
		for i, size := range []int{14, 15, 60, 61, 64, 65, 512, 1000, 1500, 1513, 1514, 1518} {
			sent = append(sent, frame(everyone, 1, size, i))
		}
		send(t, d, 0, sent...)
		same(t, receive(t, d, len(sent)), sent)
		b.close(d)
	}
	d := b.open("netmap:loop")
	before := b.stats("loop")
	send(t, d, 0, frame(everyone, 1, 1600, 1), frame(everyone, 1, 60, 2)) // the first is above the MTU
	same(t, receive(t, d, 1), [][]byte{frame(everyone, 1, 60, 2)})
	if st := b.stats("loop"); st.Tx.Frames != before.Tx.Frames+2 || st.Drops["rx_bad_length"] != before.Drops["rx_bad_length"]+1 {
		t.Errorf("counters %+v, before %+v", st, before)
	}
}

// Rings of a device are bound one by one; one that is bound while the lcore
// sleeps is served, one that is closed is not.
func TestDeviceRings(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("loop", "net_ring_rings", 2, 64)
	first := b.open("netmap:loop-0")
	for i := range 20 {
		second := b.open("netmap:loop-1")
		want := [][]byte{frame(everyone, 1, 60+i, i)}
		send(t, second, 0, want...)
		same(t, receive(t, second, 1), want)
		send(t, first, 0, want...)
		same(t, receive(t, first, 1), want)
		b.close(second)
	}
	nothing(t, first)
}

// Who closed a ring and kept its memory sends nothing through it, neither now
// nor in the name of the next user.
func TestGhostSendsNothing(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("loop", "net_ring_ghost", 0, 64)
	reader := b.open("netmap:loop/R")
	ghost, err := b.register("loop", &abi.Register{Mode: abi.ModeAllNIC, Flags: abi.FlagTxRingsOnly})
	must(t, err)
	s, err := b.reg.NewSession(us)
	must(t, err)
	_, fds, err := ghost.Join(limited(t), s)
	must(t, err)
	raw, err := unix.Mmap(fds[wire.FDSync], 0, abi.SyncBlockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	defer func() { _ = unix.Munmap(raw) }()
	_ = unix.Close(fds[wire.FDWake])
	b.unregister(ghost)
	blk, err := abi.NewMem(raw).SyncBlock(0)
	must(t, err)
	blk.PublishClient(5, 5)
	_, err = unix.Write(s.Kick(), []byte{1, 0, 0, 0, 0, 0, 0, 0})
	must(t, err)
	b.reg.EndSession(limited(t), s)
	must(t, b.lcores[0].Do(limited(t), func() {})) // it has looked

	writer := b.open("netmap:loop/T")
	want := frame(everyone, 1, 60, 1)
	send(t, writer, 0, want)
	same(t, receive(t, reader, 1), [][]byte{want})
	if st := b.stats("loop"); st.Tx.Frames != 1 || len(st.Drops) != 0 || st.BadRings != 0 {
		t.Errorf("counters %+v, want one frame", st)
	}
}

// A device on a switch is a port like any other.
func TestAttachedDevice(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("loop", "net_ring_attached", 0, 0)
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale3"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale3", "loop")
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale3", "loop")
	fails(t, err, unix.EBUSY, "vale3")
	_, err = b.reg.Attach(limited(t), "vale4", "loop")
	fails(t, err, unix.ENXIO, "vale4")
	fails(t, b.reg.DeletePort(limited(t), "loop"), unix.EBUSY, "vale3")
	fails(t, b.reg.DeleteSwitch(limited(t), "vale3"), unix.EBUSY, "loop")
	_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale3"})
	must(t, err) // the same again
	_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale3", Compat: true})
	fails(t, err, unix.EEXIST)
	_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale3", Age: new(time.Duration)})
	fails(t, err, unix.EEXIST)
	_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "wale"})
	fails(t, err, unix.EINVAL, "vale")

	// What a sends to everybody comes back from the device, also to a.
	a, other := b.open("vale3:a"), b.open("vale3:b")
	want := [][]byte{frame(everyone, 1, 100, 1)}
	send(t, a, 0, want...)
	same(t, receive(t, a, 1), want)
	same(t, receive(t, other, 2), append(want, want[0]))
	info, err := b.reg.Port(limited(t), "loop")
	must(t, err)
	if info.Switch != "vale3" || info.Index != 0 {
		t.Errorf("info %+v", info)
	}
	fails(t, b.reg.Detach(limited(t), "vale4", "loop"), unix.ENXIO)
	fails(t, b.reg.Detach(limited(t), "vale3", "vale3:a"), unix.EBUSY)
	must(t, b.reg.Detach(limited(t), "vale3", "loop"))
	send(t, a, 0, want...)
	same(t, receive(t, other, 1), want)
	nothing(t, a)
	if st := b.stats("loop"); st.Tx.Frames != 1 || st.Rx.Frames != 1 {
		t.Errorf("counters of the device %+v", st)
	}
	b.open("netmap:loop", netmap.WithSlots(64, 64)) // it is free
	b.close(a)
	b.close(other)
	must(t, b.reg.DeleteSwitch(limited(t), "vale3"))
}

// A configured port whose PCI device is missing is shown, and can be given up.
func TestAwaited(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	spec := port.Spec{Name: "later", Kind: port.KindDevice, Devargs: "7f:1f.7,x=1"}
	for range 2 { // to ask again changes nothing
		_, err := b.reg.Await(limited(t), spec)
		if err == nil || !strings.Contains(err.Error(), "appears") {
			t.Fatalf("%v, want an error that says that the port is awaited", err)
		}
	}
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale3"})
	must(t, err)
	if !b.reg.AttachAwaited("vale3", "later") {
		t.Error("nobody waits for the port")
	}
	all, err := b.reg.Ports(limited(t))
	must(t, err)
	one, err := b.reg.Port(limited(t), "later")
	must(t, err)
	if len(all) != 1 || all[0].Name != "later" {
		t.Errorf("the ports are %+v, want the awaited one", all)
	}
	if n := one.NIC; one.ID != 0 || one.Switch != "vale3" || n == nil || n.Present || n.Address != "0000:7f:1f.7" {
		t.Errorf("it is shown as %+v, %+v", one, n)
	}
	b.reg.Tend(time.Now()) // the device has not come
	_, err = b.tryOpen("netmap:later")
	fails(t, err, unix.ENXIO, "7f:1f.7")
	must(t, b.reg.DeletePort(limited(t), "later"))
	if got := b.names(); got != "" {
		t.Errorf("the ports are %q after it was given up", got)
	}
}

// A device that is started again stays on its switch, also where that is there for its ports only and it is the last of them.
func TestResetOnAnEphemeralSwitch(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("loop", "net_ring_reset", 0, 64)
	a := b.open("vale0:a")
	_, err := b.reg.Attach(limited(t), "vale0", "loop")
	must(t, err)
	b.close(a)
	b.reg.Happen("loop", ethdev.Happened{Reset: true})
	b.reg.Tend(time.Now())
	a = b.open("vale0:a")
	want := [][]byte{frame(everyone, 1, 60, 1)}
	send(t, a, 0, want...)
	same(t, receive(t, a, 1), want) // as the device gives it back
	must(t, b.reg.Detach(limited(t), "vale0", "loop"))
	b.close(a)
	if all, err := b.reg.Switches(limited(t)); err != nil || len(all) != 0 {
		t.Errorf("switches %v are left: %v", all, err)
	}
}

// A device with a counterpart in the host that is unplugged under a client: the client can close, whatever that changes for the
// host, and the port comes back with the device.
func TestUnpluggedBesideTheHost(t *testing.T) {
	for _, c := range []struct {
		what, open string
		drop       bool
	}{
		{"other host rings", "netmap:nic*@conf:host_rings=2", false},
		{"unbound queues are dropped", "netmap:nic", true},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := newBed(t, 1, port.Config{})
			_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "nic", Kind: port.KindDevice, Devargs: "net_null_gone", Host: "nmgone", DropUnbound: c.drop})
			if err != nil {
				t.Skipf("no tap here: %v", err)
			}
			for range 2 {
				d := b.open(c.open)
				b.reg.Happen("nic", ethdev.Happened{Removed: true})
				b.reg.Tend(time.Now())
				if _, err := d.PollTimeout(patience, netmap.PollIn); err == nil {
					t.Error("no error for a client whose device is gone")
				}
				b.close(d)
				b.reg.Tend(time.Now())
				b.reg.Tend(time.Now()) // it is there again
			}
			must(t, b.reg.DeletePort(limited(t), "nic"))
		})
	}
}
