package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

var synChecks = []check{
	tests("SYN-01", "head advanced by k: k frames leave, tail equals head only when the ring is full", both, syn01),
	tests("SYN-02", "nothing new: a TX sync changes nothing but tail", both, syn02),
	tests("SYN-03", "all frames completed: tail = head - 1", both, syn03),
	tests("SYN-04", "head moved to tail: n - 1 frames leave", both, syn04),
	tests("SYN-05", "head one past tail: success, nothing is sent; with legal indices traffic resumes", both, syn05),
	tests("SYN-06", "cur behind head: the ring is re-initialised", both, syn06),
	tests("SYN-07", "head beyond the ring: head = cur = last consumed, tail restored", both, syn07),
	tests("SYN-08", "an overwritten tail is restored without an error", both, syn08),
	tests("SYN-09", "re-initialisation empties slots with a buffer index of 0, 1 or beyond the pool", both, syn09),
	tests("SYN-10", "re-initialisation sets a len above the buffer size to 0", both, syn10),
	tests("SYN-11", "RX cur ahead of head: held frames stay readable, new ones follow", both, syn11),
	tests("SYN-12", "RX ring full of held frames: nothing is overwritten, tail stays", both, syn12),
	tests("SYN-13", "RX head past tail: re-initialised", both, syn13),
	tests("SYN-14", "one bad ring among several: the others are synced", both, syn14),
	tests("SYN-15", "buffers exchanged between RX and TX slots: what is forwarded is right", both, syn15),
	tests("SYN-16", "RX syncs stamp the RX rings, TX rings have no time", both, syn16),
	tests("SYN-17", "two threads sync one ring: both succeed", both, syn17),
	tests("SYN-18", "a TX slot with a wrong buffer index is dropped, its neighbours are delivered", both, syn18),
	tests("SYN-19", "a TX slot with len above the buffer size is dropped", both, syn19),
	tests("SYN-20", "a transmitted slot keeps its buffer and its content", both, syn20),
	tests("SYN-21", "between syncs tail does not change, whatever arrives", both, syn21),
	tests("SYN-22", "slots changed during a sync: no harm", both, syn22),
}

func syn01(e *env) {
	a, b := e.pair(slots(32, 32))
	seq, r := uint32(0), a.tx[0]
	for _, k := range []uint32{1, 2, 30, 31, 5, 17, 31, 1, 0, 28} {
		if r.space() < k {
			e.Fatalf("room for %d frames, want at least %d", r.space(), k)
		}
		var frames [][]byte
		for range k {
			frames = append(frames, flood(seq))
			seq++
		}
		r.fill(frames...)
		full := r.head() == r.tail()
		if errno := a.p.txsync(a.fd); errno != 0 {
			e.Errorf("txsync: %s", errnoName(errno))
		}
		if r.tail() == r.head() && !full {
			e.Errorf("tail equals head, %d, though only %d of 31 slots were filled", r.head(), k)
		}
		r.flush()
		b.rx[0].receives(frames...)
		b.rx[0].receives() // gives the slots back
	}
}

func syn02(e *env) {
	a, b := e.pair(slots(32, 32))
	r := a.tx[0]
	r.send(flood(1), flood(2))
	b.rx[0].receives(flood(1), flood(2))
	before, head, cur := r.slots(), r.head(), r.cur()
	for range 5 {
		if errno := a.p.txsync(a.fd); errno != 0 {
			e.Errorf("txsync: %s", errnoName(errno))
		}
	}
	if r.head() != head || r.cur() != cur || !reflect.DeepEqual(r.slots(), before) {
		e.Errorf("head %d, cur %d were %d, %d; or slots changed", r.head(), r.cur(), head, cur)
	}
	b.rx[0].receives()
}

func syn03(e *env) {
	a, _ := e.pair(slots(32, 32))
	for i := range uint32(100) {
		a.tx[0].send(flood(i))
		a.tx[0].wants("after all was sent", (i+1)%32, (i+1)%32, i%32)
	}
}

func syn04(e *env) {
	sw := e.vale()
	a, b := e.openPort(e.program(), sw+":a", slots(32, 32)), e.openPort(e.program(), sw+":b")
	for range 3 {
		r := a.tx[0]
		var frames [][]byte
		for i := range r.space() {
			frames = append(frames, flood(i))
		}
		if len(frames) != 31 {
			e.Fatalf("room for %d frames, want 31", len(frames))
		}
		r.send(frames...)
		b.rx[0].receives(frames...)
	}
}

