package conformance

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var csbChecks = []check{
	tests("CSB-01", "CSB without EXCLUSIVE: EINVAL", both, csb01),
	tests("CSB-02", "CSB at addresses misaligned or wild: an error, and the descriptor is as before", both, csb02),
	tests("CSB-03", "CSB: entries are initialised, sync ioctls give EBUSY", both, csb03),
	tests("CSB-04", "CSB_ENABLE after register: success; without the option: EINVAL", both, csb04),
	tests("CSB-05", "loop without CSB: EINVAL; unregistered: ENXIO; sleep above a second: EINVAL", both, csb05),
	tests("CSB-06", "loop in a thread, stopped: it returns 0", both, csb06),
	tests("CSB-07", "stop before start: the start returns at once, the next one runs", both, csb07),
	tests("CSB-08", "two starts: one EBUSY; a stop ends the other", both, csb08),
	tests("CSB-09", "eventfds for all rings: status 0; with TX rings only, only those count", both, csb09),
	tests("CSB-10", "wrong number of eventfds: EINVAL, also as status", both, csb10),
	tests("CSB-11", "direct TX, direct RX, both, with eventfds: success", both, csb11),
	tests("CSB-12", "an unknown mode bit, or direct without an ioeventfd: EINVAL", both, csb12),
	tests("CSB-13", "published and kicked: hwcur reaches head; irqfd only if appl_need_kick", both, csb13),
	tests("CSB-14", "published while the core goes to sleep: never lost", both, csb14),
	tests("CSB-15", "CSB_ENABLE while the loop runs: EBUSY", both, csb15),
}

// loopProgram is what a program does in CSB mode besides.
type loopProgram interface {
	program
	alloc(size int) (base int) // memory of its own
	eventfd() int
	signal(fd int)
	signalled(fd int, limit time.Duration) uint64
	// begin makes a request in a thread of its own; finish waits for its end, or says ETIME.
	begin(fd int, q *request) (job int)
	finish(job int, q *request, limit time.Duration) unix.Errno
}

func (d *driver) alloc(size int) int { return d.number("alloc %d", size) }
func (d *driver) eventfd() int       { return d.number("eventfd") }
func (d *driver) signal(fd int)      { d.do("signal %d", fd) }

func (d *driver) signalled(fd int, limit time.Duration) uint64 {
	d.e.Helper()
	return uint64(d.number("signalled %d %d", fd, limit.Milliseconds()))
}

func (d *driver) begin(fd int, q *request) int {
	d.e.Helper()
	body := "-"
	if q.body != nil {
		body = fmt.Sprintf("%x", q.body)
	}
	header, opts := q.encode()
	return d.number("begin %d %x %s %s", fd, header, body, opts)
}

func (d *driver) finish(job int, q *request, limit time.Duration) unix.Errno {
	d.e.Helper()
	errno, words := d.do("finish %d %d", job, limit.Milliseconds())
	if errno != unix.ETIME {
		q.takeOptions(d, words[3])
	}
	return errno
}

// A csbPort is a port in CSB mode, its arrays in memory of the program.
type csbPort struct {
	*port
	p       loopProgram
	mem     int // mapping of the arrays: atok, and ktoa a page behind it
	kick    []int
	irq     []int
	running int
	start   *request
}

const ktoaAt = 4096

func csbOption(p loopProgram, mem int) option {
	at := p.address(mem)
	return option{typ: abi.OptCsb, body: abi.Encode(nil, abi.CSBOption{AtoK: at, KtoA: at + ktoaAt})}
}

func (e *env) loopProgram() loopProgram { e.Helper(); return e.program().(loopProgram) }

// openCSB opens a port in CSB mode.
func (e *env) openCSB(p loopProgram, name string, wishes ...wish) *csbPort {
	e.Helper()
	mem := p.alloc(2 * ktoaAt)
	d, _ := e.openWith(p, name, []option{csbOption(p, mem)}, append(wishes, exclusive)...)
	return &csbPort{port: d, p: p, mem: mem, running: -1}
}

func (c *csbPort) rings() int { return len(c.tx) + len(c.rx) }

