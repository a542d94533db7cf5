package vale

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// fataler is a testing.TB or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

// client is the user of a port: rings in ordinary memory, played by the test as
// the client library would.
type client struct {
	t    fataler
	bufs abi.Bufs
	tx   []*clientRing
	rx   []*clientRing
}

// clientRing is one ring with both its sides.
type clientRing struct {
	*ring.Ring
	head  uint32
	bufs  abi.Bufs
	first uint32 // the buffer that slot 0 has by right; those of the others follow
}

// shape is what a port is made of.
type shape struct {
	tx, rx int    // rings
	slots  uint32 // per ring
	buf    uint32 // bytes
}

func newClient(t fataler, sh shape) *client {
	t.Helper()
	c := &client{t: t}
	n := sh.tx + sh.rx
	nbufs := abi.MinBufIndex + uint32(n)*sh.slots
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	// Allocations of this size are aligned to pages.
	pool := abi.NewMem(make([]byte, max(64<<10, uint64(nbufs)*uint64(sh.buf))))
	var err error
	c.bufs, err = pool.Bufs(0, nbufs, sh.buf)
	must(err)
	stride := (abi.RingBytes(sh.slots) + abi.RingAlign - 1) / abi.RingAlign * abi.RingAlign
	rings := abi.NewMem(make([]byte, max(64<<10, stride*uint64(n))))
	blocks := abi.NewMem(make([]byte, max(64<<10, abi.SyncBlockSize*n)))
	next := uint32(abi.MinBufIndex)
	for i := range n {
		v, err := rings.Ring(uint64(i)*stride, sh.slots)
		must(err)
		for k := range sh.slots {
			v.Slots.Store(k, abi.MakeWord(next+k, 0, 0))
		}
		blk, err := blocks.SyncBlock(i)
		must(err)
		ix, dir, id := &ring.Indices{}, abi.DirRx, i-sh.tx
		if i < sh.tx {
			dir, id = abi.DirTx, i
			ix.HwTail = sh.slots - 1
		}
		r := &clientRing{bufs: c.bufs, first: next, Ring: ring.New(ring.Config{
			Dir: dir, ID: id, Slots: v.Slots, Bufs: c.bufs, Block: blk, Indices: ix,
		})}
		next += sh.slots
		r.SetBound(true)
		if i < sh.tx {
			c.tx = append(c.tx, r)
		} else {
			c.rx = append(c.rx, r)
		}
	}
	return c
}

// free is the number of slots that the client may still fill or read.
func (r *clientRing) free() uint32 {
	_, tail := r.Block().LoadDaemon()
	return (tail + r.Num() - r.head) % r.Num()
}

// put writes one slot at the client's head, without publishing it, and copies
// data to its buffer as far as index and size allow.
func (r *clientRing) put(data []byte, flags uint16) {
	idx := r.first + r.head
	copy(r.bufs.Get(idx), data)
	r.putWord(abi.MakeWord(idx, uint16(len(data)), flags))
}

func (r *clientRing) putWord(w abi.Word) {
	r.Slots().Store(r.head, w)
	r.head = r.Advance(r.head, 1)
}

// publish is the client's half of a sync.
func (r *clientRing) publish() { r.Block().PublishClient(r.head, r.head) }

// frame sends one frame of the given fragments, without publishing it.
func (r *clientRing) frame(frags ...[]byte) {
	for i, f := range frags {
		var flags uint16
		if i < len(frags)-1 {
			flags = abi.NSMoreFrag
		}
		r.put(f, flags)
	}
}

// slot is what a reader found.
type slot struct {
	data  string
	flags uint16
}

// peek looks at up to n slots that were received.
func (r *clientRing) peek(n int) (got []slot) {
	for k := range min(uint32(n), r.free()) {
		w := r.Slots().Load(r.Advance(r.head, k))
		var data string
		if b := r.bufs.Get(w.Idx()); b != nil {
			data = string(b[:w.Len()])
		}
		got = append(got, slot{data, w.Flags()})
	}
	return got
}

// read takes up to n slots and gives them back.
func (r *clientRing) read(n int) []slot {
	got := r.peek(n)
	r.advance(uint32(len(got)))
	return got
}

// advance releases the next n slots as they are.
func (r *clientRing) advance(n uint32) {
	r.head = r.Advance(r.head, n)
	r.publish()
}

func (r *clientRing) readAll() []slot { return r.read(int(r.Num())) }

// sleeper has somebody sleep until the ring changes; woken says whether that is over.
func sleeper(t *testing.T, r *ring.Ring) (woken func() bool) {
	t.Helper()
	return sleeperOf(t, r, 1, abi.AskDescriptor)
}

// sleeperOf has somebody of a process do that.
func sleeperOf(t *testing.T, r *ring.Ring, process, ask uint32) (woken func() bool) {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	r.SetWaiters([]int{fd}, process)
	r.Block().ArmClient(ask)
	return func() bool {
		n, err := unix.Read(fd, make([]byte, 8))
		return n == 8 && err == nil
	}
}

func (c *client) sinks() (list []Sink) {
	for _, r := range c.rx {
		list = append(list, NewRxSink(r.Ring))
	}
	return list
}

// join attaches the client to a switch and has pl poll it.
func (c *client) join(s *Switch, pl *Poller, name string) *Port {
	c.t.Helper()
	p, err := s.Attach(name, c.sinks())
	if err != nil {
		c.t.Fatal(err)
	}
	for i, r := range c.tx {
		pl.Add(p, i, NewTxSource(r.Ring))
	}
	return p
}

var broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// station is the n-th unicast address of the tests.
func station(n int) MAC { return MAC{2, 0, 0, 0, byte(n >> 8), byte(n)} }

// frame makes a frame of n bytes whose payload begins with tag.
func frame(dst, src MAC, n int, tag uint32) []byte {
	f := make([]byte, max(n, 18))
	copy(f, dst[:])
	copy(f[6:], src[:])
	binary.BigEndian.PutUint16(f[12:], 0x88b5)
	binary.BigEndian.PutUint32(f[14:], tag)
	for i := 18; i < len(f); i++ {
		f[i] = byte(i) + byte(tag)
	}
	return f[:n]
}

// small is one TX and one RX ring.
var small = shape{tx: 1, rx: 1, slots: 16, buf: 2048}

// network is a switch with one poller and n clients.
type network struct {
	s  *Switch
	pl *Poller
	c  []*client
	p  []*Port
}

func newNet(t testing.TB, n int, sh shape, opt Options) *network {
	t.Helper()
	w := &network{s: New("vale0", opt)}
	w.pl = w.s.NewPoller()
	for i := range n {
		c := newClient(t, sh)
		w.c = append(w.c, c)
		w.p = append(w.p, c.join(w.s, w.pl, string(rune('a'+i))))
	}
	return w
}

// send transmits one frame from client i, ring 0, and polls.
func (w *network) send(i int, frags ...[]byte) {
	w.c[i].tx[0].frame(frags...)
	w.c[i].tx[0].publish()
	w.pl.Poll()
}

// got reads everything client i received, as one string for each slot.
func (w *network) got(i int) []slot { return w.c[i].rx[0].readAll() }
