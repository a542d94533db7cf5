package conformance

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// A program is a netmap program: it opens descriptors, makes requests on them, maps memory and moves rings. One goroutine
// at a time uses it. A call that cannot be made at all (a driver that died) fails the test; errno is what the program sees.
type program interface {
	open() int      // /dev/netmap
	close(fd int)   //
	dup(fd int) int //
	control(int, *request) unix.Errno
	// legacy makes an ioctl of the old interface, or any other; arg is written back. nil is a null pointer.
	legacy(fd int, ioctl uint64, arg []byte) unix.Errno
	txsync(fd int) unix.Errno
	rxsync(fd int) unix.Errno
	mmap(fd int, length, offset uint64) (base int, errno unix.Errno)
	munmap(base int)
	load(base int, off uint64, n int) []byte
	store(base int, off uint64, b []byte)
	address(base int) uint64 // of a mapping, in the program
	// poll waits for at most the given time, negative for ever.
	poll(fd int, events int16, limit time.Duration) (revents int16)
	// end kills the program, like kill -9.
	end()
}

// A request is an argument of NIOCCTRL as programs build it (NC B.4, B.8). What comes back replaces what went in.
type request struct {
	version, typ uint16
	reserved     uint32
	name         [abi.NameSize]byte
	body         []byte // nil: a null pointer
	options      []option
	wild         bool // interposer only: the body pointer leads nowhere
}

// An option follows the one before it, unless next says which other one; the last one ends the list.
type option struct {
	typ, status uint32
	size        uint64
	body        []byte
	next        int  // number of the next option, counted from 1; 0: the one behind, noNext: none
	moved       bool // out: the next pointer came back changed
}

func newRequest(typ uint16, name string, body any) *request {
	q := &request{version: abi.APIVersion, typ: typ}
	copy(q.name[:], name)
	if body != nil {
		q.body = abi.Encode(nil, body)
	}
	return q
}

func (q *request) with(opts ...option) *request {
	q.options = opts
	return q
}

// decode reads the body that came back.
func decode[T any](e *env, q *request) (b T) {
	e.Helper()
	if err := abi.Decode(q.body, &b); err != nil {
		e.Fatal(err)
	}
	return b
}

// expect makes a request and wants an errno, 0 for success.
func (e *env) expect(want unix.Errno, p program, fd int, q *request) {
	e.Helper()
	if got := p.control(fd, q); got != want {
		e.Errorf("request type %d for %q gives %s, want %s", q.typ, abi.CString(q.name[:]), errnoName(got), errnoName(want))
	}
}

func errnoName(n unix.Errno) string {
	if n == 0 {
		return "success"
	}
	return unix.ErrnoName(n)
}

// A wish changes the body of a registration.
type wish func(*abi.Register)

func mode(m uint32, ring uint16) wish { return func(r *abi.Register) { r.Mode, r.RingID = m, ring } }
func flags(f uint64) wish             { return func(r *abi.Register) { r.Flags |= f } }
func memID(id uint16) wish            { return func(r *abi.Register) { r.MemID = id } }
func extraBufs(n uint32) wish         { return func(r *abi.Register) { r.ExtraBufs = n } }
func rings(tx, rx uint16) wish        { return func(r *abi.Register) { r.TxRings, r.RxRings = tx, rx } }

func slots(tx, rx uint32) wish { return func(r *abi.Register) { r.TxSlots, r.RxSlots = tx, rx } }

var exclusive = flags(abi.FlagExclusive)

func registration(name string, wishes ...wish) *request {
	r := abi.Register{Mode: abi.ModeAllNIC}
	for _, w := range wishes {
		w(&r)
	}
	return newRequest(abi.ReqRegister, name, r)
}

// A port is a registered descriptor with its region mapped, seen as a C program sees it: through offsets (NC A.5).
type port struct {
	e    *env
	p    program
	fd   int
	base int
	name string
	reg  abi.Register
	tx   []*ring // bound ones
	rx   []*ring
	ofs  []int64 // all of ring_ofs
	netif
}

// netif is the fixed part of the netmap_if.
type netif struct{ abi.IfHeader }

