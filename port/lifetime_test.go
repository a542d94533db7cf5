package port_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/port"
)

// VAL-20, ABI-17: two descriptors of one port have the same rings, and closing
// one leaves the other.
func TestSharedPort(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	peer, one, two := b.open("vale0:peer"), b.open("vale0:a"), b.open("vale0:a")
	if one.Region() != two.Region() {
		t.Fatal("two regions")
	}
	sent := [][]byte{frame(everyone, 1, 60, 1), frame(everyone, 1, 60, 2)}
	send(t, peer, 0, sent...)
	got := receive(t, one, 1)
	got = append(got, receive(t, two, 1)...)
	same(t, got, sent)
	b.close(one)
	send(t, peer, 0, sent[0])
	same(t, receive(t, two, 1), sent[:1])
	send(t, two, 0, frame(everyone, 2, 60, 3))
	receive(t, peer, 1)
	if st := b.stats("vale0:a"); st.Gone || st.Rx.Frames != 3 || st.Tx.Frames != 1 || len(st.Drops) != 0 {
		t.Errorf("counters %+v", st)
	}
}

// What a closing client published is delivered, taken or not (NC D.8).
func TestPublishedIsDelivered(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	sink := b.open("vale0:sink")
	for round := range 5 {
		d := b.open("vale0:gen")
		var sent [][]byte
		for i := range 150 {
			sent = append(sent, frame(everyone, 1, 60+i, round+i))
			if !d.TxRings()[0].Send(sent[i]) {
				t.Fatal("no room")
			}
		}
		_, err := d.PollTimeout(0, netmap.PollOut) // publishes, does not wait
		must(t, err)
		must(t, d.Close())
		same(t, receive(t, sink, len(sent)), sent)
	}
}

// What a closing client did not read is a drop with a reason, no longer Rx.
func TestUnreadIsCounted(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	gen, sink := b.open("vale0:gen"), b.open("vale0:sink")
	for i := range 7 {
		send(t, gen, 0, frame(everyone, 1, 100, i))
	}
	receive(t, sink, 3)
	b.close(sink)
	st := b.stats("vale0:sink")
	if !st.Gone || st.Rx != (port.Count{Frames: 3, Bytes: 300}) || st.Drops["unread"] != 4 || len(st.Drops) != 1 {
		t.Errorf("counters %+v, want 3 frames received and 4 unread", st)
	}
	if st := b.stats("vale0:gen"); st.Tx != (port.Count{Frames: 7, Bytes: 700}) || len(st.Drops) != 0 {
		t.Errorf("counters of the sender %+v", st)
	}
}

// ABI-30: a ring whose users are gone is new to the next one, whatever they
// left in it, and goes on from the index where it stopped.
func TestRingIsRenewed(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	gen := b.open("vale0:gen")
	keep := b.open("vale0:a/T@conf:slots=64") // the port stays
	reader := b.open("vale0:a/R")
	for i := range 10 {
		send(t, gen, 0, frame(everyone, 1, 100, i))
	}
	receive(t, reader, 4)
	r := reader.RxRings()[0]
	r.Slot(0).BufIdx, r.Slot(1).BufIdx, r.Slot(2).BufIdx = 1, r.Slot(3).BufIdx, 1<<31 // no buffer, twice, none
	r.Slot(20).Ptr, *r.Sem() = 0x1234, [128]byte{1}
	b.close(reader)

	reader = b.open("vale0:a/R")
	nothing(t, reader)
	r = reader.RxRings()[0]
	if r.Head() != 10 || r.Cur() != 10 || r.Tail() != 10 {
		t.Errorf("head %d, cur %d, tail %d, want to go on at 10", r.Head(), r.Cur(), r.Tail())
	}
	seen := map[uint32]bool{}
	for i := range r.NumSlots() {
		s := *r.Slot(i)
		if r.Buf(&s) == nil || seen[s.BufIdx] || int(s.Len) != len(r.Buf(&s)) || s.Flags != 0 || s.Ptr != 0 {
			t.Errorf("slot %d is %+v", i, s)
		}
		seen[s.BufIdx] = true
	}
	if *r.Sem() != [128]byte{} {
		t.Error("sem is not empty")
	}
	want := [][]byte{frame(everyone, 1, 100, 11)}
	send(t, gen, 0, want...)
	same(t, receive(t, reader, 1), want)
	// The three that the client put nowhere are found at the second look.
	now := time.Now()
	for _, later := range []time.Duration{0, time.Millisecond, time.Minute} {
		free := b.region(reader.Register().MemID).Buf
		if used := free.Total - free.Free; used != 2*64+3 {
			t.Errorf("%d buffers are in use after looks less than seconds apart, want %d", used, 2*64+3)
		}
		b.reg.Tend(now.Add(later))
	}
	if free := b.region(reader.Register().MemID).Buf; free.Free != free.Total-2*64 {
		t.Errorf("%d of %d buffers are free, want all but %d", free.Free, free.Total, 2*64)
	}
	_ = keep
}