func syn05(e *env) {
	a, b := e.pair(slots(32, 32))
	r := a.tx[0]
	r.send(flood(1))
	b.rx[0].receives(flood(1))
	for i := range uint32(32) {
		r.put(i, flood(100+i), 0)
	}
	past := r.at(r.tail(), 1)
	r.set(past, past)
	for range 3 {
		if errno := a.p.txsync(a.fd); errno != 0 {
			e.Errorf("txsync with head one past tail: %s", errnoName(errno))
		}
	}
	b.rx[0].receives()
	r.set(1, 1)
	r.send(flood(2))
	b.rx[0].receives(flood(2))
}

func syn06(e *env) {
	a, b := e.pair(slots(32, 32))
	r := a.tx[0]
	r.send(flood(1), flood(2))
	b.rx[0].receives(flood(1), flood(2))
	r.put(2, flood(9), 0)
	for _, bad := range [][2]uint32{{4, 3}, {3, 2}, {10, 5}, {31, 30}, {1, 0}} {
		r.set(bad[0], bad[1])
		if errno := a.p.txsync(a.fd); errno != 0 {
			e.Errorf("txsync with head %d, cur %d: %s", bad[0], bad[1], errnoName(errno))
		}
		r.wants(fmt.Sprintf("after head %d, cur %d", bad[0], bad[1]), 2, 2, 1)
	}
	b.rx[0].receives()
	r.send(flood(3))
	b.rx[0].receives(flood(3))
}

func syn07(e *env) {
	a, b := e.pair(slots(32, 32))
	a.tx[0].send(flood(1), flood(2), flood(3))
	b.rx[0].receives(flood(1), flood(2), flood(3))
	b.rx[0].receives()
	for _, bad := range []uint32{32, 33, 1 << 16, 1 << 31, 0xffffffff} {
		for _, set := range []func(*ring){
			func(r *ring) { r.setU32(ofsHead, bad) },
			func(r *ring) { r.setU32(ofsCur, bad) },
			func(r *ring) { r.set(bad, bad) },
		} {
			set(a.tx[0])
			set(b.rx[0])
			if errno := a.p.txsync(a.fd); errno != 0 {
				e.Errorf("txsync: %s", errnoName(errno))
			}
			if errno := b.p.rxsync(b.fd); errno != 0 {
				e.Errorf("rxsync: %s", errnoName(errno))
			}
			a.tx[0].wants("TX after an index beyond the ring", 3, 3, 2)
			b.rx[0].wants("RX after an index beyond the ring", 3, 3, 3)
		}
	}
	a.tx[0].send(flood(4))
	b.rx[0].receives(flood(4))
}

func syn08(e *env) {
	a, b := e.pair(slots(32, 32))
	for i, tail := range []uint32{0, 5, 31, 32, 0xffffffff} {
		a.tx[0].setU32(ofsTail, tail)
		b.rx[0].setU32(ofsTail, tail)
		if errno := a.p.txsync(a.fd); errno != 0 {
			e.Errorf("txsync: %s", errnoName(errno))
		}
		if errno := b.p.rxsync(b.fd); errno != 0 {
			e.Errorf("rxsync: %s", errnoName(errno))
		}
		n := uint32(i)
		a.tx[0].wants("TX after its tail was written over", n, n, a.tx[0].at(n, 31))
		b.rx[0].wants("RX after its tail was written over", n, n, n)
		if re := a.p.poll(a.fd, unix.POLLOUT, 0); re != unix.POLLOUT {
			e.Errorf("poll reports %#x, want POLLOUT and no error", re)
		}
		a.tx[0].send(flood(n))
		b.rx[0].receives(flood(n))
	}
}

// reinit makes a ring bad and syncs.
func (r *ring) reinit() {
	r.e.Helper()
	r.setU32(ofsHead, r.NumSlots)
	sync := r.p.rxsync
	if r.Dir == abi.DirTx {
		sync = r.p.txsync
	}
	if errno := sync(r.fd); errno != 0 {
		r.e.Errorf("sync of a bad ring: %s", errnoName(errno))
	}
}

func syn09(e *env) {
	a, _ := e.pair(slots(32, 32))
	for _, r := range a.all() {
		good := r.slot(9)
		for i, idx := range []uint32{0, 1, 4098, 1 << 20, 0xffffffff} {
			s := r.slot(uint32(i))
			s.BufIdx, s.Len = idx, 60
			r.setSlot(uint32(i), s)
		}
		r.reinit()
		for i := range uint32(5) {
			if s := r.slot(i); s.BufIdx != 0 || s.Len != 0 {
				e.Errorf("slot %d is %+v, want no buffer and no length", i, s)
			}
		}
		if r.slot(9) != good {
			e.Errorf("slot 9 is %+v, was %+v", r.slot(9), good)
		}
	}
}

