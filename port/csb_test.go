package port_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// A served port is a client that lcores serve from its CSB, of one TX and one RX ring.
type served struct {
	*netmap.Desc
	*netmap.CSB
	t  *testing.T
	tx uint32 // next slot to fill
	rx uint32 // next slot to read
}

// TX and RX ring in the arrays.
const (
	csbTx = 0
	csbRx = 1
)

func (b *bed) serve(spec string) *served {
	b.t.Helper()
	f, app, kern, err := netmap.NewCSBFile(2)
	must(b.t, err)
	d := b.open(spec, netmap.WithCSB(f, app, kern))
	must(b.t, f.Close())
	s := &served{Desc: d, CSB: d.CSB(), t: b.t}
	s.tx, s.rx = s.App[csbTx].Head, s.App[csbRx].Head
	return s
}

func (s *served) wait(rings netmap.Events, idle func() bool) {
	s.t.Helper()
	for idle() {
		must(s.t, s.Wait(limited(s.t), rings, idle))
	}
}

// send publishes frames and waits until they are taken.
func (s *served) send(frames ...[]byte) {
	s.t.Helper()
	r := s.TxRings()[0]
	for _, f := range frames {
		s.wait(netmap.PollOut, func() bool { return s.tx == s.Tail(csbTx) })
		slot := r.Slot(s.tx)
		copy(r.Buf(slot), f)
		slot.Len, slot.Flags = uint16(len(f)), 0
		s.tx = r.Next(s.tx)
		s.Publish(csbTx, s.tx)
	}
	s.wait(netmap.PollOut, func() bool { return s.Taken(csbTx) != s.tx })
}

// receive waits for n frames.
func (s *served) receive(n int) (frames [][]byte) {
	s.t.Helper()
	r := s.RxRings()[0]
	for len(frames) < n {
		s.wait(netmap.PollIn, func() bool { return s.rx == s.Tail(csbRx) })
		frames = append(frames, bytes.Clone(r.Frame(s.rx)))
		s.rx = r.Next(s.rx)
		s.Publish(csbRx, s.rx)
	}
	return frames
}

// Lcores serve a CSB where it lies: frames go both ways, around the rings, between a client that has one and one that syncs,
// and between two that have one. What is published while an lcore goes to sleep, or a client, is not lost (CSB-13, CSB-14).
func TestServedCSB(t *testing.T) {
	for _, lcores := range []int{1, 2} {
		for _, kind := range []port.Kind{port.KindVALE, port.KindPersistent} {
			t.Run(fmt.Sprintf("%s on %d", kind, lcores), func(t *testing.T) {
				b := newBed(t, lcores, port.Config{})
				one := "vale0:one"
				if kind == port.KindPersistent {
					_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "one", Kind: kind})
					must(t, err)
					_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
					must(t, err)
					_, err = b.reg.Attach(limited(t), "vale0", "one")
					must(t, err)
					one = "netmap:one"
				}
				a := b.serve(one)
				c := b.open("vale0:plain")
				other := func(from byte, i int) [][]byte {
					return [][]byte{frame(everyone, from, 60, i), frame(everyone, from, 200, i+1), frame(everyone, from, 1500, i+2)}
				}
				for i := range 200 {
					a.send(other(1, i)...)
					same(t, receive(t, c, 3), other(1, i))
					send(t, c, 0, other(3, i)...)
					same(t, a.receive(3), other(3, i))
				}
				s := b.serve("vale0:two")
				for i := range 500 { // both sleep between two frames
					a.send(frame(2, 1, 60, i))
					same(t, s.receive(1), [][]byte{frame(2, 1, 60, i)})
					s.send(frame(1, 2, 60, i))
					same(t, a.receive(1), [][]byte{frame(1, 2, 60, i)})
					if i%50 == 0 {
						time.Sleep(time.Millisecond) // the lcore sleeps, too
					}
				}
			})
		}
	}
}