func (c *csbPort) u32(off uint64) uint32 { return binary.LittleEndian.Uint32(c.p.load(c.mem, off, 4)) }

func (c *csbPort) setU32(off uint64, v uint32) {
	c.p.store(c.mem, off, binary.LittleEndian.AppendUint32(nil, v))
}

// Entries of ring i: TX rings, then RX rings.
func (c *csbPort) atok(i int) (head, cur, needKick, flags uint32) {
	at := uint64(64 * i)
	return c.u32(at), c.u32(at + 4), c.u32(at + 8), c.u32(at + 12)
}

func (c *csbPort) ktoa(i int) (hwcur, hwtail, needKick uint32) {
	at := uint64(ktoaAt + 64*i)
	return c.u32(at), c.u32(at + 4), c.u32(at + 8)
}

func (c *csbPort) publish(i int, head uint32) {
	c.setU32(uint64(64*i+4), head) // cur first
	c.setU32(uint64(64*i), head)
}

func (c *csbPort) wantKick(i int, on uint32) { c.setU32(uint64(64*i+8), on) }

func startRequest(sleep uint32, opts ...option) *request {
	q := newRequest(abi.ReqSyncKloopStart, "", nil)
	q.body = binary.LittleEndian.AppendUint64(nil, uint64(sleep))
	return q.with(opts...)
}

func eventfdsOption(fds ...int32) option {
	return option{typ: abi.OptSyncKloopEventfds, size: uint64(24 + 4*len(fds)), body: abi.Encode(nil, fds)}
}

func modeOption(mode uint32) option {
	return option{typ: abi.OptSyncKloopMode, body: abi.Encode(nil, abi.KloopMode{Mode: mode})}
}

// eventfds makes a pair for each ring.
func (c *csbPort) eventfds() (all []int32) {
	for range c.rings() {
		kick, irq := c.p.eventfd(), c.p.eventfd()
		c.kick, c.irq = append(c.kick, kick), append(c.irq, irq)
		all = append(all, int32(kick), int32(irq))
	}
	return all
}

// run starts the loop.
func (c *csbPort) run(q *request) {
	const before = 7 // what no loop writes there
	c.setU32(ktoaAt+8, before)
	c.start = q
	c.running = c.p.begin(c.fd, q)
	c.e.waitFor("the loop to run", func() error {
		if _, _, needKick := c.ktoa(0); needKick == before {
			return errPending
		}
		if errno := c.p.control(c.fd, startRequest(0)); errno != unix.EBUSY {
			return fmt.Errorf("a second start gives %s", errnoName(errno))
		}
		return nil
	})
}

func stopRequest() *request { return newRequest(abi.ReqSyncKloopStop, "", nil) }

// stop ends the loop, which must succeed.
func (c *csbPort) stop() {
	c.e.Helper()
	c.e.expect(0, c.p, c.fd, stopRequest())
	if errno := c.p.finish(c.running, c.start, patience); errno != 0 {
		c.e.Errorf("the loop ends with %s", errnoName(errno))
	}
	for i, o := range c.start.options {
		if o.status != 0 {
			c.e.Errorf("option %d has status %s", i, errnoName(unix.Errno(o.status)))
		}
	}
}

func csb01(e *env) {
	p := e.loopProgram()
	mem, name, fd := p.alloc(2*ktoaAt), e.vale()+":a", p.open()
	q := registration(name).with(csbOption(p, mem))
	e.expect(unix.EINVAL, p, fd, q)
	e.statuses(q, unix.EINVAL)
	e.expect(0, p, fd, registration(name, exclusive).with(csbOption(p, mem)))
}

