package vale

// Link moves all frames of one source to one sink: how a device and a client's
// ring are joined where no switch stands between. It belongs to one lcore.
type Link struct {
	src  Source
	sink Sink
	in   bool // frames go to the client: they count as Rx of the port

	ctr   *Counters
	turn  Counters // of the turn under way
	batch Batch
	list  [MaxBatch]uint16
}

// NewLink joins a source and a sink of one port, counting in ctr: frames from
// the client to the device as Tx, frames from the device to the client (in) as
// Rx, frames lost on the way as drops.
func NewLink(src Source, sink Sink, in bool, ctr *Counters) *Link {
	return &Link{src: src, sink: sink, in: in, ctr: ctr}
}

// Turn moves one batch of at most limit slots (MaxFrags to MaxBatch) and
// returns the slots it took from the source.
func (l *Link) Turn(limit int) (slots int) {
	b := &l.batch
	l.turn = Counters{}
	b.N, b.Multi, b.ctr, b.Origin, b.limit = 0, false, &l.turn, nil, min(max(limit, MaxFrags), MaxBatch)
	if slots = l.src.Next(b); slots == 0 {
		return 0
	}
	n := 0
	for i := range b.Frags[:b.N] {
		f := &b.Frags[i]
		l.turn.Tx.Bytes += uint64(f.Len)
		if f.Slots != 0 {
			l.list[n] = uint16(i)
			n++
		}
	}
	l.turn.Tx.Frames += uint64(n)
	if n > 0 {
		frames, bytes := l.sink.Deliver(b, l.list[:n], &l.turn.Drops)
		l.turn.Rx.Frames, l.turn.Rx.Bytes = frames, bytes
	}
	l.src.Done(b)
	b.Settle()
	if l.in { // what a source offers is Tx only on the way out
		l.turn.Tx = Count{}
	} else {
		l.turn.Rx = Count{}
	}
	l.ctr.Add(&l.turn)
	return slots
}
