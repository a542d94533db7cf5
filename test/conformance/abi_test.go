package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var abiChecks = []check{
	tests("ABI-01", "offsets of the fields of netmap_ring, measured by a compiler", cHalf, abi01),
	tests("ABI-02", "offsets of the fields of netmap_if, measured by a compiler", cHalf, abi02),
	tests("ABI-03", "a slot has 16 bytes, ptr is at 8", cHalf, abi03),
	tests("ABI-04", "every bound ring lies on a multiple of 128 bytes", both, abi04),
	tests("ABI-05", "the buffer of every slot lies in the buffer pool", both, abi05),
	tests("ABI-06", "one buffer index seen from two rings is one address", both, abi06),
	tests("ABI-07", "a fresh TX ring has head = cur = 0, tail = n-1", both, abi07),
	tests("ABI-08", "a fresh RX ring has head = cur = tail = 0", both, abi08),
	tests("ABI-09", "fresh slots: len is the buffer size, flags and ptr are 0, indices are from 2 on and distinct", both, abi09),
	tests("ABI-10", "without host rings netmap_if shows one each way, at offset 0", both, abi10),
	tests("ABI-11", "all HW rings of a NIC: host rings have offset 0", both, abi11),
	tests("ABI-12", "host rings of a NIC: HW rings have offset 0, host rings have not", both, abi12),
	tests("ABI-13", "HW and host rings: no offset is 0", both, abi13),
	tests("ABI-14", "RX rings only: TX offsets are 0, RX offsets are not; and the reverse", both, abi14),
	tests("ABI-15", "both ONLY flags: register succeeds, all offsets are 0, poll reports nothing", both, abi15),
	tests("ABI-16", "one ring k: only offset k of each direction is not 0", both, abi16),
	tests("ABI-17", "two descriptors of one port see the same rings", both, abi17),
	tests("ABI-18", "ni_flags says whether the region is private", both, abi18),
	tests("ABI-19", "sem is the program's: it survives syncs and other processes see it", both, abi19),
	tests("ABI-20", "buf_ofs of the ring at x is if-pool + ring-pool - x", both, abi20),
	tests("ABI-21", "POOLS_INFO of the default global region", both, abi21),
	tests("ABI-22", "POOLS_INFO of a VALE port with 1+1 rings of 1024 slots", both, abi22),
	tests("ABI-23", "mmap before register: EINVAL", cHalf, abi23),
	tests("ABI-24", "mmap beyond memsize: EINVAL; a part inside: success", cHalf, abi24),
	tests("ABI-25", "extra buffers: as many as asked for, distinct, in no slot, list ends with 0", both, abi25),
	tests("ABI-26", "no extra buffers: ni_bufs_head is 0", both, abi26),
	tests("ABI-27", "more extra buffers than there are: success, and the reply says how many", both, abi27),
	tests("ABI-28", "an extra buffer swapped into a slot and the old one listed: none is lost at close", both, abi28),
	testsAlone("ABI-29", "killed with extra buffers in no list: free again when the region has no user", both, abi29),
	tests("ABI-30", "a ring bound again while its port lived on: indices are consistent, frames flow", both, abi30),
}

// layout asks the compiled header.
func layout(e *env) map[string]string {
	e.Helper()
	if proberMissing != "" {
		e.Skip(proberMissing)
	}
	_, words := startDriver(e, false).do("layout")
	m := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		m[k] = v
	}
	return m
}

// compare holds the header against NC and against package abi. want lists field=offset for C, then the Go type.
func compare(e *env, name string, size int, want string, goType any) {
	e.Helper()
	l := layout(e)
	if l[name] != fmt.Sprint(size) || binary.Size(goType) != size {
		e.Errorf("%s has %s bytes in C and %d in Go, want %d", name, l[name], binary.Size(goType), size)
	}
	for _, f := range strings.Fields(want) {
		k, v, _ := strings.Cut(f, "=")
		if got := l[name+"."+k]; got != v {
			e.Errorf("%s.%s is at %s, want %s", name, k, got, v)
		}
	}
}

