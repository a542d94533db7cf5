package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Clients that connect and say nothing, or begin and do not go on. On a
// SOCK_SEQPACKET socket half a message is a message, and refused as such.
func TestStopsInTheMiddle(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	var idle []*rawConn
	for i := range 100 {
		c, err := dialRaw(d.dir)
		must(t, err)
		idle = append(idle, c)
		if i%2 == 0 {
			must(t, c.send(sessionMessage()[:i%wireHeader], i32fd(t)))
		}
	}
	s, err := openRawSession(d.dir) // a session without a descriptor
	must(t, err)
	stopped := d.startChild(t, "hold", "vale0:stopped")
	stopped.expect(t, "ready")
	must(t, stopped.cmd.Process.Signal(syscall.SIGSTOP))
	w.progress(t)
	// Others get whatever they ask for meanwhile.
	other := d.open(t, "vale0:other")
	must(t, other.Close())
	for _, c := range idle {
		c.close()
	}
	s.close()
	stopped.kill()
	w.undisturbed(t)
}

const wireHeader = 16

// i32fd is some descriptor that is of no use to the daemon.
func i32fd(t *testing.T) int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// A client that reads neither its rings nor its answers.
func TestNeverReads(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)

	t.Run("rings", func(t *testing.T) {
		p := d.openRaw(t, "vale0:deaf", allRings())
		defer p.close()
		sender := d.open(t, "vale0:sender")
		var buf [frameLen]byte
		const n = 5000
		for i := range uint64(n) {
			for !sender.TxRings()[0].Send(frame(buf[:], 0xff, 1, i)) {
				must(t, await(sender, 0x4))
			}
		}
		must(t, sender.Flush(limited(t)))
		s := d.snapshot(t)
		deaf, from := portStats(t, s, "vale0:deaf"), portStats(t, s, "vale0:sender")
		room := uint64(p.bind.RxSlots - 1)
		if from.GetTx().GetFrames() != n || deaf.GetRx().GetFrames() != room || deaf.GetDrops()["ring_full"] != n-room {
			t.Errorf("%d frames sent to a ring with room for %d: %v", n, room, deaf)
		}
		must(t, sender.Close())
	})
	books(t, d, "vale0")

	t.Run("answers", func(t *testing.T) {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		filled := fill(pair[1], make([]byte, 1024))
		if filled == 0 {
			t.Fatal("the socket takes nothing")
		}
		conn, err := dialRaw(d.dir)
		must(t, err)
		defer conn.close()
		before := strings.Count(d.log.String(), "attach request not answered")
		for range 50 {
			must(t, conn.send(joinMessage(1), pair[1]))
		}
		a, err := conn.request(joinMessage(1)) // handled after the others
		must(t, err)
		if unix.Errno(a.Errno) != unix.ENOTCONN {
			t.Errorf("the connection does not go on: %v %s", unix.Errno(a.Errno), a.text)
		}
		n := 0
		waitFor(t, "a line in the log, which comes on another way than the answer", func() error {
			if n = strings.Count(d.log.String(), "attach request not answered") - before; n == 0 {
				return errors.New("none is there")
			}
			return nil
		})
		if n != 1 {
			t.Errorf("%d lines in the log about 50 answers that one connection did not take, want 1", n)
		}
		_ = unix.Close(pair[0])
		_ = unix.Close(pair[1])
	})

	t.Run("anything", func(t *testing.T) {
		// It never waits for answers, so its own requests pile up.
		conn, err := dialRaw(d.dir)
		must(t, err)
		defer conn.close()
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		for range 2000 {
			must(t, conn.send(joinMessage(1), pair[1]))
		}
		_ = unix.Close(pair[0])
		_ = unix.Close(pair[1])
		w.progress(t)
	})
	w.undisturbed(t)
}

// fill writes until no more goes in and says how often that was.
func fill(fd int, b []byte) (n int) {
	for n = 0; unix.Sendto(fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil) == nil; n++ {
	}
	return n
}

// kill -9 at any instant while sending: every frame is accounted for, and what
// the process held comes back.
func TestKillWhileSending(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	receiver := d.startChild(t, "sink", "vale0:sink", "0s")
	receiver.expect(t, "ready")
	for range 20 {
		c := d.startChild(t, "flood", "vale0:flood", "2", "1", "0")
		c.expect(t, "ready")
		c.say(t, "go")
		c.expect(t, "sending")
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // any instant will do
		c.kill()
	}
	w.progress(t)
	receiver.expect(t, "receiving")
	var c counts
	receiver.ask(t, "end", &c)
	receiver.end(t)
	w.undisturbed(t)
	books(t, d, "vale0")
	if rx := portStats(t, d.snapshot(t), "vale0:sink").GetRx().GetFrames(); rx != c.Received {
		t.Errorf("the receiver got %d frames, the daemon says %d", c.Received, rx)
	}
}

