package conformance

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/abi"
)

var monChecks = []check{
	tests("MON-01", "monitor of a port that is not open: EINVAL", both, mon01),
	tests("MON-02", "copy monitor of RX sees a frame that the program has not read, and the program gets it", both, mon02),
	tests("MON-03", "copy monitor of TX sees a frame, with TXMON, and the destination gets it", both, mon03),
	tests("MON-04", "zero-copy monitor of RX sees a frame after the program released it", both, mon04),
	tests("MON-05", "zero-copy monitor of TX, on VALE after the sync, on a pipe after the receiver", both, mon05),
	tests("MON-06", "MON-02 to MON-05 on ephemeral and persistent ports and pipes", both, mon06),
	tests("MON-07", "a slow monitor costs the port nothing and keeps the newest of each batch", both, mon07),
	tests("MON-08", "three copy monitors all see everything", both, mon08),
	tests("MON-09", "of two zero-copy monitors the second sees a frame after the first released it", both, mon09),
	tests("MON-10", "the monitored port closes: POLLERR; both can be opened again", both, mon10),
	tests("MON-11", "monitor of an exclusive port: success", both, mon11),
	tests("MON-12", "the reply to a zero-copy request has both direction flags", both, mon12),
	tests("MON-13", "after a zero-copy capture the port's slots say BUF_CHANGED and are valid", both, mon13),
}

const zeroCopy = abi.FlagZcopyMon

// A tie is two ports such that what the one sends the other gets, each of a
// program of its own.
type tie struct {
	a, b *port
	name string // under which a can be monitored
	pipe bool
}

// ties are the kinds of ports that monitors are tried on.
var ties = []struct {
	what string
	make func(*env) tie
}{
	{"ephemeral", func(e *env) tie {
		a, b := e.pair()
		return tie{a: a, b: b, name: a.name}
	}},
	{"persistent", func(e *env) tie {
		p, sw := e.program(), e.vale()
		name, _ := e.persistent(p, abi.ValeNewif{})
		e.attach(0, p, sw+":"+name)
		e.Cleanup(func() {
			for _, q := range e.programs {
				q.end()
			}
			q := newGoProgram(e)
			e.waitFor("the port to be detached and deleted", func() error {
				fd := q.open()
				defer q.close(fd)
				_ = q.control(fd, newRequest(abi.ReqValeDetach, sw+":"+name, abi.ValeDetach{}))
				if errno := q.control(fd, newRequest(abi.ReqValeDelif, name, nil)); errno != 0 {
					return errno
				}
				return nil
			})
			q.end()
		})
		return tie{a: e.openPort(p, name), b: e.openPort(e.program(), sw+":b"), name: sw + ":" + name}
	}},
	{"pipe", func(e *env) tie {
		name := e.vale() + ":x"
		t := tie{a: e.openPort(e.program(), name+"{1"), name: name + "{1", pipe: true}
		t.b = e.openPort(e.program(), name+"}1")
		return t
	}},
}

// monitor opens a monitor by a program of its own.
func (e *env) monitor(name string, f uint64, wishes ...wish) *port {
	e.Helper()
	return e.openPort(e.program(), name, append(wishes, flags(f))...)
}

// tx syncs a TX ring after it was filled, and waits for nothing.
func (d *port) sync() {
	d.e.Helper()
	if errno := d.p.txsync(d.fd); errno != 0 {
		d.e.Errorf("%s: txsync: %s", d.name, errnoName(errno))
	}
	if errno := d.p.rxsync(d.fd); errno != 0 {
		d.e.Errorf("%s: rxsync: %s", d.name, errnoName(errno))
	}
}

// captures wants exactly these frames on a monitor, sent or received by the port.
func (r *ring) captures(sent bool, want ...[]byte) {
	r.e.Helper()
	r.polls(unix.POLLIN, unix.POLLIN)
	r.e.waitFor(fmt.Sprintf("%d frames on the monitor", len(want)), func() error {
		_ = r.p.rxsync(r.fd)
		if n := r.space(); int(n) < len(want) {
			return fmt.Errorf("%d are there", n)
		}
		return nil
	})
	for k := range r.space() {
		if s := r.slot(r.at(r.head(), k)); s.Flags&abi.NSTxMon != 0 != sent {
			r.e.Errorf("flags of a captured frame are %#x; sent by the port: %v", s.Flags, sent)
		}
	}
	r.receives(want...)
	_ = r.p.rxsync(r.fd)
}