// goOffsets compares offsets of Go fields.
func goOffsets(e *env, v any, want map[string]uintptr) {
	e.Helper()
	for field, off := range want {
		f, ok := reflect.TypeOf(v).FieldByName(field)
		if !ok || f.Offset != off {
			e.Errorf("%T.%s is at %d, want %d", v, field, f.Offset, off)
		}
	}
}

func abi01(e *env) {
	compare(e, "netmap_ring", 256, "buf_ofs=0 num_slots=8 nr_buf_size=12 ringid=16 dir=18 head=20 cur=24 tail=28 flags=32 ts=40 "+
		"offset_mask=56 buf_align=64 sem=128 slot=256", abi.RingHeader{})
	goOffsets(e, abi.RingHeader{}, map[string]uintptr{
		"BufOfs": 0, "NumSlots": 8, "BufSize": 12, "RingID": 16, "Dir": 18, "Head": ofsHead, "Cur": ofsCur, "Tail": ofsTail,
		"Flags": ofsFlags, "TsSec": ofsTs, "TsUsec": 48, "OffsetMask": 56, "BufAlign": 64, "Sem": ofsSem,
	})
}

func abi02(e *env) {
	compare(e, "netmap_if", 56, "ni_name=0 ni_version=16 ni_flags=20 ni_tx_rings=24 ni_rx_rings=28 ni_bufs_head=32 "+
		"ni_host_tx_rings=36 ni_host_rx_rings=40 ring_ofs=56", abi.IfHeader{})
	goOffsets(e, abi.IfHeader{}, map[string]uintptr{
		"Name": 0, "Version": 16, "Flags": 20, "TxRings": 24, "RxRings": 28, "BufsHead": 32, "HostTxRings": 36, "HostRxRings": 40,
	})
}

func abi03(e *env) {
	compare(e, "netmap_slot", 16, "buf_idx=0 len=4 flags=6 ptr=8", abi.Slot{})
	goOffsets(e, abi.Slot{}, map[string]uintptr{"BufIdx": 0, "Len": 4, "Flags": 6, "Ptr": 8})
}

// all are the bound rings.
func (d *port) all() []*ring { return append(append([]*ring{}, d.tx...), d.rx...) }

func abi04(e *env) {
	d := e.openPort(e.program(), e.vale()+":a", rings(3, 2), slots(7, 100))
	if len(d.tx) != 3 || len(d.rx) != 2 {
		e.Fatalf("%d TX and %d RX rings, want 3 and 2", len(d.tx), len(d.rx))
	}
	for _, r := range d.all() {
		if r.off%128 != 0 {
			e.Errorf("a ring lies at %d in the region, want a multiple of 128", r.off)
		}
	}
}

// pools asks for the geometry of a region.
func (e *env) pools(p program, name string, id uint16) abi.PoolsInfo {
	e.Helper()
	fd := p.open()
	defer p.close(fd)
	q := newRequest(abi.ReqPoolsInfoGet, name, abi.PoolsInfo{MemID: id})
	e.expect(0, p, fd, q)
	return decode[abi.PoolsInfo](e, q)
}

func abi05(e *env) {
	p, name := e.program(), e.vale()+":a"
	d := e.openPort(p, name, rings(2, 2))
	pool := e.pools(p, name, 0)
	end := pool.BufOffset + uint64(pool.BufCount)*uint64(pool.BufSize)
	if end > d.reg.MemSize {
		e.Errorf("the buffer pool ends at %d, the region has %d bytes", end, d.reg.MemSize)
	}
	for _, r := range d.all() {
		for i, s := range r.slots() {
			if at := r.bufAt(s.BufIdx); at < pool.BufOffset+2*uint64(pool.BufSize) || at+uint64(pool.BufSize) > end {
				e.Errorf("slot %d has its buffer at %d, the pool is [%d, %d)", i, at, pool.BufOffset, end)
			}
		}
	}
}

func abi06(e *env) {
	d := e.openPort(e.program(), e.vale()+":a", rings(2, 2))
	for _, r := range d.all() {
		for _, idx := range []uint32{2, 77, 4000} {
			if r.bufAt(idx) != d.tx[0].bufAt(idx) {
				e.Errorf("buffer %d lies at %d seen from one ring and at %d from another", idx, d.tx[0].bufAt(idx), r.bufAt(idx))
			}
		}
	}
}