// The daemon fills in the arrays (NC B.9.3), and whatever else syncs is refused.
func TestServedCSBMode(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	c := b.open("vale0:other")
	old := b.open("vale0:a@conf:rings=1")
	send(t, old, 0, frame(everyone, 1, 60, 1), frame(everyone, 1, 60, 2))
	same(t, receive(t, c, 2), [][]byte{frame(everyone, 1, 60, 1), frame(everyone, 1, 60, 2)})
	keep := b.open("vale0:a/R") // the port stays, with the indices of its rings
	b.close(old)
	f, err := memfd(8192, allSeals)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, 8192), 0)
	must(t, err)
	d := b.open("vale0:a/T", netmap.WithCSB(f, 64, 4096))
	a := d.CSB()
	if len(a.App) != 1 || len(a.Kern) != 1 {
		t.Fatalf("%d and %d entries for one ring", len(a.App), len(a.Kern))
	}
	app, kern := &a.App[0], &a.Kern[0]
	want := d.TxRings()[0].NumSlots()
	if app.Head != 2 || app.Cur != 2 || app.NeedKick != 1 || app.SyncFlags != 1 || kern.HwCur != 2 || kern.HwTail != 1 {
		t.Errorf("the entries are %+v and %+v; %d slots, two sent", app, kern, want)
	}
	raw := make([]byte, 8192)
	_, err = f.ReadAt(raw, 0)
	must(t, err)
	if !bytes.Equal(raw[:64], bytes.Repeat([]byte{0xff}, 64)) || !bytes.Equal(raw[128:4096], bytes.Repeat([]byte{0xff}, 4096-128)) || raw[4096+64] != 0xff {
		t.Error("bytes beside the arrays changed")
	}
	if !bytes.Equal(raw[4096+16:4096+64], make([]byte, 48)) {
		t.Error("the rest of the second array is not zeroed")
	}
	fails(t, d.TxSync(), unix.EBUSY)
	fails(t, d.SyncLoop(netmap.LoopConfig{}), unix.EBUSY, "lcores")
	one, two := netmap.NewCSB(1)
	fails(t, d.EnableCSB(one, two), unix.EBUSY, "lcores")
	if re, err := d.PollTimeout(0, netmap.PollOut); re != netmap.PollErr || err != nil {
		t.Errorf("poll says %#x, %v", re, err)
	}
	_, err = b.tryOpen("vale0:a/T")
	fails(t, err, unix.EBUSY)
	b.close(d)
	b.close(keep)
	b.open("vale0:a") // syncs again
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	x := b.serve("vale0:x")
	if err := x.Wait(ctx, netmap.PollIn, func() bool { return true }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a wait with a deadline ends with %v", err)
	}
}

const allSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

func memfd(size int64, seals int, flags ...int) (*os.File, error) {
	how := unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	for _, f := range flags {
		how |= f
	}
	fd, err := unix.MemfdCreate("test", how)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "test")
	if err = f.Truncate(size); err == nil && seals != 0 {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	}
	return f, err
}

