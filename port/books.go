package port

import (
	"context"

	"github.com/netmapd/netmapd/lcore"
	vale "github.com/netmapd/netmapd/switch"
)

// books count frames that no switch counts: by lcore, each of which writes its
// own.
type books []*vale.Counters

func newBooks(lcores []*lcore.Lcore) books {
	b := make(books, len(lcores))
	for i := range b {
		b[i] = &vale.Counters{}
	}
	return b
}

// of is where an lcore counts.
func (b books) of(l *lcore.Lcore) *vale.Counters { return b[l.ID()] }

// add adds what an lcore counted to a sum. It runs there, or while the lcore has
// no part in the port.
func (b books) add(l *lcore.Lcore, sum *vale.Counters) { sum.Add(b.of(l)) }

// sum asks all lcores. What one wrote that is stuck stands still.
func (g *Registry) sum(ctx context.Context, b books) (sum vale.Counters, err error) {
	for _, l := range g.lcores {
		if read := func() { b.add(l, &sum) }; l.Stuck() {
			read()
		} else if err := l.Do(ctx, read); err != nil {
			return vale.Counters{}, err
		}
	}
	return sum, nil
}