func abi07(e *env) {
	for _, n := range []uint32{16, 100, 1024} {
		d := e.openPort(e.program(), e.vale()+":a", slots(n, n))
		d.tx[0].wants("a fresh TX ring", 0, 0, n-1)
	}
}

func abi08(e *env) {
	d := e.openPort(e.program(), e.vale()+":a")
	d.rx[0].wants("a fresh RX ring", 0, 0, 0)
}

func abi09(e *env) {
	d := e.openPort(e.program(), e.vale()+":a", rings(2, 2), slots(64, 32))
	seen := map[uint32]bool{}
	for _, r := range d.all() {
		for i, s := range r.slots() {
			if s.BufIdx < 2 || seen[s.BufIdx] || uint32(s.Len) != r.RingHeader.BufSize || s.Flags != 0 || s.Ptr != 0 {
				e.Errorf("slot %d is %+v, want a buffer of its own from 2 on, len %d, no flags, no ptr", i, s, r.RingHeader.BufSize)
			}
			seen[s.BufIdx] = true
		}
	}
	if len(seen) != 192 {
		e.Errorf("%d buffers in the slots, want 192", len(seen))
	}
}

func abi10(e *env) {
	d := e.openPort(e.program(), e.vale()+":a", rings(2, 3))
	if d.HostTxRings != 1 || d.HostRxRings != 1 || d.reg.HostTxRings != 0 || d.reg.HostRxRings != 0 {
		e.Errorf("netmap_if has %d and %d host rings, want 1 and 1; the reply %d and %d, want none", d.HostTxRings, d.HostRxRings, d.reg.HostTxRings, d.reg.HostRxRings)
	}
	if len(d.ofs) != 7 || d.ofs[2] != 0 || d.ofs[6] != 0 {
		e.Errorf("ring offsets are %v, want 7 of which 2 and 6 are 0", d.ofs)
	}
}

// boundAre wants exactly these entries of ring_ofs to be bound.
func (d *port) boundAre(what string, want ...int) {
	d.e.Helper()
	var got []int
	for i, o := range d.ofs {
		if o != 0 {
			got = append(got, i)
		}
	}
	if !reflect.DeepEqual(got, want) {
		d.e.Errorf("%s binds the entries %v of ring_ofs, want %v", what, got, want)
	}
}

func abi14(e *env) {
	p, sw := e.program(), e.vale()
	e.openPort(p, sw+":a", rings(2, 2), flags(abi.FlagRxRingsOnly)).boundAre("RX rings only", 3, 4)
	e.openPort(p, sw+":b", rings(2, 2), flags(abi.FlagTxRingsOnly)).boundAre("TX rings only", 0, 1)
}

func abi15(e *env) {
	p := e.program()
	d := e.openPort(p, e.vale()+":a", flags(abi.FlagRxRingsOnly|abi.FlagTxRingsOnly))
	d.boundAre("neither TX nor RX rings")
	if re := p.poll(d.fd, unix.POLLIN|unix.POLLOUT, moment); re != 0 {
		e.Errorf("poll reports %#x, want nothing", re)
	}
}

func abi16(e *env) {
	p, sw := e.program(), e.vale()
	for k := range uint16(3) {
		d := e.openPort(p, sw+":a", rings(3, 3), mode(abi.ModeOneNIC, k))
		d.boundAre(fmt.Sprintf("ring %d", k), int(k), 4+int(k))
		if int(d.tx[0].RingID) != int(k) || d.tx[0].Dir != abi.DirTx || int(d.rx[0].RingID) != int(k) || d.rx[0].Dir != abi.DirRx {
			e.Errorf("the headers of ring %d say %d, %d and %d, %d", k, d.tx[0].RingID, d.tx[0].Dir, d.rx[0].RingID, d.rx[0].Dir)
		}
	}
}

