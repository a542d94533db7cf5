package conformance

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

var polChecks = []check{
	tests("POL-01", "an unregistered descriptor: POLLERR at once", both, pol01),
	tests("POL-02", "a descriptor in CSB mode: POLLERR", both, pol02),
	tests("POL-03", "TX space: POLLOUT at once", both, pol03),
	tests("POL-04", "a full pipe: POLLOUT waits until the other end releases and syncs", both, pol04),
	tests("POL-05", "TX with cur at tail and head behind: POLLOUT waits until tail moves", both, pol05),
	tests("POL-06", "empty RX: POLLIN waits for a frame", both, pol06),
	tests("POL-07", "unread frames: POLLIN at once, and they stay", both, pol07),
	tests("POL-08", "cur at tail, head behind: POLLIN waits for a new frame", both, pol08),
	tests("POL-09", "pending TX: a poll for POLLIN transmits", both, pol09),
	tests("POL-10", "with NO_TX_POLL it does not, a poll for POLLOUT does", both, pol10),
	tests("POL-11", "a poll for no event transmits", both, pol11),
	tests("POL-12", "released RX slots stay with the program in a poll for POLLOUT", both, pol12),
	tests("POL-13", "a poll with timeout 0 syncs", both, pol13),
	tests("POL-14", "two RX rings: a frame on either wakes", both, pol14),
	tests("POL-15", "bound to one ring: traffic on another is not reported", both, pol15),
	tests("POL-16", "a bad RX ring: POLLERR; it works again afterwards", both, pol16),
	tests("POL-17", "TX and RX wanted, only TX ready: only POLLOUT", both, pol17),
	tests("POL-18", "select on a descriptor in error: readable and writable", cHalf, pol18),
	tests("POL-19", "traffic flowing at the open: a level-triggered receiver never stalls", both, pol19),
	tests("POL-20", "poll with sockets and timers: whichever is ready", cHalf, pol20),
	testsAlone("POL-21", "no wake-up is lost between the check and the sleep", both, pol21),
	tests("POL-22", "a monitor: POLLIN works, POLLOUT is POLLERR", both, pol22),
}

// polls wants a poll to report this, within the tests' patience.
func (d *port) polls(events, want int16) {
	d.e.Helper()
	if re := d.p.poll(d.fd, events, patience); re != want {
		d.e.Errorf("%s: a poll for %#x reports %#x, want %#x", d.name, events, re, want)
	}
}

// quiet wants a poll to report nothing for a moment.
func (d *port) quiet(events int16) {
	d.e.Helper()
	if re := d.p.poll(d.fd, events, moment); re != 0 {
		d.e.Errorf("%s: a poll for %#x reports %#x, want nothing", d.name, events, re)
	}
}

// wakes wants a poll to wait until act has been done, which another program does.
func (d *port) wakes(events, want int16, act func()) {
	d.e.Helper()
	d.quiet(events)
	got := make(chan int16)
	go func() { got <- d.p.poll(d.fd, events, patience) }()
	time.Sleep(moment) // so that it sleeps, most of the time
	act()
	if re := <-got; re != want {
		d.e.Errorf("%s: a poll for %#x reports %#x, want %#x", d.name, events, re, want)
	}
}

// pair opens two ports of one switch by two programs.
func (e *env) pair(wishes ...wish) (a, b *port) {
	e.Helper()
	sw := e.vale()
	return e.openPort(e.program(), sw+":a", wishes...), e.openPort(e.program(), sw+":b", wishes...)
}

// arrives waits until a frame has arrived, for what polls have sent: they do not wait until it was taken.
func (r *ring) arrives(want []byte) {
	r.e.Helper()
	r.polls(unix.POLLIN, unix.POLLIN)
	r.receives(want)
}

func pol01(e *env) {
	p := e.program()
	fd := p.open()
	for _, events := range []int16{unix.POLLIN, unix.POLLOUT, unix.POLLIN | unix.POLLOUT, 0} {
		if re := p.poll(fd, events, patience); re != unix.POLLERR {
			e.Errorf("a poll for %#x reports %#x, want POLLERR", events, re)
		}
	}
}

func pol03(e *env) {
	a, _ := e.pair()
	a.polls(unix.POLLOUT, unix.POLLOUT)
	a.tx[0].send(flood(1))
	a.polls(unix.POLLOUT, unix.POLLOUT)
}

