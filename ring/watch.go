package ring

// Watch is who looks at the slots of a ring as they pass: its monitors (NC E.8).
// A ring without costs one look for each batch. Of an RX ring that several lcores
// fill it works under the ring's lock: a monitor slows them down, and nothing else.
// Both functions are called with a run of n slots from slot from on, at most
// once for each batch, and may be nil.
type Watch struct {
	// Seen gets slots whose frames are as they will stay: of a TX ring, those that
	// the core took from the client; of an RX ring, those that it is about to show.
	Seen func(from, n uint32)

	// Left gets slots that nobody needs any more: of a TX ring, those that are about
	// to go back to the client; of an RX ring, those that the client gave back,
	// before they are filled again. The buffers may be exchanged for others.
	Left func(from, n uint32)
}

// SetWatch sets who looks at the ring, nil for nobody. Any goroutine; the old one
// may be called until every lcore has passed a poll boundary.
func (r *Ring) SetWatch(w *Watch) { r.watch.Store(w) }

func (r *Ring) seen(from, n uint32) {
	if w := r.watch.Load(); w != nil && w.Seen != nil && n != 0 {
		w.Seen(from, n)
	}
}

func (r *Ring) left(from, n uint32) {
	if w := r.watch.Load(); w != nil && w.Left != nil && n != 0 {
		w.Left(from, n)
	}
}