func csb02(e *env) {
	p := e.loopProgram()
	mem, name, fd := p.alloc(2*ktoaAt), e.vale()+":a", p.open()
	at := p.address(mem)
	bad := [][2]uint64{{at + 8, at + ktoaAt}, {at, at + ktoaAt + 32}}
	wild := [][2]uint64{{64, at}, {at, 64}, {^uint64(63), at}, {at, ^uint64(63)}, {at + 2*ktoaAt - 64, at}, {at, at + 2*ktoaAt - 64}}
	if e.half == cHalf { // where there are types, nothing is wild
		bad = append(bad, wild...)
	}
	for i, a := range bad {
		want := unix.EINVAL
		if i > 1 {
			want = unix.EFAULT
		}
		q := registration(name, exclusive).with(option{typ: abi.OptCsb, body: abi.Encode(nil, abi.CSBOption{AtoK: a[0], KtoA: a[1]})})
		e.expect(want, p, fd, q)
		e.statuses(q, want)
		if re := p.poll(fd, unix.POLLIN, 0); re != unix.POLLERR {
			e.Errorf("after a refusal poll reports %#x, want POLLERR of a descriptor that is not registered", re)
		}
	}
	e.expect(0, p, fd, registration(name, exclusive))
	if errno := p.txsync(fd); errno != 0 {
		e.Errorf("the descriptor that was refused CSB mode syncs with %s", errnoName(errno))
	}
}

func csb03(e *env) {
	p := e.loopProgram()
	c := e.openCSB(p, e.vale()+":a", slots(64, 32), rings(2, 1))
	for i, want := range [][2]uint32{{0, 63}, {0, 63}, {0, 0}} {
		head, cur, kick, flags := c.atok(i)
		hwcur, hwtail, kernKick := c.ktoa(i)
		if got := [...]uint32{head, cur, kick, flags, hwcur, hwtail, kernKick}; got != [...]uint32{0, 0, 1, 1, want[0], want[1], 1} {
			e.Errorf("ring %d: head, cur, need_kick, sync_flags, hwcur, hwtail, need_kick are %v", i, got)
		}
	}
	if tx, rx := p.txsync(c.fd), p.rxsync(c.fd); tx != unix.EBUSY || rx != unix.EBUSY {
		e.Errorf("syncs give %s and %s, want EBUSY", errnoName(tx), errnoName(rx))
	}
}

func csb04(e *env) {
	p := e.loopProgram()
	d := e.openPort(p, e.vale()+":a", exclusive)
	d.tx[0].fill(flood(1))
	d.tx[0].flush()
	q := newRequest(abi.ReqCsbEnable, "", nil)
	e.expect(unix.EINVAL, p, d.fd, q)
	mem := p.alloc(2 * ktoaAt)
	q = newRequest(abi.ReqCsbEnable, "", nil).with(csbOption(p, mem))
	e.expect(0, p, d.fd, q)
	e.statuses(q, 0)
	c := &csbPort{port: d, p: p, mem: mem}
	if head, cur, _, _ := c.atok(0); head != 1 || cur != 1 {
		e.Errorf("after one frame head and cur are %d and %d", head, cur)
	}
	if errno := p.txsync(d.fd); errno != unix.EBUSY {
		e.Errorf("txsync gives %s", errnoName(errno))
	}
	// Nothing is bound to a descriptor that is not registered, and nothing goes wrong.
	e.expect(0, p, p.open(), newRequest(abi.ReqCsbEnable, "", nil).with(csbOption(p, mem)))
}

func csb05(e *env) {
	p := e.program()
	fd, bound := p.open(), e.openPort(p, e.vale()+":a").fd
	e.expect(unix.ENXIO, p, fd, startRequest(100))
	e.expect(unix.EINVAL, p, fd, startRequest(1000001))
	e.expect(unix.EINVAL, p, bound, startRequest(1000001))
	e.expect(unix.EINVAL, p, bound, startRequest(1000000))
	e.expect(unix.ENXIO, p, fd, stopRequest())
	e.expect(unix.EINVAL, p, bound, newRequest(abi.ReqCsbEnable, "", nil))
}

func csb06(e *env) {
	p := e.loopProgram()
	for _, sleep := range []uint32{0, 100, 1000} {
		c := e.openCSB(p, e.vale()+":a")
		c.run(startRequest(sleep))
		c.stop()
		c.close()
	}
}

func csb07(e *env) {
	p := e.loopProgram()
	c := e.openCSB(p, e.vale()+":a")
	e.expect(0, p, c.fd, stopRequest())
	e.expect(0, p, c.fd, startRequest(10)) // at once
	c.run(startRequest(10))
	if errno := p.finish(c.running, c.start, moment); errno != unix.ETIME {
		e.Errorf("the loop after a stopped one ends with %s", errnoName(errno))
	}
	c.stop()
}