func syn10(e *env) {
	a, _ := e.pair(slots(32, 32))
	for _, r := range a.all() {
		for i, n := range []uint16{2048, 2049, 0xffff} {
			s := r.slot(uint32(i))
			s.Len = n
			r.setSlot(uint32(i), s)
		}
		idx := r.slot(1).BufIdx
		r.reinit()
		if a, b, c := r.slot(0), r.slot(1), r.slot(2); a.Len != 2048 || b.Len != 0 || b.BufIdx != idx || c.Len != 0 {
			e.Errorf("the lengths are %d, %d, %d, want 2048, 0, 0", a.Len, b.Len, c.Len)
		}
	}
}

func syn11(e *env) {
	a, b := e.pair(slots(32, 32))
	a.tx[0].send(flood(1), flood(2), flood(3))
	r := b.rx[0]
	sync := func() {
		if errno := b.p.rxsync(b.fd); errno != 0 {
			e.Errorf("rxsync: %s", errnoName(errno))
		}
	}
	sync()
	r.set(0, 3)
	sync()
	r.wants("frames held", 0, 3, 3)
	a.tx[0].send(flood(4), flood(5))
	sync()
	r.wants("frames held, two more", 0, 3, 5)
	r.receives(flood(1), flood(2), flood(3), flood(4), flood(5))
}

func syn12(e *env) {
	a, b := e.pair(slots(16, 16))
	r := b.rx[0]
	var frames [][]byte
	for i := range uint32(15) {
		frames = append(frames, flood(i))
	}
	a.tx[0].send(frames...)
	if errno := b.p.rxsync(b.fd); errno != 0 {
		e.Error(errno)
	}
	r.wants("a full ring", 0, 0, 15)
	for i := range uint32(20) {
		a.tx[0].send(flood(1000 + i))
		if errno := b.p.rxsync(b.fd); errno != 0 {
			e.Error(errno)
		}
	}
	r.wants("a full ring, and more traffic", 0, 0, 15)
	r.receives(frames...)
	r.receives()
	a.tx[0].send(flood(99))
	r.receives(flood(99))
}

func syn13(e *env) {
	a, b := e.pair(slots(16, 16))
	a.tx[0].send(flood(1), flood(2))
	r := b.rx[0]
	if errno := b.p.rxsync(b.fd); errno != 0 {
		e.Error(errno)
	}
	for _, head := range []uint32{3, 10, 15} {
		r.set(head, head)
		if errno := b.p.rxsync(b.fd); errno != 0 {
			e.Errorf("rxsync with head %d past tail: %s", head, errnoName(errno))
		}
		r.wants("head past tail", 0, 0, 2)
	}
	r.receives(flood(1), flood(2))
}

func syn14(e *env) {
	a, b := e.pair(rings(3, 3), slots(32, 32))
	for k := range a.tx {
		a.tx[k].fill(flood(uint32(k)))
	}
	a.tx[1].set(99, 99)
	if errno := a.p.txsync(a.fd); errno != 0 {
		e.Errorf("txsync: %s", errnoName(errno))
	}
	e.waitFor("the good rings to be taken", func() error {
		_ = a.p.txsync(a.fd)
		if a.tx[0].tail() != 0 || a.tx[2].tail() != 0 {
			return errPending
		}
		return nil
	})
	a.tx[1].wants("the bad ring", 0, 0, 31)
	// Frames are in order within a ring; which ring an lcore sees first is chance.
	got := b.rx[0].receive()
	slices.SortFunc(got, bytes.Compare)
	if !slices.EqualFunc(got, [][]byte{flood(0), flood(2)}, bytes.Equal) {
		e.Errorf("received % x, want the frames of rings 0 and 2", got)
	}
}

