package vale

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/switch/offload"
)

// pair is a port of the real switch and of the model.
type pair struct {
	c *client
	p *Port
	m *modelPort
}

// world is both switches, driven in step.
type world struct {
	s     *Switch
	pl    *Poller
	m     *model
	live  []*pair
	gone  []*pair
	names int
	tag   int
}

func (w *world) attach(t *rapid.T) {
	if len(w.live) >= 5 {
		return
	}
	sh := shape{
		tx:    rapid.IntRange(1, 3).Draw(t, "tx rings"),
		rx:    rapid.IntRange(0, 3).Draw(t, "rx rings"),
		slots: rapid.SampledFrom([]uint32{5, 16, 100, 300}).Draw(t, "slots"),
		buf:   rapid.SampledFrom([]uint32{256, 512}).Draw(t, "buffer size"),
	}
	w.names++
	x := &pair{c: newClient(t, sh)}
	x.p = x.c.join(w.s, w.pl, fmt.Sprint(w.names))
	x.m = &modelPort{
		index: x.p.Index(), header: rapid.SampledFrom([]int{0, 0, 0, 10, 12}).Draw(t, "header"),
		most: rapid.SampledFrom([]int{1514, 600, 200}).Draw(t, "longest frame"),
	}
	x.p.SetHeader(x.m.header, x.m.most)
	if w.m.ports[x.m.index] != nil {
		t.Fatalf("index %d given twice", x.m.index)
	}
	for i := range x.c.tx {
		x.m.tx = append(x.m.tx, &modelTx{port: x.m, ring: i})
	}
	for range x.c.rx {
		x.m.rx = append(x.m.rx, &modelRx{
			num: int(sh.slots), buf: int(sh.buf), bound: true, spoiled: make([]bool, sh.slots),
		})
	}
	w.m.ports[x.m.index] = x.m
	w.m.sources = append(w.m.sources, x.m.tx...)
	w.live = append(w.live, x)
}

func (w *world) detach(t *rapid.T) {
	if len(w.live) == 0 {
		return
	}
	x := w.pick(t)
	w.pl.Remove(x.p)
	if err := w.s.Detach(x.p); err != nil {
		t.Fatal(err)
	}
	w.m.detach(x.m)
	w.live = slices.DeleteFunc(w.live, func(y *pair) bool { return x == y })
	w.gone = append(w.gone, x)
}

func (w *world) pick(t *rapid.T) *pair { return rapid.SampledFrom(w.live).Draw(t, "port") }

// addresses are few, so that they meet; two of them collide in a compatible table.
var addresses = []MAC{
	station(1), station(2), station(3), station(0x0f), station(0x20), {}, broadcast, {1, 0, 0x5e, 0, 0, 1},
}

// send has a client fill some slots and publish them, be they whole frames or not.
func (w *world) send(t *rapid.T) {
	if len(w.live) == 0 {
		return
	}
	x := w.pick(t)
	i := rapid.IntRange(0, len(x.c.tx)-1).Draw(t, "ring")
	r, m := x.c.tx[i], x.m.tx[i]
	for range rapid.IntRange(1, 12).Draw(t, "frames") {
		slots := rapid.SampledFrom([]int{1, 1, 1, 1, 1, 2, 3, 64, 65, 80}).Draw(t, "slots of the frame")
		for k := range slots {
			if r.free() == 0 {
				break
			}
			more := k < slots-1
			if k == 0 && x.m.header != 0 && w.sendHeader(t, r, m, more) {
				continue
			}
			if k == 0 || k == slots-1 || slots <= 3 {
				w.sendSlot(t, r, m, more)
			} else {
				w.goodSlot(r, m, 14, more, addresses[0], addresses[1])
			}
		}
	}
	r.publish()
	m.frozen = false
}

func (w *world) sendSlot(t *rapid.T, r *clientRing, m *modelTx, more bool) {
	length := rapid.SampledFrom([]int{60, 60, 60, 14, 13, 0, 15, 16, 33, 64, 65, 128, 129, 256, 257}).Draw(t, "length")
	switch hostile := rapid.IntRange(0, 24).Draw(t, "hostile"); {
	case hostile == 0:
		idx := rapid.SampledFrom([]uint32{0, 1, r.bufs.Num(), 1 << 20, ^uint32(0)}).Draw(t, "index")
		w.badSlot(r, m, abi.MakeWord(idx, uint16(length), moreFlag(more)), BadIndex)
	case hostile == 1:
		long := rapid.SampledFrom([]int{int(r.bufs.Size()) + 1, 65535}).Draw(t, "long")
		w.badSlot(r, m, abi.MakeWord(r.first, uint16(long), moreFlag(more)), BadLength)
	case hostile == 2:
		w.badSlot(r, m, abi.MakeWord(r.first, uint16(length), moreFlag(more)|abi.NSIndirect|abi.NSIndirectFault), Indirect)
	case length > int(r.bufs.Size()):
		w.badSlot(r, m, abi.MakeWord(r.first, uint16(length), moreFlag(more)), BadLength)
	default:
		dst := rapid.SampledFrom(addresses).Draw(t, "dst")
		src := rapid.SampledFrom(addresses).Draw(t, "src")
		w.goodSlot(r, m, length, more, dst, src)
	}
}

