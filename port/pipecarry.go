package port

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/ring"
)

// This file lets an lcore carry a pipe whose ends would move the slots themselves.

// pipeUnit carries a pipe: same order, back-pressure and flags as without.
type pipeUnit struct{ pairs []*ring.Pipe }

// Poll carries what there is.
func (u *pipeUnit) Poll() (n int) {
	for _, pair := range u.pairs {
		n += pair.Turn()
	}
	return n
}

// Arm asks both ends for kicks.
func (u *pipeUnit) Arm() bool {
	for _, pair := range u.pairs {
		if !pair.Arm() {
			return false
		}
	}
	return true
}

// Disarm takes that back.
func (u *pipeUnit) Disarm() {
	for _, pair := range u.pairs {
		pair.Disarm()
	}
}

// Silent: kicks wake the lcore.
func (u *pipeUnit) Silent() bool { return false }

// Fail tells the clients that the pipe is gone.
func (u *pipeUnit) Fail(error) {
	for _, pair := range u.pairs {
		pair.Tx().Stop()
		pair.Rx().Stop()
	}
}

// busyTime is how long a change of who moves the slots waits for syncs under way,
// of all rings together. All other clients of the control plane wait too.
const busyTime = 20 * time.Millisecond

// carry puts an lcore on the path, for one more who needs it there; release undoes
// it. Frames stay in order, none is lost.
func (q *pipe) carry(ctx context.Context) error {
	if q.carriers++; q.carriers > 1 {
		return nil
	}
	q.takePairs()
	return q.serve(ctx)
}

// takePairs makes the daemon the one that moves the slots.
func (q *pipe) takePairs() {
	until := time.Now().Add(busyTime)
	for _, pair := range q.pairs {
		pair.TakeOver(until)
	}
}

// serve has the lcore carry what was taken over.
func (q *pipe) serve(ctx context.Context) error {
	q.movedOn(q.ends[0].lc.CPU())
	q.unit = &pipeUnit{q.pairs}
	if err := q.ends[0].lc.Add(ctx, q.unit); err != nil {
		q.carriers--
		if errors.Is(err, lcore.ErrMayRun) {
			return fmt.Errorf("carry %s: %w", q.ends[0].name, err) // the lcore has it, or will; so it stays
		}
		q.unit = nil
		q.giveBack()
		return fmt.Errorf("carry %s: %w", q.ends[0].name, err)
	}
	q.wakeAll()
	return nil
}

// release takes the lcore off the path with the last who needs it there.
func (q *pipe) release(ctx context.Context) error {
	if q.carriers--; q.carriers > 0 {
		return nil
	}
	if err := q.stopUnit(ctx); err != nil {
		return fmt.Errorf("release %s: %w", q.ends[0].name, err)
	}
	q.giveBack()
	q.wakeAll()
	return nil
}

func (q *pipe) giveBack() {
	until := time.Now().Add(busyTime)
	for _, pair := range q.pairs {
		pair.GiveBack(until)
	}
	q.movedOn(-1)
}

// movedOn tells clients which CPU must be left alone by who waits; of a direct pipe
// the ends tell each other.
func (q *pipe) movedOn(cpu int) {
	for _, pair := range q.pairs {
		pair.Tx().Block().SetLcoreCPU(cpu)
		pair.Rx().Block().SetLcoreCPU(cpu)
	}
}

// stopUnit takes the unit off its lcore.
func (q *pipe) stopUnit(ctx context.Context) error {
	if q.unit == nil {
		return nil
	}
	if err := q.ends[0].lc.Remove(ctx, q.unit); err != nil && !errors.Is(err, lcore.ErrNoUnit) {
		return err
	}
	q.unit = nil
	return nil
}

// wakeAll lets everybody look at the rings again, who may have gone to sleep on
// what is no longer moved in the same way.
func (q *pipe) wakeAll() {
	for _, pair := range q.pairs {
		pair.Tx().Wake()
		pair.Rx().Wake()
	}
}