// monitorsLeft waits until a port has so many monitors.
func (e *env) monitorsLeft(name string, want int) {
	e.Helper()
	e.waitFor(fmt.Sprintf("%d monitors of %s", want, name), func() error {
		s, err := e.daemon.stats.GetStats(e.limited(), &pb.GetStatsRequest{})
		n := 0
		for _, p := range s.GetSnapshot().GetPorts() {
			if strings.HasPrefix(p.GetName(), name+"/") && !p.GetGone() {
				n++
			}
		}
		if err == nil && n != want {
			err = fmt.Errorf("there are %d", n)
		}
		return err
	})
}

func mon01(e *env) {
	p, sw := e.program(), e.vale()
	for _, f := range []uint64{abi.FlagMonitorRx, abi.FlagMonitorTx, zeroCopy} {
		e.refused(unix.EINVAL, p, sw+":a", flags(f))
		e.refused(unix.ENXIO, p, "nosuch", flags(f))
		e.refused(unix.ENOMEM, p, "vale.0:a", flags(f))
	}
	e.find(unix.ENOENT, p, sw+":a")
	name, _ := e.persistent(p, abi.ValeNewif{})
	e.refused(unix.EINVAL, p, name, flags(abi.FlagMonitorRx))
	e.delif(0, p, name)
	d := e.openPort(p, sw+":a")
	e.refused(unix.EINVAL, p, d.name, flags(abi.FlagMonitorRx), mode(abi.ModeSW, 0))
	e.refused(unix.EINVAL, p, d.name, flags(abi.FlagMonitorRx), mode(abi.ModeOneNIC, 1))
	e.refused(unix.EINVAL, p, d.name, flags(abi.FlagMonitorRx), memID(60000))
	m := e.openPort(p, d.name, flags(abi.FlagMonitorRx))
	if m.reg.TxRings != 1 || m.reg.RxRings != 1 || m.reg.RxSlots != d.reg.RxSlots || m.reg.MemID == d.reg.MemID {
		e.Errorf("a copy monitor of %+v is %+v", d.reg, m.reg)
	}
	small := e.openPort(p, d.name, flags(abi.FlagMonitorRx), slots(5000, 16))
	if small.reg.TxSlots != 4096 || small.reg.RxSlots != 16 {
		e.Errorf("a monitor asked for with 5000 and 16 slots has %d and %d", small.reg.TxSlots, small.reg.RxSlots)
	}
}

func mon02(e *env) { copyRx(e, ties[0].make(e)) }
func mon03(e *env) { copyTx(e, ties[0].make(e)) }
func mon04(e *env) { zeroCopyRx(e, ties[0].make(e)) }
func mon05(e *env) {
	zeroCopyTx(e, ties[0].make(e))
	zeroCopyTx(e, ties[2].make(e))
}

func mon06(e *env) {
	for _, k := range ties {
		for name, test := range map[string]func(*env, tie){"copy RX": copyRx, "copy TX": copyTx, "zero-copy RX": zeroCopyRx, "zero-copy TX": zeroCopyTx, "come and go": comeAndGo} {
			e.Run(k.what+" "+name, func(t *testing.T) {
				sub := newEnv(t, e.half)
				test(sub, k.make(sub))
			})
		}
	}
}

func copyRx(e *env, t tie) {
	m := e.monitor(t.name, abi.FlagMonitorRx)
	t.b.tx[0].fill(flood(1), flood(2))
	t.b.sync()
	m.rx[0].captures(false, flood(1), flood(2)) // a has not looked yet
	t.a.polls(unix.POLLIN, unix.POLLIN)
	t.a.rx[0].receives(flood(1), flood(2))
	t.a.tx[0].fill(flood(3)) // not to be seen
	t.a.sync()
	t.b.rx[0].arrives(flood(3))
	m.quiet(unix.POLLIN)
	m.close()
	t.b.tx[0].fill(flood(4))
	t.b.sync()
	t.a.rx[0].arrives(flood(4))
}

// comeAndGo: whatever a monitor's coming and going means for who moves the slots, one sync is enough (NC D.1).
func comeAndGo(e *env, t tie) {
	q := e.program()
	for seq := uint32(0); seq < 200; {
		m, gone := e.openPort(q, t.name, flags(abi.FlagMonitorRx)), make(chan struct{})
		go func() {
			defer close(gone)
			q.close(m.fd)
		}()
		for going := true; going; seq++ {
			t.b.tx[0].fill(flood(seq))
			t.b.sync()
			t.a.rx[0].arrives(flood(seq))
			select {
			case <-gone:
				going = false
			default:
			}
		}
	}
}