// Memory that cannot be relied on, or means something else already, is refused, and nothing is left of the registration.
func TestCSBMemoryRefused(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	other := b.serve("vale1:other")
	file := func(f *os.File, err error) func() *os.File {
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return func() *os.File { return f }
	}
	good := file(memfd(8192, allSeals))
	with := func(seals int) func() *os.File { return file(memfd(8192, seals)) }
	hold, err := b.register("vale2:hold", allNIC())
	must(t, err)
	s, err := b.reg.NewSession(us)
	must(t, err)
	defer b.reg.EndSession(limited(t), s)
	_, fds, err := hold.Join(limited(t), s)
	must(t, err)
	defer unix.Close(fds[wire.FDWake])
	dup := func(fd int) (*os.File, error) {
		fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewFile(uintptr(fd), "dup"), err
	}
	taken, err := memfd(8192, allSeals)
	must(t, err)
	defer taken.Close()
	b.open("vale1:another", netmap.WithCSB(taken, 0, 4096))

	for _, c := range []struct {
		what      string
		file      func() *os.File
		app, kern uint64
		errno     unix.Errno
		says      string
	}{
		{"a file", file(os.Create(filepath.Join(t.TempDir(), "file"))), 0, 4096, unix.EINVAL, ""},
		{"no seals", with(0), 0, 4096, unix.EINVAL, "seals"},
		{"not against shrinking", with(unix.F_SEAL_GROW | unix.F_SEAL_SEAL), 0, 4096, unix.EINVAL, "seals"},
		{"not against growing", with(unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL), 0, 4096, unix.EINVAL, "seals"},
		{"not against further seals", with(unix.F_SEAL_SHRINK | unix.F_SEAL_GROW), 0, 4096, unix.EINVAL, "seals"},
		{"sealed against writing", with(allSeals | unix.F_SEAL_WRITE), 0, 4096, unix.EINVAL, "seals"},
		{"sealed against future writing", with(allSeals | unix.F_SEAL_FUTURE_WRITE), 0, 4096, unix.EINVAL, "seals"},
		{"hugepages", file(memfd(2<<20, allSeals, unix.MFD_HUGETLB)), 0, 4096, unix.EINVAL, "hugepages"},
		{"too large", file(memfd(64<<20+1, allSeals)), 0, 4096, unix.EINVAL, "at most"},
		{"empty", file(memfd(0, allSeals)), 0, 4096, unix.EINVAL, "lie in"},
		{"open for reading", file(os.Open(fmt.Sprintf("/proc/self/fd/%d", good().Fd()))), 0, 4096, unix.EACCES, ""},
		{"first array outside", good, 8192 - 64, 0, unix.EINVAL, "lie in"},
		{"second array outside", good, 0, 8192 - 64, unix.EINVAL, "lie in"},
		{"far outside", good, 0, 1 << 40, unix.EINVAL, "lie in"},
		{"around the end of all numbers", good, ^uint64(63), 0, unix.EINVAL, "lie in"},
		{"unaligned", good, 0, 4096 + 32, unix.EINVAL, "multiples"},
		{"the same twice", good, 128, 128, unix.EINVAL, "overlap"},
		{"overlapping", good, 128, 192, unix.EINVAL, "overlap"},
		{"overlapping the other way", good, 192, 128, unix.EINVAL, "overlap"},
		{"a region", file(dup(fds[wire.FDRegion])), 0, 4096, unix.EINVAL, "region"},
		{"sync blocks", file(dup(fds[wire.FDSync])), 0, 64 * 2, unix.EINVAL, "sync blocks"},
		{"another descriptor's", func() *os.File { return taken }, 128, 4096 + 128, unix.EBUSY, "memory of its own"},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := b.snapshot()
			req := allNIC()
			req.Flags |= abi.FlagExclusive
			_, err := b.reg.RegisterWith(limited(t), us, "vale0:a", req, &port.Options{CSB: &abi.CSBOption{AtoK: c.app, KtoA: c.kern}, CSBFile: c.file()})
			fails(t, err, c.errno, c.says)
			if e, ok := errors.AsType[*port.OptionError](err); !ok || e.Option != abi.OptCsb {
				t.Errorf("%v does not say which option", err)
			}
			after := b.snapshot()
			if after.Descriptors != before.Descriptors || len(after.Regions) != len(before.Regions) {
				t.Errorf("%d descriptors and %d regions are left, there were %d and %d", after.Descriptors, len(after.Regions), before.Descriptors, len(before.Regions))
			}
		})
	}
	// Without exclusive use, and on a pipe.
	at := &abi.CSBOption{KtoA: 4096}
	_, err = b.reg.RegisterWith(limited(t), us, "vale0:a", allNIC(), &port.Options{CSB: at, CSBFile: good()})
	fails(t, err, unix.EINVAL, "exclusive")
	_, err = b.tryOpen("vale0:a{1", netmap.WithCSB(good(), 0, 4096))
	fails(t, err, unix.EOPNOTSUPP, "pipe")
	// A descriptor whose registration was refused is one that can be bound; so is the memory.
	a := b.open("vale0:a", netmap.WithCSB(good(), 0, 4096))
	x := &served{Desc: a, CSB: a.CSB(), t: t}
	c := b.open("vale0:b")
	x.send(frame(everyone, 1, 60, 1))
	same(t, receive(t, c, 1), [][]byte{frame(everyone, 1, 60, 1)})
	if other.Tail(csbRx) != 0 {
		t.Error("another switch's port got a frame")
	}
	_, err = b.tryOpen("vale0:c", netmap.WithCSB(os.NewFile(^uintptr(0), "none"), 0, 0))
	if err == nil {
		t.Error("opened without a file")
	}
}

// A registration that fails once its rings were served keeps nothing of the memory that came with it.
func TestCSBMemoryLetGo(t *testing.T) {
	c := newCable(t)
	b := newBed(t, 2, port.Config{})
	_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "lan", Ifname: ours, Driver: port.DriverAFPacket})
	must(t, err)
	c.host.Delete(t, ours)
	f, err := memfd(8192, allSeals)
	must(t, err)
	defer f.Close()
	for range 3 {
		req := allNIC()
		req.Flags |= abi.FlagExclusive
		_, err := b.reg.RegisterWith(limited(t), us, "lan", req, &port.Options{CSB: &abi.CSBOption{KtoA: 4096}, CSBFile: f})
		fails(t, err, unix.ENXIO, ours)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	if n := bytes.Count(maps, []byte("/memfd:test ")); n != 0 {
		t.Errorf("%d arrays are mapped that nobody has", n)
	}
}

