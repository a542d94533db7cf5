package vale

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/switch/offload"
)

// vnet makes a virtio-net header.
func vnet(length int, h offload.Header) []byte {
	b := make([]byte, 12)
	b[0], b[1] = h.Flags, h.GSO
	for i, v := range []uint16{h.HdrLen, h.GSOSize, h.CsumStart, h.CsumOffset, 0x5a5a} {
		binary.LittleEndian.PutUint16(b[2+2*i:], v)
	}
	return b[:length]
}

// tcp4 is a TCP packet for station n with a payload of so many bytes.
func tcp4(dst, src MAC, payload int) []byte {
	f := make([]byte, 54+payload)
	copy(f, dst[:])
	copy(f[6:], src[:])
	copy(f[12:], []byte{8, 0, 0x45, 0})
	binary.BigEndian.PutUint16(f[16:], uint16(len(f)-14))
	copy(f[22:], []byte{64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0, 81})
	f[46], f[47] = 0x50, 0x18
	for i := 54; i < len(f); i++ {
		f[i] = byte(i * 31)
	}
	return f
}

func chunks(b []byte, first, size int) (frags [][]byte) {
	frags, b = append(frags, b[:first]), b[first:]
	for c := range slices.Chunk(b, size) {
		frags = append(frags, c)
	}
	return frags
}

func data(slots []slot) (all []string) {
	for _, s := range slots {
		all = append(all, s.data)
	}
	return all
}

// headerNet is a switch with ports whose headers have these lengths.
func headerNet(t testing.TB, lengths ...int) *network { return headerNetOf(t, 128, lengths...) }

func headerNetOf(t testing.TB, slots uint32, lengths ...int) *network {
	w := newNet(t, len(lengths), shape{tx: 1, rx: 1, slots: slots, buf: 2048}, Options{})
	for i, n := range lengths {
		w.p[i].SetHeader(n, 1514)
	}
	return w
}

// TestHeaders is the table of NC E.11, each case with the header before the
// frame and in a slot of its own (HDR-03, -04, -05, -09).
func TestHeaders(t *testing.T) {
	f := string(frame(broadcast, station(1), 100, 7))
	sum := bytes.Clone([]byte(f))
	binary.BigEndian.PutUint16(sum[20:], naiveSum(sum[16:]))
	full := vnet(12, offload.Header{Flags: 1, HdrLen: 99, CsumStart: 16, CsumOffset: 4})
	zero := string(make([]byte, 12))
	for _, c := range []struct {
		from, to int
		header   string // at the destination
		frame    string
	}{
		{0, 0, "", f},
		{10, 10, string(full[:10]), f},
		{12, 12, string(full), f},
		{0, 10, zero[:10], f},
		{0, 12, zero, f},
		{10, 12, string(full[:10]) + zero[:2], f},
		{12, 10, string(full[:10]), f},
		{10, 0, "", string(sum)},
		{12, 0, "", string(sum)},
	} {
		for _, alone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d to %d, alone %v", c.from, c.to, alone), func(t *testing.T) {
				w := headerNet(t, c.from, c.to, c.to)
				sent, want := [][]byte{append(full[:c.from:c.from], f...)}, []string{c.header + c.frame}
				if alone {
					if c.from == 0 {
						t.Skip("no header")
					}
					sent = [][]byte{full[:c.from], []byte(f)}
					want = []string{c.header, c.frame}
					if c.to == 0 {
						want = want[1:]
					}
				}
				w.send(0, sent...)
				for i := range 2 {
					got := w.got(1 + i)
					if !slices.Equal(data(got), want) {
						t.Errorf("got %q, want %q", data(got), want)
					}
					for k, s := range got {
						flags := uint16(len(got)) << 8
						if k < len(got)-1 {
							flags |= abi.NSMoreFrag
						}
						if s.flags != flags {
							t.Errorf("slot %d has flags %#x, want %#x", k, s.flags, flags)
						}
					}
				}
				if a := w.s.Addresses(); len(a) != 1 || a[0].MAC != station(1) {
					t.Errorf("learned %v, want the frame's source", a)
				}
			})
		}
	}
}

func naiveSum(b []byte) uint16 {
	sum := 0
	for i, x := range b {
		sum += int(x) << (8 * (1 - i%2))
	}
	return ^uint16(sum % 0xffff) // of data that is not all zeros
}

