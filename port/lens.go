package port

import (
	"context"
	"slices"

	"github.com/netmapd/netmapd/netmap/abi"
	vale "github.com/netmapd/netmapd/switch"
)

// The frames of a device that is on a switch, and of its host rings, pass beside
// the rings that the port has for clients. While somebody monitors those, the
// switch is given the queues behind lenses: what enters from a queue shows as
// traffic of the RX ring of its number, what leaves through one as that of the TX
// ring. Without monitors there are none.

// beside are the rings beside which the frames of an attached port pass.
func (p *port) beside() (tx, rx []*kring) {
	switch be := p.be.(type) {
	case *device:
		return p.tx[:p.hwTx], p.rx[:p.hwRx]
	case *hostPort:
		nic := be.h.d.p
		return nic.tx[nic.hwTx:], nic.rx[nic.hwRx:]
	}
	return nil, nil
}

// bypassed says that frames of the port pass beside its rings.
func (p *port) bypassed() bool {
	_, isDevice := p.be.(*device)
	return isDevice && p.sw != nil
}

// onlookers see the frames of a queue: the taps of monitors, and captures.
type onlookers struct {
	taps     []*tap
	captures []*ringLens
}

func (o *onlookers) none() bool { return len(o.taps)+len(o.captures) == 0 }

// see shows them the frames of a batch that begin at the fragments first lists.
func (o *onlookers) see(b *vale.Batch, first []uint16, dir int) {
	for _, t := range o.taps {
		t.copyBatch(b, first, dir)
	}
	for _, c := range o.captures {
		c.w.seeBatch(b, dir == abi.DirTx, first)
	}
}

// copiesOf are the onlookers of ring i; a queue of a tap may have no ring of its
// number, and is with the last one then.
func copiesOf(ks []*kring, i int) (o onlookers) {
	if len(ks) == 0 {
		return o
	}
	w := &ks[min(i, len(ks)-1)].watch
	return onlookers{slices.Clone(w.copies), slices.Clone(w.captures)}
}

// through is source i of an attached port as the switch gets it.
func (p *port) through(i int, src vale.Source) vale.Source {
	_, rx := p.beside()
	by := copiesOf(rx, i)
	if by.none() {
		return src
	}
	l := &sourceLens{Source: src, by: by}
	if a, ok := src.(vale.Armer); ok {
		return armedLens{l, a}
	}
	return l
}

// onTo are the sinks of an attached port as the switch gets them.
func (p *port) onTo(sinks []vale.Sink) []vale.Sink {
	tx, _ := p.beside()
	out := make([]vale.Sink, len(sinks))
	for i, s := range sinks {
		out[i] = s
		if by := copiesOf(tx, i); !by.none() {
			out[i] = &sinkLens{s, by}
		}
	}
	return out
}

// refit puts the lenses of a port in and out as its monitors want it now. The old
// ones may be in use until the lcores are quiesced.
func (g *Registry) refit(ctx context.Context, p *port) error {
	if !p.bypassed() {
		return nil
	}
	all := []*port{p}
	if host := p.be.(*device).host.port; host != nil && host.sw != nil {
		all = append(all, host)
	}
	for _, p := range all {
		if err := p.sw.SetSinks(p.vp, p.onTo(p.sinks)); err != nil {
			return err
		}
		for l, pl := range p.sw.pollers {
			if err := p.pollSources(ctx, l, pl); err != nil {
				return err
			}
		}
	}
	return nil
}

// sourceLens shows monitors what a source offers.
type sourceLens struct {
	vale.Source
	by    onlookers
	first [vale.MaxBatch]uint16
}

// Next takes a batch from the source.
func (l *sourceLens) Next(b *vale.Batch) int {
	slots := l.Source.Next(b)
	n := 0
	for i := 0; i < b.N; i += max(1, int(b.Frags[i].Slots)) {
		l.first[n] = uint16(i)
		n++
	}
	l.by.see(b, l.first[:n], abi.DirRx)
	return slots
}

// armedLens is the lens of a source that wakes the lcore.
type armedLens struct {
	*sourceLens
	vale.Armer
}

// sinkLens shows monitors what a sink is given.
type sinkLens struct {
	vale.Sink
	by onlookers
}

// Deliver hands the frames to the sink. Monitors see them before (NC E.8).
func (l *sinkLens) Deliver(b *vale.Batch, list []uint16, d *vale.Drops) (frames, bytes uint64) {
	l.by.see(b, list, abi.DirTx)
	return l.Sink.Deliver(b, list, d)
}

// copyBatch copies the frames of a batch that begin at the fragments first lists,
// which passed in direction dir. See copy.
func (t *tap) copyBatch(b *vale.Batch, first []uint16, dir int) {
	n := uint32(0)
	for _, i := range first {
		n += uint32(b.Frags[i].Slots)
	}
	if n == 0 || !t.k.Bound() {
		return
	}
	start, got := t.k.Reserve(n)
	skip := n - got
	t.books.missed.Add(uint64(skip))
	dst, at := t.k.Ring, start
	var frames, bytes uint64
	for _, i := range first {
		for left := b.Frags[i].Slots; left > 0; left, i = left-1, i+1 {
			if skip > 0 {
				skip--
				continue
			}
			var flags uint16
			if left > 1 {
				flags = abi.NSMoreFrag
			} else {
				frames++
			}
			own := dst.Slots().Load(at)
			length := copy(contents(dst, at, own, longest), b.Bytes(int(i)))
			dst.Slots().Store(at, abi.MakeWord(own.Idx(), uint16(length), txmon(flags, dir)))
			bytes += uint64(length)
			at = dst.Advance(at, 1)
		}
	}
	t.commit(start, got, frames, bytes)
}