// A ring is a netmap_ring.
type ring struct {
	*port
	off uint64 // in the region
	abi.RingHeader
}

// openPort opens, registers and maps; the port must be had.
func (e *env) openPort(p program, name string, wishes ...wish) *port {
	e.Helper()
	fd := p.open()
	q := registration(name, wishes...)
	if errno := p.control(fd, q); errno != 0 {
		e.Fatalf("register %q: %s", name, errnoName(errno))
	}
	return e.mapPort(p, fd, name, decode[abi.Register](e, q))
}

// refused opens and registers, and wants an errno.
func (e *env) refused(want unix.Errno, p program, name string, wishes ...wish) {
	e.Helper()
	fd := p.open()
	defer p.close(fd)
	e.expect(want, p, fd, registration(name, wishes...))
}

// mapPort maps the region of a registered descriptor and reads what is there.
func (e *env) mapPort(p program, fd int, name string, reg abi.Register) *port {
	e.Helper()
	base, errno := p.mmap(fd, reg.MemSize, 0)
	if errno != 0 {
		e.Fatalf("map %q: %s", name, errnoName(errno))
	}
	d := &port{e: e, p: p, fd: fd, base: base, name: name, reg: reg}
	e.must(abi.Decode(p.load(base, reg.Offset, abi.IfHeaderSize), &d.netif.IfHeader))
	i := d.netif.IfHeader
	tx, rx := int(i.TxRings+i.HostTxRings), int(i.RxRings+i.HostRxRings)
	raw := p.load(base, reg.Offset+abi.IfHeaderSize, 8*(tx+rx))
	for k := range tx + rx {
		d.ofs = append(d.ofs, int64(binary.LittleEndian.Uint64(raw[8*k:])))
		if d.ofs[k] == 0 {
			continue
		}
		r := &ring{port: d, off: reg.Offset + uint64(d.ofs[k])}
		e.must(abi.Decode(p.load(base, r.off, abi.RingHeaderSize), &r.RingHeader))
		if k < tx {
			d.tx = append(d.tx, r)
		} else {
			d.rx = append(d.rx, r)
		}
	}
	return d
}

func (d *port) close() {
	d.p.munmap(d.base)
	d.p.close(d.fd)
}

// Offsets of what moves in a ring header (NC A.3).
const (
	ofsHead  = 20
	ofsCur   = 24
	ofsTail  = 28
	ofsFlags = 32
	ofsTs    = 40
	ofsSem   = 128
)

func (r *ring) u32(at uint64) uint32 {
	return binary.LittleEndian.Uint32(r.p.load(r.base, r.off+at, 4))
}

func (r *ring) setU32(at uint64, v uint32) {
	r.p.store(r.base, r.off+at, binary.LittleEndian.AppendUint32(nil, v))
}

func (r *ring) head() uint32 { return r.u32(ofsHead) }
func (r *ring) cur() uint32  { return r.u32(ofsCur) }
func (r *ring) tail() uint32 { return r.u32(ofsTail) }

// set moves head and cur.
func (r *ring) set(head, cur uint32) {
	r.setU32(ofsCur, cur)
	r.setU32(ofsHead, head)
}

// indices are head, cur and tail.
func (r *ring) indices() [3]uint32 { return [3]uint32{r.head(), r.cur(), r.tail()} }

func (r *ring) wants(what string, head, cur, tail uint32) {
	r.e.Helper()
	if got := r.indices(); got != [3]uint32{head, cur, tail} {
		r.e.Errorf("%s: head, cur, tail are %v, want %v", what, got, [3]uint32{head, cur, tail})
	}
}

// at is the index k slots after i.
func (r *ring) at(i, k uint32) uint32 { return (i + k) % r.NumSlots }

func (r *ring) space() uint32 { return (r.tail() + r.NumSlots - r.head()) % r.NumSlots }

func (r *ring) timestamp() (usec int64) {
	b := r.p.load(r.base, r.off+ofsTs, 16)
	return int64(binary.LittleEndian.Uint64(b))*1e6 + int64(binary.LittleEndian.Uint64(b[8:]))
}

func (r *ring) slotAt(i uint32) uint64 { return r.off + abi.RingHeaderSize + abi.SlotSize*uint64(i) }