// A client that puts its buffers into several places at once does not give them back several times.
func TestBuffersInSeveralPlaces(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	b.device("nic0", "net_ring0", 1, 64)
	keep := b.open("netmap:nic0/R") // its ring stays as it is
	full := func() port.RegionStats { return b.region(abi.MemIDGlobal) }
	d := b.open("netmap:nic0", netmap.WithExtraBufs(8))
	before := full().Buf.Free + 8
	tx, list := d.TxRings()[0], d.ExtraBufs()
	lost := 0
	for i := range tx.NumSlots() {
		switch s := tx.Slot(i); {
		case i < 8:
			list[i] = s.BufIdx
			lost++
		case i%2 == 0:
			s.BufIdx = tx.Slot(i - 1).BufIdx
			lost++
		}
	}
	must(t, d.SetExtraBufs(list))
	b.close(d)
	now := time.Now()
	b.reg.Tend(now)
	b.reg.Tend(now.Add(time.Minute))
	if r := full(); r.Buf.Free != before || r.Orphans != 0 {
		t.Errorf("%d buffers are free and %d orphans after a client that lost %d, want %d and none", r.Buf.Free, r.Orphans, lost, before)
	}
	seen := map[uint32]bool{}
	d = b.open("netmap:nic0")
	for _, r := range []*netmap.Ring{&d.TxRings()[0].Ring, &d.RxRings()[0].Ring} {
		for i := range r.NumSlots() {
			if idx := r.Slot(i).BufIdx; seen[idx] {
				t.Errorf("buffer %d is in two slots", idx)
			} else {
				seen[idx] = true
			}
		}
	}
	b.close(d)
	_ = keep
}

// VAL-23: a switch goes with its last port, and with it what it knew.
func TestSwitchGoesWithItsLastPort(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	for round := range 2 {
		one, two, three := b.open("vale0:a"), b.open("vale0:b"), b.open("vale0:c")
		to1 := frame(1, 2, 60, 1)
		send(t, two, 0, to1) // nobody knows station 1: everybody gets it
		receive(t, one, 1)
		receive(t, three, 1)
		send(t, one, 0, frame(everyone, 1, 60, 2)) // now they do
		receive(t, two, 1)
		receive(t, three, 1)
		send(t, two, 0, to1)
		receive(t, one, 1)
		nothing(t, three)
		for _, d := range []*netmap.Desc{two, one, three} {
			b.close(d)
		}
		if sw, err := b.reg.Switches(limited(t)); err != nil || len(sw) != 0 {
			t.Errorf("round %d: switches %+v (%v)", round, sw, err)
		}
		if s := b.snapshot(); len(s.Regions) != 0 || b.names() != "" {
			t.Errorf("round %d: regions %+v, ports %s", round, s.Regions, b.names())
		}
	}
	// One that an operator made stays.
	_, err := b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	b.close(b.open("vale0:a"))
	if sw, err := b.reg.Switches(limited(t)); err != nil || len(sw) != 1 || sw[0].Ephemeral || len(sw[0].Ports) != 0 {
		t.Errorf("switches %+v (%v)", sw, err)
	}
	must(t, b.reg.DeleteSwitch(limited(t), "vale0"))
}