func pol05(e *env) {
	a, b := e.pair(slots(64, 64))
	r := a.tx[0]
	r.put(0, flood(1), 0)
	r.set(0, r.tail())
	a.quiet(unix.POLLOUT)
	b.rx[0].receives()
	r.set(1, r.tail())
	a.polls(unix.POLLOUT, unix.POLLOUT)
	b.rx[0].arrives(flood(1))
}

func pol06(e *env) {
	a, b := e.pair()
	for i := range uint32(5) {
		a.wakes(unix.POLLIN, unix.POLLIN, func() { b.tx[0].send(flood(i)) })
		a.rx[0].receives(flood(i))
	}
}

func pol07(e *env) {
	a, b := e.pair()
	b.tx[0].send(flood(1), flood(2))
	for range 3 {
		a.polls(unix.POLLIN, unix.POLLIN)
		a.rx[0].wants("after a poll", 0, 0, 2)
	}
	if e.half == cHalf { // the synonyms are reported as they were asked for
		const rdnorm, wrnorm = 0x40, 0x100
		a.polls(rdnorm, rdnorm)
		a.polls(unix.POLLIN|rdnorm|unix.POLLPRI, unix.POLLIN|rdnorm)
		a.polls(unix.POLLOUT|wrnorm|rdnorm, unix.POLLOUT|wrnorm|rdnorm)
	}
	a.rx[0].receives(flood(1), flood(2))
}

func pol08(e *env) {
	a, b := e.pair()
	b.tx[0].send(flood(1), flood(2))
	a.polls(unix.POLLIN, unix.POLLIN)
	r := a.rx[0]
	r.set(0, 2)
	a.wakes(unix.POLLIN, unix.POLLIN, func() { b.tx[0].send(flood(3)) })
	r.wants("after a new frame", 0, 2, 3)
	r.receives(flood(1), flood(2), flood(3))
}

func pol09(e *env) {
	a, b := e.pair()
	a.tx[0].fill(flood(1))
	a.quiet(unix.POLLIN)
	b.rx[0].arrives(flood(1))
}

// noImplicitTx wants that polls for POLLIN on a do not transmit to b, and those for POLLOUT do.
func (e *env) noImplicitTx(a, b *port) {
	e.Helper()
	a.tx[0].fill(flood(1))
	for range 3 {
		a.quiet(unix.POLLIN)
		b.rx[0].receives()
	}
	a.quiet(0)
	b.rx[0].receives()
	a.polls(unix.POLLOUT, unix.POLLOUT)
	b.rx[0].arrives(flood(1))
}

func pol10(e *env) {
	a, b := e.pair(flags(abi.FlagNoTxPoll))
	e.noImplicitTx(a, b)
}

func pol11(e *env) {
	a, b := e.pair()
	a.tx[0].fill(flood(1))
	a.quiet(0)
	b.rx[0].arrives(flood(1))
}

func pol12(e *env) {
	a, b := e.pair(slots(16, 16))
	r := a.rx[0]
	for i := range uint32(15) {
		b.tx[0].send(flood(i))
	}
	a.polls(unix.POLLIN, unix.POLLIN)
	r.set(r.tail(), r.tail()) // released, and not synced
	a.polls(unix.POLLOUT, unix.POLLOUT)
	b.tx[0].send(flood(100))
	if full := e.drops(a.name, "ring_full"); full != 1 {
		e.Errorf("%d frames found the ring full, want 1", full)
	}
	r.receives()
	b.tx[0].send(flood(101))
	r.receives(flood(101))
}

func pol13(e *env) {
	a, b := e.pair()
	b.tx[0].send(flood(1))
	a.tx[0].fill(flood(2))
	if re := a.p.poll(a.fd, unix.POLLIN|unix.POLLOUT, 0); re != unix.POLLIN|unix.POLLOUT {
		e.Errorf("a poll with timeout 0 reports %#x, want both", re)
	}
	a.rx[0].wants("RX after a poll with timeout 0", 0, 0, 1)
	b.rx[0].arrives(flood(2))
}

// twoRings is a port with two RX rings and a sender that can reach both: unicast keeps the number of the ring.
func (e *env) twoRings() (a, b *port) {
	e.Helper()
	a, b = e.pair(rings(2, 2))
	a.tx[0].send(frame(broadcast, mac(7), 0)) // so that its address is known
	b.rx[0].receives(frame(broadcast, mac(7), 0))
	return a, b
}