func csb08(e *env) {
	p := e.loopProgram()
	c := e.openCSB(p, e.vale()+":a")
	c.run(startRequest(100)) // and makes a second one, which must give EBUSY
	c.stop()
}

func csb09(e *env) {
	p := e.loopProgram()
	for _, w := range [][]wish{nil, {rings(2, 3)}, {flags(abi.FlagTxRingsOnly), rings(3, 2)}} {
		c := e.openCSB(p, e.vale()+":a", w...)
		c.run(startRequest(0, eventfdsOption(c.eventfds()...)))
		c.stop()
	}
}

func csb10(e *env) {
	p := e.loopProgram()
	c := e.openCSB(p, e.vale()+":a")
	fds := append(c.eventfds(), int32(p.eventfd()), int32(p.eventfd()))
	for _, n := range []int{0, 2, 6} {
		q := startRequest(0, eventfdsOption(fds[:n]...))
		e.expect(unix.EINVAL, p, c.fd, q)
		e.statuses(q, unix.EINVAL)
	}
	// What is no eventfd is none.
	for _, no := range []struct {
		fd   int32
		want unix.Errno
	}{{int32(c.fd), unix.EINVAL}, {9999, unix.EBADF}} {
		if e.half == goHalf && no.want == unix.EINVAL {
			no.fd = 0 // the program's numbers are not the process's
		}
		for _, at := range []int{0, 3} {
			all := append([]int32{}, fds[:4]...)
			all[at] = no.fd
			q := startRequest(0, eventfdsOption(all...))
			e.expect(no.want, p, c.fd, q)
			e.statuses(q, no.want)
		}
	}
	c.run(startRequest(0, eventfdsOption(fds[:4]...)))
	c.stop()
}

func csb11(e *env) {
	p := e.loopProgram()
	for _, mode := range []uint32{abi.KloopDirectTx, abi.KloopDirectRx, abi.KloopDirectTx | abi.KloopDirectRx} {
		c := e.openCSB(p, e.vale()+":a")
		c.run(startRequest(0, modeOption(mode), eventfdsOption(c.eventfds()...)))
		c.stop()
	}
}

func csb12(e *env) {
	p := e.loopProgram()
	c := e.openCSB(p, e.vale()+":a")
	q := startRequest(0, modeOption(4))
	e.expect(unix.EINVAL, p, c.fd, q)
	e.statuses(q, unix.EINVAL)
	fds := c.eventfds()
	fds[2] = -1
	q = startRequest(0, modeOption(abi.KloopDirectTx), eventfdsOption(fds...))
	e.expect(unix.EINVAL, p, c.fd, q)
	e.statuses(q, 0, unix.EINVAL)
}

// csbPair is two ports of a switch in CSB mode in one program.
func (e *env) csbPair(p loopProgram) (a, b *csbPort) {
	e.Helper()
	sw := e.vale()
	return e.openCSB(p, sw+":a", slots(64, 64)), e.openCSB(p, sw+":b", slots(64, 64))
}

// arrived waits until frame seq is in slot i of the RX ring.
func (c *csbPort) arrived(i, seq uint32) {
	c.e.Helper()
	rx := c.rx[0]
	c.e.waitFor("a frame", func() error {
		if _, hwtail, _ := c.ktoa(len(c.tx)); hwtail != rx.at(i, 1) {
			return fmt.Errorf("hwtail is %d", hwtail)
		}
		return nil
	})
	if got := rx.buf(rx.slot(i).BufIdx, 60); string(got) != string(flood(seq)) {
		c.e.Errorf("slot %d has % x, want frame %d", i, got[:20], seq)
	}
}

// taken waits until the core has taken everything before head.
func (c *csbPort) taken(i int, head uint32) {
	c.e.Helper()
	c.e.waitFor("hwcur to reach head", func() error {
		if hwcur, _, _ := c.ktoa(i); hwcur != head {
			return fmt.Errorf("hwcur is %d", hwcur)
		}
		return nil
	})
}