// A process that dies inside a sync keeps nobody out of the ring, and its wake
// descriptor is closed.
func TestSessionEnd(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	d, err := b.register("vale0:a", allNIC())
	must(t, err)
	s, err := b.reg.NewSession(us)
	must(t, err)
	_, fds, err := d.Join(limited(t), s)
	must(t, err)
	wake, hangup := fds[wire.FDWake], fds[wire.FDHangup]
	defer func() { _, _ = unix.Close(wake), unix.Close(hangup) }()
	event := func() (e unix.EpollEvent) {
		events := make([]unix.EpollEvent, 1)
		if n, err := unix.EpollWait(wake, events, 0); n > 0 && err == nil {
			e = events[0]
		}
		return e
	}
	raw, err := unix.Mmap(fds[wire.FDSync], 0, 4*abi.SyncBlockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	defer func() { _ = unix.Munmap(raw) }()
	block := func(i int) *abi.SyncBlock {
		blk, err := abi.NewMem(raw).SyncBlock(i)
		must(t, err)
		return blk
	}
	if !block(0).Enter(s.ID) || !block(2).Enter(s.ID+1) {
		t.Fatal("the rings are busy")
	}
	if e := event(); e.Events != 0 {
		t.Errorf("the wake descriptor says %+v before anything happened", e)
	}
	d.Wake()
	if e := event(); e.Fd != wire.WakeRings || e.Events != unix.EPOLLIN {
		t.Errorf("the wake descriptor says %+v, want that rings changed", e)
	}
	if e := event(); e.Events != 0 {
		t.Errorf("the wake descriptor says %+v, and it has said that", e)
	}
	b.reg.EndSession(limited(t), s)
	if !block(0).Enter(s.ID + 1) {
		t.Error("the TX ring is still busy")
	}
	if block(2).Enter(s.ID) {
		t.Error("the RX ring was taken from another session")
	}
	if e := event(); e.Fd != wire.WakeHangup || e.Events&unix.EPOLLRDHUP == 0 {
		t.Errorf("the wake descriptor says %+v, want that the daemon hung up", e)
	}
	if _, _, err := d.Join(limited(t), s); err == nil {
		t.Error("a session that ended could join")
	}
	if got := b.names(); got != "vale0:a" {
		t.Errorf("ports are %q", got)
	}
}

// A thousand clients leave nothing behind.
func TestNothingLeaks(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	keep := b.open("vale0:keep")
	b.close(b.open("vale0:first")) // what is made once
	fds, maps := openFiles(t), mappings(t)
	for range 1000 {
		d, err := netmap.Open(limited(t), "vale0:a", netmap.WithRuntimeDir(b.dir), netmap.WithSlots(16, 16), netmap.WithExtraBufs(3))
		must(t, err)
		must(t, d.Close())
	}
	b.eventually("the last one to be gone", func() bool { return b.snapshot().Descriptors == 1 })
	b.eventually("all files to be closed", func() bool { return openFiles(t) <= fds })
	if now := mappings(t); now > maps+16 { // the runtime maps memory too
		t.Errorf("%d mappings, were %d", now, maps)
	}
	send(t, keep, 0, frame(everyone, 1, 60, 1))
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(fds)
}

// mappings counts mapped memfds.
func mappings(t *testing.T) int {
	t.Helper()
	maps, err := filepath.Glob("/proc/self/map_files/*")
	must(t, err)
	return len(maps)
}
