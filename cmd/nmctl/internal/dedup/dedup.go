package dedup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/tool"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Result is what a run counted.
type Result struct {
	Received, Sent, Duplicates uint64
	Long                       uint64 // of those sent: frames of several slots, which are not compared
}

// A filter is one run.
type filter struct {
	in, out *netmap.Desc
	rx      *netmap.RxRing
	tx      *netmap.TxRing
	next    uint32 // TX slot to fill next; with -H those from Head on are held
	swap    bool
	hold    bool
	memory  *memory
	now     func() time.Duration
	res     Result
}

// Run carries frames until the context ends, which is an ordinary end, or a port
// is gone.
func Run(ctx context.Context, o Options, out io.Writer, opts ...netmap.Option) (res Result, err error) {
	if err := o.Validate(); err != nil {
		return res, err
	}
	var ports [2]*netmap.Desc
	for i, name := range o.Interfaces {
		flags := uint64(abi.FlagRxRingsOnly)
		if i == 1 {
			flags = abi.FlagTxRingsOnly
		}
		d, err := netmap.Open(ctx, name, append(opts[:len(opts):len(opts)], netmap.WithFlags(flags))...)
		if err != nil {
			return res, err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		ports[i] = d
	}
	rx, tx := ports[0].RxRings(), ports[1].TxRings()
	if len(rx) != 1 || len(tx) != 1 {
		return res, fmt.Errorf("%s has %d RX rings and %s %d TX rings bound; expected one each: choose with -RING behind the name", o.Interfaces[0], len(rx), o.Interfaces[1], len(tx))
	}
	if o.Hold && o.Fifo >= tx[0].NumSlots()-1 {
		return res, fmt.Errorf("-F %d: with -H the frames stay in the ring, which takes at most %d", o.Fifo, tx[0].NumSlots()-2)
	}
	f := &filter{
		in: ports[0], out: ports[1], rx: rx[0], tx: tx[0], next: tx[0].Head(), hold: o.Hold,
		swap: ports[0].Region() == ports[1].Region() && !o.Copy, memory: newMemory(o.Fifo, o.window()),
		now: func() time.Duration { return time.Duration(time.Now().UnixMicro()) * time.Microsecond },
	}
	fmt.Fprintf(out, "%s -> %s, window %v, %d frames, zero copy %v\n", o.Interfaces[0], o.Interfaces[1], o.window(), o.Fifo, f.swap)
	if !tool.Sleep(ctx, tool.Seconds(o.Wait)) {
		return res, nil
	}
	err = f.run(ctx, out, o.Verbose)
	fmt.Fprintf(out, "%d frames received, %d sent, %d duplicates left out\n", f.res.Received, f.res.Sent, f.res.Duplicates)
	return f.res, err
}

// longest is the longest sleep: an interrupt is noticed so soon.
const longest = 50 * time.Millisecond

func (f *filter) run(ctx context.Context, out io.Writer, verbose bool) error {
	report := time.Now().Add(time.Second)
	for ctx.Err() == nil {
		waitFor, ev := f.in, netmap.PollIn
		if !f.rx.Empty() {
			waitFor, ev = f.out, netmap.PollOut // what is left there had no room
		}
		// A ring in an illegal state (PollErr) has been put right; go on.
		if _, err := waitFor.PollTimeout(f.patience(), ev); err != nil {
			return err
		}
		sent := f.tx.Head()
		f.expire(f.now())
		f.carry()
		if f.tx.Head() != sent {
			if _, err := f.out.PollTimeout(0, 0); err != nil { // hands over
				return err
			}
		}
		if verbose && time.Now().After(report) {
			fmt.Fprintf(out, "%d frames received, %d sent, %d duplicates\n", f.res.Received, f.res.Sent, f.res.Duplicates)
			report = time.Now().Add(time.Second)
		}
	}
	f.release(f.next) // what is held goes out at the end
	_, err := f.out.PollTimeout(0, 0)
	return err
}

// patience is how long to wait for frames: with -H until one that is held is due.
func (f *filter) patience() time.Duration {
	m := f.memory
	if !f.hold || m.first == m.next {
		return longest
	}
	return min(longest, max(0, m.entry(m.first).at+m.window-f.now()+time.Microsecond))
}

// expire forgets what is older than the window, which with -H sends it.
func (f *filter) expire(now time.Duration) {
	f.memory.expire(now)
	if f.hold {
		f.release(f.held())
	}
}

// held is the first slot that is held back.
func (f *filter) held() uint32 {
	m := f.memory
	if m.first == m.next {
		return f.next
	}
	e := m.entry(m.first)
	return (e.slot + f.tx.NumSlots() - 1) % f.tx.NumSlots()
}

func (f *filter) release(slot uint32) {
	if slot != f.tx.Head() {
		f.tx.Advance(slot)
	}
}

// room is how many slots can be filled beside those that are held.
func (f *filter) room() uint32 {
	n := f.tx.NumSlots()
	return (f.tx.Tail() + n - f.next) % n
}

// carry judges what has come and moves what is new, as far as there is room. The
// time of a frame is that of the sync that brought it, in the ring's ts.
func (f *filter) carry() {
	sec, usec := f.rx.Timestamp()
	arrival := time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond
	i, tail := f.rx.Head(), f.rx.Tail()
	for i != tail {
		if f.rx.Slot(i).Flags&abi.NSMoreFrag != 0 {
			end, ok := f.carryLong(i, tail)
			if !ok {
				break
			}
			i = end
			continue
		}
		frame := f.rx.Frame(i)
		hash := f.memory.hash(frame)
		if f.memory.seen(frame, hash) {
			f.res.Received++
			f.res.Duplicates++
			i = f.rx.Next(i)
			continue
		}
		if f.room() == 0 {
			break
		}
		if f.memory.full() {
			f.memory.forget()
		}
		stays := f.move(i)
		e := f.memory.add(arrival, stays, hash, f.hold)
		e.slot = f.next
		f.res.Received++
		f.res.Sent++
		i = f.rx.Next(i)
	}
	f.rx.Advance(i)
	if f.hold {
		f.release(f.held())
	} else {
		f.release(f.next)
	}
}

// move puts a slot into the next TX slot and returns the frame as it lies there.
func (f *filter) move(i uint32) []byte {
	from, to := f.rx.Slot(i), f.tx.Slot(f.next)
	more := from.Flags & abi.NSMoreFrag
	if f.swap {
		from.BufIdx, to.BufIdx = to.BufIdx, from.BufIdx
		to.Len, to.Flags, to.Ptr, from.Flags = from.Len, more|abi.NSBufChanged, from.Ptr, abi.NSBufChanged
	} else {
		to.Len, to.Flags = uint16(copy(f.tx.Buf(to), f.rx.Frame(i))), more|to.Flags&abi.NSBufChanged
	}
	frame := f.tx.Frame(f.next)
	f.next = f.tx.Next(f.next)
	return frame
}

// carryLong moves a frame of several slots, which is not compared with others:
// all of it or nothing. What is held goes before it.
func (f *filter) carryLong(i, tail uint32) (end uint32, ok bool) {
	slots := uint32(1)
	for end = i; f.rx.Slot(end).Flags&abi.NSMoreFrag != 0; slots++ {
		if end = f.rx.Next(end); end == tail {
			if f.rx.Space() < f.rx.NumSlots()-1 {
				return i, false // the rest is still to come
			}
			return tail, true // longer than the ring: nobody can see it whole
		}
	}
	if f.room() < slots {
		return i, false
	}
	for f.memory.first != f.memory.next {
		f.memory.forget()
	}
	for range slots {
		f.move(i)
		i = f.rx.Next(i)
	}
	f.release(f.next)
	f.res.Received++
	f.res.Sent++
	f.res.Long++
	return i, true
}
