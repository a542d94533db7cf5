package port_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
	"github.com/netmapd/netmapd/shm"
)

func allNIC() *abi.Register { return &abi.Register{Mode: abi.ModeAllNIC} }

// REG-23, REG-24: wishes are limited, and the reply tells the truth.
func TestReply(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	for _, c := range []struct {
		name                 string
		rings, slots         uint32
		wantRings, wantSlots uint32
	}{
		{"defaults", 0, 0, 1, 1024},
		{"small", 2, 16, 2, 16},
		{"too many rings", 17, 64, 16, 64},
		{"too many slots", 1, 5000, 1, 4096},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := &abi.Register{
				Mode: abi.ModeAllNIC, TxRings: uint16(c.rings), RxRings: uint16(c.rings), HostTxRings: 3, HostRxRings: 3,
				TxSlots: c.slots, RxSlots: c.slots, RingID: 7, Flags: 0x1000, // REG-22: a bit without meaning
			}
			d, err := b.register("vale0:a", req)
			must(t, err)
			defer b.unregister(d)
			v := b.view(d)
			geo := b.region(req.MemID)
			want := abi.Register{
				Offset: v.IfOffset, MemSize: geo.Size, TxSlots: c.wantSlots, RxSlots: c.wantSlots,
				TxRings: uint16(c.wantRings), RxRings: uint16(c.wantRings), MemID: v.MemID, RingID: 7, Mode: abi.ModeAllNIC, Flags: 0x1000,
			}
			if *req != want {
				t.Errorf("reply\n%+v, want\n%+v", *req, want)
			}
			if v.MemID <= abi.MemIDGlobal || v.IfHeader.Flags != abi.IfPrivate { // ABI-18
				t.Errorf("memory id %d, flags %#x: want a private region", v.MemID, v.IfHeader.Flags)
			}
			if h := v.IfHeader; h.TxRings != c.wantRings || h.RxRings != c.wantRings || h.HostTxRings != 1 || h.HostRxRings != 1 { // ABI-10
				t.Errorf("netmap_if counts %d+%d TX and %d+%d RX rings", h.TxRings, h.HostTxRings, h.RxRings, h.HostRxRings)
			}
			rings := strings.Repeat("1", int(c.wantRings)) + "0"
			if got := v.bound(); got != rings+rings {
				t.Errorf("ring offsets %s, want %s", got, rings+rings)
			}
			checkRings(t, v)
		})
	}
}

// checkRings looks at each bound ring of an idle port: ABI-04, 05, 07, 08, 09, 20.
func checkRings(t *testing.T, v view) {
	t.Helper()
	seen := map[uint32]bool{}
	for i, ofs := range v.RingOfs {
		if ofs == 0 {
			continue
		}
		at := v.IfOffset + uint64(ofs)
		r, err := v.mem.Ring(at, 0) // which checks place and alignment
		must(t, err)
		tx := i < int(v.TxRings)
		tail, dir := uint32(0), uint16(abi.DirRx)
		if tx {
			tail, dir = r.NumSlots-1, abi.DirTx
		}
		if r.Head != 0 || r.Cur != 0 || r.Tail != tail || r.Dir != dir {
			t.Errorf("ring %d: head %d cur %d tail %d dir %d", i, r.Head, r.Cur, r.Tail, r.Dir)
		}
		if r.BufOfs != int64(v.BufOffset)-int64(at) || r.BufSize != v.BufSize {
			t.Errorf("ring %d: buf_ofs %d, buffers of %d bytes", i, r.BufOfs, r.BufSize)
		}
		for s := range r.NumSlots {
			slot := *r.At(s)
			if slot.BufIdx < abi.MinBufIndex || slot.BufIdx >= v.BufCount || seen[slot.BufIdx] || slot.Len != uint16(v.BufSize) || slot.Flags != 0 || slot.Ptr != 0 {
				t.Fatalf("ring %d, slot %d: %+v", i, s, slot)
			}
			seen[slot.BufIdx] = true
		}
	}
}

