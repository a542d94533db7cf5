package main

import (
	"fmt"
	"net"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/test/niclab/talk"
)

// streaming is a client that sends and receives, and watches its rings meanwhile.
type streaming struct {
	d        *netmap.Desc
	dst, src net.HardwareAddr
	pace     time.Duration
	stop     chan struct{}
	done     chan talk.Streamed
	seen     talk.Streamed
	rings    []*watched
	first    int // number of the first frame received, -1 before
	last     int
}

// watched is a ring and what it must still look like at the next look.
type watched struct {
	*netmap.Ring
	head, cur, tail uint32
	indices         []uint32 // of a TX ring: the client's, for good
}

// StartStream begins to send and receive.
func (c *Client) StartStream(s talk.Stream, _ *struct{}) error {
	if c.d == nil {
		return errClosed
	}
	st := &streaming{d: c.d, pace: s.Pace, stop: make(chan struct{}), done: make(chan talk.Streamed, 1), first: -1, last: -1}
	if s.Dst != "" {
		var err error
		if st.dst, err = net.ParseMAC(s.Dst); err != nil {
			return err
		}
		if st.src, err = net.ParseMAC(s.Src); err != nil {
			return err
		}
	}
	for _, r := range c.d.TxRings() {
		w := watch(&r.Ring)
		for i := range r.NumSlots() {
			w.indices = append(w.indices, r.Slot(i).BufIdx)
		}
		st.rings = append(st.rings, w)
	}
	for _, r := range c.d.RxRings() {
		st.rings = append(st.rings, watch(&r.Ring))
	}
	c.stream = st
	go st.run()
	return nil
}

// StopStream ends it, when all that was sent is out or has not gone out for a while.
func (c *Client) StopStream(_ struct{}, r *talk.Streamed) error {
	close(c.stream.stop)
	*r = <-c.stream.done
	c.stream = nil
	return nil
}

func watch(r *netmap.Ring) *watched {
	return &watched{Ring: r, head: r.Head(), cur: r.Cur(), tail: r.Tail()}
}

// settleTime is how long nothing must happen before a stream counts as over.
const settleTime = time.Second

func (s *streaming) run() {
	quiet := time.Now()
	for sending := true; s.seen.Broken == ""; time.Sleep(s.pace) {
		select {
		case <-s.stop:
			sending = false
		default:
		}
		before := s.seen
		if sending && s.dst != nil {
			s.send()
		}
		s.sync()
		s.receive()
		if sending || s.seen != before {
			quiet = time.Now()
		}
		if time.Since(quiet) > settleTime {
			break
		}
	}
	if s.first >= 0 {
		s.seen.Lost = s.last - s.first + 1 - s.seen.Received
	}
	s.done <- s.seen
}

// broken notes the first thing that went wrong.
func (s *streaming) broken(format string, args ...any) {
	if s.seen.Broken == "" {
		s.seen.Broken = fmt.Sprintf(format, args...)
	}
}

// send puts one frame into every TX ring that has room.
func (s *streaming) send() {
	for i, r := range s.d.TxRings() {
		size := talk.MinFrame + s.seen.Sent%1400
		s.src[5] = byte(i) // only frames of one ring are in order
		if r.Send(talk.Frame(s.dst, s.src, s.seen.Sent, size)) {
			s.seen.Sent++
		}
	}
	for _, w := range s.rings {
		w.head, w.cur = w.Head(), w.Cur()
	}
}

// sync is a sync of all rings, across which nothing may move but a tail, forwards, and not past head.
func (s *streaming) sync() {
	if err := s.d.TxSync(); err != nil {
		s.broken("TX sync: %v", err)
	}
	if err := s.d.RxSync(); err != nil {
		s.broken("RX sync: %v", err)
	}
	s.seen.Pending = 0
	for _, w := range s.rings {
		head, cur, tail := w.Head(), w.Cur(), w.Tail()
		if head != w.head || cur != w.cur || w.ahead(w.tail, tail) > w.ahead(w.tail, w.before(head)) {
			s.broken("ring %d: head, cur, tail were %d, %d, %d and are %d, %d, %d", w.ID(), w.head, w.cur, w.tail, head, cur, tail)
		}
		w.tail = tail
		for i, idx := range w.indices {
			if now := w.Slot(uint32(i)).BufIdx; now != idx {
				s.broken("TX ring %d: slot %d had buffer %d and has %d", w.ID(), i, idx, now)
			}
		}
		if w.indices != nil {
			s.seen.Pending += int(w.ahead(tail, w.before(head)))
		}
	}
}

func (w *watched) ahead(a, b uint32) uint32 { return (b + w.NumSlots() - a) % w.NumSlots() }
func (w *watched) before(i uint32) uint32   { return (i + w.NumSlots() - 1) % w.NumSlots() }

// receive takes and checks what has come.
func (s *streaming) receive() {
	buf := make([]byte, 1<<16)
	for _, r := range s.d.RxRings() {
		for n, ok := r.Recv(buf); ok; n, ok = r.Recv(buf) {
			f := buf[:n]
			if !talk.Ours(f) {
				continue
			}
			if !talk.Whole(f) {
				s.broken("a frame of %d bytes came damaged: %x", n, f)
			}
			number := talk.Number(f)
			if number <= s.last {
				s.broken("frame %d came after frame %d", number, s.last)
			}
			if s.first < 0 {
				s.first = number
			}
			s.last = number
			s.seen.Received++
		}
	}
	for _, w := range s.rings {
		w.head, w.cur = w.Head(), w.Cur()
	}
}