// TestSegmentation cuts 64 KiB in slots of 2 KiB, also for several receivers at
// once, between others' frames.
func TestSegmentation(t *testing.T) {
	w := headerNet(t, 12, 0, 12, 0)
	big := tcp4(broadcast, station(1), 64000)
	before, after := frame(broadcast, station(1), 60, 1), frame(broadcast, station(1), 61, 2)
	packet := slices.Concat(vnet(12, offload.Header{Flags: 1, GSO: offload.GSOTCPv4, GSOSize: 1460}), big)
	tx := w.c[0].tx[0]
	tx.frame(append(make([]byte, 12), before...))
	tx.frame(chunks(packet, 2048, 2048)...)
	tx.frame(append(make([]byte, 12), after...))
	tx.publish()
	w.pl.Poll()
	for _, i := range []int{1, 3} {
		got := w.got(i)
		if len(got) != 2+(64000+1459)/1460 || got[0].data != string(before) || got[len(got)-1].data != string(after) {
			t.Fatalf("port %d received %d slots, want 44 frames of the packet and one at each end", i, len(got))
		}
		var payload strings.Builder
		for k, s := range got[1 : len(got)-1] {
			if seq := binary.BigEndian.Uint32([]byte(s.data[38:])); int(seq) != k*1460 || s.flags != oneSlot || len(s.data) > 1514 {
				t.Errorf("frame %d: sequence number %d, flags %#x, %d bytes", k, seq, s.flags, len(s.data))
			}
			payload.WriteString(s.data[54:])
		}
		if payload.String() != string(big[54:]) {
			t.Error("not the payload that was sent")
		}
		if c := w.p[i].Counters(); c.Rx.Frames != uint64(len(got)) {
			t.Errorf("counted %d frames", c.Rx.Frames)
		}
	}
	if got := strings.Join(data(w.got(2)), ""); got != string(slices.Concat(make([]byte, 12), before, packet, make([]byte, 12), after)) {
		t.Error("a port with the same header did not get it as it was")
	}
}

// TestHeaderDrops: what is wrong with a frame costs this frame, with a reason.
func TestHeaderDrops(t *testing.T) {
	f := tcp4(broadcast, station(1), 100)
	gso := offload.Header{GSO: offload.GSOTCPv4}
	for name, c := range map[string]struct {
		frags  [][]byte
		at     int // port that counts it
		reason Reason
	}{
		"header cut short":         {[][]byte{make([]byte, 5), append(make([]byte, 7), f...)}, 0, BadHeader},
		"header and nothing":       {[][]byte{make([]byte, 12)}, 0, BadHeader},
		"less than a header":       {[][]byte{make([]byte, 11)}, 0, BadHeader},
		"empty slot":               {[][]byte{{}, f}, 0, BadHeader},
		"13 bytes behind":          {[][]byte{make([]byte, 25)}, 0, TooShort},
		"13 bytes in the next":     {[][]byte{make([]byte, 12), f[:13], f[13:]}, 0, TooShort},
		"unknown type":             {[][]byte{vnet(12, offload.Header{GSO: 5}), f}, 1, BadOffload},
		"unknown flag":             {[][]byte{vnet(12, offload.Header{Flags: 8}), f}, 1, BadOffload},
		"not what it says":         {[][]byte{vnet(12, gso), frame(broadcast, station(1), 60, 1)}, 1, BadOffload},
		"protocol headers divided": {[][]byte{vnet(12, gso), f[:40], f[40:]}, 1, BadOffload},
	} {
		t.Run(name, func(t *testing.T) {
			w := headerNet(t, 12, 0)
			w.send(0, c.frags...)
			if got := w.got(1); len(got) != 0 {
				t.Errorf("%d slots arrived", len(got))
			}
			if n := w.p[c.at].Counters().Drops; n[c.reason] != 1 || len(n.ByName()) != 1 {
				t.Errorf("drops %v, want one %s", n.ByName(), c.reason)
			}
			w.send(0, append(make([]byte, 12), f...))
			if got := w.got(1); len(got) != 1 || got[0].data != string(f) {
				t.Error("the next frame did not arrive")
			}
		})
	}
}

// TestConvertFullRing: frames arrive until there is no room, the rest is counted,
// and the books balance.
func TestConvertFullRing(t *testing.T) {
	w := headerNet(t, 12, 0)
	packet := slices.Concat(vnet(12, offload.Header{GSO: offload.GSOTCPv4}), tcp4(station(2), station(1), 64000))
	for range 3 {
		w.c[0].tx[0].frame(chunks(packet, 2048, 2048)...)
	}
	w.c[0].tx[0].publish()
	w.pl.Poll()
	if got := w.got(1); len(got) != 127 {
		t.Errorf("%d slots arrived, want all 127", len(got))
	}
	if c := w.p[1].Counters(); c.Rx.Frames != 127 || c.Rx.Frames+c.Drops[RingFull] < 128 || len(c.Drops.ByName()) != 1 {
		t.Errorf("received %d, drops %v", c.Rx.Frames, c.Drops.ByName())
	}
	w.c[1].rx[0].SetBound(false)
	w.c[0].tx[0].frame(chunks(packet, 2048, 2048)...)
	w.c[0].tx[0].publish()
	w.pl.Poll()
	if c := w.p[1].Counters(); c.Drops[NotBound] != 44 {
		t.Errorf("drops of a port that nobody opened: %v, want the 44 frames of the packet", c.Drops.ByName())
	}
}

