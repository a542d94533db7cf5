package port

import (
	"context"
	"errors"

	"github.com/netmapd/netmapd/lcore"
	vale "github.com/netmapd/netmapd/switch"
)

// swallower takes what clients send on a port that is connected to nothing (NC
// E.6): it is counted, and dropped.
type swallower struct{ rings []swallowed }

type swallowed struct {
	*kring
	link *vale.Link
}

func newSwallower(p *port) *swallower {
	u := &swallower{}
	for _, k := range p.tx {
		u.rings = append(u.rings, swallowed{k, vale.NewLink(vale.NewTxSource(k.Ring), nowhere{}, false, p.books.of(p.lc))})
	}
	return u
}

// nowhere is a sink that drops everything.
type nowhere struct{}

// Deliver drops the frames.
func (nowhere) Deliver(_ *vale.Batch, list []uint16, d *vale.Drops) (frames, bytes uint64) {
	d[vale.NoDestination] += uint64(len(list))
	return 0, 0
}

// Poll takes one batch of every ring.
func (u *swallower) Poll() (n int) {
	for i := range u.rings {
		if u.rings[i].Bound() {
			n += u.rings[i].link.Turn(burst)
		}
	}
	return n
}

// Arm asks clients for kicks.
func (u *swallower) Arm() bool {
	for i := range u.rings {
		if u.rings[i].Bound() && !u.rings[i].Arm() {
			return false
		}
	}
	return true
}

// Disarm takes that back.
func (u *swallower) Disarm() {
	for i := range u.rings {
		u.rings[i].Disarm()
	}
}

// Silent says no: clients kick.
func (u *swallower) Silent() bool { return false }

// Fail tells the clients that the port is gone.
func (u *swallower) Fail(error) {
	for i := range u.rings {
		u.rings[i].Stop()
	}
}

// drain takes what is published on one ring.
func (u *swallower) drain(k *kring) {
	for i := range u.rings {
		if u.rings[i].kring == k {
			drainLink(u.rings[i].link)
		}
	}
}

// removeUnit takes a unit off an lcore; it may have failed there before.
func removeUnit(ctx context.Context, l *lcore.Lcore, u lcore.Unit) error {
	if err := l.Remove(ctx, u); err != nil && !errors.Is(err, lcore.ErrNoUnit) {
		return err
	}
	return nil
}
