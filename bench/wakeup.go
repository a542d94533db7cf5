package main

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap"
)

// How long it takes until a client that sleeps runs again. Who sends sleeps itself, so that one CPU will do for both ends:
// it wakes by a timer, leaves the time in what it sends, and goes to sleep again.

// wakeGap is the time between two messages; the receiver has long gone to sleep again.
const wakeGap = 300 * time.Microsecond

// wakeSlots is the size of the rings. The first frame that comes into a buffer waits until the kernel, and in a virtual machine
// the one below, has found a page for it, which is no part of a wake-up: so the buffers are few, and the first lap is left out.
const wakeSlots = 64

// stampAt is where in a frame the time is.
const stampAt = 14

func wakeUp(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{poll: true})
	if err != nil {
		return nil, err
	}
	// Not a thread that is locked to its goroutine: Go would wake another one first.
	rx, err := h.role(roleSpec{Role: "woken", Dir: d.dir, Ports: []string{"vale0:r"}, Slots: wakeSlots}, h.cpu.last(), "")
	if err != nil {
		return nil, err
	}
	if err := h.wake(d); err != nil {
		return nil, err
	}
	return rx.result(h.ctx)
}

// wake has a program in C send to the one that sleeps, for the length of a measurement. Go's scheduler has more to do when its
// last goroutine goes to sleep, on a CPU that somebody else waits for.
func (h *harness) wake(d *daemon) error {
	if _, err := h.program("waker", true, h.cpu.clients[:1], d, "vale0:s", fmt.Sprint(wakeGap.Nanoseconds())); err != nil {
		return err
	}
	return h.wait(h.o.dur)
}

// bareWakeUp is the same without netmapd.
func bareWakeUp(h *harness) (sample, error) {
	c := h.cpu
	return h.timed(roleSpec{Role: "eventfd", CPUs: []int{c.clients[0], c.last()[0], c.lcore}}, c.all())
}

// roleWoken sleeps until frames come and tells how old they are.
func roleWoken(s *roleSpec) (sample, error) {
	d, err := open(s, 0)
	if err != nil {
		return nil, err
	}
	if err := teach(d, receiverMAC(0), 0); err != nil {
		return nil, err
	}
	amReady()
	t := trips{skip: wakeSlots}
	for t.more() {
		re, err := d.PollTimeout(pollTime, netmap.PollIn)
		now := lcore.Cycles()
		if err != nil || re&netmap.PollErr != 0 {
			return nil, fmt.Errorf("poll says %#x: %w", re, err)
		}
		if re != 0 {
			r := d.RxRings()[0]
			t.since(binary.NativeEndian.Uint64(r.Frame(r.Head())[stampAt:]), now)
			take(r)
		}
	}
	return t.sample()
}

// since adds the time from one reading of the TSC to another.
func (t *trips) since(then, now uint64) {
	t.add(time.Duration(float64(now-then) * 1e9 / float64(lcore.TSCHz())))
}

// roleEventfd has a sender, a relay and a reader; CPUs are theirs, the relay's the last.
func roleEventfd(s *roleSpec) (sample, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	var word padded
	seen, one := uint64(0), binary.NativeEndian.AppendUint64(nil, 1)
	go relay(s.CPUs[2], func() {
		if v := word.v.Load(); v != seen {
			seen = v
			_, _ = unix.Write(fd, one)
		}
	})
	go func() {
		_ = settle(s.CPUs[0])
		for gap := unix.NsecToTimespec(int64(wakeGap)); ; word.v.Store(lcore.Cycles()) {
			_ = unix.Nanosleep(&gap, nil)
		}
	}()
	if err := settle(s.CPUs[1]); err != nil {
		return nil, err
	}
	defer runtime.UnlockOSThread()
	amReady()
	t := trips{skip: wakeSlots}
	var b [8]byte
	for t.more() {
		if _, err := unix.Read(fd, b[:]); err != nil {
			return nil, fmt.Errorf("read an eventfd: %w", err)
		}
		t.since(word.v.Load(), lcore.Cycles())
	}
	return t.sample()
}