// Whatever a client does to its arrays, others on the same lcore go on, and so does it once it is sane again.
func TestHostileCSB(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	f, err := memfd(8192, allSeals)
	must(t, err)
	defer f.Close()
	d := b.open("vale0:bad", netmap.WithCSB(f, 0, 4096))
	x := &served{Desc: d, CSB: d.CSB(), t: t}
	one, two := b.open("vale1:1"), b.open("vale1:2")
	witness := b.open("vale0:witness")
	healthy := func() {
		t.Helper()
		send(t, one, 0, frame(everyone, 1, 60, 7))
		same(t, receive(t, two, 1), [][]byte{frame(everyone, 1, 60, 7)})
	}

	// Heads that are none: counted, and the slots that are wrong are made empty ones.
	r := d.TxRings()[0]
	r.Slot(5).BufIdx, r.Slot(6).Len = 1<<31, 0xffff
	for _, head := range []uint32{r.NumSlots(), 1 << 31, ^uint32(0)} {
		x.Publish(csbTx, head)
	}
	b.eventually("the slots to be mended", func() bool { return r.Slot(5).BufIdx == 0 && r.Slot(6).Len == 0 })
	x.Publish(csbRx, 5) // nothing was given
	send(t, witness, 0, frame(everyone, 3, 60, 1))
	if taken := x.Taken(csbRx); taken != 0 {
		t.Errorf("a wrong head was taken: %d", taken)
	}
	healthy()
	x.Publish(csbTx, x.tx) // sane again
	x.Publish(csbRx, x.rx)
	x.send(frame(everyone, 1, 60, 2))
	same(t, receive(t, witness, 1), [][]byte{frame(everyone, 1, 60, 2)})
	got := x.receive(1)
	if len(got[0]) != 60 {
		t.Errorf("received %d bytes", len(got[0]))
	}

	// Entries that change all the time, under the lcore's eyes.
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		rnd := rand.New(rand.NewPCG(1, 2))
		for !stop.Load() {
			for i := range x.App {
				atomic.StoreUint32(&x.App[i].Head, rnd.Uint32N(2*r.NumSlots()))
				atomic.StoreUint32(&x.App[i].NeedKick, rnd.Uint32())
				atomic.StoreUint32(&x.Kern[i].HwCur, rnd.Uint32())
				atomic.StoreUint32(&x.Kern[i].NeedKick, rnd.Uint32())
			}
		}
	}()
	for range 200 {
		healthy()
	}
	// And whose pages go away meanwhile.
	for range 50 {
		must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 8192))
		healthy()
	}
	stop.Store(true)
	<-done
	healthy()
	b.close(d)
	b.serve("vale0:bad").send(frame(everyone, 1, 60, 3))
}

// What was published when the descriptor is closed is still sent (NC D.8), and a port that goes ends the wait for its rings.
func TestServedCSBEnds(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	c := b.open("vale0:other")
	for i := range 50 {
		a := b.serve("vale0:a")
		r := a.TxRings()[0]
		f := frame(everyone, 1, 60, i)
		copy(r.Buf(r.Slot(0)), f)
		r.Slot(0).Len = 60
		a.Publish(csbTx, 1)
		b.close(a.Desc)
		same(t, receive(t, c, 1), [][]byte{f})
	}
}

// Every kind of port that has lcores: a kernel interface, a device that works in the buffers, and a monitor, which watches what
// another such client sends.
func TestServedCSBKinds(t *testing.T) {
	t.Run("interface", func(t *testing.T) {
		c := newCable(t)
		b := newBed(t, 1, port.Config{OpenInterfaces: true, Allow: []string{ours}, Driver: port.DriverAFPacket})
		a := b.serve("netmap:" + ours)
		for i := range 20 {
			f := frame(everyone, 1, 60+i, i)
			a.send(f)
			same(t, [][]byte{c.peer.receive(t, testEtherType)}, [][]byte{f})
			c.peer.send(t, f)
			for got := a.receive(1)[0]; !bytes.Equal(got, f); got = a.receive(1)[0] {
				if bytes.Equal(got[12:14], f[12:14]) {
					t.Fatalf("received % x, want % x", got, f)
				}
			}
		}
		b.close(a.Desc)
	})
	t.Run("device", func(t *testing.T) {
		b := newBed(t, 1, port.Config{})
		_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "loop", Kind: port.KindDevice, Devargs: "net_ring0"})
		must(t, err)
		a := b.serve("netmap:loop")
		b.wantZeroCopy("loop")
		for i := range 700 { // more than once around the ring
			f := [][]byte{frame(2, 1, 60, i), frame(2, 1, 700, i+1)}
			a.send(f...)
			same(t, a.receive(2), f)
		}
		b.close(a.Desc)
		must(t, b.reg.DeletePort(limited(t), "loop"))
		b.emptied()
	})
	t.Run("monitor", func(t *testing.T) {
		b := newBed(t, 2, port.Config{})
		a := b.serve("vale0:a")
		m := b.serve("vale0:a/t")
		for i := range 300 {
			f := [][]byte{frame(2, 1, 60, i)}
			a.send(f...)
			got := m.receive(1)
			same(t, got, f)
		}
		b.close(m.Desc)
		a.send(frame(2, 1, 60, 0))
	})
}
