package port_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
)

// frames makes n frames that differ.
func frames(n, from int) (out [][]byte) {
	for i := range n {
		out = append(out, frame(2, 1, 60+(from+i)%200, from+i))
	}
	return out
}

// Frames flow both ways, in order, whatever the pipe hangs on, and the lcores have no part in it.
func TestPipeBothWays(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	for _, parent := range []string{"netmap:p", "vale0:a", "vale1:x"} {
		t.Run(parent, func(t *testing.T) {
			m, s := b.open(parent+"{1"), b.open(parent+"}1")
			if m.Region() != s.Region() {
				t.Errorf("the ends live in regions %d and %d", m.Region().ID(), s.Region().ID())
			}
			for round := range 40 { // several times around the ring
				sent := frames(60, round*60)
				publish(t, m, sent)
				same(t, receive(t, s, len(sent)), sent)
				publish(t, s, sent)
				same(t, receive(t, m, len(sent)), sent)
			}
		})
	}
	for _, l := range b.snapshot().Lcores {
		if l.Packets != 0 {
			t.Errorf("an lcore moved %d packets", l.Packets)
		}
	}
}

// publish sends frames when there is room, without waiting until they are read as send does.
func publish(t *testing.T, d *netmap.Desc, all [][]byte) {
	t.Helper()
	for _, f := range all {
		for !d.TxRings()[0].Send(f) {
			_, err := d.Poll(limited(t), netmap.PollOut)
			must(t, err)
		}
	}
	must(t, d.TxSync())
}

// A full pipe keeps what it has, and a blocked sender is woken by the release. A blocked receiver is woken by a frame.
func TestPipeBlocks(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	m, s := b.open("netmap:p{1@conf:slots=8"), b.open("netmap:p}1")
	sent := frames(7, 0)
	publish(t, m, sent)
	if m.TxRings()[0].Space() != 0 {
		t.Fatalf("%d slots are free in a full pipe", m.TxRings()[0].Space())
	}
	if re, err := m.PollTimeout(20*time.Millisecond, netmap.PollOut); re != 0 || err != nil {
		t.Fatalf("a full pipe: %v, %v", re, err)
	}
	woken := make(chan error, 1)
	go func() {
		_, err := m.Poll(limited(t), netmap.PollOut)
		woken <- err
	}()
	b.eventually("the sender to sleep", func() bool { return m.Stats().Waits >= 2 })
	same(t, receive(t, s, 7), sent)
	must(t, <-woken)

	got := make(chan [][]byte, 1)
	waits := s.Stats().Waits
	go func() { got <- receive(t, s, 1) }()
	b.eventually("the receiver to sleep", func() bool { return s.Stats().Waits > waits })
	publish(t, m, frames(1, 99))
	same(t, <-got, frames(1, 99))
}

// An end that closes and comes back goes on where it was; once both are closed everything is gone.
func TestPipeComesBack(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	m := b.open("netmap:p{1")
	sent := frames(10, 0)
	publish(t, m, sent)
	s := b.open("netmap:p}1")
	same(t, receive(t, s, 10), sent)
	publish(t, m, sent)
	same(t, receive(t, s, 4), sent[:4])
	b.close(s)
	s = b.open("netmap:p}1")
	same(t, receive(t, s, 6), sent[4:])
	b.close(m)
	m = b.open("netmap:p{1")
	publish(t, m, sent)
	b.close(m)
	same(t, receive(t, s, 10), sent)
	b.close(s)
	if names := b.names(); names != "" {
		t.Errorf("ports are left: %s", names)
	}
	s = b.open("netmap:p}1")
	nothing(t, s)
}

// In whatever order ends and parent are opened and closed, nothing is left, and no buffer lost.
func TestPipeCloseOrders(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	names := []string{"vale0:p", "vale0:p{1", "vale0:p}1", "vale0:p{2", "vale0:p}2"}
	orders := permutations(len(names))
	for n, order := range orders {
		if testing.Short() && n%7 != 0 {
			continue
		}
		var open []*port.Desc
		opened := orders[(n*37+11)%len(orders)]
		for _, i := range opened {
			d, err := b.reg.Register(limited(t), us, names[i], &abi.Register{Mode: abi.ModeAllNIC, TxSlots: 8, RxSlots: 8, MemID: abi.MemIDGlobal})
			must(t, err)
			open = append(open, d)
		}
		for _, i := range order {
			must(t, open[i].Close(limited(t)))
		}
		if left := b.names(); left != "" {
			t.Fatalf("opened as %v, closed as %v: %s left", opened, order, left)
		}
		if r := b.region(abi.MemIDGlobal); r.Buf.Free != r.Buf.Total || r.Ring.Free != r.Ring.Total || r.If.Free != r.If.Total {
			t.Fatalf("opened as %v, closed as %v: lost %+v", opened, order, r)
		}
	}
}

func permutations(n int) (all [][]int) {
	var extend func(p []int)
	extend = func(p []int) {
		if len(p) == n {
			all = append(all, append([]int{}, p...))
			return
		}
		for i := range n {
			if !strings.Contains(fmt.Sprint(p), fmt.Sprint(i)) {
				extend(append(p, i))
			}
		}
	}
	extend(nil)
	return all
}

// The limits and refusals of NC E.7.
func TestPipeRefusals(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	open := func(name string, mode uint32, flags uint64) error {
		_, err := b.register(name, &abi.Register{Mode: mode, Flags: flags, TxSlots: 4, RxSlots: 4})
		return err
	}
	fails(t, open("p{1", abi.ModeNICSW, 0), unix.EINVAL)
	fails(t, open("p{1", abi.ModeSW, 0), unix.EINVAL)
	if left := b.names(); left != "" {
		t.Fatalf("%s left", left)
	}
	must(t, open("p{1", abi.ModeAllNIC, abi.FlagExclusive))
	fails(t, open("p{1", abi.ModeAllNIC, 0), unix.EBUSY)
	must(t, open("p}1", abi.ModeAllNIC, 0))
	fails(t, open("p", abi.ModeAllNIC, 0), unix.ENXIO, "pipes")
	for i := 2; i <= 64; i++ {
		must(t, open(fmt.Sprintf("p}%02d", i), abi.ModeAllNIC, 0))
	}
	fails(t, open("p{65", abi.ModeAllNIC, 0), unix.EINVAL, "64")
	must(t, open("q{1", abi.ModeAllNIC, 0))
	must(t, open("q{01", abi.ModeAllNIC, abi.FlagExclusive)) // another one
}
