package vale

// DefaultBatch is the number of slots taken at a time unless Options.Batch says
// otherwise.
const DefaultBatch = MaxBatch

// header is what a switch looks at in a frame.
type header struct {
	dst   uint64 // destination address
	src   uint64 // source address
	first uint16 // index of the frame's first fragment
}

// work is the scratch memory of a poller for one batch.
type work struct {
	n       int // frames
	headers [MaxBatch]header
	to      [MaxBatch]uint16 // by frame: destination group
	order   [MaxBatch]uint16 // first fragments, group by group
	merged  [MaxBatch]uint16 // unicast and flood of one destination
	touched []uint16         // groups that have frames
}

// forward moves the batch that the poller holds.
func (pl *Poller) forward(v *view, s *source) {
	w := &pl.work
	if h := pl.batch.header; h == 0 {
		w.n = classify(&pl.batch, &w.headers, s.ctr)
	} else {
		w.n = classifyBehind(&pl.batch, h, &w.headers, s.ctr)
	}
	if w.n == 0 {
		return
	}
	pl.resolve(v, s)
	w.group(v)
	pl.deliver(v, s)
	for _, g := range w.touched {
		v.count[g] = 0
	}
	w.touched = w.touched[:0]
}

// classify counts the frames of b and reads the headers of those that have one.
// No load depends on another, so the misses overlap.
func classify(b *Batch, headers *[MaxBatch]header, c *Counters) (n int) {
	frags := b.Frags[:b.N]
	var bytes uint64
	frames := len(frags)
	for i := 0; i < len(frags); i++ {
		f := &frags[i]
		bytes += uint64(f.Len)
		if f.Slots == 0 {
			frames--
			continue
		}
		if f.Len < 14 {
			c.Drops[TooShort]++
			continue
		}
		h := &headers[n&(MaxBatch-1)]
		h.dst, h.src = macs(b.at(f))
		h.first = uint16(i)
		n++
	}
	c.Tx.Frames += uint64(frames)
	c.Tx.Bytes += bytes
	return n
}

// resolve learns the sources and finds the group of each frame: the index of
// the destination port, or that of the flood. Frames are taken in order, so that
// what is learned counts for those that follow (NC E.5.2). Frames without a
// destination are dropped from the work.
//
// Runs of equal addresses are looked up once. Nothing is remembered from one
// batch to the next, so a station that moves is always noticed, other than in
// the reference (NC E.5.1 step 3).
func (pl *Poller) resolve(v *view, s *source) {
	const none = ^uint64(0)
	w := &pl.work
	flood := uint16(len(v.dest))
	self := uint16(s.port.index)
	seen := entry(0, s.port.index, v.epoch)
	lastSrc, lastDst, group := none, none, flood
	learning := !v.dest[self].noLearning
	var own uint64
	n := 0
	for k := range w.headers[:w.n] {
		h := &w.headers[k]
		if h.src != lastSrc {
			lastSrc = h.src
			if h.src&1 == 0 && learning && v.tab.learn(h.src|seen) {
				lastDst = none
			}
		}
		if h.dst != lastDst {
			lastDst, group = h.dst, flood
			if h.dst&1 == 0 {
				group = v.find(h.dst)
			}
		}
		if group == self {
			own++
			continue
		}
		if group > flood {
			s.ctr.Drops[VacantPort]++
			continue
		}
		if v.count[group] == 0 {
			w.touched = append(w.touched, group)
		}
		v.count[group]++
		w.to[n&(MaxBatch-1)] = group
		w.order[n&(MaxBatch-1)] = h.first
		n++
	}
	w.n = n
	s.ctr.Drops[OwnAddress] += own
	if v.tab.crowded() {
		pl.wantGrowth(v.tab)
	}
}

// vacant is the group of frames for a port that left.
const vacant = ^uint16(0)

