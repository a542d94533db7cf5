package netmap

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Events are what Poll waits for and what it finds, in the numbers of poll(2).
type Events int16

// The events that Poll knows (NC D.6). The others of poll(2) are never reported.
const (
	PollIn  Events = unix.POLLIN | 0x40   // and POLLRDNORM: an RX ring has a slot after Cur
	PollOut Events = unix.POLLOUT | 0x100 // and POLLWRNORM: a TX ring has a slot after Cur
	PollErr Events = unix.POLLERR         // a ring was in an illegal state, or is gone
)

// skipTime is how long Poll sleeps at most when another process was inside a
// sync of a ring it asks about: that one may have taken the news with it.
const skipTime = time.Millisecond

// Poll is netmap's poll on one descriptor (NC D.6): it syncs, and blocks until
// an RX ring has a new slot (PollIn) or a TX ring has room (PollOut), where new
// means after Cur. It reports what holds, level-triggered: called again, it says
// the same again.
//
// All bound TX rings are synced too when only PollIn is asked for, unless the
// port was opened with WithNoTxPoll; RX rings only when PollIn is. Poll does not
// wait for the core to take what it publishes. No event asked for means a TX
// sync and no waiting.
//
// PollErr without an error says that a ring was found in an illegal state and
// put back to its last good one. With an error it says that the ring, the port
// or the daemon is gone (EIO). An ended context is returned as its error, with
// no events. A call that finds something ready makes no system call but a kick
// for a sleeping daemon, and allocates nothing.
func (d *Desc) Poll(ctx context.Context, events Events) (Events, error) {
	p := poll{d: d, want: events}
	if re, done := p.pass(); done {
		return re, d.pollError(re, p.out)
	}
	if re, done := p.spin(-1); done {
		return re, d.pollError(re, p.out)
	}
	deadline, _ := ctx.Deadline()
	re, err := p.block(ctx, deadline)
	if errors.Is(err, errTimeout) {
		return 0, context.DeadlineExceeded
	}
	return re, err
}

// PollTimeout is Poll with a time limit: no event and no error mean that it
// passed, as with poll(2). 0 looks once, a negative limit is none.
func (d *Desc) PollTimeout(limit time.Duration, events Events) (Events, error) {
	p := poll{d: d, want: events}
	if re, done := p.pass(); done || limit == 0 {
		return re, d.pollError(re, p.out)
	}
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	if re, done := p.spin(limit); done {
		return re, d.pollError(re, p.out)
	}
	re, err := p.block(context.Background(), deadline)
	if errors.Is(err, errTimeout) {
		return 0, nil
	}
	return re, err
}

// A poll is one call.
type poll struct {
	d    *Desc
	want Events
	out  outcome // of all rings in the last pass
}

// pass runs the two phases once and says whether the call is over.
func (p *poll) pass() (re Events, done bool) {
	d := p.d
	p.out = 0
	if d.gone() {
		p.out = stopped
		return PollErr, true
	}
	if d.csb.Load() {
		return PollErr, true // NC D.6
	}
	wantTx, wantRx := p.want&PollOut, p.want&PollIn
	if wantTx != 0 || !d.noTxPoll {
		re |= p.txPhase(wantTx)
	}
	if wantRx != 0 {
		re |= p.rxPhase(wantRx)
	}
	if p.out&forwarded != 0 {
		re |= p.txPhase(0)
	}
	d.after(p.out)
	return re, re != 0 || wantTx|wantRx == 0
}

// txPhase syncs the TX rings in ascending order, leaving out those with nothing
// new once room was found.
func (p *poll) txPhase(want Events) (re Events) {
	for _, r := range p.d.tx {
		if want == 0 && r.idle() {
			continue
		}
		out := r.sync()
		p.out |= out
		if out&(bad|stopped) != 0 {
			re |= PollErr
			continue
		}
		if want != 0 && r.ready() {
			re |= want
			want = 0
		}
	}
	return re
}

// rxPhase syncs all RX rings, whichever is ready.
func (p *poll) rxPhase(want Events) (re Events) {
	for _, r := range p.d.rx {
		out := r.sync()
		p.out |= out
		if out&(bad|stopped) != 0 {
			re |= PollErr
		}
		if out&(bad|stopped) != stopped && r.ready() {
			re |= want
		}
	}
	return re
}

// idle reports whether the program published nothing new on a TX ring and
// nobody refused what it published before.
func (r *Ring) idle() bool {
	rhead, rcur, _ := r.blk.Library()
	head, cur, _ := r.ring.LoadUser()
	state := r.blk.State()
	return head == rhead && cur == rcur && state != abi.RingStopped && state != abi.RingFrozen
}

// ready compares what the last sync left behind: cur and tail of the library,
// not of the ring, where the program can have scribbled since (NC D.6).
func (r *Ring) ready() bool {
	_, rcur, rtail := r.blk.Library()
	return rcur != rtail
}

// block waits until a pass finds something. The order matters: take the
// generation and arm the rings, then look again, then wait. What changes after
// the look meets an armed ring and comes as a message (POL-21), perhaps as that of another ring (sleeper).
func (p *poll) block(ctx context.Context, deadline time.Time) (Events, error) {
	d := p.d
	gen := d.wake.generation()
	sl := d.session.sleeps(d, p.want)
	defer d.session.leaves(sl)
	for woken := false; ; woken = true {
		if woken {
			// Before the rings are armed again: the next change would have the daemon wake somebody who is awake.
			if re, done := p.pass(); done {
				return re, d.pollError(re, p.out)
			}
			gen = d.wake.generation()
		}
		d.session.arm(sl, woken)
		if re, done := p.pass(); done {
			return re, d.pollError(re, p.out)
		}
		until := deadline
		if p.out&skipped != 0 {
			if t := time.Now().Add(skipTime); until.IsZero() || t.Before(until) {
				until = t
			}
		}
		d.waits.Add(1)
		start := time.Now()
		err := d.wake.wait(ctx, until, gen)
		d.spin.slept(time.Since(start))
		switch {
		case err == nil, errors.Is(err, errHangup): // the next pass says what it means
		case errors.Is(err, errTimeout) && until != deadline:
		default:
			return 0, d.waitError(err)
		}
	}
}

// waited calls fn for each ring that a poll for these events waits for.
func (d *Desc) waited(want Events, fn func(*Ring)) {
	if want&PollOut != 0 {
		for _, r := range d.tx {
			fn(r)
		}
	}
	if want&PollIn != 0 {
		for _, r := range d.rx {
			fn(r)
		}
	}
}

// pollError is the error that goes with the events of a pass.
func (d *Desc) pollError(re Events, out outcome) error {
	if re&PollErr == 0 || out&stopped == 0 {
		return nil
	}
	return d.goneError("poll")
}
