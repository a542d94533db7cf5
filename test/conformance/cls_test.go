package conformance

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/rundir"
)

var clsChecks = []check{
	tests("CLS-01", "duplicated, one closed: the port stays; both closed: it is gone", both, cls01),
	tests("CLS-02", "passed to a process that never opened the device: map and sync work there", both, cls02),
	tests("CLS-03", "fork: the child ends, the parent goes on", both, cls03),
	tests("CLS-04", "kill -9: exclusive rings can be opened again", both, cls04),
	tests("CLS-05", "filled, not synced, closed: not sent", both, cls05),
	testsAlone("CLS-06", "10000 cycles of open and close: nothing grows", both, cls06),
	tests("CLS-07", "every order of closing a port, its pipes and monitors", both, func(e *env) { cls07(e); cls07Monitors(e) }),
	tests("CLS-08", "two ports with one mapping, the first closed: the second still has its memory", both, cls08),
	tests("CLS-09", "the daemon dies: POLLERR and EIO, and the memory stays", both, cls09),
}

// isGone waits until a port that vanishes by being closed has vanished.
func (e *env) isGone(name string) {
	e.Helper()
	e.waitFor("the end of "+name, func() error {
		if e.counters(name) != nil {
			return errPending
		}
		return nil
	})
}

func cls01(e *env) {
	p, sw := e.program(), e.vale()
	peer := e.openPort(e.program(), sw+":b")
	a := e.openPort(p, sw+":a")
	copied := p.dup(a.fd)
	e.expect(unix.EBUSY, p, copied, registration(sw+":c"))
	a.close()
	b := e.mapPort(p, copied, sw+":a", a.reg)
	b.tx[0].send(flood(1))
	peer.rx[0].receives(flood(1))
	peer.tx[0].send(flood(2))
	b.polls(unix.POLLIN, unix.POLLIN)
	b.rx[0].receives(flood(2))
	if e.counters(b.name) == nil {
		e.Errorf("the port is gone though a duplicate of its descriptor is open")
	}
	b.close()
	e.isGone(b.name)
}

func cls02(e *env) {
	sw := e.vale()
	peer := e.openPort(e.program(), sw+":b")
	a := e.openPort(e.program(), sw+":a")
	if d, ok := a.p.(*driver); ok {
		other := e.program().(*driver)
		path := filepath.Join(e.TempDir(), "s")
		l := other.number("listen %s", path)
		if errno, _ := d.do("sendfd %s %d", path, a.fd); errno != 0 {
			e.Fatalf("sendfd: %s", errnoName(errno))
		}
		got := e.mapPort(other, other.number("recvfd %d", l), a.name, a.reg)
		a.close() // the copy keeps it
		got.tx[0].send(flood(1))
		peer.rx[0].receives(flood(1))
		got.wakes(unix.POLLIN, unix.POLLIN, func() { peer.tx[0].send(flood(2)) })
		got.rx[0].receives(flood(2))
		got.close()
	} else {
		c := e.child("receive", "")
		c.pass(a.p.(*goProgram).fds[a.fd].conn)
		peer.rx[0].arrives(flood(1))
		c.says("done")
	}
	if a.p.(interface{ isDriver() bool }).isDriver() {
		e.isGone(a.name)
	}
}

func (d *driver) isDriver() bool    { return true }
func (g *goProgram) isDriver() bool { return false }

func cls03(e *env) {
	a, b := e.pair()
	if d, ok := a.p.(*driver); ok {
		if status := d.number("forked %d", a.fd); status != 0 {
			e.Errorf("the child ends with status %#x", status)
		}
	} else {
		conn, err := unix.FcntlInt(uintptr(a.p.(*goProgram).fds[a.fd].conn), unix.F_DUPFD_CLOEXEC, 0)
		e.must(err)
		c := e.child("inherit", "", os.NewFile(uintptr(conn), "descriptor"))
		c.says("done")
		_ = c.cmd.Wait()
		b.rx[0].receives(flood(1))
	}
	a.tx[0].send(flood(2))
	b.rx[0].receives(flood(2))
	b.tx[0].send(flood(3))
	a.polls(unix.POLLIN, unix.POLLIN)
	a.rx[0].receives(flood(3))
}

