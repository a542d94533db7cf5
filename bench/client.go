package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

const (
	etherType  = 0x88b5 // for experiments; no protocol of the kernel takes it
	pollTime   = 50 * time.Millisecond
	teachLimit = 5 * time.Second
	broadcast  = "ff:ff:ff:ff:ff:ff"
)

// senderMAC is the address of sender i.
func senderMAC(i int) string { return fmt.Sprintf("02:00:00:00:00:%02x", i+1) }

// receiverMAC is the address of receiver i.
func receiverMAC(i int) string { return fmt.Sprintf("02:00:00:00:01:%02x", i) }

// newFrame is a frame without meaning.
func newFrame(dst, src string, size int) ([]byte, error) {
	b := make([]byte, size)
	for i, s := range []string{dst, src} {
		mac, err := net.ParseMAC(s)
		if err != nil {
			return nil, err
		}
		copy(b[6*i:], mac)
	}
	b[12], b[13] = etherType>>8, etherType&0xff
	for i := range b[14:] {
		b[14+i] = byte(i)
	}
	return b, nil
}

func open(s *roleSpec, i int) (*netmap.Desc, error) {
	opts := []netmap.Option{netmap.WithRuntimeDir(s.Dir)}
	if s.Slots > 0 {
		opts = append(opts, netmap.WithSlots(s.Slots, s.Slots))
	}
	if s.Offset > 0 {
		opts = append(opts, netmap.WithOffsets(abi.Offsets{Max: s.Offset, Initial: s.Offset}))
	}
	if s.Header > 0 {
		opts = append(opts, netmap.WithVnetHeader())
	}
	d, err := netmap.Open(context.Background(), s.Ports[i], opts...)
	if err == nil && s.Header > 0 {
		err = d.SetVnetHeader(context.Background(), s.Header)
	}
	return d, err
}

// behind puts a virtio-net header that asks for nothing before a frame.
func behind(header int, frame []byte) []byte { return append(make([]byte, header), frame...) }

// flooder sends the same frames over and over. Its buffers are filled once; the slots are written each time, as
// netmap's own generator does.
type flooder struct {
	*netmap.TxRing
	slots    abi.Slots
	words    []abi.Word
	stations int // 0: buffers stay as they are
	bufs     [][]byte
	chance   uint64
}

func newFlooder(d *netmap.Desc, s *roleSpec) (*flooder, error) {
	r := d.TxRings()[0]
	f := &flooder{TxRing: r, slots: r.Slots(), words: make([]abi.Word, r.NumSlots()), stations: s.Stations, chance: 1}
	for i := range r.NumSlots() {
		frame, err := newFrame(s.Dst[int(i)%len(s.Dst)], s.Src, s.Size)
		if err != nil {
			return nil, err
		}
		frame = behind(s.Header, frame)
		buf := r.Buf(r.Slot(i))[r.Offset(i):]
		if copy(buf, frame) < len(frame) {
			return nil, fmt.Errorf("slot %d has no buffer for %d bytes", i, len(frame))
		}
		f.bufs = append(f.bufs, buf)
		f.words[i] = abi.MakeWord(f.slots.Load(i).Idx(), uint16(len(frame)), 0)
	}
	return f, nil
}

// fill fills n slots, which must be free.
func (f *flooder) fill(n uint32) {
	i := f.Head()
	for range n {
		if f.stations > 0 {
			// A cheap generator of random numbers (xorshift).
			f.chance ^= f.chance << 13
			f.chance ^= f.chance >> 7
			f.chance ^= f.chance << 17
			putStation(f.bufs[i], int(f.chance>>11)%f.stations)
		}
		f.slots.Store(i, f.words[i])
		i = f.Next(i)
	}
	f.Advance(i)
}

// putStation writes the address of a station.
func putStation(b []byte, i int) {
	b[0], b[1] = 2, 1
	binary.BigEndian.PutUint32(b[2:6], uint32(i))
}

// take gives back all frames that have come and returns their number and bytes.
func take(r *netmap.RxRing) (n uint32, bytes uint64) {
	slots, i := r.Slots(), r.Head()
	n = r.Space()
	for range n {
		bytes += uint64(slots.Load(i).Len())
		i = r.Next(i)
	}
	r.Advance(i)
	return n, bytes
}

// roleSend sends on Ports[0] as fast as it may: with a ledger not more than the receivers can hold.
func roleSend(s *roleSpec) (sample, error) {
	d, err := open(s, 0)
	if err != nil {
		return nil, err
	}
	f, err := newFlooder(d, s)
	if err != nil {
		return nil, err
	}
	l, err := openLedger(s.Ledger, s.Readers)
	if err != nil {
		return nil, err
	}
	all, limit := len(s.Dst) == 1, s.inFlight(f.NumSlots()) // all: every reader gets every frame
	amReady()
	for sent := uint64(0); !stopped.Load(); {
		re, err := d.PollTimeout(pollTime, netmap.PollOut)
		if err != nil || re&netmap.PollErr != 0 {
			return nil, fmt.Errorf("poll says %#x: %w", re, err)
		}
		n := f.Space()
		if l != nil {
			n = min(n, l.room(sent, limit, all))
		}
		if n == 0 {
			yield()
			continue
		}
		f.fill(n)
		sent += uint64(n)
	}
	return systemCalls(d), d.Close()
}

