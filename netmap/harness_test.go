package netmap

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/ring"
)

// A bench is a port in ordinary memory: the client's half is a Desc as Open
// makes it, the daemon's half is the daemon's own package ring, which the test
// drives as an lcore would.
type bench struct {
	*Desc
	mem abi.Mem
	dtx []*ring.Ring // the daemon's half
	drx []*ring.Ring
	tb  testing.TB
}

const (
	benchBufSize = 256
	benchRingOff = 4096
)

// newBench makes a port with tx and rx rings of the given number of slots.
func newBench(tb testing.TB, tx, rx int, slots uint32) *bench {
	tb.Helper()
	rings := tx + rx
	ringObj := (abi.RingBytes(slots) + 4095) &^ 4095
	bufOff := benchRingOff + uint64(rings)*ringObj
	bufs := abi.MinBufIndex + uint32(rings)*slots + 8
	mem := anon(tb, bufOff+uint64(bufs)*benchBufSize)
	syncs := anon(tb, uint64(rings)*abi.SyncBlockSize)

	b := &bench{tb: tb, mem: abi.NewMem(mem)}
	w, event := newTestWake(tb)
	kickFD, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	must(tb, err)
	s := &session{id: 1, kickFD: kickFD, wakes: map[*wake]struct{}{}, sleepers: map[*sleeper]struct{}{}}
	pool, err := b.mem.Bufs(bufOff, bufs, benchBufSize)
	must(tb, err)
	b.Desc = &Desc{name: "bench", session: s, syncs: syncs, wake: w, region: &Region{mem: b.mem, bufs: pool}}
	s.enlist(w)

	next := uint32(abi.MinBufIndex)
	for i := range rings {
		dir, ix := abi.DirTx, &ring.Indices{HwTail: slots - 1}
		if i >= tx {
			dir, ix = abi.DirRx, &ring.Indices{}
		}
		v, err := b.mem.Ring(benchRingOff+uint64(i)*ringObj, slots)
		must(tb, err)
		blk, err := abi.NewMem(syncs).SyncBlock(i)
		must(tb, err)
		for k := range slots {
			v.Store(k, abi.MakeWord(next, benchBufSize, 0))
			next++
		}
		v.SetUser(ix.HwCur, ix.HwCur, ix.HwTail)
		dr := ring.New(ring.Config{Dir: dir, ID: i, Slots: v.Slots, Bufs: pool, Block: blk, Indices: ix})
		dr.Reset()
		dr.SetBound(true)
		dr.SetWaiters([]int{event}, 1)
		r := Ring{ring: v, blk: blk, bufs: pool, n: slots, dir: dir, id: uint16(i), session: 1}
		if dir == abi.DirTx {
			t := &TxRing{}
			t.ring, t.blk, t.bufs, t.n, t.dir, t.id, t.session = r.ring, r.blk, r.bufs, r.n, r.dir, r.id, r.session
			b.txRings, b.tx, b.dtx = append(b.txRings, t), append(b.tx, &t.Ring), append(b.dtx, dr)
		} else {
			t := &RxRing{}
			t.ring, t.blk, t.bufs, t.n, t.dir, t.id, t.session = r.ring, r.blk, r.bufs, r.n, r.dir, r.id-uint16(tx), r.session
			b.rxRings, b.rx, b.drx = append(b.rxRings, t), append(b.rx, &t.Ring), append(b.drx, dr)
		}
	}
	tb.Cleanup(func() { _ = unix.Close(kickFD) })
	return b
}

// newTestWake makes a wake as a client gets it, and the eventfd by which the daemon would wake it.
func newTestWake(tb testing.TB) (w *wake, event int) {
	tb.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(tb, err)
	event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	must(tb, err)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	must(tb, err)
	must(tb, unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, event, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wire.WakeRings}))
	must(tb, unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, pair[0], &unix.EpollEvent{Events: unix.EPOLLRDHUP, Fd: wire.WakeHangup}))
	w, err = newWake(epoll, pair[0], -1)
	must(tb, err)
	tb.Cleanup(func() {
		w.close()
		_, _ = unix.Close(pair[1]), unix.Close(event)
	})
	return w, event
}

func anon(tb testing.TB, size uint64) []byte {
	tb.Helper()
	m, err := unix.Mmap(-1, 0, int((size+4095)&^4095), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_SHARED)
	must(tb, err)
	tb.Cleanup(func() { _ = unix.Munmap(m) })
	return m[:size]
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// consume is the lcore taking all that a TX ring published.
func (b *bench) consume(i int) (taken uint32) {
	r := b.dtx[i]
	from, n := r.Pending()
	if n > 0 {
		r.Complete(r.Advance(from, n))
	}
	return n
}

// deliver is the lcore delivering n frames of the given length to an RX ring,
// each filled with its number. It returns how many fitted.
func (b *bench) deliver(i int, n uint32, length uint16) (got uint32) {
	r := b.drx[i]
	start, got := r.Reserve(n)
	for k, s := uint32(0), start; k < got; k, s = k+1, r.Advance(s, 1) {
		idx := r.Slots().Load(s).Idx()
		buf := b.region.Buf(idx)
		for j := range buf[:length] {
			buf[j] = byte(k)
		}
		r.Slots().Store(s, abi.MakeWord(idx, length, 1<<abi.NSFragShift))
	}
	r.Commit(start, got, got)
	return got
}

// lcore runs f again and again until the test ends or stop is called.
func (b *bench) lcore(f func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			f()
			time.Sleep(10 * time.Microsecond) // the machine has few cores
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	b.tb.Cleanup(stop)
	return stop
}

// kicked reports whether the client kicked the daemon since the last call.
func (b *bench) kicked() bool {
	var v [8]byte
	n, _ := unix.Read(b.session.kickFD, v[:])
	return n == 8
}
