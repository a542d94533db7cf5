package vale

import (
	"slices"
	"sync/atomic"
)

// DefaultBatch is the number of slots taken at a time unless Options.Batch says
// otherwise.
const DefaultBatch = MaxBatch

// run is frames in a row that have the same addresses.
type run struct {
	dst, src     uint64
	dstAt, srcAt uint64 // their places in the table
	from, n      uint16 // its frames, in work.frames
	group        uint16 // where they go: the index of the destination port, or that of the flood
}

// work is the scratch memory of a poller for one batch.
type work struct {
	n       int // frames
	runs    int
	frames  [MaxBatch]uint16  // first fragments, in the order of the batch
	run     [MaxBatch + 1]run // the last is where they end, for scatter
	order   [MaxBatch]uint16  // first fragments, group by group
	sorted  []uint16          // the one of frames and order that is sorted by groups
	merged  [MaxBatch]uint16  // unicast and flood of one destination
	touched []uint16          // groups that have frames
	course  course            // of scatter
	places  [MaxBatch + 2]place
}

// forward moves the batch that the poller holds.
func (pl *Poller) forward(v *view, s *source) {
	w, st := &pl.work, &pl.stages
	st.begin()
	if h := pl.batch.header; h == 0 {
		w.classify(&pl.batch, s.ctr)
	} else {
		w.classifyBehind(&pl.batch, h, s.ctr)
	}
	st.end(stageClassify)
	if w.n == 0 {
		return
	}
	w.look(v.tab)
	pl.resolve(v, s)
	if !pl.scatter(v, s) {
		w.group(v)
		st.end(stageForward)
		pl.deliver(v, s)
	}
	st.end(stageCopy)
	for _, g := range w.touched {
		v.count[g] = 0
	}
	w.touched = w.touched[:0]
}

// classify counts the frames of b, reads the headers of those that have one, and finds the runs. No load depends on another,
// so the misses overlap.
func (w *work) classify(b *Batch, c *Counters) {
	var bytes, lastLo uint64
	lastHi := uint64(1) << 32 // no frame's
	frames, n, runs := 0, 0, 0
	frags := b.Frags[:b.N]
	for i := range frags {
		f := &frags[i]
		bytes += uint64(f.Len)
		if f.Slots == 0 {
			continue
		}
		frames++
		if f.Len < 14 {
			c.Drops[TooShort]++
			continue
		}
		lo, hi := loadMACs(b.at(f))
		if lo != lastLo || hi != lastHi {
			lastLo, lastHi = lo, hi
			r := &w.run[runs&(MaxBatch-1)]
			r.dst, r.src = split(lo, hi)
			r.from = uint16(n)
			runs++
		}
		w.frames[n&(MaxBatch-1)] = uint16(i)
		n++
	}
	w.n, w.runs = n, runs
	c.Tx.Frames += uint64(frames)
	c.Tx.Bytes += bytes
}

// add notes the frame that begins with fragment i.
func (w *work) add(i int, dst, src uint64) {
	if last := w.runs - 1; last < 0 || w.run[last].dst != dst || w.run[last].src != src {
		w.run[w.runs] = run{dst: dst, src: src, from: uint16(w.n)}
		w.runs++
	}
	w.frames[w.n] = uint16(i)
	w.n++
}

// look finds the place of each address and asks for what is there: here nothing waits for anything, and waiting is, in a table
// larger than the cache, most of what a search costs.
func (w *work) look(t *table) {
	if t.compat {
		w.lookCompat(t)
		return
	}
	p := &run{dst: ^uint64(0), src: ^uint64(0)}
	for k := range w.run[:w.runs] {
		r := &w.run[k]
		r.dstAt, r.srcAt = p.dstAt, p.srcAt
		if r.dst != p.dst {
			r.dstAt = t.hash(r.dst)
		}
		if r.src != p.src {
			r.srcAt = t.hash(r.src)
		}
		p = r
	}
	prefetchPlaces(&w.run[0], uint64(w.runs), &t.words[0], uint64(len(t.words)-1))
}

// lookCompat is look for the reference's table, which fits a cache.
func (w *work) lookCompat(t *table) {
	for k := range w.run[:w.runs] {
		r := &w.run[k]
		r.dstAt, r.srcAt = compatHash(r.dst), compatHash(r.src)
	}
}

// resolve learns the sources and finds the group of each run: the index of
// the destination port, or that of the flood. Runs without a
// destination are dropped from the work.
//
// Nothing is remembered from one batch to the next, so a station that moves is always noticed, other than in
// the reference (NC E.5.1 step 3).
func (pl *Poller) resolve(v *view, s *source) {
	w, t := &pl.work, v.tab
	self := uint16(s.port.index)
	if seen := entry(0, s.port.index, v.epoch); v.dest[self].noLearning || w.known(t, seen) {
		w.find(v)
	} else {
		w.learn(v, seen)
	}
	w.touched = w.touched[:MaxBatch+1]
	w.touched = w.touched[:countGroups(w.run[:w.runs], uint16(w.n), v.count, w.touched)]
	whole := v.count[self] == 0 && v.count[v.vacant()] == 0
	if !whole {
		w.drop(v, self, &s.ctr.Drops)
	}
	w.sorted = nil
	if whole && len(w.touched) == 1 {
		w.sorted = w.frames[:]
	}
	if t.crowded() {
		pl.wantGrowth(t)
	}
}

// countGroups counts the frames of each group, those of the last run before end, and lists the groups that have some.
func countGroups(runs []run, end uint16, count, touched []uint16) (n int) {
	for k := len(runs) - 1; k >= 0; k-- {
		r := &runs[k]
		r.n, end = end-r.from, r.from
		// Whether a group has frames already is a matter of chance: no branch.
		touched[n] = r.group
		c := count[r.group]
		if c == 0 {
			n++
		}
		count[r.group] = c + r.n
	}
	return n
}