func copyTx(e *env, t tie) {
	m := e.monitor(t.name, abi.FlagMonitorTx)
	t.a.tx[0].fill(flood(1), flood(2))
	t.a.sync()
	m.rx[0].captures(true, flood(1), flood(2))
	t.b.polls(unix.POLLIN, unix.POLLIN)
	t.b.rx[0].receives(flood(1), flood(2))
	t.b.tx[0].fill(flood(3)) // not to be seen
	t.b.sync()
	t.a.rx[0].arrives(flood(3))
	m.quiet(unix.POLLIN)
}

func zeroCopyRx(e *env, t tie) {
	m := e.monitor(t.name, zeroCopy)
	if m.reg.MemID != t.a.reg.MemID {
		e.Errorf("the monitor is in region %d, the port in %d", m.reg.MemID, t.a.reg.MemID)
	}
	t.b.tx[0].fill(flood(1), flood(2))
	t.b.sync()
	t.a.polls(unix.POLLIN, unix.POLLIN)
	m.quiet(unix.POLLIN)
	t.a.rx[0].receives(flood(1), flood(2))
	t.a.sync()
	m.rx[0].captures(false, flood(1), flood(2))
}

func zeroCopyTx(e *env, t tie) {
	m := e.monitor(t.name, zeroCopy)
	t.a.tx[0].fill(flood(1), flood(2))
	t.a.sync()
	if t.pipe {
		m.quiet(unix.POLLIN)
		t.b.polls(unix.POLLIN, unix.POLLIN)
		t.b.rx[0].receives(flood(1), flood(2))
		t.b.sync()
		t.a.sync()
		m.rx[0].captures(true, flood(1), flood(2))
		return
	}
	m.rx[0].captures(true, flood(1), flood(2))
	t.b.rx[0].receives(flood(1), flood(2))
}

func mon07(e *env) {
	a, b := e.pair()
	m := e.monitor(a.name, abi.FlagMonitorRx, slots(16, 16))
	var sent [][]byte
	for i := range uint32(40) {
		sent = append(sent, flood(i))
	}
	b.tx[0].send(sent...) // one batch
	a.rx[0].receives(sent...)
	m.rx[0].captures(false, sent[40-15:]...)
	for lap := range 3 { // nobody reads the monitor
		b.tx[0].send(sent...)
		a.rx[0].receives(sent...)
		if lap == 0 {
			continue
		}
		e.waitFor("the monitor to be full", func() error {
			_ = m.p.rxsync(m.fd)
			if m.rx[0].space() != 15 {
				return errPending
			}
			return nil
		})
	}
	m.rx[0].captures(false, sent[40-15:]...)
}

func mon08(e *env) {
	a, b := e.pair()
	var ms []*port
	for range 3 {
		ms = append(ms, e.monitor(a.name, abi.FlagMonitorRx|abi.FlagMonitorTx))
	}
	b.tx[0].send(flood(1))
	a.rx[0].receives(flood(1))
	for _, m := range ms {
		m.rx[0].captures(false, flood(1))
	}
	ms[1].close()
	e.monitorsLeft(a.name, 2)
	a.tx[0].send(flood(2))
	b.rx[0].receives(flood(2))
	ms[0].rx[0].captures(true, flood(2))
	ms[2].rx[0].captures(true, flood(2))
}

func mon09(e *env) {
	a, b := e.pair()
	one, two, three := e.monitor(a.name, zeroCopy), e.monitor(a.name, zeroCopy), e.monitor(a.name, zeroCopy)
	a.tx[0].send(flood(1))
	b.rx[0].receives(flood(1))
	two.quiet(unix.POLLIN)
	one.rx[0].captures(true, flood(1)) // and released
	two.rx[0].captures(true, flood(1))
	three.rx[0].captures(true, flood(1))
	// The chain closes where its middle goes.
	two.close()
	e.monitorsLeft(a.name, 2)
	b.tx[0].send(flood(2))
	a.rx[0].receives(flood(2))
	a.sync()
	one.rx[0].captures(false, flood(2))
	three.rx[0].captures(false, flood(2))
	one.close()
	e.monitorsLeft(a.name, 1)
	a.tx[0].send(flood(3))
	three.rx[0].captures(true, flood(3))
}

