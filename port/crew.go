package port

import (
	"context"

	"github.com/netmapd/netmapd/lcore"
)

// A crew is the units that do one thing on several lcores, each with the rings
// and queues that are its lcore's.
type crew[U lcore.Unit] map[*lcore.Lcore]U

// of is the unit of an lcore, which may have to be made.
func (c crew[U]) of(l *lcore.Lcore, fresh func() U) U {
	u, ok := c[l]
	if !ok {
		u = fresh()
		c[l] = u
	}
	return u
}

// start puts the units on their lcores. After an error some are there.
func (c crew[U]) start(ctx context.Context) error {
	for l, u := range c {
		if err := l.Add(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// stop takes them off; after an error some may be left.
func (c crew[U]) stop(ctx context.Context) error {
	for l, u := range c {
		if err := removeUnit(ctx, l, u); err != nil {
			return err
		}
	}
	return nil
}

// fail tells the clients of all, when none is on its lcore.
func (c crew[U]) fail(err error) {
	for _, u := range c {
		u.Fail(err)
	}
}