func abi17(e *env) {
	p, q, name := e.program(), e.program(), e.vale()+":a"
	a, b := e.openPort(p, name), e.openPort(q, name)
	if a.reg.Offset == b.reg.Offset {
		e.Errorf("two descriptors have one netmap_if, at %d", a.reg.Offset)
	}
	for i, r := range a.all() {
		if r.off != b.all()[i].off {
			e.Errorf("ring %d lies at %d for one descriptor and at %d for the other", i, r.off, b.all()[i].off)
		}
	}
	a.tx[0].setU32(ofsSem, 4711)
	if got := b.tx[0].u32(ofsSem); got != 4711 {
		e.Errorf("what one descriptor writes the other reads as %d", got)
	}
}

func abi18(e *env) {
	p := e.program()
	if d := e.openPort(p, e.vale()+":a"); d.netif.IfHeader.Flags&abi.IfPrivate == 0 || d.reg.MemID <= 1 {
		e.Errorf("a VALE port has ni_flags %#x and region %d, want a private one", d.netif.IfHeader.Flags, d.reg.MemID)
	}
	ifname, _ := e.veth()
	if d := e.openPort(p, ifname); d.netif.IfHeader.Flags&abi.IfPrivate != 0 || d.reg.MemID != 1 {
		e.Errorf("an interface has ni_flags %#x and region %d, want the global one, 1", d.netif.IfHeader.Flags, d.reg.MemID)
	}
}

func abi19(e *env) {
	p, q, sw := e.program(), e.program(), e.vale()
	d, other, peer := e.openPort(p, sw+":a"), e.openPort(q, sw+":a"), e.openPort(q, sw+":b")
	pattern := bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 32)
	for _, r := range d.all() {
		p.store(d.base, r.off+ofsSem, pattern)
	}
	for range 5 {
		d.tx[0].send(flood(1), flood(2))
		peer.tx[0].send(flood(3))
		d.rx[0].receive()
	}
	for i, r := range d.all() {
		for _, who := range []*port{d, other} {
			if got := who.p.load(who.base, r.off+ofsSem, 128); !bytes.Equal(got, pattern) {
				e.Errorf("sem of ring %d is % x…, want % x…", i, got[:8], pattern[:8])
			}
		}
	}
}

func abi20(e *env) {
	p, name := e.program(), e.vale()+":a"
	d := e.openPort(p, name, rings(2, 2))
	pool := e.pools(p, name, 0)
	for _, r := range d.all() {
		want := int64(pool.IfCount)*int64(pool.IfSize) + int64(pool.RingCount)*int64(pool.RingSize) - int64(r.off)
		if r.BufOfs != want {
			e.Errorf("buf_ofs of the ring at %d is %d, want %d", r.off, r.BufOfs, want)
		}
	}
}

func abi21(e *env) {
	ifname, _ := e.veth()
	want := abi.PoolsInfo{
		MemSize: 343019520, MemID: 1, IfCount: 100, IfSize: 1024, RingOffset: 102400, RingCount: 200, RingSize: 36864,
		BufOffset: 7475200, BufCount: 163840, BufSize: 2048,
	}
	if got := e.pools(e.program(), ifname, 0); got != want {
		e.Errorf("the pools are\n%+v, want\n%+v", got, want)
	}
}

func abi22(e *env) {
	got := e.pools(e.program(), e.vale()+":a", 0)
	want := abi.PoolsInfo{
		MemSize: 42369024, MemID: got.MemID, IfCount: 12, IfSize: 1024, RingOffset: 12288, RingCount: 20, RingSize: 20480,
		BufOffset: 421888, BufCount: 20482, BufSize: 2048,
	}
	if got != want || got.MemID < 2 {
		e.Errorf("the pools are\n%+v, want\n%+v", got, want)
	}
	abi22Kinds(e)
}

