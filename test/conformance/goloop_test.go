package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// What a Go program does with its own memory: CSB mode and the sync loop are calls of package netmap there, and not
// requests. The requests of the tests say which.

func (g *goProgram) alloc(size int) int {
	g.e.Helper()
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	g.e.must(err)
	g.next++
	g.maps[g.next] = m
	return g.next
}

func (g *goProgram) eventfd() int {
	g.e.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	g.e.must(err)
	g.e.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func (g *goProgram) signal(fd int) { _, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (g *goProgram) signalled(fd int, limit time.Duration) uint64 {
	var b [8]byte
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, _ := unix.Poll(p, int(limit.Milliseconds())); n == 1 {
		_, _ = unix.Read(fd, b[:])
	}
	return binary.LittleEndian.Uint64(b[:])
}

func (g *goProgram) begin(fd int, q *request) int {
	g.next++
	over := make(chan unix.Errno, 1)
	g.jobs[g.next] = over
	d := g.joined(fd)
	go func() { over <- g.runLoop(d, q) }()
	return g.next
}

func (g *goProgram) finish(job int, _ *request, limit time.Duration) unix.Errno {
	select {
	case errno := <-g.jobs[job]:
		return errno
	case <-time.After(limit):
		return unix.ETIME
	}
}

func (q *request) option(typ uint32) *option {
	for i := range q.options {
		if q.options[i].typ == typ {
			return &q.options[i]
		}
	}
	return nil
}

func errnoOf(err error) unix.Errno {
	errno, _ := errors.AsType[unix.Errno](err)
	return errno
}

// openExtmem is a registration with memory of the program's.
func (g *goProgram) openExtmem(fd int, q *request, o *option) unix.Errno {
	g.e.Helper()
	var x abi.Extmem
	g.e.must(abi.Decode(o.body, &x))
	mem := g.memory(x.UsrPtr, x.Pools.MemSize)
	if mem == nil {
		g.e.Fatalf("no mapping of the program has %d bytes at %#x", x.Pools.MemSize, x.UsrPtr)
	}
	r := decode[abi.Register](g.e, q)
	spec := abi.CString(q.name[:])
	if r.MemID != 0 || r.Mode != abi.ModeAllNIC {
		g.e.Fatalf("a registration of %+v is not one of these tests", r)
	}
	desc, err := netmap.Open(g.e.limited(), spec, netmap.WithRuntimeDir(g.dir), netmap.WithFlags(r.Flags),
		netmap.WithSlots(r.TxSlots, r.RxSlots), netmap.WithRings(r.TxRings, r.RxRings), netmap.WithExtmem(mem, x.Pools))
	o.status = uint32(errnoOf(err))
	if err != nil {
		g.e.Log(err)
		return errnoOf(err)
	}
	f, err := desc.File()
	g.e.must(err)
	defer f.Close()
	conn, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	g.e.must(err)
	d := g.fds[fd]
	_ = unix.Close(d.conn)
	d.conn, d.desc = conn, desc
	q.body = abi.Encode(nil, desc.Register())
	o.body = abi.Encode(nil, abi.Extmem{UsrPtr: x.UsrPtr, Pools: desc.Pools()})
	return 0
}

// memory is the part of the program's mappings at an address.
func (g *goProgram) memory(at, size uint64) []byte {
	for base, m := range g.maps {
		if off := at - g.address(base); off < uint64(len(m)) && size <= uint64(len(m))-off {
			return m[off : off+size : off+size]
		}
	}
	return nil
}

// enableCSB is the CSB option of a request.
func (g *goProgram) enableCSB(fd int, q *request) unix.Errno {
	g.e.Helper()
	o := q.option(abi.OptCsb)
	if o == nil {
		return 0
	}
	var c abi.CSBOption
	g.e.must(abi.Decode(o.body, &c))
	d := g.joined(fd)
	app, kern := csbArrays(c, len(d.TxRings())+len(d.RxRings()))
	errno := errnoOf(d.EnableCSB(app, kern))
	o.status = uint32(errno)
	return errno
}

// loopRequest carries out the requests of CSB mode.
func (g *goProgram) loopRequest(fd int, q *request) (errno unix.Errno, ours bool) {
	g.e.Helper()
	switch q.typ {
	case abi.ReqCsbEnable, abi.ReqSyncKloopStart, abi.ReqSyncKloopStop:
	default:
		return 0, false
	}
	if q.version < abi.MinAPIVersion || len(q.body) != abi.BodySize(q.typ) {
		return 0, false // what is wrong with the request itself is for the daemon to say
	}
	o := q.option(abi.OptCsb)
	if q.typ == abi.ReqCsbEnable && o == nil {
		return 0, false
	}
	d := g.joined(fd)
	if d == nil {
		if o != nil {
			o.status = 0
		}
		return 0, q.typ == abi.ReqCsbEnable
	}
	switch q.typ {
	case abi.ReqCsbEnable:
		return g.enableCSB(fd, q), true
	case abi.ReqSyncKloopStop:
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return errnoOf(d.StopSyncLoop(ctx)), true
	}
	return g.runLoop(d, q), true
}

// runLoop is a start of the loop; the statuses of its options are what became of them.
func (g *goProgram) runLoop(d *netmap.Desc, q *request) unix.Errno {
	c := netmap.LoopConfig{Sleep: time.Duration(binary.LittleEndian.Uint32(q.body)) * time.Microsecond}
	fds, mode := q.option(abi.OptSyncKloopEventfds), q.option(abi.OptSyncKloopMode)
	if fds != nil {
		c.Kick, c.Irq = []int{}, []int{}
		for b := fds.body; len(b) > 0; b = b[8:] {
			c.Kick = append(c.Kick, int(int32(binary.LittleEndian.Uint32(b))))
			c.Irq = append(c.Irq, int(int32(binary.LittleEndian.Uint32(b[4:]))))
		}
	}
	if mode != nil {
		c.Mode = binary.LittleEndian.Uint32(mode.body)
	}
	errno := errnoOf(d.SyncLoop(c))
	culprit := fds
	if mode != nil && c.Mode > 3 {
		culprit = mode
	}
	if culprit != nil {
		culprit.status = uint32(errno)
	}
	return errno
}