// TestConvertManyPackets: more frames than are converted at a time stay in order,
// and once a ring is full nothing more is converted for it.
func TestConvertManyPackets(t *testing.T) {
	for _, room := range []uint32{1024, 256} {
		w := headerNetOf(t, 1024, 12)
		c := newClient(t, shape{tx: 1, rx: 1, slots: room, buf: 2048})
		p := c.join(w.s, w.pl, "receiver")
		const packets, payload = 12, 60000
		for i := range packets {
			f := tcp4(station(2), station(1), payload)
			binary.BigEndian.PutUint32(f[38:], uint32(i*payload))
			w.c[0].tx[0].frame(chunks(append(vnet(12, offload.Header{GSO: offload.GSOTCPv4}), f...), 2048, 2048)...)
		}
		w.c[0].tx[0].publish()
		w.pl.Poll()
		next := uint32(0)
		got := c.rx[0].readAll()
		for _, s := range got {
			if seq := binary.BigEndian.Uint32([]byte(s.data[38:])); seq != next {
				t.Fatalf("sequence number %d, want %d", seq, next)
			}
			next += uint32(len(s.data) - 54)
		}
		const frames = packets * ((payload + 1459) / 1460)
		if n := p.Counters(); len(got) != int(min(frames, room-1)) || n.Rx.Frames != uint64(len(got)) {
			t.Errorf("ring of %d: %d frames arrived, drops %v", room, len(got), n.Drops.ByName())
		} else if full := n.Drops[RingFull]; full > frames-uint64(len(got)) || (full == 0) != (room == 1024) {
			t.Errorf("ring of %d: %d frames dropped", room, full)
		}
	}
}

// TestSetHeaderMeanwhile changes lengths while an lcore is at work; the race
// detector looks on.
func TestSetHeaderMeanwhile(t *testing.T) {
	w := headerNet(t, 0, 0)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			w.send(0, append(make([]byte, 12), frame(broadcast, station(1), 60, 1)...))
			w.c[1].rx[0].release()
		}
	}()
	for range 50 {
		for _, n := range []int{12, 10, 0} {
			w.p[0].SetHeader(n, 1514)
			w.p[1].SetHeader(12-n, 1514)
			runtime.Gosched()
		}
	}
	stop.Store(true)
	<-done
}

// TestConvertLongSlots: a header makes a full slot overflow into another one.
func TestConvertLongSlots(t *testing.T) {
	w := headerNet(t, 0, 12)
	f := frame(broadcast, station(1), 5000, 1)
	w.send(0, chunks(f, 2048, 2048)...)
	got := w.got(1)
	var lens []int
	for _, s := range got {
		lens = append(lens, len(s.data))
	}
	if want := []int{2048, 12, 2048, 904}; !slices.Equal(lens, want) {
		t.Fatalf("slots of %v bytes, want %v", lens, want)
	}
	if strings.Join(data(got), "")[12:] != string(f) {
		t.Error("not the frame that was sent")
	}
	// 64 slots is what a frame may have.
	w.send(0, chunks(frame(broadcast, station(1), 64*2048, 1), 2048, 2048)...)
	if c := w.p[1].Counters(); c.Drops[RxBadLength] != 1 {
		t.Errorf("drops %v", c.Drops.ByName())
	}
}

func TestConvertDoesNotAllocate(t *testing.T) {
	w := headerNet(t, 12, 0, 10)
	packet := slices.Concat(vnet(12, offload.Header{GSO: offload.GSOTCPv4}), tcp4(broadcast, station(1), 30000))
	frags := chunks(packet, 2048, 2048)
	if got := testing.AllocsPerRun(20, func() {
		w.c[0].tx[0].frame(frags...)
		w.c[0].tx[0].publish()
		w.pl.Poll()
		w.c[1].rx[0].release()
		w.c[2].rx[0].release()
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkConvert(b *testing.B) {
	for _, c := range []struct{ from, to, size int }{{0, 12, 60}, {0, 12, 1514}, {12, 0, 60}, {12, 0, 1514}} {
		b.Run(fmt.Sprintf("%d to %d, %d", c.from, c.to, c.size), func(b *testing.B) {
			w := benchNet(b, 2, c.size, station(1), Options{})
			for i := range w.c[0].tx[0].Num() {
				f := append(vnet(c.from, offload.Header{Flags: 1, CsumStart: 14}), frame(station(1), station(0), c.size, 0)...)
				idx := w.c[0].tx[0].Slots().Load(i).Idx()
				copy(w.c[0].bufs.Get(idx), f)
				w.c[0].tx[0].Slots().Store(i, abi.MakeWord(idx, uint16(len(f)), 0))
			}
			w.p[0].SetHeader(c.from, 1514)
			w.p[1].SetHeader(c.to, 1514)
			b.ReportAllocs()
			for b.Loop() {
				w.c[0].tx[0].advance(512)
				w.pl.Poll()
				w.c[1].rx[0].release()
			}
			perPacket(b, b.N*512)
		})
	}
}