// kill -9 while receiving: likewise, and the sender goes on.
func TestKillWhileReceiving(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	sender := d.startChild(t, "flood", "vale0:flood", "2", "1", "0")
	sender.expect(t, "ready")
	sender.say(t, "go")
	for range 20 {
		c := d.startChild(t, "sink", "vale0:sink", "0s")
		c.expect(t, "ready")
		c.expect(t, "receiving")
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		c.kill()
	}
	w.progress(t)
	sender.kill()
	w.undisturbed(t)
	books(t, d, "vale0")
}

// Two processes on one descriptor's port, killed in every order, inside syncs:
// the busy word of a dead process does not block the living one.
func TestKillInsideSync(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	p := d.openRaw(t, "vale0:shared", allRings())
	session, err := openRawSession(d.dir)
	must(t, err)
	a, err := p.request(joinMessage(session.Token))
	must(t, err)
	if a.Errno != 0 {
		t.Fatalf("join: %s", a.text)
	}
	if !p.txBlock.Enter(session.ID) {
		t.Fatal("the ring is busy")
	}
	session.close() // dies inside a sync
	waitFor(t, "the busy word to be cleared", func() error {
		if !p.txBlock.Enter(p.session.ID) {
			return errors.New("the ring is still busy")
		}
		return nil
	})
	a.close()
	p.close()
	w.undisturbed(t)
}

// A client takes O_NONBLOCK off everything it was given and fills it: the
// daemon never waits for any of it.
func TestBlockingDescriptors(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	c := d.startChild(t, "blocker", "vale0:blocker")
	c.expect(t, "ready")
	sender := d.open(t, "vale0:sender")
	// Every frame makes the daemon want to wake the blocker, should that have had the CPU to ask for it.
	const least, most, wanted = 3000, 300_000, 10
	var its struct{ Woken int }
	var buf [frameLen]byte
	for i := uint64(0); i < least || i < most && its.Woken < wanted; i++ {
		for !sender.TxRings()[0].Send(frame(buf[:], 0xff, 1, i)) {
			must(t, await(sender, 0x4))
		}
		if i%10 == 0 {
			must(t, sender.TxSync())
		}
		if i%500 == 0 {
			w.progress(t)
			c.ask(t, "woken", &its)
		}
	}
	must(t, sender.Flush(limited(t)))
	if its.Woken < wanted {
		t.Errorf("the daemon tried to wake the blocker %d times, want a number of times", its.Woken)
	}
	// The daemon can still bind and unbind ports of others, and of the blocker.
	must(t, d.open(t, "vale0:other").Close())
	must(t, sender.Close())
	c.kill()
	w.undisturbed(t)
}

// blocker (port) makes everything it was given block and fills it, in both
// directions where there are two, and keeps asking to be woken.
func blocker(k *talk) error {
	p, err := openRaw(runtimeDir(), k.args[0], allRings())
	if err != nil {
		return err
	}
	for _, fd := range []int{p.fd, p.session.fd, p.session.kick, p.regionFD, p.syncFD, p.wakeFD, p.hangupFD} {
		fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, fl&^unix.O_NONBLOCK)
		}
		if err != nil {
			return fmt.Errorf("clear O_NONBLOCK: %w", err)
		}
	}
	// An eventfd blocks writers at its largest value.
	full := []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if _, err := unix.Write(p.session.kick, full); err != nil {
		return fmt.Errorf("fill the kick: %w", err)
	}
	// Whether the daemon's end takes anything or refuses it all, it is full then.
	fill(p.hangupFD, []byte("to the daemon, which never reads it"))
	k.say("ready")
	woken := 0
	for {
		select {
		case line := <-k.lines:
			if line == "" {
				return nil
			}
			if err := k.sayJSON(struct{ Woken int }{woken}); err != nil {
				return err
			}
		default:
		}
		// The daemon clears the mark as it wakes us, and we never look at the event.
		p.rxBlock.ArmClient(abi.AskDescriptor)
		p.txBlock.ArmClient(abi.AskDescriptor)
		time.Sleep(50 * time.Microsecond)
		if p.rxBlock.TakeClientMark() == 0 {
			woken++
		}
		// A reader that is never there, but always makes room.
		_, tail := p.rxBlock.LoadDaemon()
		p.rxBlock.PublishClient(tail, tail)
	}
}