func (r *ring) slot(i uint32) (s abi.Slot) {
	r.e.Helper()
	r.e.must(abi.Decode(r.p.load(r.base, r.slotAt(i), abi.SlotSize), &s))
	return s
}

// slots reads all of them.
func (r *ring) slots() []abi.Slot {
	r.e.Helper()
	raw := r.p.load(r.base, r.slotAt(0), int(abi.SlotSize*r.NumSlots))
	all := make([]abi.Slot, r.NumSlots)
	r.e.must(abi.Decode(raw, all))
	return all
}

func (r *ring) setSlot(i uint32, s abi.Slot) { r.p.store(r.base, r.slotAt(i), abi.Encode(nil, s)) }

// bufAt is where buffer idx lies in the region, seen from this ring.
func (r *ring) bufAt(idx uint32) uint64 {
	return uint64(int64(r.off) + r.BufOfs + int64(idx)*int64(r.RingHeader.BufSize))
}

func (r *ring) buf(idx uint32, n int) []byte { return r.p.load(r.base, r.bufAt(idx), n) }

// put writes a frame into slot i, and says so in the slot.
func (r *ring) put(i uint32, frame []byte, flags uint16) {
	r.e.Helper()
	s := r.slot(i)
	r.p.store(r.base, r.bufAt(s.BufIdx), frame)
	s.Len, s.Flags = uint16(len(frame)), flags
	r.setSlot(i, s)
}

// fill puts frames into the next slots and moves head behind them, without a sync.
func (r *ring) fill(frames ...[]byte) {
	r.e.Helper()
	h := r.head()
	for k, f := range frames {
		r.put(r.at(h, uint32(k)), f, 0)
	}
	h = r.at(h, uint32(len(frames)))
	r.set(h, h)
}

// send fills, and syncs until the frames are taken.
func (r *ring) send(frames ...[]byte) {
	r.e.Helper()
	r.fill(frames...)
	r.flush()
}

// flush syncs until nothing is pending (NC A.5).
func (r *ring) flush() {
	r.e.Helper()
	r.e.waitFor("TX slots to be taken", func() error {
		if errno := r.p.txsync(r.fd); errno != 0 {
			return errno
		}
		if r.at(r.tail(), 1) != r.head() {
			return errPending
		}
		return nil
	})
}

// receive syncs and takes all frames that there are, each slot as one.
func (r *ring) receive() (frames [][]byte) {
	r.e.Helper()
	if errno := r.p.rxsync(r.fd); errno != 0 {
		r.e.Errorf("rxsync: %s", errnoName(errno))
	}
	h, t := r.head(), r.tail()
	for ; h != t; h = r.at(h, 1) {
		s := r.slot(h)
		frames = append(frames, r.buf(s.BufIdx, int(s.Len)))
	}
	r.set(h, h)
	return frames
}

// receives wants exactly these frames.
func (r *ring) receives(want ...[]byte) {
	r.e.Helper()
	got := r.receive()
	if len(got) != len(want) {
		r.e.Errorf("%s received %d frames, want %d", r.name, len(got), len(want))
		return
	}
	for i := range want {
		if string(got[i]) != string(want[i]) {
			r.e.Errorf("%s: frame %d is % x, want % x", r.name, i, got[i][:min(len(got[i]), 24)], want[i][:min(len(want[i]), 24)])
		}
	}
}

type errorString string

func (s errorString) Error() string { return string(s) }

const errPending = errorString("slots are still pending")

var broadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// mac is the address of station n.
func mac(n byte) [6]byte { return [6]byte{2, 0, 0, 0, 0, n} }

// frame is an Ethernet frame of 60 bytes which says who it is.
func frame(dst, src [6]byte, seq uint32) []byte {
	f := make([]byte, 60)
	copy(f, dst[:])
	copy(f[6:], src[:])
	f[12], f[13] = 0x88, 0xb5 // for experiments
	binary.LittleEndian.PutUint32(f[14:], seq)
	return f
}

// flood is a frame for everybody.
func flood(seq uint32) []byte { return frame(broadcast, mac(1), seq) }