// roleReceive reads all Ports, each in a goroutine of its own or in turn, after telling the switch the address of each.
func roleReceive(s *roleSpec) (sample, error) {
	ended := make(chan error, len(s.Ports))
	descs := make([]*netmap.Desc, len(s.Ports))
	for i := range s.Ports {
		d, err := open(s, i)
		if err == nil && s.Size > 0 {
			err = teach(d, receiverMAC(s.First+i), s.Header)
		}
		if err == nil && s.Stations > 0 {
			err = teachStations(d, i, len(s.Ports), s.Stations)
		}
		if err != nil {
			return nil, err
		}
		descs[i] = d
	}
	l, err := openLedger(s.Ledger, len(s.Ports))
	if err != nil {
		return nil, err
	}
	amReady()
	if s.InTurn {
		return systemCalls(descs...), drainInTurn(descs, l)
	}
	for i, d := range descs {
		go func() { ended <- drain(d, l.counter(i)) }()
	}
	for range descs {
		if err := <-ended; err != nil {
			return nil, err
		}
	}
	return systemCalls(descs...), nil
}

// systemCalls are those that the client library made, by its own count, and those among them that were waits.
func systemCalls(descs ...*netmap.Desc) sample {
	var calls, waits uint64
	for _, d := range descs {
		st := d.Stats()
		waits += st.Waits
		calls += st.Waits + st.Kicks + st.Wakes
	}
	return sample{"calls": float64(calls), "waits": float64(waits)}
}

// drain reads everything and counts it where the sender sees it.
func drain(d *netmap.Desc, taken *atomic.Uint64) error {
	for !stopped.Load() {
		re, err := d.PollTimeout(pollTime, netmap.PollIn)
		if err != nil || re&netmap.PollErr != 0 {
			return fmt.Errorf("poll says %#x: %w", re, err)
		}
		for _, r := range d.RxRings() {
			n, _ := take(r)
			taken.Add(uint64(n))
		}
	}
	return nil
}

// drainInTurn reads everything in one thread, as a program does that serves many ports by looking at one after the other. It
// lets others run where it found nothing.
func drainInTurn(descs []*netmap.Desc, l *ledger) error {
	for !stopped.Load() {
		sum := uint32(0)
		for i, d := range descs {
			if err := d.RxSync(); err != nil {
				return err
			}
			n, _ := take(d.RxRings()[0])
			l.counter(i).Add(uint64(n))
			sum += n
		}
		if sum == 0 {
			yield()
		}
	}
	return nil
}

// teach sends one frame, so that the switch learns the address.
func teach(d *netmap.Desc, mac string, header int) error {
	frame, err := newFrame(broadcast, mac, 60)
	if err != nil {
		return err
	}
	if !d.TxRings()[0].Send(behind(header, frame)) {
		return fmt.Errorf("no room for a frame in a new ring")
	}
	ctx, cancel := context.WithTimeout(context.Background(), teachLimit)
	defer cancel()
	return d.Flush(ctx)
}

// teachStations sends one frame from every station behind receiver i of n, to nobody.
func teachStations(d *netmap.Desc, i, n, stations int) error {
	frame, err := newFrame(receiverMAC(i), senderMAC(0), 60)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*teachLimit)
	defer cancel()
	for ; i < stations; i += n {
		putStation(frame[6:], i)
		for !d.TxRings()[0].Send(frame) {
			if err := d.Flush(ctx); err != nil {
				return fmt.Errorf("teaching address %d: %w", i, err)
			}
		}
	}
	return d.Flush(ctx)
}

// roleIdle has the ports open and does nothing.
func roleIdle(s *roleSpec) (sample, error) {
	for i := range s.Ports {
		if _, err := open(s, i); err != nil {
			return nil, err
		}
	}
	amReady()
	for !stopped.Load() {
		time.Sleep(10 * time.Millisecond)
	}
	return sample{"ok": 1}, nil
}

// roleAttach opens and closes Ports[0] again and again.
func roleAttach(s *roleSpec) (sample, error) {
	amReady()
	var opens, closes []float64
	for !stopped.Load() && len(opens) < 1000 {
		start := time.Now()
		d, err := open(s, 0)
		if err != nil {
			return nil, err
		}
		opened := time.Now()
		if err := d.Close(); err != nil {
			return nil, err
		}
		opens = append(opens, 1e6*opened.Sub(start).Seconds())
		closes = append(closes, 1e6*time.Since(opened).Seconds())
	}
	return sample{"p50": median(opens), "p99": quantile(opens, 0.99), "close": median(closes)}, nil
}