// syn15 is a program between two switches that forwards by exchanging buffers.
func syn15(e *env) {
	one, two, frames := e.vale(), e.vale(), uint32(times(1_000_000, 100_000))
	if e.half == cHalf {
		syn15C(e, one, two, frames)
		return
	}
	gen, sink := e.client(one+":gen"), e.client(two+":sink")
	in := e.client(one + ":in")
	out := e.client(two + ":out@share=" + one + ":in")
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { relay(ctx, in, out) })
	// The generator stays within what all rings hold, so that nothing is dropped.
	const window = 256
	got, sent := uint32(0), uint32(0)
	tx, rx := gen.TxRings()[0], sink.RxRings()[0]
	for got < frames {
		for sent < frames && sent-got < window && tx.Send(flood(sent)) {
			sent++
		}
		if err := gen.TxSync(); err != nil {
			e.Fatal(err)
		}
		if _, err := sink.Poll(ctx, netmap.PollIn); err != nil {
			e.Fatalf("after %d frames: %v", got, err)
		}
		for h := rx.Head(); !rx.Empty(); h = rx.Head() {
			if f := rx.Frame(h); len(f) != 60 || binary.LittleEndian.Uint32(f[14:]) != got || !bytes.Equal(f[:14], flood(0)[:14]) {
				e.Fatalf("frame %d is % x", got, f)
			}
			got++
			rx.Advance(rx.Next(h))
		}
	}
}

func syn15C(e *env, one, two string, frames uint32) {
	gen, mid, sink := e.program().(*driver), e.program().(*driver), e.program().(*driver)
	out := e.openPort(sink, two+":sink")
	a := e.openPort(mid, one+":in")
	b := e.openPort(mid, two+":out", memID(a.reg.MemID))
	in := e.openPort(gen, one+":gen")
	// The relay ends with a frame after the last one, which may be lost behind it and has to go through it again then.
	mid.tell("relay %d %d %d %d %d %d", a.fd, b.fd, a.base, a.rx[0].off, b.tx[0].off, frames+1)
	sink.drainTo(frames, out, "poll")
	gen.feedTo(0, frames, in, func() bool { return sink.drained(frames) })
	gen.feed(frames, frames+1, in)
	if errno, words := mid.hear(); errno != 0 {
		e.Errorf("the relay gives %s after %s frames", errnoName(errno), words[0])
	}
	// What it exchanged is still in order: each ring has buffers of its own.
	seen := map[uint32]bool{}
	for _, r := range append(a.all(), b.all()...) {
		for _, s := range r.slots() {
			if s.BufIdx < 2 || seen[s.BufIdx] {
				e.Fatalf("buffer %d is in two slots, or none", s.BufIdx)
			}
			seen[s.BufIdx] = true
		}
	}
}

// relay forwards until the context ends.
func relay(ctx context.Context, in, out *netmap.Desc) {
	rx, tx := in.RxRings()[0], out.TxRings()[0]
	for {
		if _, err := in.Poll(ctx, netmap.PollIn); err != nil {
			return
		}
		for !rx.Empty() && !tx.Empty() {
			r, t := rx.Slot(rx.Head()), tx.Slot(tx.Head())
			r.BufIdx, t.BufIdx = t.BufIdx, r.BufIdx
			t.Len, r.Flags, t.Flags = r.Len, abi.NSBufChanged, abi.NSBufChanged
			rx.Advance(rx.Next(rx.Head()))
			tx.Advance(tx.Next(tx.Head()))
		}
		if out.TxSync() != nil {
			return
		}
	}
}

func syn16(e *env) {
	a, b := e.pair(rings(2, 2))
	last := time.Now().Add(-time.Second).UnixMicro()
	for i := range uint32(3) {
		b.tx[0].send(flood(i))
		if errno := a.p.rxsync(a.fd); errno != 0 {
			e.Error(errno)
		}
		for k, r := range a.rx {
			if at := r.timestamp(); at < last || at > time.Now().Add(time.Second).UnixMicro() || r.u32(ofsFlags) != 0 {
				e.Errorf("RX ring %d is stamped %d, the sync before was at %d", k, at, last)
			}
		}
		now := a.rx[0].timestamp()
		time.Sleep(time.Millisecond)
		a.p.poll(a.fd, unix.POLLIN, 0)
		if a.rx[0].timestamp() <= now {
			e.Errorf("a poll for POLLIN does not stamp")
		}
		last = a.rx[0].timestamp()
	}
	for k, r := range append(a.tx, b.tx...) {
		if at := r.timestamp(); at != 0 {
			e.Errorf("TX ring %d is stamped %d, want 0", k, at)
		}
	}
}

