package netmap

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// LoopConfig shapes SyncLoop (NC E.10).
type LoopConfig struct {
	// Sleep lies between two rounds where not every ring has a Kick; at most a
	// second, and 0 only yields the CPU.
	Sleep time.Duration

	// Kick and Irq are eventfds, one for each bound ring, TX rings first, or none at
	// all. Negative ones are none. With a Kick for every ring the loop sleeps until
	// one of them is written, or a ring changes.
	Kick, Irq []int

	// Mode has bits abi.KloopDirectTx and abi.KloopDirectRx, for which every ring
	// needs its Kick if there are any. This loop serves all rings in one way.
	Mode uint32
}

// How SyncLoop waits.
const (
	loopRest  = 3000 // milliseconds (NC E.10)
	loopTurns = 256  // without anything to do, before it rests
)

// SyncLoop is the core of a descriptor in CSB mode: it moves what the program
// publishes in its arrays, in the caller's goroutine, until StopSyncLoop is called
// from another, or by another process. A stop that came before ends it at once.
// EINVAL: no CSB mode, or a wrong configuration; EBUSY: it runs already; EBADF: an
// eventfd that is none; EIO: the port or the daemon is gone.
func (d *Desc) SyncLoop(c LoopConfig) error {
	l, err := d.newLoop(&c)
	if err != nil {
		return err
	}
	defer l.block.EndLoop()
	if err := l.configure(&c); err != nil {
		return err
	}
	defer l.wantKicks(1)
	return l.run()
}

// StopSyncLoop ends the sync loop and waits until it has ended; where none runs,
// the next one ends at once.
func (d *Desc) StopSyncLoop(ctx context.Context) error {
	rings := d.rings()
	if d.gone() {
		return d.goneError("stop the sync loop of")
	}
	if len(rings) == 0 {
		return nil
	}
	b := rings[0].blk
	b.StopLoop()
	if !b.LoopRuns() {
		return nil
	}
	// The daemon wakes it, in whatever process it runs.
	_, _ = d.control(ctx, abi.ReqSyncKloopStop, "", nil)
	for b.LoopRuns() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Microsecond):
		}
	}
	return nil
}

// rings are the bound ones, TX rings first.
func (d *Desc) rings() []*Ring { return append(append([]*Ring{}, d.tx...), d.rx...) }

// hwcur is the first slot that was not taken yet.
func (r *Ring) hwcur() uint32 {
	b := r.blk
	if r.isDirect() {
		b = r.peer.blk
	}
	hwcur, _ := b.LoadDaemon()
	return hwcur
}

// loop is one call of SyncLoop. The C library does the same (clib/src/kloop.c).
type loop struct {
	d     *Desc
	block *abi.SyncBlock // of the first ring: what all processes know of the mode
	legs  []leg
	fds   []unix.PollFd // the kicks, and the wake descriptor; nil: sleep mode
	sleep time.Duration
}

// leg is one ring on the bridge between the program's arrays and its sync block.
type leg struct {
	ring      *Ring // whose header is none of the ring: that is the program's in this mode
	app       *CSBApp
	kern      *CSBKern
	irq       int
	head, cur uint32 // as last seen
	fresh     bool   // they were never seen
	bad       bool   // they were refused, and are not looked at again
}

func (d *Desc) newLoop(c *LoopConfig) (*loop, error) {
	const op = "run the sync loop of"
	rings := d.rings()
	switch {
	case c.Sleep < 0 || c.Sleep > abi.KloopMaxSleep*time.Microsecond:
		return nil, &Error{Op: op, Port: d.name, Errno: unix.EINVAL, Text: "it sleeps for at most a second"}
	case d.gone():
		return nil, d.goneError(op)
	case d.served != nil:
		return nil, d.servedError(op)
	case len(rings) == 0 || d.app == nil:
		return nil, &Error{Op: op, Port: d.name, Errno: unix.EINVAL, Text: "it is not in CSB mode; see EnableCSB"}
	case !rings[0].blk.StartLoop(d.session.id):
		return nil, &Error{Op: op, Port: d.name, Errno: unix.EBUSY, Text: "it runs already"}
	}
	l := &loop{d: d, block: rings[0].blk, sleep: c.Sleep}
	for i, r := range rings {
		_, _, rtail := r.blk.Library()
		own := &Ring{
			ring: abi.Ring{RingHeader: &abi.RingHeader{Tail: rtail, OffsetMask: r.ring.OffsetMask}, Slots: r.ring.Slots},
			blk:  r.blk, bufs: r.bufs, n: r.n, dir: r.dir, id: r.id, host: r.host,
			indirect: r.indirect, session: r.session, peer: r.peer,
		}
		l.legs = append(l.legs, leg{ring: own, app: &d.app[i], kern: &d.kern[i], irq: -1, fresh: true})
	}
	return l, nil
}