// The offsets that a descriptor does not bind are 0: ABI-14, 15, 16, REG-11.
func TestRingSelection(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	_, err := b.register("vale0:a", &abi.Register{Mode: abi.ModeAllNIC, TxRings: 2, RxRings: 4, TxSlots: 16, RxSlots: 16})
	must(t, err)
	for _, c := range []struct {
		name  string
		mode  uint32
		ring  uint16
		flags uint64
		want  string // TX, host TX, RX, host RX
	}{
		{"all", abi.ModeAllNIC, 0, 0, "110" + "11110"},
		{"ring 1", abi.ModeOneNIC, 1, 0, "010" + "01000"},
		{"ring 3 is ring 0 where there are two", abi.ModeOneNIC, 3, 0, "100" + "00010"},
		{"receive only", abi.ModeAllNIC, 0, abi.FlagRxRingsOnly, "000" + "11110"},
		{"transmit only", abi.ModeAllNIC, 0, abi.FlagTxRingsOnly, "110" + "00000"},
		{"nothing", abi.ModeAllNIC, 0, abi.FlagRxRingsOnly | abi.FlagTxRingsOnly, "000" + "00000"},
		{"one ring, receive only", abi.ModeOneNIC, 1, abi.FlagRxRingsOnly, "000" + "01000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := b.register("vale0:a", &abi.Register{Mode: c.mode, RingID: c.ring, Flags: c.flags})
			must(t, err)
			defer b.unregister(d)
			if got := b.view(d).bound(); got != c.want {
				t.Errorf("offsets %s, want %s", got, c.want)
			}
		})
	}
}

// NC B.5: what is refused, with which errno, and in which order.
func TestRefusals(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	_, err := b.register("vale0:a", allNIC())
	must(t, err)
	_, err = b.reg.CreatePort(limited(t), port.Spec{Name: "dev", Kind: port.KindDevice, Devargs: "net_null_refusals"})
	must(t, err)
	_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale7"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale7", "dev")
	must(t, err)
	before := b.names()
	for _, c := range []struct {
		what, name string
		req        abi.Register
		errno      unix.Errno
		words      string
	}{
		{"3 memory id (REG-05)", "vale0:b", abi.Register{Mode: abi.ModeAllNIC, MemID: 999}, unix.EINVAL, "999"},
		{"3 before 9", "nosuch", abi.Register{Mode: abi.ModeAllNIC, MemID: 999}, unix.EINVAL, "999"},
		{"4 pipe master (REG-04)", "vale0:a", abi.Register{Mode: abi.ModePipeMaster}, unix.EINVAL, "pipe"},
		{"4 pipe slave (REG-04)", "vale0:a", abi.Register{Mode: abi.ModePipeSlave}, unix.EINVAL, "pipe"},
		{"4 before 9", "nosuch", abi.Register{Mode: abi.ModePipeSlave}, unix.EINVAL, "pipe"},
		{"5 null", "x", abi.Register{Mode: abi.ModeNull}, unix.EINVAL, "null"},
		{"6 monitor of a port that is not open", "vale0:b", abi.Register{Mode: abi.ModeAllNIC, Flags: abi.FlagMonitorRx}, unix.EINVAL, "nobody has the port open"},
		{"7 malformed pipe", "vale0:a{", abi.Register{Mode: abi.ModeAllNIC}, unix.EINVAL, "pipe"},
		{"8 switch name", "vale-0:a", abi.Register{Mode: abi.ModeAllNIC}, unix.ENOMEM, "letters"},
		{"8 interface name on a switch", "vale0:lo", abi.Register{Mode: abi.ModeAllNIC}, unix.EINVAL, "attach"},
		{"8 attached port's name on its switch (PER-11)", "vale7:dev", abi.Register{Mode: abi.ModeAllNIC}, unix.EBUSY, "attached"},
		{"8 attached port's name on another switch", "vale0:dev", abi.Register{Mode: abi.ModeAllNIC}, unix.EINVAL, "attach"},
		{"9 no interface (REG-02)", "nosuch", abi.Register{Mode: abi.ModeAllNIC}, unix.ENXIO, "interfaces.open"},
		{"9 no name", "", abi.Register{Mode: abi.ModeAllNIC}, unix.ENXIO, "empty"},
		{"9 before 14", "nosuch", abi.Register{Mode: 9}, unix.ENXIO, ""},
		{"11 attached (REG-20)", "dev", abi.Register{Mode: abi.ModeAllNIC}, unix.EBUSY, "vale7"},
		{"11 before 14", "dev", abi.Register{Mode: 9}, unix.EBUSY, "vale7"},
		{"14 mode 0 (REG-03)", "vale0:b", abi.Register{}, unix.EINVAL, "mode 0"},
		{"14 mode 9 (REG-03)", "vale0:b", abi.Register{Mode: 9}, unix.EINVAL, "mode 9"},
		{"14 host rings (REG-12)", "vale0:b", abi.Register{Mode: abi.ModeSW}, unix.EINVAL, "host rings"},
		{"14 host rings too", "vale0:b", abi.Register{Mode: abi.ModeNICSW}, unix.EINVAL, "host rings"},
		{"14 one host ring", "vale0:b", abi.Register{Mode: abi.ModeOneSW}, unix.EINVAL, "host rings"},
		{"14 ring 1 of 1 (REG-11)", "vale0:a", abi.Register{Mode: abi.ModeOneNIC, RingID: 1}, unix.EINVAL, "ring 1"},
		{"14 before 16", "vale0:a", abi.Register{Mode: 9, Flags: abi.FlagExclusive}, unix.EINVAL, "mode 9"},
		{"16 in use (REG-14)", "vale0:a", abi.Register{Mode: abi.ModeAllNIC, Flags: abi.FlagExclusive}, unix.EBUSY, "exclusive"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := b.register(c.name, &c.req)
			fails(t, err, c.errno, c.words)
			if now := b.names(); now != before {
				t.Errorf("ports are now %s, were %s", now, before)
			}
		})
	}
	must(t, b.reg.Detach(limited(t), "vale7", "dev"))
}