func pol14(e *env) {
	a, b := e.twoRings()
	for i := range uint32(6) {
		k := i % 2
		f := frame(mac(7), mac(8), i)
		a.wakes(unix.POLLIN, unix.POLLIN, func() { b.tx[k].send(f) })
		a.rx[k].receives(f)
	}
}

func pol15(e *env) {
	a, b := e.twoRings()
	d := e.openPort(e.program(), a.name, mode(abi.ModeOneNIC, 0))
	b.tx[1].send(frame(mac(7), mac(8), 1))
	d.quiet(unix.POLLIN)
	d.wakes(unix.POLLIN, unix.POLLIN, func() { b.tx[0].send(frame(mac(7), mac(8), 2)) })
	d.rx[0].receives(frame(mac(7), mac(8), 2))
	a.rx[1].receives(frame(mac(7), mac(8), 1))
}

func pol16(e *env) {
	a, b := e.pair(slots(64, 64))
	b.tx[0].send(flood(1))
	a.polls(unix.POLLIN, unix.POLLIN)
	a.rx[0].set(64, 64)
	if re := a.p.poll(a.fd, unix.POLLIN, patience); re&unix.POLLERR == 0 {
		e.Errorf("a poll with head beyond the ring reports %#x, want POLLERR", re)
	}
	a.rx[0].wants("after the repair", 0, 0, 1)
	a.polls(unix.POLLIN, unix.POLLIN)
	a.rx[0].receives(flood(1))
	a.tx[0].set(0, 64)
	if re := a.p.poll(a.fd, unix.POLLOUT, patience); re&unix.POLLERR == 0 {
		e.Errorf("a poll with cur beyond the ring reports %#x, want POLLERR", re)
	}
	a.tx[0].send(flood(2))
	b.rx[0].receives(flood(2))
}

func pol17(e *env) {
	a, _ := e.pair()
	a.polls(unix.POLLIN|unix.POLLOUT, unix.POLLOUT)
}

func pol18(e *env) {
	d := e.program().(*driver)
	fd := d.open()
	if _, words := d.do("select %d %d", patience.Milliseconds(), fd); words[0] != "1" || words[1] != "1" {
		e.Errorf("select says readable %s, writable %s, want both", words[0], words[1])
	}
	bound := e.openPort(d, e.vale()+":a")
	if _, words := d.do("select %d %d", patience.Milliseconds(), bound.fd); words[0] != "0" || words[1] != "1" {
		e.Errorf("select on an idle port says readable %s, writable %s, want only the second", words[0], words[1])
	}
}

func pol19(e *env) {
	sw, frames := e.vale(), uint32(times(10_000_000, 100_000))
	if e.half == cHalf {
		pol19C(e, sw, frames)
		return
	}
	tx := e.client(sw + ":tx")
	received := make(chan uint32)
	done := make(chan struct{})
	go func() { // traffic, until the receiver has enough
		defer close(done)
		for seq := uint32(0); ; seq++ {
			select {
			case n := <-received:
				if n < frames {
					e.Errorf("%d frames came, then none for %v", n, patience)
				}
				return
			default:
			}
			if !tx.TxRings()[0].Send(flood(seq)) {
				_ = tx.TxSync()
			}
			if seq%64 == 0 {
				_ = tx.TxSync()
				time.Sleep(time.Microsecond)
			}
		}
	}()
	rx := e.client(sw + ":rx")
	n := uint32(0)
	for r := rx.RxRings()[0]; n < frames; {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := rx.Poll(ctx, netmap.PollIn)
		cancel()
		if err != nil {
			break
		}
		n += r.Space()
		r.Advance(r.Tail())
	}
	received <- n
	<-done
}

func pol19C(e *env, sw string, frames uint32) {
	tx, rx := e.program().(*driver), e.program().(*driver)
	a := e.openPort(tx, sw+":tx")
	tx.tell("feed %d %d %d 0 %d 64", a.fd, a.base, a.tx[0].off, frames/2)
	b := e.openPort(rx, sw+":rx")
	rx.drainTo(frames, b, "epoll")
	if errno, words := tx.hear(); errno != 0 {
		e.Fatalf("the sender got no room after %s frames", words[0])
	}
	tx.feedTo(frames/2, frames, a, func() bool { return rx.drained(frames) })
}

