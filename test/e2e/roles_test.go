package e2e

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/netmapd/netmapd/netmap"
)

// roles are what client processes do. The first argument is the port to open.
var roles = map[string]func(*talk) error{
	"asker":    asker,
	"answerer": answerer,
	"flood":    flood,
	"sink":     sink,
	"hold":     hold,
	"blocker":  blocker,
	"redeem":   redeem,
	"sender":   sender,
	"user":     user,
	"soak":     soaking,
	"stream":   stream,
	"tally":    tallying,
}

// Frames of the tests: addresses, a local experimental type, and a number.
const (
	etherType = 0x88b5
	frameLen  = 60
)

// frame is frame number seq from one host to another; hosts are small numbers,
// 0xff is the broadcast address.
func frame(b []byte, to, from byte, seq uint64) []byte {
	b = b[:frameLen]
	clear(b)
	addr := func(host byte) []byte {
		if host == 0xff {
			return []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		}
		return []byte{2, 0, 0, 0, 0, host}
	}
	copy(b, addr(to))
	copy(b[6:], addr(from))
	binary.BigEndian.PutUint16(b[12:], etherType)
	binary.BigEndian.PutUint64(b[14:], seq)
	for i := 22; i < frameLen; i++ {
		b[i] = byte(seq) + byte(i)
	}
	return b
}

// intact checks a received frame and returns its number.
func intact(b []byte) (seq uint64, err error) {
	if len(b) != frameLen || binary.BigEndian.Uint16(b[12:]) != etherType {
		return 0, fmt.Errorf("a frame of %d bytes that nobody sent: % x", len(b), b[:min(len(b), 32)])
	}
	seq = binary.BigEndian.Uint64(b[14:])
	for i := 22; i < frameLen; i++ {
		if b[i] != byte(seq)+byte(i) {
			return seq, fmt.Errorf("frame %d has wrong byte %d: % x", seq, i, b)
		}
	}
	return seq, nil
}

// window is how many frames the asker has on their way at a time, less than a
// ring holds, so that none of them may be lost.
const window = 32

// counts is what a process says of its traffic.
type counts struct{ Sent, Received uint64 }

// asker (port) sends numbered frames to the answerer, expects each back in
// order, and tells its counts when asked. It ends when the test does.
func asker(k *talk) error {
	d, err := netmap.Open(context.Background(), k.args[0])
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // the process ends
	k.say("ready")
	tx, rx := d.TxRings()[0], d.RxRings()[0]
	var c counts
	var buf [frameLen]byte
	for {
		select {
		case line := <-k.lines:
			if line == "" {
				return nil
			}
			if err := k.sayJSON(c); err != nil {
				return err
			}
			continue
		default:
		}
		for range window {
			if !tx.Send(frame(buf[:], 2, 1, c.Sent)) {
				return errors.New("a ring that was empty has no room")
			}
			c.Sent++
		}
		if err := await(d, netmap.PollOut); err != nil {
			return err
		}
		for c.Received < c.Sent {
			if err := await(d, netmap.PollIn); err != nil {
				return fmt.Errorf("%d frames sent, %d came back: %w", c.Sent, c.Received, err)
			}
			for {
				n, ok := rx.Recv(buf[:])
				if !ok {
					break
				}
				seq, err := intact(buf[:n])
				if err == nil && seq != c.Received {
					err = fmt.Errorf("frame %d came back, want %d", seq, c.Received)
				}
				if err != nil {
					return err
				}
				c.Received++
			}
		}
		if err := d.RxSync(); err != nil { // gives them back, so that none counts as unread
			return err
		}
		time.Sleep(time.Millisecond) // the machine is small; others want to run
	}
}

// await polls for an event with the tests' patience.
func await(d *netmap.Desc, ev netmap.Events) error {
	re, err := d.PollTimeout(patience, ev)
	if err == nil && re&ev == 0 {
		err = fmt.Errorf("poll reports %#x, want %#x", re, ev)
	}
	return err
}