func mon10(e *env) {
	for _, f := range []uint64{abi.FlagMonitorRx | abi.FlagMonitorTx, zeroCopy} {
		a, b := e.pair()
		m := e.monitor(a.name, f)
		a.tx[0].send(flood(1))
		m.rx[0].captures(true, flood(1))
		m.wakes(unix.POLLIN, unix.POLLERR, func() { a.close() })
		if errno := m.p.rxsync(m.fd); errno != 0 || m.rx[0].space() != 0 {
			e.Errorf("rxsync of a dead monitor: %s, %d frames", errnoName(errno), m.rx[0].space())
		}
		again := e.openPort(a.p, a.name)
		b.tx[0].send(flood(2))
		again.rx[0].arrives(flood(2))
		m.polls(unix.POLLIN, unix.POLLERR)
		m.close()
		m = e.monitor(a.name, f)
		again.tx[0].send(flood(3))
		m.rx[0].captures(true, flood(3))
	}
}

func mon11(e *env) {
	d := e.openPort(e.program(), e.vale()+":a", exclusive)
	m := e.monitor(d.name, abi.FlagMonitorTx)
	z := e.monitor(d.name, zeroCopy)
	d.tx[0].send(flood(1))
	m.rx[0].captures(true, flood(1))
	z.rx[0].captures(true, flood(1))
	e.refused(unix.EBUSY, e.program(), d.name)
}

func mon12(e *env) {
	d := e.openPort(e.program(), e.vale()+":a")
	const both = abi.FlagMonitorTx | abi.FlagMonitorRx
	if m := e.monitor(d.name, zeroCopy); m.reg.Flags != zeroCopy|both {
		e.Errorf("flags of the reply are %#x, want %#x", m.reg.Flags, zeroCopy|both)
	}
	if m := e.monitor(d.name, abi.FlagMonitorRx); m.reg.Flags != abi.FlagMonitorRx {
		e.Errorf("flags of the reply are %#x, want %#x", m.reg.Flags, abi.FlagMonitorRx)
	}
}

func mon13(e *env) {
	a, b := e.pair()
	m := e.monitor(a.name, zeroCopy)
	changed := func(what string, r *ring, was []abi.Slot, n uint32) {
		e.Helper()
		taken := map[uint32]bool{}
		for _, s := range m.rx[0].slots() {
			taken[s.BufIdx] = true
		}
		for i := range n {
			s := r.slot(i)
			if s.Flags&abi.NSBufChanged == 0 || s.BufIdx == was[i].BufIdx || s.BufIdx < abi.MinBufIndex || taken[s.BufIdx] {
				e.Errorf("%s slot %d was %+v and is %+v", what, i, was[i], s)
			}
		}
	}
	before := a.tx[0].slots()
	a.tx[0].send(flood(1), flood(2))
	m.rx[0].captures(true, flood(1), flood(2))
	b.rx[0].receives(flood(1), flood(2))
	changed("TX", a.tx[0], before, 2)
	before = a.rx[0].slots()
	b.tx[0].send(flood(3), flood(4))
	a.rx[0].receives(flood(3), flood(4))
	a.sync()
	m.rx[0].captures(false, flood(3), flood(4))
	changed("RX", a.rx[0], before, 2)
	// And the port goes on, with buffers that nobody else has.
	for i := range 3 * a.tx[0].NumSlots / 16 {
		f := flood(100 + i)
		a.tx[0].send(f)
		b.rx[0].receives(f)
		m.rx[0].captures(true, f)
	}
}

func pol22(e *env) {
	a, b := e.pair()
	m := e.monitor(a.name, abi.FlagMonitorRx)
	m.quiet(unix.POLLIN)
	m.wakes(unix.POLLIN, unix.POLLIN, func() { b.tx[0].send(flood(1)) })
	m.polls(unix.POLLOUT, unix.POLLERR)
	if errno := m.p.txsync(m.fd); errno != 0 {
		e.Errorf("txsync of a monitor: %s", errnoName(errno))
	}
	m.tx[0].set(3, 3)
	if errno := m.p.txsync(m.fd); errno != 0 || m.tx[0].head() != 3 {
		e.Errorf("txsync of a monitor: %s, head %d", errnoName(errno), m.tx[0].head())
	}
	m.polls(unix.POLLIN, unix.POLLIN|unix.POLLERR) // it has something to push, which fails
}