// NAM-27: sixteen characters from the colon on are too many... which begin with it.
func TestNames(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	d, err := b.register("vale1:"+strings.Repeat("x", 15), allNIC())
	must(t, err)
	if ni := b.view(d).IfHeader.Name; string(ni[:]) != "vale1:xxxxxxxxx\x00" { // NC C.5: shown as far as it fits
		t.Errorf("ni_name is %q", ni)
	}
	_, err = b.register("vale1:"+strings.Repeat("x", 16), allNIC())
	fails(t, err, unix.ENOMEM, "15")
	_, err = b.tryOpen("vale1:" + strings.Repeat("x", 16))
	fails(t, err, unix.ENOMEM)
	_, err = b.reg.Port(limited(t), "vale1:"+strings.Repeat("x", 16))
	fails(t, err, unix.ENXIO)
}

// REG-13 to REG-17.
func TestExclusive(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	excl := func(ring uint16, flags uint64) *abi.Register {
		return &abi.Register{Mode: abi.ModeOneNIC, RingID: ring, TxRings: 2, RxRings: 2, TxSlots: 16, RxSlots: 16, Flags: abi.FlagExclusive | flags}
	}
	ring0, err := b.register("vale0:a", excl(0, 0))
	must(t, err)
	_, err = b.register("vale0:a", excl(0, 0))
	fails(t, err, unix.EBUSY, "exclusive", us.Command) // the person is told who
	_, err = b.register("vale0:a", &abi.Register{Mode: abi.ModeOneNIC})
	fails(t, err, unix.EBUSY)
	ring1, err := b.register("vale0:a", excl(1, 0)) // REG-16
	must(t, err)
	_, err = b.register("vale0:a", allNIC())
	fails(t, err, unix.EBUSY)
	b.unregister(ring0) // REG-17
	ring0, err = b.register("vale0:a", excl(0, abi.FlagTxRingsOnly))
	must(t, err)
	_, err = b.register("vale0:a", excl(0, abi.FlagRxRingsOnly)) // REG-15
	must(t, err)
	b.unregister(ring1)
	b.unregister(ring0)
	_, err = b.register("vale0:a", &abi.Register{Mode: abi.ModeAllNIC, Flags: abi.FlagTxRingsOnly})
	must(t, err)
}

// REG-01: a descriptor is bound once, and a refused one can be used again.
func TestDescriptorIsBoundOnce(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	a := b.open("vale0:a")
	if a.PortName() != "vale0:a" {
		t.Errorf("bound to %q", a.PortName())
	}
	_, err := b.tryOpen("netmap:nosuch")
	fails(t, err, unix.ENXIO)
}