// sendHeader sends a slot that begins with a virtio-net header, well-formed
// mostly. False leaves the slot to others, whose frames then lack one.
func (w *world) sendHeader(t *rapid.T, r *clientRing, m *modelTx, more bool) bool {
	h := offload.Header{CsumStart: 14, CsumOffset: 2}
	length := m.port.header
	data := frame(rapid.SampledFrom(addresses).Draw(t, "dst"), rapid.SampledFrom(addresses).Draw(t, "src"), 100, uint32(w.tag))
	switch rapid.IntRange(0, 9).Draw(t, "kind of header") {
	case 0:
		return false
	case 1:
		h.Flags, h.GSO = 1, offload.GSOTCPv4 // what follows is not TCP
	case 2:
		h.Flags = rapid.Byte().Draw(t, "header flags")
	case 3:
		h.CsumStart = rapid.Uint16Range(80, 120).Draw(t, "start")
		h.Flags = 1
	case 4, 5, 6:
		h.Flags, h.GSO = 1, offload.GSOTCPv4
		data = tcp4(MAC(data[:6]), MAC(data[6:12]), 100)
	case 7:
		length = rapid.IntRange(0, 12).Draw(t, "length of the header")
		h.Flags = 1
	case 8:
		data = nil // the frame is in the next slot, if there is one
	}
	all := slices.Concat(vnet(length, h), data)
	if len(all) > int(r.bufs.Size()) {
		return false
	}
	w.tag++
	r.put(all, moreFlag(more))
	m.published = append(m.published, modelSlot{data: string(all), length: len(all), more: more})
	return true
}

func moreFlag(more bool) uint16 {
	if more {
		return abi.NSMoreFrag
	}
	return 0
}

func (w *world) badSlot(r *clientRing, m *modelTx, word abi.Word, why Reason) {
	r.putWord(word)
	m.published = append(m.published, modelSlot{
		length: int(word.Len()), more: word.Flags()&abi.NSMoreFrag != 0, bad: true, why: why,
	})
}

func (w *world) goodSlot(r *clientRing, m *modelTx, length int, more bool, dst, src MAC) {
	w.tag++
	data := frame(dst, src, length, uint32(w.tag))
	// Flags that mean nothing to a switch (NC E.5.1 step 8, A.6).
	noise := []uint16{0, 0, abi.NSBufChanged, abi.NSReport | abi.NSNoLearn, 0x0300, abi.NSForward}[w.tag%6]
	r.put(data, moreFlag(more)|noise)
	m.published = append(m.published, modelSlot{data: string(data), length: length, more: more})
}

// illegalHead publishes an index that cannot be: the ring stands still until
// the client publishes a legal one.
func (w *world) illegalHead(t *rapid.T) {
	if len(w.live) == 0 {
		return
	}
	x := w.pick(t)
	if i := rapid.IntRange(0, len(x.c.tx)+len(x.c.rx)-1).Draw(t, "ring"); i < len(x.c.tx) {
		r := x.c.tx[i]
		_, tail := r.Block().LoadDaemon()
		r.Block().PublishClient(rapid.SampledFrom([]uint32{r.Num(), ^uint32(0), r.Advance(tail, 1) + r.Num()}).Draw(t, "head"), 0)
		x.m.tx[i].frozen = true
	} else {
		r := x.c.rx[i-len(x.c.tx)]
		r.Release() // what was read before is released: the ring has seen the last legal head
		r.Block().PublishClient(r.Num()+r.head, 0)
	}
}

func (w *world) read(t *rapid.T) {
	if len(w.live) == 0 {
		return
	}
	x := w.pick(t)
	if len(x.c.rx) == 0 {
		return
	}
	i := rapid.IntRange(0, len(x.c.rx)-1).Draw(t, "ring")
	n := rapid.SampledFrom([]int{0, 1, 3, 1000}).Draw(t, "slots")
	got := x.c.rx[i].read(n) // what it is was compared after the poll
	x.m.rx[i].queue = x.m.rx[i].queue[len(got):]
}

// disturb changes something about a receiving ring.
func (w *world) disturb(t *rapid.T) {
	if len(w.live) == 0 {
		return
	}
	x := w.pick(t)
	if len(x.c.rx) == 0 {
		return
	}
	i := rapid.IntRange(0, len(x.c.rx)-1).Draw(t, "ring")
	r, m := x.c.rx[i], x.m.rx[i]
	if rapid.Bool().Draw(t, "bind") {
		m.bound = !m.bound
		r.SetBound(m.bound)
		return
	}
	// The slot that is filled next, or the one after it.
	_, tail := r.Block().LoadDaemon()
	k := r.Advance(tail, uint32(rapid.IntRange(0, 1).Draw(t, "slot")))
	if len(m.queue) > 0 && k == r.head {
		return // it holds something unread
	}
	if m.spoiled[k] = !m.spoiled[k]; m.spoiled[k] {
		r.Slots().Store(k, abi.MakeWord(rapid.SampledFrom([]uint32{0, 1, r.bufs.Num(), ^uint32(0)}).Draw(t, "index"), 0, 0))
	} else {
		r.Slots().Store(k, abi.MakeWord(r.first+k, 0, 0))
	}
}