// abi22Kinds: who has a region of his own, and how large it is; the sizes are NC A.10's examples.
func abi22Kinds(e *env) {
	p, sw := e.program(), e.vale()
	asked := func(d *port) abi.PoolsInfo { return e.pools(p, d.name, 0) }
	four, long := e.openPort(p, sw+":four", rings(4, 4)), e.openPort(p, sw+":long", slots(4096, 4096))
	own := e.openPort(p, sw+":own")
	for _, c := range []struct {
		what              string
		got               abi.PoolsInfo
		size              uint64
		rings, ring, bufs uint32
	}{
		{"4 rings each way", asked(four), 55074816, 26, 20480, 26626},
		{"4096 slots", asked(long), 169893888, 32, 65792, 81922},
	} {
		if g := c.got; g.MemSize != c.size || g.RingCount != c.rings || g.RingSize != c.ring || g.BufCount != c.bufs {
			e.Errorf("%s: the pools are %+v, want %+v", c.what, g, c)
		}
	}
	if m := e.monitor(sw+":own", abi.FlagMonitorRx); m.reg.MemSize != 8478720 || m.reg.MemID == own.reg.MemID {
		e.Errorf("a copy monitor has %d bytes in region %d", m.reg.MemSize, m.reg.MemID)
	}
	// Those that live in another's.
	pipe := e.openPort(p, sw+":own{1")
	if asked(pipe) != asked(own) {
		e.Errorf("the pools of a pipe are %+v, want %+v", asked(pipe), asked(own))
	}
	for what, d := range map[string]*port{
		"a pipe": pipe, "a zero-copy monitor": e.monitor(sw+":own", abi.FlagMonitorTx|abi.FlagZcopyMon),
		"a null port": e.openPort(p, "any", mode(abi.ModeNull, 0), memID(own.reg.MemID)),
	} {
		if d.reg.MemID != own.reg.MemID || d.reg.MemSize != own.reg.MemSize {
			e.Errorf("%s: region %d of %d bytes, want %d of %d", what, d.reg.MemID, d.reg.MemSize, own.reg.MemID, own.reg.MemSize)
		}
	}
}

func abi23(e *env) {
	p := e.program()
	fd := p.open()
	if _, errno := p.mmap(fd, 4096, 0); errno != unix.EINVAL {
		e.Errorf("mmap before register gives %s, want EINVAL", errnoName(errno))
	}
	e.expect(0, p, fd, registration(e.vale()+":a"))
}

func abi24(e *env) {
	p := e.program()
	d := e.openPort(p, e.vale()+":a")
	for _, c := range []struct {
		length, offset uint64
		want           unix.Errno
	}{
		{d.reg.MemSize + 4096, 0, unix.EINVAL},
		{d.reg.MemSize, 4096, unix.EINVAL},
		{4096, d.reg.MemSize, unix.EINVAL},
		{4096, 4096, 0},
		{d.reg.MemSize - 8192, 8192, 0},
		{d.reg.MemSize, 0, 0},
	} {
		if _, errno := p.mmap(d.fd, c.length, c.offset); errno != c.want {
			e.Errorf("mmap of %d bytes at %d of %d gives %s, want %s", c.length, c.offset, d.reg.MemSize, errnoName(errno), errnoName(c.want))
		}
	}
}

// extra walks the list of extra buffers, at most limit of them.
func (d *port) extra(limit int) (list []uint32) {
	d.e.Helper()
	at := d.reg.Offset + 32
	idx := binary.LittleEndian.Uint32(d.p.load(d.base, at, 4))
	for ; idx != 0 && len(list) <= limit; idx = binary.LittleEndian.Uint32(d.p.load(d.base, d.bufAt(idx), 4)) {
		list = append(list, idx)
	}
	return list
}

// bufAt is where a buffer lies, seen from any ring.
func (d *port) bufAt(idx uint32) uint64 { return d.all()[0].bufAt(idx) }

func (d *port) setExtraHead(idx uint32) {
	d.p.store(d.base, d.reg.Offset+32, binary.LittleEndian.AppendUint32(nil, idx))
}

func abi25(e *env) {
	d := e.openPort(e.program(), e.vale()+":a", extraBufs(10))
	list := d.extra(100)
	if d.reg.ExtraBufs != 10 || len(list) != 10 {
		e.Fatalf("%d extra buffers and %d in the list, want 10", d.reg.ExtraBufs, len(list))
	}
	seen := map[uint32]bool{}
	for _, r := range d.all() {
		for _, s := range r.slots() {
			seen[s.BufIdx] = true
		}
	}
	for _, idx := range list {
		if idx < 2 || seen[idx] {
			e.Errorf("extra buffer %d is below 2, in a slot, or twice in the list", idx)
		}
		seen[idx] = true
	}
}