func csb13(e *env) {
	p := e.loopProgram()
	a, b := e.csbPair(p)
	const scratch = 40 // the rings' own indices are the program's in this mode
	a.tx[0].set(scratch, scratch)
	b.rx[0].set(scratch, scratch)
	a.run(startRequest(0, eventfdsOption(a.eventfds()...)))
	b.run(startRequest(0, eventfdsOption(b.eventfds()...)))
	for seq := range uint32(200) {
		i := seq % 64
		want := seq%2 == 0
		b.wantKick(1, map[bool]uint32{true: 1, false: 0}[want])
		a.tx[0].put(i, flood(seq), 0)
		a.publish(0, (i+1)%64)
		if _, _, needKick := a.ktoa(0); needKick != 0 {
			p.signal(a.kick[0])
		}
		a.taken(0, (i+1)%64)
		b.arrived(i, seq)
		if n := p.signalled(b.irq[1], map[bool]time.Duration{true: patience, false: 0}[want]); (n > 0) != want {
			e.Fatalf("frame %d was notified %d times, appl_need_kick was %t", seq, n, want)
		}
		b.publish(1, (i+1)%64)
		if _, _, needKick := b.ktoa(1); needKick != 0 {
			p.signal(b.kick[1])
		}
	}
	if a.tx[0].head() != scratch || b.rx[0].cur() != scratch || b.rx[0].tail() != 0 {
		e.Errorf("the rings' own indices are %v and %v: nobody uses them", a.tx[0].indices(), b.rx[0].indices())
	}
	// What is refused is refused until something legal comes.
	a.publish(0, 9999)
	p.signal(a.kick[0])
	time.Sleep(moment)
	hwcur, _, _ := a.ktoa(0)
	a.tx[0].put(hwcur, flood(999), 0)
	a.publish(0, (hwcur+1)%64)
	p.signal(a.kick[0])
	a.taken(0, (hwcur+1)%64)
	b.arrived(hwcur, 999)
	a.stop()
	b.stop()
	// Where the loop stopped it goes on, in the other mode.
	a.run(startRequest(10))
	b.run(startRequest(10))
	i := (hwcur + 1) % 64
	a.tx[0].put(i, flood(1000), 0)
	a.publish(0, (i+1)%64)
	b.arrived(i, 1000)
	a.stop()
	b.stop()
}

// The race is between the program's look at need_kick and the loop's going to sleep.
func csb14(e *env) {
	p := e.loopProgram()
	a, b := e.csbPair(p)
	a.run(startRequest(0, eventfdsOption(a.eventfds()...)))
	b.run(startRequest(10))
	deadline := 0
	for seq := range uint32(times(20000, 300)) {
		i := seq % 64
		a.tx[0].put(i, flood(seq), 0)
		for range deadline % 7 { // so that the loop is at another place each time
			a.ktoa(0)
		}
		deadline++
		a.publish(0, (i+1)%64)
		if _, _, needKick := a.ktoa(0); needKick != 0 {
			p.signal(a.kick[0])
		}
		a.taken(0, (i+1)%64)
		b.publish(1, (i+1)%64)
	}
	a.stop()
	b.stop()
}

func csb15(e *env) {
	p := e.loopProgram()
	c := e.openCSB(p, e.vale()+":a")
	c.run(startRequest(10))
	q := newRequest(abi.ReqCsbEnable, "", nil).with(csbOption(p, c.mem))
	e.expect(unix.EBUSY, p, c.fd, q)
	e.statuses(q, unix.EBUSY)
	c.stop()
	e.expect(0, p, c.fd, newRequest(abi.ReqCsbEnable, "", nil).with(csbOption(p, c.mem)))
}

func pol02(e *env) {
	p := e.loopProgram()
	a, b := e.csbPair(p)
	for _, events := range []int16{unix.POLLIN, unix.POLLOUT, 0} {
		if re := p.poll(a.fd, events, patience); re != unix.POLLERR {
			e.Errorf("poll for %#x says %#x, want POLLERR", events, re)
		}
	}
	_ = b
}