func cls04(e *env) {
	name := e.vale() + ":a"
	p := e.program()
	if e.half == goHalf {
		c := e.child("hold", name)
		c.says("open")
		e.refused(unix.EBUSY, p, name)
		_ = c.cmd.Process.Kill()
	} else {
		q := e.program()
		e.openPort(q, name, exclusive)
		e.refused(unix.EBUSY, p, name)
		q.end()
	}
	e.waitFor("the rings of a killed client", func() error {
		fd := p.open()
		defer p.close(fd)
		if errno := p.control(fd, registration(name, exclusive)); errno != 0 {
			return errno
		}
		return nil
	})
}

func cls05(e *env) {
	a, b := e.pair()
	a.tx[0].send(flood(1))
	a.tx[0].fill(flood(2), flood(3))
	a.close()
	e.isGone(a.name)
	b.rx[0].receives(flood(1))
}

// held are the daemon's resources.
func (e *env) held() string {
	e.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", e.daemon.cmd.Process.Pid))
	e.must(err)
	r, err := e.daemon.stats.GetStats(e.limited(), &pb.GetStatsRequest{})
	e.must(err)
	s := r.GetSnapshot()
	live := 0
	for _, p := range s.GetPorts() {
		if !p.GetGone() {
			live++
		}
	}
	global := e.region(1).GetBufPool().GetFree()
	return fmt.Sprintf("%d descriptors, %d regions, %d ports, %d sessions, %d bound, %d free buffers in the global region",
		len(fds), len(s.GetRegions()), live, s.GetSessions(), s.GetDescriptors(), global)
}

// settled is what held says once the daemon has ended with what it was asked last: a port is gone a little before the
// daemon has closed the socket of its client.
func (e *env) settled() string {
	e.Helper()
	last, times := "", 0
	e.waitFor("the daemon to hold the same for a while", func() error {
		now := e.held()
		if times++; now != last {
			last, times = now, 0
		}
		if times < 7 { // waitFor asks ever later, here for 100 ms at least
			return errPending
		}
		return nil
	})
	return last
}

func cls06(e *env) {
	e.waitFor("what tests before left to go", func() error {
		r, err := e.daemon.stats.GetStats(e.limited(), &pb.GetStatsRequest{})
		if n := r.GetSnapshot().GetSessions(); n > 0 {
			return fmt.Errorf("%d sessions are left", n)
		}
		return err
	})
	p := e.program()
	ifname, _ := e.veth()
	sw := e.vale()
	cycle := func(i int, name string) {
		d := e.openPort(p, name, extraBufs(uint32(i%3)), slots(64, 64))
		d.tx[0].send(flood(uint32(i)))
		d.close()
	}
	e.openPort(p, ifname).close() // makes the global region
	e.isGone(ifname)
	cycle(0, sw+":a")
	e.isGone(sw + ":a")
	before, own := e.settled(), openFiles(e)
	e.cycles(p, times(10_000, 2000), sw+":b")
	e.cycles(p, times(300, 10), ifname)
	for i := range times(1000, 100) {
		cycle(i, sw+":a")
	}
	for i := range times(100, 5) {
		cycle(i, ifname)
		e.isGone(ifname)
	}
	e.waitFor("the daemon to hold what it held before", func() error {
		if now := e.held(); now != before {
			return fmt.Errorf("%s; before %s", now, before)
		}
		return nil
	})
	if now := openFiles(e); e.half == goHalf && now != own {
		e.Errorf("the client has %d descriptors, before %d", now, own)
	}
}

// cycles opens, registers and closes again and again.
func (e *env) cycles(p program, n int, name string) {
	e.Helper()
	if d, ok := p.(*driver); ok {
		q := registration(name)
		header, opts := q.encode()
		if lost := d.number("cycles %d %x %x", n, header, q.body); lost != 0 || opts != "-" {
			e.Errorf("after %d cycles of %s the client has %d descriptors more than before", n, name, lost)
		}
		return
	}
	for range n {
		fd := p.open()
		e.expect(0, p, fd, registration(name))
		p.close(fd)
	}
}

