package netmap

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// A peer is the ring at the other end of a pipe, in the same region (NC E.7).
type peer struct {
	slots abi.Slots
	blk   *abi.SyncBlock
}

// viewPeer finds the ring at the other end of a pipe, where there is one in this
// region. What says where it is can be written by that end: it is read once and
// checked.
func (r *Ring) viewPeer(d *Desc) error {
	ofs, index := r.blk.Peer()
	if ofs == 0 {
		return nil // the daemon always carries this pipe
	}
	view, err := d.region.mem.Ring(ofs, r.n)
	if err != nil {
		return fmt.Errorf("the other end of the pipe: %w", err)
	}
	blk, err := abi.NewMem(d.syncs).SyncBlock(int(index))
	if err != nil {
		return fmt.Errorf("the other end of the pipe: %w", err)
	}
	r.peer = &peer{view.Slots, blk}
	return nil
}

// syncDirect is the sync of a ring of a direct pipe: it moves the slots itself
// and plays the daemon for the ring at the other end. The busy word is held.
// The C library does the same, in the same steps.
//
// A process may die between any two stores: what counts is one word (step 4), and
// whoever syncs next goes on from there. An RX ring is stamped with now.
func (r *Ring) syncDirect(now syscall.Timeval) (out outcome) {
	b, p := r.blk, r.peer

	// 1. What the program wants, what the library remembers, how far this end has
	// come, and what the other end says.
	head, cur, tail := r.ring.LoadUser()
	rhead, rcur, rtail := b.Library()
	hwcur, given := p.blk.LoadDaemon()
	_, hwtail := b.LoadDaemon()
	if hwcur >= r.n || given >= r.n || hwtail >= r.n {
		// Somebody wrote over the indices; nothing sensible can be done.
		r.stats.bad.Add(1)
		return bad
	}

	// 2. Judge the program (NC D.2, D.3).
	limit := rtail
	if r.dir == abi.DirRx {
		limit = hwtail
	}
	switch {
	case !legal(head, cur, hwcur, limit, r.n):
		out = bad
		head = r.reinit(abi.RingDirect, hwcur, hwcur, hwtail)
		cur, tail = head, hwtail
	case head != hwcur:
		// 3. Move the slots: complete packets to the receiver, or all back.
		news := true
		if r.dir == abi.DirTx {
			var end uint32
			if mask, most := b.PeerOffsets(); mask != 0 {
				r.shift(p, mask, most, hwcur, head)
			}
			if end, news = r.ring.Send(p.slots, hwcur, head); news {
				given = end
			}
		} else {
			r.ring.Return(p.slots, hwcur, head)
			given = before(head, r.n)
		}
		// 4. Say so, slots first. Behind the fence either the other end
		// sees it before it sleeps, or we see here that it sleeps (or is about to).
		p.blk.PublishDaemon(head, given)
		if abi.Fence(); news && p.blk.TakeClientMark() != 0 {
			out |= wakePeer
		}
	}

	// 5. Show the program what the other end has given.
	if tail != hwtail {
		r.ring.SetTail(hwtail)
	}
	if head != rhead || cur != rcur || hwtail != rtail {
		b.SetLibrary(head, cur, hwtail)
	}
	if r.dir == abi.DirRx {
		r.ring.SetTime(now.Sec, now.Usec)
	}
	return out
}

// shift moves frames to where a receiver with offsets finds them.
func (r *Ring) shift(p *peer, mask uint64, most, from, to uint32) {
	size := r.bufs.Size()
	r.ring.Shift(p.slots, r.bufs, &abi.PipeOffsets{
		FromMask: r.ring.OffsetMask, FromMax: size, ToMask: mask, ToMax: min(most, size),
	}, from, to)
}

// before is the slot before i in a ring of n.
func before(i, n uint32) uint32 {
	if i == 0 {
		i = n
	}
	return i - 1
}

// wakeOther wakes all processes at the other end of the pipe that sleep. The
// eventfd is watched edge-triggered and never read, so it does not fill up.
func (d *Desc) wakeOther() {
	d.wakeups.Add(1)
	_, _ = unix.Write(d.pipeWake, kickWord[:])
}

// after does what the syncs of a pass asked for: wake the daemon, or the other
// end of a pipe.
func (d *Desc) after(out outcome) {
	if out&kick != 0 {
		d.kick()
	}
	if out&wakePeer != 0 && d.pipe {
		d.wakeOther()
	}
}

// pipeFDs takes over what comes with a pipe: the eventfd that the other end wakes
// this one with, to be watched, and the one that wakes the other end.
func (d *Desc) pipeFDs(a *answer) (sleep int) {
	if len(a.fds) != wire.PipeFDs {
		return -1
	}
	d.pipe, d.pipeWake = true, a.take(wire.FDPipeWake)
	d.spin.set(d.spin.most)
	return a.take(wire.FDPipeSleep)
}

// isDirect reports whether the two ends of the pipe move the slots themselves.
func (r *Ring) isDirect() bool { return r.peer != nil && r.blk.State() == abi.RingDirect }
