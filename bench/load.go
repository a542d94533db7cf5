package main

import (
	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap"
)

// A load keeps the lcore half busy: bursts of frames between two ports, of the thread that measures something else
// meanwhile and calls tick again and again.
type load struct {
	tx, rx *netmap.Desc
	f      *flooder
	every  uint64 // TSC cycles from burst to burst
	next   uint64
}

const loadBurst = 32

// newLoad finds out how long the lcore needs for a burst: half of the time to the next one.
func newLoad(s *roleSpec, from, to int) (*load, error) {
	l := &load{}
	var err error
	if l.rx, err = open(s, to); err != nil {
		return nil, err
	}
	if err := teach(l.rx, receiverMAC(9), 0); err != nil {
		return nil, err
	}
	if l.tx, l.f, err = end(s, from, receiverMAC(9), senderMAC(9)); err != nil {
		return nil, err
	}
	const tries = 200
	var took []float64
	for range tries {
		t, _, err := cycle(l.tx, l.rx, l.f, loadBurst)
		if err != nil {
			return nil, err
		}
		took = append(took, float64(t))
	}
	l.every = 2 * uint64(median(took))
	return l, nil
}

// tick sends the next burst when it is time, and takes what has come. It waits for nothing.
func (l *load) tick() error {
	if l == nil || lcore.Cycles() < l.next {
		return nil
	}
	l.next = lcore.Cycles() + l.every
	if err := l.rx.RxSync(); err != nil {
		return err
	}
	take(l.rx.RxRings()[0])
	if l.f.Space() >= loadBurst {
		l.f.fill(loadBurst)
	}
	_, err := l.tx.PollTimeout(0, netmap.PollOut)
	return err
}

// roundTripUnder is roundTrip by one thread, under load.
func roundTripUnder(spec daemonSpec) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		d, err := h.daemon(spec)
		if err != nil {
			return nil, err
		}
		p, err := h.role(roleSpec{Role: "pingself", Dir: d.dir, Ports: []string{"vale0:a", "vale0:b", "vale0:c", "vale0:d"}, Size: 60, Load: true}, h.cpu.clients, "")
		if err != nil {
			return nil, err
		}
		i, err := h.over(d, h.o.dur)
		if err != nil {
			return nil, err
		}
		s, err := p.result(h.ctx)
		if err == nil {
			s["busy"] = 100 * i.busy / (i.busy + i.idle)
		}
		return s, err
	}
}

// adaptiveRoundTrip is roundTrip by one thread, without load, of an lcore that may sleep.
func adaptiveRoundTrip(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{})
	if err != nil {
		return nil, err
	}
	return h.timed(roleSpec{Role: "pingself", Dir: d.dir, Ports: []string{"vale0:a", "vale0:b"}, Size: 60}, h.cpu.clients)
}