func openFiles(e *env) int {
	e.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	e.must(err)
	return len(fds)
}

func cls08(e *env) {
	p, sw := e.program(), e.vale()
	a := e.openPort(p, sw+":a")
	peer := e.openPort(e.program(), sw+":c")
	fd := p.open()
	q := registration(sw+":b", memID(a.reg.MemID))
	e.expect(0, p, fd, q)
	// b has no mapping of its own: it uses that of a.
	own := e.mapPort(p, fd, sw+":b", decode[abi.Register](e, q))
	p.munmap(own.base)
	b := *own
	b.base = a.base
	for i := range b.tx {
		b.tx[i].port, b.rx[i].port = &b, &b
	}
	p.close(a.fd)
	b.tx[0].send(flood(1))
	peer.rx[0].receives(flood(1))
	peer.tx[0].send(flood(2))
	b.polls(unix.POLLIN, unix.POLLIN)
	b.rx[0].receives(flood(2))
}

func cls09(e *env) {
	d, err := startDaemon(nil)
	e.must(err)
	e.Cleanup(d.kill)
	own := &env{T: e.T, half: e.half, daemon: d}
	p, sw := own.program(), own.vale()
	a, b := own.openPort(p, sw+":a", slots(32, 32)), own.openPort(p, sw+":b", slots(32, 32))
	a.tx[0].send(flood(1))
	if re := p.poll(b.fd, unix.POLLIN, patience); re != unix.POLLIN {
		e.Errorf("poll reports %#x, want POLLIN", re)
	}
	waiting := make(chan int16)
	other := own.openPort(own.program(), sw+":c", slots(32, 32))
	other.quiet(unix.POLLIN)
	go func() { waiting <- other.p.poll(other.fd, unix.POLLIN, patience) }()
	d.kill()
	if re := <-waiting; re != unix.POLLERR {
		e.Errorf("a poll under way when the daemon dies reports %#x, want POLLERR", re)
	}
	own.waitFor("the client to notice", func() error {
		if re := p.poll(b.fd, unix.POLLIN, moment); re != unix.POLLERR {
			return fmt.Errorf("poll reports %#x, want POLLERR", re)
		}
		return nil
	})
	for what, errno := range map[string]unix.Errno{"TXSYNC": p.txsync(a.fd), "RXSYNC": p.rxsync(a.fd)} {
		if errno != unix.EIO {
			e.Errorf("%s without a daemon gives %s, want EIO", what, errnoName(errno))
		}
	}
	s := b.rx[0].slot(0)
	if got := b.rx[0].buf(s.BufIdx, int(s.Len)); string(got) != string(flood(1)) {
		e.Errorf("the frame in the ring is % x", got)
	}
	a.tx[0].put(3, flood(9), 0)
}

// A child is this test binary as a client process of its own.
type child struct {
	e    *env
	cmd  *exec.Cmd
	out  *bufio.Reader
	sock *net.UnixConn
}

// child starts a role (see runRole) with a socket as descriptor 3 and files behind it.
func (e *env) child(role, arg string, files ...*os.File) *child {
	e.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	e.must(err)
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	conn, err := net.FileConn(ours)
	e.must(err)
	c := &child{e: e, sock: conn.(*net.UnixConn), cmd: exec.Command("/proc/self/exe", arg)}
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role, rundir.Env+"="+e.daemon.dir)
	c.cmd.ExtraFiles = append([]*os.File{theirs}, files...)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	e.must(err)
	c.out = bufio.NewReader(out)
	e.must(c.cmd.Start())
	for _, f := range append(files, ours, theirs) {
		_ = f.Close()
	}
	e.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		_ = c.sock.Close()
	})
	return c
}

// pass sends a descriptor.
func (c *child) pass(fd int) {
	c.e.Helper()
	_, _, err := c.sock.WriteMsgUnix([]byte{0}, unix.UnixRights(fd), nil)
	c.e.must(err)
}

// says waits for a word.
func (c *child) says(want string) {
	c.e.Helper()
	line, err := c.out.ReadString('\n')
	if line != want+"\n" {
		c.e.Fatalf("the child says %q (%v), want %q", line, err, want)
	}
}