func pol20(e *env) {
	d := e.program().(*driver)
	sw := e.vale()
	a, b := e.openPort(d, sw+":a"), e.openPort(e.program(), sw+":b")
	timer := func(ms int) int { return d.number("timer %d", ms) }
	_, socks := d.do("pair")
	left, right := d.atoi(socks[0]), d.atoi(socks[1])
	poll := func(what, want string, limit, t int) {
		e.Helper()
		_, words := d.do("poll %d %d %d %d %d %d %d", limit, a.fd, unix.POLLIN, t, unix.POLLIN, left, unix.POLLIN)
		if got := fmt.Sprint(words); got != want {
			e.Errorf("%s: poll says %s, want %s", what, got, want)
		}
	}
	long := int(patience.Milliseconds())
	never, soon := timer(10*long), timer(20)
	poll("nothing", "[0 0 0 0]", int(moment.Milliseconds()), never)
	poll("a timer", "[1 0 1 0]", long, soon)
	b.tx[0].send(flood(1))
	poll("a frame", "[1 1 0 0]", long, never)
	a.rx[0].receives(flood(1))
	d.do("write %d", right)
	poll("a socket", "[1 0 0 1]", long, never)
	b.tx[0].send(flood(2))
	poll("a frame and a socket", "[2 1 0 1]", long, never)
	pol20Epoll(e)
}

// pol20Epoll is an event loop with two ports, traffic at which flows before it begins.
func pol20Epoll(e *env) {
	e.Helper()
	d, frames := e.program().(*driver), uint32(times(1_000_000, 100_000))
	var feeders [2]*driver
	var in, out [2]*port
	for i := range in {
		sw := e.vale()
		feeders[i] = e.program().(*driver)
		out[i] = e.openPort(feeders[i], sw+":tx")
		feeders[i].tell("feed %d %d %d 0 %d 64", out[i].fd, out[i].base, out[i].tx[0].off, frames/4)
		in[i] = e.openPort(d, sw+":rx")
	}
	d.tell("mix %d %d %d %d %d %d %d", in[0].fd, in[0].base, in[0].rx[0].off, in[1].fd, in[1].base, in[1].rx[0].off, frames)
	done := make(chan []string, 1)
	go func() {
		_, words := d.hear()
		done <- words
	}()
	for i := range feeders {
		feeders[i].hear()
	}
	for over := false; !over; {
		for i := range feeders {
			feeders[i].do("feed %d %d %d 0 1000 64", out[i].fd, out[i].base, out[i].tx[0].off)
		}
		select {
		case words := <-done:
			over = true
			a, b, ticks, bytes := d.atoi(words[0]), d.atoi(words[1]), d.atoi(words[2]), d.atoi(words[3])
			if a == 0 || b == 0 || ticks == 0 || bytes == 0 || words[4] != "0" {
				e.Errorf("%d and %d frames, %d ticks, %d bytes, %s stalls; want some of each and no stall", a, b, ticks, bytes, words[4])
			}
		default:
		}
	}
}

func pol21(e *env) {
	sw, rounds := e.vale(), times(1_000_000, 100_000)
	if e.half == cHalf {
		one, two := e.program().(*driver), e.program().(*driver)
		a, b := e.openPort(one, sw+":a"), e.openPort(two, sw+":b")
		one.tell("echo first %d %d %d %d %d", a.fd, a.base, a.tx[0].off, a.rx[0].off, rounds)
		two.tell("echo second %d %d %d %d %d", b.fd, b.base, b.tx[0].off, b.rx[0].off, rounds)
		for _, d := range []*driver{one, two} {
			if errno, words := d.hear(); errno != 0 {
				e.Errorf("a wake-up was lost in round %s: %s", words[0], errnoName(errno))
			}
		}
		return
	}
	a, b := e.client(sw+":a"), e.client(sw+":b")
	errs := make(chan error)
	echo := func(d *netmap.Desc, first bool) {
		tx, rx := d.TxRings()[0], d.RxRings()[0]
		for i := range rounds {
			for step := range 2 {
				if (step == 0) == first {
					tx.Send(flood(uint32(i)))
					_ = d.TxSync()
					continue
				}
				for rx.Empty() {
					if re, err := d.PollTimeout(patience, netmap.PollIn); re == 0 || err != nil {
						errs <- fmt.Errorf("a wake-up was lost in round %d: %w", i, err)
						return
					}
				}
				rx.Advance(rx.Next(rx.Head()))
			}
		}
		errs <- nil
	}
	go echo(a, true)
	go echo(b, false)
	for range 2 {
		e.must(<-errs)
	}
}