// A client that kicks without reason or end, shuts down what the daemon would hang up, and
// drains the kick that the daemon watches.
func TestKickStorm(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	p := d.openRaw(t, "vale0:storm", allRings())
	must(t, unix.Shutdown(p.hangupFD, unix.SHUT_RDWR))
	sender := d.open(t, "vale0:sender")
	var buf [frameLen]byte
	for i := range uint64(20_000) {
		p.wakeDaemon()
		if i%3 == 0 {
			var b [8]byte
			_, _ = unix.Read(p.session.kick, b[:])
		}
		if i%100 == 0 {
			p.rxBlock.ArmClient(abi.AskDescriptor)
			sender.TxRings()[0].Send(frame(buf[:], 0xff, 1, i))
			must(t, sender.TxSync())
		}
	}
	w.progress(t)
	must(t, sender.Close())
	p.close()
	w.undisturbed(t)
	books(t, d, "vale0")
}

// A client that punches holes into its memory, maps it read-only, unmaps it,
// and tries to make it smaller, larger or differently sealed.
func TestHoles(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	p := d.openRaw(t, "vale0:holes", allRings())
	sender := d.open(t, "vale0:sender")
	var buf [frameLen]byte
	seq := uint64(0)
	traffic := func() {
		t.Helper()
		for range 50 {
			sender.TxRings()[0].Send(frame(buf[:], 0xff, 1, seq))
			seq++
		}
		must(t, sender.Flush(limited(t)))
		head := (p.txBlock.LoadHead() + 10) % p.bind.TxSlots
		p.publish(head, head)
		_, tail := p.rxBlock.LoadDaemon()
		if tail < p.bind.RxSlots {
			p.rxBlock.PublishClient(tail, tail)
		}
	}
	traffic()
	for name, fd := range map[string]int{"region": p.regionFD, "sync blocks": p.syncFD} {
		var st unix.Stat_t
		must(t, unix.Fstat(fd, &st))
		// The size and the seals are not the client's to change.
		for what, err := range map[string]error{
			"truncate":      unix.Ftruncate(fd, 0),
			"shrink a page": unix.Ftruncate(fd, st.Size-4096),
			"grow":          unix.Ftruncate(fd, st.Size+4096),
			"grow by writing": func() error {
				_, err := unix.Pwrite(fd, []byte{1}, st.Size)
				return err
			}(),
			"seal writes":        seal(fd, unix.F_SEAL_WRITE),
			"seal future writes": seal(fd, unix.F_SEAL_FUTURE_WRITE),
			"seal":               seal(fd, unix.F_SEAL_SEAL),
			"open with O_TRUNC": func() error {
				n, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_TRUNC|unix.O_CLOEXEC, 0)
				if err == nil {
					_ = unix.Close(n)
				}
				return err
			}(),
		} {
			if !errors.Is(err, unix.EPERM) {
				t.Errorf("%s: %s: %v, want EPERM", name, what, err)
			}
		}
		for range 20 {
			must(t, unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, st.Size))
			traffic()
		}
		ro, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ, unix.MAP_SHARED)
		must(t, err)
		traffic()
		must(t, unix.Munmap(ro))
		must(t, unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 8192))
		traffic()
	}
	w.progress(t)
	must(t, sender.Close())
	p.close() // unmaps everything while the daemon still uses it
	w.undisturbed(t)
	books(t, d, "vale0")
}

func seal(fd, seals int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	return err
}

// Clients that overwrite everything in a region that they share with others:
// the others' objects and the pools are as before when they are gone, whatever
// the slots said at the end.
func TestBuffersReturn(t *testing.T) {
	d := startDaemon(t)
	global := abi.Register{Mode: abi.ModeAllNIC, MemID: abi.MemIDGlobal}
	keeper := d.openRaw(t, "vale0:keeper", global)
	w := d.watch(t)
	for name, word := range map[string]func(p *rawPort, i uint32) abi.Word{
		"vale0:zero":    func(*rawPort, uint32) abi.Word { return 0 },
		"vale0:same":    func(p *rawPort, _ uint32) abi.Word { return p.tx.Load(0) },
		"vale0:outside": func(*rawPort, uint32) abi.Word { return abi.MakeWord(1<<32-1, 60, 0) },
		"vale0:random":  func(p *rawPort, _ uint32) abi.Word { return abi.MakeWord(p.bind.BufCount+rand.Uint32N(1000), 60, 0) },
	} {
		reg := global
		reg.ExtraBufs = 100
		p := d.openRaw(t, name, reg)
		for i := range p.tx.Num() {
			p.tx.Store(i, word(p, i))
		}
		for i := range p.rx.Num() {
			p.rx.Store(i, word(p, i))
		}
		p.close()
	}
	w.undisturbed(t)
	keeper.close()
}