// REG-18, REG-19: regions are shared by id; the reply tells the real one.
func TestSharedRegion(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	one := b.open("vale0:a")
	req := &abi.Register{Mode: abi.ModeAllNIC, MemID: one.Register().MemID, TxSlots: 16, RxSlots: 16}
	two, err := b.register("vale0:b", req)
	must(t, err)
	if req.MemID != one.Register().MemID || req.MemSize != one.Register().MemSize {
		t.Errorf("region %d of %d bytes, want %d of %d", req.MemID, req.MemSize, one.Register().MemID, one.Register().MemSize)
	}
	other := b.open("vale1:c")
	again := &abi.Register{Mode: abi.ModeAllNIC, MemID: other.Register().MemID}
	_, err = b.register("vale0:a", again)
	must(t, err)
	if again.MemID != req.MemID {
		t.Errorf("an open port says region %d, it lives in %d", again.MemID, req.MemID)
	}
	if v := b.view(two); v.IfHeader.Flags != abi.IfPrivate {
		t.Errorf("flags %#x", v.IfHeader.Flags)
	}
	if r := b.region(req.MemID); r.Users != 2 {
		t.Errorf("%d ports live in the region, want 2", r.Users)
	}
	// Another region by name: the global one.
	global := &abi.Register{Mode: abi.ModeAllNIC, MemID: abi.MemIDGlobal, TxSlots: 16, RxSlots: 16}
	g, err := b.register("vale0:g", global)
	must(t, err)
	if v := b.view(g); global.MemID != abi.MemIDGlobal || v.IfHeader.Flags != 0 { // ABI-18
		t.Errorf("region %d, flags %#x, want the global one", global.MemID, v.IfHeader.Flags)
	}
}

// REG-19: a buffer received on one port of a region is sent on another one by
// its index, without a copy.
func TestBuffersAreInterchangeable(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	in := b.open("vale0:in")
	out := b.open(fmt.Sprintf("vale1:out@%d", in.Register().MemID))
	from, to := b.open("vale0:from"), b.open("vale1:to")
	want := frame(everyone, 1, 100, 1)
	send(t, from, 0, want)
	_, err := in.Poll(limited(t), netmap.PollIn)
	must(t, err)
	rx, tx := in.RxRings()[0], out.TxRings()[0]
	rs, ts := rx.Slot(rx.Head()), tx.Slot(tx.Head())
	rs.BufIdx, ts.BufIdx = ts.BufIdx, rs.BufIdx
	ts.Len, ts.Flags, rs.Flags = rs.Len, abi.NSBufChanged, abi.NSBufChanged
	rx.Advance(rx.Next(rx.Head()))
	tx.Advance(tx.Next(tx.Head()))
	must(t, in.RxSync())
	must(t, out.TxSync())
	same(t, receive(t, to, 1), [][]byte{want})
}

// ABI-25 to ABI-28.
func TestExtraBuffers(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	d := b.open("vale0:a", netmap.WithExtraBufs(10))
	list := d.ExtraBufs()
	if d.Register().ExtraBufs != 10 || len(list) != 10 {
		t.Fatalf("%d extra buffers in the reply, %d in the list, want 10", d.Register().ExtraBufs, len(list))
	}
	seen := map[uint32]bool{}
	for _, r := range d.TxRings() {
		for i := range r.NumSlots() {
			seen[r.Slot(i).BufIdx] = true
		}
	}
	for _, r := range d.RxRings() {
		for i := range r.NumSlots() {
			seen[r.Slot(i).BufIdx] = true
		}
	}
	for _, idx := range list {
		if idx < abi.MinBufIndex || seen[idx] {
			t.Errorf("extra buffer %d is reserved or somewhere else too", idx)
		}
		seen[idx] = true
	}
	if last := d.Region().Buf(list[9]); binary.LittleEndian.Uint32(last) != 0 {
		t.Errorf("the list does not end")
	}

	other, err := b.register("vale0:b", &abi.Register{Mode: abi.ModeAllNIC, MemID: d.Register().MemID})
	must(t, err)
	if head := b.view(other).LoadBufsHead(); head != 0 { // ABI-26
		t.Errorf("nobody asked for extra buffers and the list begins with %d", head)
	}

	// ABI-28: a swap, and everything is there again at the end.
	free := b.region(d.Register().MemID).Buf.Free
	s := d.TxRings()[0].Slot(5)
	s.BufIdx, list[0] = list[0], s.BufIdx
	s.Flags |= abi.NSBufChanged
	must(t, d.SetExtraBufs(list))
	b.close(d)
	if now := b.region(d.Register().MemID).Buf.Free; now != free+10+2*1024 {
		t.Errorf("%d buffers are free, want %d", now, free+10+2*1024)
	}
}