// find returns the group of a unicast address. Another lcore may have learned
// it on a port that this poller's view does not have yet.
func (v *view) find(mac uint64) uint16 {
	flood := uint16(len(v.dest))
	e := v.tab.lookup(mac)
	if e == 0 {
		return flood
	}
	i := entryPort(e)
	if i < len(v.dest) && v.dest[i].port != nil {
		return uint16(i)
	}
	if v.compat {
		return vacant
	}
	return flood
}

func (pl *Poller) wantGrowth(t *table) {
	if t.wanted.CompareAndSwap(false, true) && pl.sw.opt.Wanted != nil {
		pl.sw.opt.Wanted()
	}
}

// group sorts the frames by destination, keeping their order. Nearly always
// they have one destination, and order is right as it is.
func (w *work) group(v *view) {
	var at uint16
	for _, g := range w.touched {
		v.first[g] = at
		at += v.count[g]
	}
	if len(w.touched) <= 1 {
		return
	}
	// merged is free until deliver; it holds the frames while order is filled.
	copy(w.merged[:w.n], w.order[:w.n])
	for k, g := range w.to[:w.n] {
		w.order[v.first[g]&(MaxBatch-1)] = w.merged[k]
		v.first[g]++
	}
	for _, g := range w.touched {
		v.first[g] -= v.count[g]
	}
}

// list is the frames of a group.
func (w *work) list(v *view, g uint16) []uint16 {
	return w.order[v.first[g]:][:v.count[g]]
}

// deliver hands each destination ring its frames. A frame that is flooded goes
// to ring 0 everywhere, others keep the number of their ring, modulo what the
// destination has (NC E.5.1 step 7).
func (pl *Poller) deliver(v *view, s *source) {
	w := &pl.work
	flood := uint16(len(v.dest))
	flooding := v.count[flood] != 0
	for _, g := range w.touched {
		if g == flood || flooding && v.dest[g].ring(s.ring) == 0 {
			continue // merged with the flood below
		}
		pl.send(&v.dest[g], v.dest[g].ring(s.ring), w.list(v, g))
	}
	if !flooding {
		return
	}
	all := w.list(v, flood)
	if len(v.active) == 1 {
		s.ctr.Drops[NoDestination] += uint64(len(all))
		return
	}
	if limit := v.dest[s.port.index].floods; limit != nil {
		n := limit.take(len(all))
		s.ctr.Drops[FloodLimit] += uint64(len(all) - n)
		all = all[:n]
	}
	for _, g := range v.active {
		d := &v.dest[g]
		if d.port == s.port {
			continue
		}
		list := all
		if v.count[g] != 0 && d.ring(s.ring) == 0 {
			list = merge(w.merged[:0], all, w.list(v, g))
		}
		if len(list) == 0 {
			continue // all of it was over the limit
		}
		pl.send(d, 0, list)
	}
}

// ring is the destination ring for frames from ring number src of a source.
func (d *dest) ring(src int) int {
	if n := len(d.sinks); src >= n && n != 0 {
		return src % n
	}
	return src
}

func (pl *Poller) send(d *dest, ring int, list []uint16) {
	if len(d.sinks) == 0 {
		d.ctr.Drops[NotBound] += uint64(len(list))
		return
	}
	pl.sending = d
	var frames, bytes uint64
	if d.header == pl.batch.header {
		frames, bytes = d.sinks[ring].Deliver(&pl.batch, list, &d.ctr.Drops)
	} else {
		frames, bytes = pl.conv.deliver(&pl.batch, list, d, d.sinks[ring])
	}
	pl.sending = nil
	d.ctr.Rx.Frames += frames
	d.ctr.Rx.Bytes += bytes
}

// merge joins two ascending lists into dst, which has room.
func merge(dst, a, b []uint16) []uint16 {
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			dst, a = append(dst, a[0]), a[1:]
		} else {
			dst, b = append(dst, b[0]), b[1:]
		}
	}
	return append(append(dst, a...), b...)
}