func (w *world) manage(t *rapid.T) {
	mac := rapid.SampledFrom(addresses[:6]).Draw(t, "address")
	if rapid.Bool().Draw(t, "forget") || len(w.live) == 0 {
		if got, want := w.s.Forget(mac), w.m.forget(mac); got != want {
			t.Fatalf("Forget(%v) = %v, want %v", mac, got, want)
		}
		return
	}
	x := w.pick(t)
	err := w.s.SetStatic(mac, x.p)
	w.m.setStatic(mac, x.m.index)
	if e := w.m.table[w.m.key(mac)]; (err == nil) != (e.mac == mac) {
		t.Fatalf("SetStatic(%v): %v; the model has %v there", mac, err, e)
	}
}

func (w *world) poll(*rapid.T) {
	w.pl.Poll()
	w.m.poll()
}

// check compares everything that can be seen.
func (w *world) check(t *rapid.T) {
	for _, x := range w.live {
		for i, r := range x.c.tx {
			m := x.m.tx[i]
			hwcur, hwtail := r.Block().LoadDaemon()
			cur := (r.head + r.Num() - uint32(len(m.published))) % r.Num()
			if hwcur != cur || hwtail != (cur+r.Num()-1)%r.Num() {
				t.Fatalf("port %s, tx ring %d: hwcur %d, hwtail %d; want %d and one less", x.p.Name(), i, hwcur, hwtail, cur)
			}
		}
		for i, r := range x.c.rx {
			if got := r.peek(int(r.Num())); !slices.Equal(got, x.m.rx[i].queue) {
				t.Fatalf("port %s, rx ring %d: received\n%s\nwant\n%s", x.p.Name(), i, show(got), show(x.m.rx[i].queue))
			}
		}
	}
	var tx, source, rx uint64
	for _, x := range slices.Concat(w.live, w.gone) {
		c := x.p.Counters()
		if c != x.m.ctr {
			t.Fatalf("port %s: counters %v %v %v, want %v %v %v", x.p.Name(),
				c.Tx, c.Rx, c.Drops.ByName(), x.m.ctr.Tx, x.m.ctr.Rx, x.m.ctr.Drops.ByName())
		}
		tx += c.Tx.Frames
		rx += c.Rx.Frames
		for _, r := range Reasons() {
			if r.AtSource() {
				source += c.Drops[r]
			} else {
				rx += c.Drops[r]
			}
		}
	}
	if tx != source+w.m.routed || rx != w.m.owed {
		t.Fatalf("the books: %d frames sent, %d dropped at the source and %d routed; %d owed to destinations, %d delivered or dropped there",
			tx, source, w.m.routed, w.m.owed, rx)
	}
	table := map[uint64]modelEntry{}
	for _, a := range w.s.Addresses() {
		table[w.m.key(a.MAC)] = modelEntry{a.MAC, a.Index, a.Static}
	}
	if !maps.Equal(table, w.m.table) {
		t.Fatalf("table %v, want %v", table, w.m.table)
	}
}

func show(slots []slot) (s string) {
	for _, x := range slots {
		s += fmt.Sprintf("%#04x %d %x\n", x.flags, len(x.data), x.data[:min(len(x.data), 20)])
	}
	return s
}

// property runs a random history on both switches.
func property(t *rapid.T, opt Options) {
	w := &world{s: New("vale0", opt), m: newModel(opt)}
	w.pl = w.s.NewPoller()
	w.pl.many = rapid.SampledFrom([]int{2, manyReceivers}).Draw(t, "receivers that are many")
	for range 3 {
		w.attach(t)
	}
	actions := map[string]func(*rapid.T){
		"attach": w.attach, "detach": w.detach, "read": w.read,
		"disturb": w.disturb, "manage": w.manage, "illegal head": w.illegalHead,
		"": w.check,
	}
	for i := range 4 { // the common ones
		actions[fmt.Sprint("send", i)] = w.send
		actions[fmt.Sprint("poll", i)] = w.poll
	}
	t.Repeat(actions)
}

// TestModel steps the switch and the model side by side: what each port
// received, in which order and with which flags, tails, tables and counters
// agree at every step, and the books balance (VAL-01 to -17).
func TestModel(t *testing.T) {
	for _, compat := range []bool{false, true} {
		for _, batch := range []int{MaxFrags, 100, MaxBatch} {
			t.Run(fmt.Sprintf("compat=%v,batch=%d", compat, batch), func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) { property(t, Options{Compat: compat, Batch: batch}) })
			})
		}
	}
}

// FuzzModel lets the fuzzer look for histories.
func FuzzModel(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		property(t, Options{Compat: rapid.Bool().Draw(t, "compat"), Batch: MaxFrags})
	}))
}