// ABI-27: fewer than asked for is no error, and the reply says how many.
func TestFewExtraBuffers(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	req := &abi.Register{Mode: abi.ModeAllNIC, MemID: abi.MemIDGlobal, ExtraBufs: 1 << 20}
	d, err := b.register("vale0:a", req)
	must(t, err)
	if req.ExtraBufs == 0 || req.ExtraBufs >= 1<<20 || b.region(abi.MemIDGlobal).Buf.Free != 0 {
		t.Errorf("%d extra buffers, %d are free", req.ExtraBufs, b.region(abi.MemIDGlobal).Buf.Free)
	}
	v := b.view(d)
	bufs, err := v.mem.Bufs(v.BufOffset, v.BufCount, v.BufSize)
	must(t, err)
	n := uint32(0)
	for idx := v.LoadBufsHead(); idx != 0 && n <= req.ExtraBufs; idx = binary.LittleEndian.Uint32(bufs.Get(idx)) {
		n++
	}
	if n != req.ExtraBufs {
		t.Errorf("the list has %d buffers, the reply says %d", n, req.ExtraBufs)
	}
	// Nothing is left for anybody else, and the text says of what.
	_, err = b.register("vale0:b", &abi.Register{Mode: abi.ModeAllNIC, MemID: abi.MemIDGlobal})
	fails(t, err, unix.ENOMEM, "buffer", "need 1024", "0 are free")
	if got := b.names(); got != "vale0:a" {
		t.Errorf("ports are %s", got)
	}
}

// Each pool can be the one that is empty; ENOMEM names it, need and have, and
// leaves nothing behind.
func TestNoMemory(t *testing.T) {
	inGlobal := func(slots uint32) *abi.Register {
		return &abi.Register{Mode: abi.ModeAllNIC, MemID: abi.MemIDGlobal, TxSlots: slots, RxSlots: slots}
	}
	for _, c := range []struct {
		pool   string
		params shm.Params
		slots  uint32
		most   int // ports that fit
		words  []string
	}{
		{"netmap_if", shm.Params{IfNum: 10, IfSize: 1024, RingNum: 100, RingSize: 1024, BufNum: 4096, BufSize: 2048}, 16, 12, []string{"netmap_if", "need 1", "0 are free"}},
		{"ring", shm.Params{IfNum: 50, IfSize: 1024, RingNum: 8, RingSize: 1024, BufNum: 4096, BufSize: 2048}, 16, 4, []string{"ring pool", "need 1", "0 are free"}},
		{"buffer", shm.Params{IfNum: 50, IfSize: 1024, RingNum: 100, RingSize: 1024, BufNum: 128, BufSize: 2048}, 16, 3, []string{"buffer", "need 16", "14 are free"}},
		{"ring size", shm.Params{IfNum: 50, IfSize: 1024, RingNum: 100, RingSize: 1024, BufNum: 4096, BufSize: 2048}, 64, 0, []string{"64 slots", "1280 bytes", "1024"}},
	} {
		t.Run(c.pool, func(t *testing.T) {
			b := newBed(t, 1, port.Config{Global: c.params})
			for i := range c.most {
				_, err := b.register("vale0:"+string(rune('a'+i)), inGlobal(c.slots))
				must(t, err)
			}
			before := b.names()
			_, err := b.register("vale0:more", inGlobal(c.slots))
			fails(t, err, unix.ENOMEM, c.words...)
			if now := b.names(); now != before {
				t.Errorf("ports are %s, were %s", now, before)
			}
			if sw, err := b.reg.Switches(limited(t)); err != nil || c.most == 0 && len(sw) != 0 {
				t.Errorf("switches %v (%v)", sw, err)
			}
		})
	}
}