func abi26(e *env) {
	d := e.openPort(e.program(), e.vale()+":a")
	if d.BufsHead != 0 || d.reg.ExtraBufs != 0 {
		e.Errorf("nobody asked for extra buffers, %d are in the reply, the list begins with %d", d.reg.ExtraBufs, d.BufsHead)
	}
}

func abi27(e *env) {
	p, sw := e.program(), e.vale()
	a := e.openPort(p, sw+":a", slots(16, 16)) // whose region has 4098 buffers
	b := e.openPort(p, sw+":b", slots(16, 16), memID(a.reg.MemID), extraBufs(20000))
	if n := b.reg.ExtraBufs; n == 0 || n > 4098-2-64 {
		e.Errorf("%d extra buffers were had of a region with 4098", n)
	}
	if n := len(b.extra(20000)); n != int(b.reg.ExtraBufs) {
		e.Errorf("%d buffers are in the list, the reply says %d", n, b.reg.ExtraBufs)
	}
}

func abi28(e *env) {
	p, sw := e.program(), e.vale()
	a := e.openPort(p, sw+":a")
	free := e.region(a.reg.MemID).GetBufPool().GetFree()
	b := e.openPort(p, sw+":b", memID(a.reg.MemID), extraBufs(3))
	list, r := b.extra(10), b.tx[0]
	s := r.slot(0)
	old := s.BufIdx
	s.BufIdx, s.Flags = list[0], abi.NSBufChanged
	r.setSlot(0, s)
	// The slot's old buffer takes the place of the one that left the list.
	p.store(b.base, b.bufAt(old), binary.LittleEndian.AppendUint32(nil, list[1]))
	b.setExtraHead(old)
	b.close()
	e.waitFor("the buffers to come back", func() error {
		if now := e.region(a.reg.MemID).GetBufPool().GetFree(); now != free {
			return fmt.Errorf("%d buffers are free, %d were", now, free)
		}
		return nil
	})
}

func abi29(e *env) {
	ifname, _ := e.veth()
	p := e.program()
	d := e.openPort(p, ifname, extraBufs(50))
	if d.reg.ExtraBufs != 50 {
		e.Fatalf("%d extra buffers, want 50", d.reg.ExtraBufs)
	}
	d.setExtraHead(0)
	p.end()
	e.waitFor("all buffers to be free", func() error {
		if b := e.region(1).GetBufPool(); b.GetFree() != b.GetTotal() {
			return fmt.Errorf("%d buffers of %d are free", b.GetFree(), b.GetTotal())
		}
		return nil
	})
}

func abi30(e *env) {
	p, sw := e.program(), e.vale()
	e.openPort(p, sw+":a", rings(2, 2), mode(abi.ModeOneNIC, 0)) // keeps the port
	peer := e.openPort(p, sw+":b", rings(2, 2))
	for round := range uint32(4) {
		d := e.openPort(p, sw+":a", mode(abi.ModeOneNIC, 1))
		h, c, t := d.tx[0].head(), d.tx[0].cur(), d.tx[0].tail()
		if h != c || d.tx[0].at(t, 1) != h {
			e.Errorf("round %d: the TX ring has head %d, cur %d, tail %d, want an empty one", round, h, c, t)
		}
		d.tx[0].send(flood(round), flood(round+100))
		peer.rx[0].receives(flood(round), flood(round+100)) // a flood goes to ring 0
		// A known address keeps the ring number.
		peer.tx[1].send(frame(mac(1), mac(2), round))
		d.rx[0].receives(frame(mac(1), mac(2), round))
		d.close()
	}
}

func abi11(e *env) {
	ifname, _ := e.veth()
	e.openPort(e.program(), ifname).boundAre("HW rings", 0, 2)
}

func abi12(e *env) {
	ifname, _ := e.veth()
	e.openPort(e.program(), ifname, hostOnly).boundAre("host rings", 1, 3)
}

func abi13(e *env) {
	ifname, _ := e.veth()
	e.openPort(e.program(), ifname, withHost).boundAre("all rings", 0, 1, 2, 3)
}