// drop takes the runs out that go back where they came from, or to a port that left.
func (w *work) drop(v *view, self uint16, d *Drops) {
	vacant := v.vacant()
	d[OwnAddress] += uint64(v.count[self])
	d[VacantPort] += uint64(v.count[vacant])
	v.count[self], v.count[vacant] = 0, 0
	dropped := func(g uint16) bool { return g == self || g == vacant }
	w.touched = slices.DeleteFunc(w.touched, dropped)
	kept := w.run[:0]
	for _, r := range w.run[:w.runs] {
		if !dropped(r.group) {
			kept = append(kept, r)
		}
	}
	w.runs = len(kept)
}

// known says that there is nothing to learn, which is nearly always so: the addresses of all senders are in their places.
// seen is what their entries say beside the address.
func (w *work) known(t *table, seen uint64) bool {
	last := ^uint64(0)
	for k := range w.run[:w.runs] {
		r := &w.run[k]
		if r.src != last && r.src&1 == 0 && t.word(r.srcAt) != r.src|seen {
			return false
		}
		last = r.src
	}
	return true
}

// find finds the groups of the runs. Runs of equal addresses are looked up once.
func (w *work) find(v *view) {
	last, group := ^uint64(0), uint16(0)
	words, groups := v.tab.words, v.group // the compiler would load them again for each run
	runs := w.run[:w.runs]
	for k := range runs {
		r := &runs[k]
		if r.dst != last {
			last = r.dst
			// Nearly always an address is in its place.
			e := atomic.LoadUint64(&words[r.dstAt&uint64(len(words)-1)])
			if i := e >> portShift & portMask; e&macMask == last && last&1 == 0 && i < uint64(len(groups)) {
				group = groups[i]
			} else {
				group = v.lookup(r)
			}
		}
		r.group = group
	}
}

// learn is find for runs whose sources are to be learned. They are taken in order, so that what is learned counts for
// those that follow (NC E.5.2).
func (w *work) learn(v *view, seen uint64) {
	const none = ^uint64(0)
	lastSrc, lastDst, group := none, none, uint16(0)
	for k := range w.run[:w.runs] {
		r := &w.run[k]
		if r.src != lastSrc {
			lastSrc = r.src
			if r.src&1 == 0 && v.tab.word(r.srcAt) != r.src|seen && v.tab.learnAt(r.srcAt, r.src|seen) {
				lastDst = none
			}
		}
		if r.dst != lastDst {
			lastDst, group = r.dst, v.lookup(r)
		}
		r.group = group
	}
}

// lookup is the group of a run.
func (v *view) lookup(r *run) uint16 {
	if r.dst&1 != 0 {
		return v.group[0]
	}
	// Nearly always an address is in its place, or there is nothing.
	e := v.tab.word(r.dstAt)
	if e&macMask != r.dst && e != 0 {
		e = v.tab.lookupAt(r.dstAt, r.dst)
	}
	return v.groupOf(e)
}

// vacant is the group of frames for a port that left.
func (v *view) vacant() uint16 { return uint16(len(v.dest)) + 1 }

// groupOf is the group of the frames to an address, of whom the table says e, 0 for nothing. Another lcore may have learned
// it on a port that this poller's view does not have yet.
func (v *view) groupOf(e uint64) uint16 {
	if i := e >> portShift & portMask; i < uint64(len(v.group)) {
		return v.group[i]
	}
	return v.stray
}

// setGroups says which ports there are.
func (v *view) setGroups() {
	flood := uint16(len(v.dest))
	v.stray = flood
	if v.tab.compat {
		v.stray = v.vacant()
	}
	v.group = append(make([]uint16, 0, len(v.dest)+1), flood)
	for i := range v.dest {
		g := v.stray
		if v.dest[i].port != nil {
			g = uint16(i)
		}
		v.group = append(v.group, g)
	}
}

func (pl *Poller) wantGrowth(t *table) {
	if t.wanted.CompareAndSwap(false, true) && pl.sw.opt.Wanted != nil {
		pl.sw.opt.Wanted()
	}
}

// group sorts the frames by destination, keeping their order. Nearly always
// they have one destination, and are right as they are.
func (w *work) group(v *view) {
	var at uint16
	for _, g := range w.touched {
		v.first[g] = at
		at += v.count[g]
	}
	if w.sorted != nil {
		return
	}
	w.sorted = w.order[:]
	for k := range w.run[:w.runs] {
		r := &w.run[k]
		at := v.first[r.group]
		v.first[r.group] += r.n
		if r.n == 1 {
			w.order[at&(MaxBatch-1)] = w.frames[r.from&(MaxBatch-1)]
			continue
		}
		copy(w.order[at:], w.frames[r.from:][:r.n])
	}
	for _, g := range w.touched {
		v.first[g] -= v.count[g]
	}
}

// list is the frames of a group.
func (w *work) list(v *view, g uint16) []uint16 {
	return w.sorted[v.first[g]:][:v.count[g]]
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
		if len(w.touched) == 1 {
			s.went(v, g)
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
		if len(v.active) == 2 {
			s.went(v, g)
		}
		pl.send(d, 0, list)
	}
}

// rxSink is where frames of a group go, from ring number ring of their source; nil unless it is one client's ring.
func (v *view) rxSink(group uint16, ring int) *RxSink {
	if int(group) == len(v.dest) {
		return nil
	}
	d := &v.dest[group]
	if k := d.ring(ring); k < len(d.sinks) {
		s, _ := d.sinks[k].(*RxSink)
		return s
	}
	return nil
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