// answerer (port) sends every frame back where it came from.
func answerer(k *talk) error {
	d, err := netmap.Open(context.Background(), k.args[0])
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // the process ends
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for k.hear() != "" {
		}
		cancel()
	}()
	k.say("ready")
	tx := d.TxRings()[0]
	for f, err := range d.Frames(ctx) {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		seq, err := intact(f)
		if err != nil {
			return err
		}
		var buf [frameLen]byte
		for !tx.Send(frame(buf[:], 1, 2, seq)) {
			if err := await(d, netmap.PollOut); err != nil {
				return err
			}
		}
		if err := d.TxSync(); err != nil {
			return err
		}
	}
	return nil
}

// flood (port, to, from, count) sends as fast as it can: count frames, or
// without end if that is 0. It says when the first are out and what it sent.
func flood(k *talk) error {
	d, err := netmap.Open(context.Background(), k.args[0])
	if err != nil {
		return err
	}
	var n [3]uint64
	for i, a := range k.args[1:] {
		if n[i], err = strconv.ParseUint(a, 0, 64); err != nil {
			return err
		}
	}
	k.say("ready")
	if k.hear() == "" {
		return nil
	}
	tx := d.TxRings()[0]
	var c counts
	var buf [frameLen]byte
	for n[2] == 0 || c.Sent < n[2] {
		if !tx.Send(frame(buf[:], byte(n[0]), byte(n[1]), c.Sent)) {
			if err := await(d, netmap.PollOut); err != nil {
				return err
			}
			if c.Sent > 0 && c.Sent < 4096 {
				k.say("sending")
			}
			continue
		}
		c.Sent++
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Flush(ctx); err != nil {
		return err
	}
	if err := k.sayJSON(c); err != nil {
		return err
	}
	return d.Close()
}

// sink (port, pause) receives what comes, sleeping after each batch, and tells
// its counts when the test says "end". What it has not read then is lost.
func sink(k *talk) error {
	d, err := netmap.Open(context.Background(), k.args[0])
	if err != nil {
		return err
	}
	pause, err := time.ParseDuration(k.args[1])
	if err != nil {
		return err
	}
	k.say("ready")
	rx := d.RxRings()[0]
	var c counts
	var buf [frameLen]byte
	said := false
	for {
		select {
		case line := <-k.lines:
			if line == "" {
				return nil
			}
			// What Recv has taken is given back, so that it does not count as unread.
			if err := d.RxSync(); err != nil {
				return err
			}
			if err := k.sayJSON(c); err != nil {
				return err
			}
			return d.Close()
		default:
		}
		if _, err := d.PollTimeout(10*time.Millisecond, netmap.PollIn); err != nil {
			return err
		}
		for {
			n, ok := rx.Recv(buf[:])
			if !ok {
				break
			}
			if _, err := intact(buf[:n]); err != nil {
				return err
			}
			c.Received++
		}
		if c.Received > 0 && !said {
			said = true
			k.say("receiving")
		}
		if pause > 0 {
			time.Sleep(pause)
		}
	}
}

// hold (port) opens a port and does nothing with it.
func hold(k *talk) error {
	d, err := netmap.Open(context.Background(), k.args[0])
	if err != nil {
		return err
	}
	k.say("ready")
	for k.hear() != "" {
	}
	return d.Close()
}

// redeem (ticket) redeems a ticket and says what came of it.
func redeem(k *talk) error {
	var ticket [16]byte
	if n, err := hex.Decode(ticket[:], []byte(k.args[0])); n != len(ticket) || err != nil {
		return fmt.Errorf("ticket %q: %d bytes, %w", k.args[0], n, err)
	}
	d, err := netmap.Redeem(context.Background(), ticket)
	if err != nil {
		k.say(err.Error())
		return nil
	}
	k.say("bound " + d.PortName())
	for k.hear() != "" {
	}
	return d.Close()
}

// sender (port) sends ten frames and waits to be killed.
func sender(k *talk) error {
	d, err := netmap.Open(context.Background(), k.args[0])
	if err != nil {
		return err
	}
	var buf [frameLen]byte
	for i := range uint64(10) {
		d.TxRings()[0].Send(frame(buf[:], 0xff, 3, i))
	}
	if err := d.TxSync(); err != nil {
		return err
	}
	k.say("sent")
	for k.hear() != "" {
	}
	return nil
}