// configure takes eventfds and mode.
func (l *loop) configure(c *LoopConfig) error {
	refuse := func(errno unix.Errno, format string, args ...any) error {
		return &Error{Op: "run the sync loop of", Port: l.d.name, Errno: errno, Text: fmt.Sprintf(format, args...)}
	}
	if c.Mode&^(abi.KloopDirectTx|abi.KloopDirectRx) != 0 {
		return refuse(unix.EINVAL, "mode %#x has unknown bits", c.Mode)
	}
	if c.Kick == nil && c.Irq == nil {
		return nil
	}
	if len(c.Kick) != len(l.legs) || len(c.Irq) != len(l.legs) {
		return refuse(unix.EINVAL, "%d and %d eventfds for %d rings", len(c.Kick), len(c.Irq), len(l.legs))
	}
	all := true
	for i := range l.legs {
		for _, fd := range []int{c.Kick[i], c.Irq[i]} {
			if errno := isEventfd(fd); errno != 0 {
				return refuse(errno, "descriptor %d is no eventfd", fd)
			}
		}
		l.legs[i].irq = c.Irq[i]
		all = all && c.Kick[i] >= 0
	}
	switch {
	case !all && c.Mode != 0:
		return refuse(unix.EINVAL, "direct mode takes an eventfd to kick with for every ring")
	case !all:
		return nil
	}
	for _, fd := range c.Kick {
		l.fds = append(l.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return l.d.wake.raw.Control(func(fd uintptr) {
		l.fds = append(l.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	})
}

// isEventfd judges a descriptor; negative ones stand for none.
func isEventfd(fd int) unix.Errno {
	if fd < 0 {
		return 0
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return unix.EBADF
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err == nil && link != "anon_inode:[eventfd]" {
		return unix.EINVAL
	}
	return 0 // without /proc nobody can tell
}

func (l *loop) run() error {
	l.wantKicks(0)
	maySpin := l.d.maySpin()
	for dry := 0; !l.block.StopAsked(); {
		if l.d.gone() {
			return l.d.goneError("run the sync loop of")
		}
		var out outcome
		moved := false
		for i := range l.legs {
			if l.legs[i].turn(&out) {
				moved = true
			}
		}
		l.d.after(out)
		dry++
		switch {
		case out&stopped != 0:
			return l.d.goneError("run the sync loop of")
		case l.fds == nil && l.sleep > 0:
			time.Sleep(l.sleep)
		case l.fds == nil:
			runtime.Gosched()
		case moved:
			dry = 0
		case !maySpin || dry >= loopTurns:
			dry = 0
			if err := l.rest(); err != nil {
				return err
			}
		}
	}
	return nil
}

// look takes what the program says: head before cur, which it stores the other
// way round.
func (g *leg) look() (news bool) {
	head := atomic.LoadUint32(&g.app.Head)
	cur := atomic.LoadUint32(&g.app.Cur)
	news = g.fresh || head != g.head || cur != g.cur
	g.head, g.cur, g.fresh = head, cur, false
	if news {
		g.bad = false
	}
	return news
}

// turn does for one ring what a sync call would, and says whether anything moved.
func (g *leg) turn(out *outcome) (moved bool) {
	r := g.ring
	tail, was := r.Tail(), g.kern.HwCur
	news := g.look()
	if g.bad {
		return false
	}
	r.ring.SetUser(g.head, g.cur, tail)
	o := r.sync()
	*out |= o
	if o&bad != 0 {
		g.bad = true
		atomic.StoreUint32(&g.kern.NeedKick, 1)
	}
	// The program must never see HwTail newer than HwCur.
	hwcur, now := r.hwcur(), r.Tail()
	atomic.StoreUint32(&g.kern.HwCur, hwcur)
	atomic.SwapUint32(&g.kern.HwTail, now) // a full barrier
	if now == tail {
		return news || hwcur != was
	}
	// Either the program sees the new tail before it sleeps, or we see that it wants a call.
	if g.irq >= 0 && atomic.LoadUint32(&g.app.NeedKick) != 0 {
		_, _ = unix.Write(g.irq, kickWord[:])
	}
	return true
}

func (l *loop) wantKicks(on uint32) {
	for i := range l.legs {
		if g := &l.legs[i]; on != 0 || !g.bad {
			atomic.SwapUint32(&g.kern.NeedKick, on)
		}
	}
}

// idle, after the marks were set: nothing came in between.
func (l *loop) idle() bool {
	for i := range l.legs {
		g := &l.legs[i]
		_, hwtail := g.ring.blk.LoadDaemon()
		if atomic.LoadUint32(&g.app.Head) != g.head || atomic.LoadUint32(&g.app.Cur) != g.cur ||
			hwtail != g.ring.Tail() || g.ring.hwcur() != g.kern.HwCur {
			return false
		}
	}
	return !l.block.StopAsked() && !l.d.gone()
}

// rest sleeps until the program kicks, a ring changes, or somebody stops the loop.
func (l *loop) rest() error {
	l.wantKicks(1)
	defer l.wantKicks(0)
	for i := range l.legs {
		l.legs[i].ring.blk.ArmClient(abi.AskDescriptor)
	}
	if !l.idle() {
		return nil
	}
	n, err := unix.Poll(l.fds, loopRest)
	if n <= 0 || err != nil {
		return nil //nolint:nilerr // a signal, or the time is over: look again
	}
	var count [8]byte
	last := len(l.fds) - 1
	for _, p := range l.fds[:last] {
		if p.Revents&unix.POLLIN != 0 {
			_, _ = unix.Read(int(p.Fd), count[:])
		}
	}
	if l.fds[last].Revents != 0 {
		return l.d.wake.raw.Control(func(fd uintptr) { l.d.wake.drain(fd) })
	}
	return nil
}

// csbError says why calls that sync are refused.
func (d *Desc) csbError(op string) error {
	return &Error{Op: op, Port: d.name, Errno: unix.EBUSY, Text: "it is in CSB mode, where its sync loop moves the frames"}
}