func syn17(e *env) {
	a, b := e.pair()
	const rounds = 20000
	if d, ok := a.p.(*driver); ok {
		if bad := d.number("threads %d %d", a.fd, rounds); bad != 0 {
			e.Errorf("%d syncs failed", bad)
		}
	} else {
		d := a.p.(*goProgram).joined(a.fd)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range rounds {
					if err := d.TxSync(); err != nil {
						e.Error(err)
					}
					if err := d.RxSync(); err != nil {
						e.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	a.tx[0].send(flood(1))
	b.rx[0].receives(flood(1))
}

// spoiled sends three frames, the middle one with a wrong slot.
func (e *env) spoiled(reason string, spoil func(*abi.Slot)) {
	e.Helper()
	a, b := e.pair(slots(32, 32))
	r := a.tx[0]
	var want [][]byte
	for i := range uint32(10) {
		h := r.head()
		r.fill(flood(3*i), flood(3*i+1), flood(3*i+2))
		s := r.slot(r.at(h, 1))
		good := s
		spoil(&s)
		r.setSlot(r.at(h, 1), s)
		r.flush()
		r.setSlot(r.at(h, 1), good)
		want = append(want, flood(3*i), flood(3*i+2))
	}
	b.rx[0].receives(want...)
	if n := e.drops(a.name, reason); n != 10 {
		e.Errorf("the daemon counts %d frames dropped as %s, want 10", n, reason)
	}
}

func syn18(e *env) {
	for _, idx := range []uint32{0, 1, 4098, 0xffffffff} {
		e.spoiled("bad_index", func(s *abi.Slot) { s.BufIdx = idx })
	}
}

func syn19(e *env) {
	for _, n := range []uint16{2049, 0xffff} {
		e.spoiled("bad_length", func(s *abi.Slot) { s.Len = n })
	}
}

func syn20(e *env) {
	a, b := e.pair(slots(16, 16))
	r := a.tx[0]
	for i := range uint32(16) {
		r.put(i, flood(i), 0)
	}
	before := r.slots()
	for lap := range uint32(5) { // a generator fills once and sends lap after lap
		for i := range uint32(15) {
			at := r.head()
			r.set(r.at(at, 1), r.at(at, 1))
			r.flush()
			b.rx[0].receives(flood(at))
			b.rx[0].receives()
			if s := r.slot(at); s != before[at] || !bytes.Equal(r.buf(s.BufIdx, 60), flood(at)) {
				e.Errorf("lap %d, slot %d: %+v was %+v", lap, i, s, before[at])
			}
		}
	}
}

func syn21(e *env) {
	a, b := e.pair(slots(64, 64))
	b.rx[0].receives()
	before := b.rx[0].indices()
	for i := range uint32(200) {
		a.tx[0].send(flood(i))
		if now := b.rx[0].indices(); now != before {
			e.Fatalf("after %d frames head, cur, tail of a ring that nobody syncs are %v, were %v", i, now, before)
		}
	}
	if n := len(b.rx[0].receive()); n != 63 {
		e.Errorf("%d frames were there, want a full ring of 63", n)
	}
	// The sender's too: what it gave is taken, and shown at its next sync.
	a.p.poll(a.fd, 0, 0)
	h := a.tx[0].head()
	a.tx[0].fill(flood(0))
	before = a.tx[0].indices()
	a.p.poll(a.fd, 0, 0)
	seen := a.tx[0].indices()
	time.Sleep(moment)
	if now := a.tx[0].indices(); now != seen {
		e.Errorf("head, cur, tail of a TX ring changed without a sync from %v to %v (before %v, head %d)", seen, now, before, h)
	}
}

func syn22(e *env) {
	sw := e.vale()
	a, spoiler := e.openPort(e.program(), sw+":a", slots(32, 32)), e.openPort(e.program(), sw+":a")
	b := e.openPort(e.program(), sw+":b", slots(32, 32))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		r := spoiler.tx[0]
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			s := abi.Slot{BufIdx: i * 2654435761, Len: uint16(i * 40503), Flags: uint16(i) & abi.NSMoreFrag}
			if i%3 == 0 {
				s.BufIdx, s.Len, s.Flags = 40, 60, 0
			}
			spoiler.p.store(spoiler.base, r.slotAt(i%32), abi.Encode(nil, s))
		}
	}()
	for range times(100_000, 1000) {
		h := a.tx[0].at(a.tx[0].head(), 5)
		a.tx[0].set(h, h)
		a.tx[0].flush()
		if errno := b.p.rxsync(b.fd); errno != 0 {
			e.Error(errno)
		}
		r := b.rx[0]
		for i := r.head(); i != r.tail(); i = r.at(i, 1) {
			if s := r.slot(i); uint32(s.Len) > r.RingHeader.BufSize || s.BufIdx < 2 || s.BufIdx >= 4098 {
				e.Fatalf("a slot that cannot be was received: %+v", s)
			}
		}
		r.set(r.tail(), r.tail())
	}
	close(stop)
	<-done
	// Neighbours are well.
	c, d := e.pair()
	c.tx[0].send(flood(1))
	d.rx[0].receives(flood(1))
}
