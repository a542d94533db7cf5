package main

import (
	"fmt"
	"time"

	"github.com/netmapd/netmapd/netmap"
)

// turns is how many round trips are timed at most; warmup are not.
const (
	turns    = 400_000
	warmup   = 200
	lostTime = time.Second
)

// trips collects the times of trips; the first skip are left out.
type trips struct {
	us   []float64
	n    int
	skip int
}

func (t *trips) add(d time.Duration) {
	if t.n++; t.n > t.skip {
		t.us = append(t.us, 1e6*d.Seconds())
	}
}

func (t *trips) more() bool { return !stopped.Load() && t.n < turns }

func (t *trips) sample() (sample, error) {
	if len(t.us) < 100 {
		return nil, fmt.Errorf("only %d trips", len(t.us))
	}
	return sample{"p50": quantile(t.us, 0.5), "p99": quantile(t.us, 0.99), "p999": quantile(t.us, 0.999)}, nil
}

// hop sends one frame on a port; the next poll or sync publishes it.
func hop(d *netmap.Desc, f *flooder) error {
	if f.Space() == 0 { // everything earlier was taken: one look shows it
		if err := d.TxSync(); err != nil {
			return err
		}
	}
	f.fill(1)
	return nil
}

// await polls until a frame is there, and takes it. The poll publishes what hop left.
func await(d *netmap.Desc, block bool, meanwhile *load) (ok bool, err error) {
	limit := time.Duration(0)
	if block {
		limit = lostTime
	}
	for start := time.Now(); ; {
		re, err := d.PollTimeout(limit, netmap.PollIn)
		if err != nil || re&netmap.PollErr != 0 {
			return false, fmt.Errorf("poll says %#x: %w", re, err)
		}
		if re != 0 {
			take(d.RxRings()[0])
			return true, nil
		}
		if stopped.Load() || time.Since(start) > lostTime {
			return false, nil
		}
		if err := meanwhile.tick(); err != nil {
			return false, err
		}
	}
}

// end opens one port, with what sends from there to one address.
func end(s *roleSpec, port int, to, from string) (*netmap.Desc, *flooder, error) {
	d, err := open(s, port)
	if err != nil {
		return nil, nil, err
	}
	f, err := newFlooder(d, &roleSpec{Size: s.Size, Dst: []string{to}, Src: from})
	return d, f, err
}

// rolePingSelf has both ends in one thread, which never sleeps: the time of two passes through the switch. With a load
// Ports[2] and Ports[3] are its ends.
func rolePingSelf(s *roleSpec) (sample, error) {
	a, fa, err := end(s, 0, receiverMAC(0), senderMAC(0))
	if err != nil {
		return nil, err
	}
	b, fb, err := end(s, 1, senderMAC(0), receiverMAC(0))
	if err != nil {
		return nil, err
	}
	var l *load
	if s.Load {
		if l, err = newLoad(s, 2, 3); err != nil {
			return nil, err
		}
	}
	amReady()
	t := trips{skip: warmup}
	for t.more() {
		start := time.Now()
		for _, leg := range []struct {
			from, to *netmap.Desc
			f        *flooder
		}{{a, b, fa}, {b, a, fb}} {
			if err := hop(leg.from, leg.f); err != nil {
				return nil, err
			}
			if _, err := leg.from.PollTimeout(0, netmap.PollOut); err != nil {
				return nil, err
			}
			switch ok, err := await(leg.to, false, l); {
			case err != nil:
				return nil, err
			case stopped.Load():
				return t.sample()
			case !ok:
				return nil, fmt.Errorf("a frame did not come within %v", lostTime)
			}
		}
		t.add(time.Since(start))
	}
	return t.sample()
}

// rolePing sends and waits for the answer, asleep.
func rolePing(s *roleSpec) (sample, error) {
	d, f, err := end(s, 0, receiverMAC(0), senderMAC(0))
	if err != nil {
		return nil, err
	}
	amReady()
	t := trips{skip: warmup}
	for t.more() {
		start := time.Now()
		if err := hop(d, f); err != nil {
			return nil, err
		}
		ok, err := await(d, true, nil)
		if err != nil {
			return nil, err
		}
		if ok {
			t.add(time.Since(start))
		}
	}
	return t.sample()
}

// rolePong answers every frame.
func rolePong(s *roleSpec) (sample, error) {
	d, f, err := end(s, 0, senderMAC(0), receiverMAC(0))
	if err != nil {
		return nil, err
	}
	if err := teach(d, receiverMAC(0), 0); err != nil {
		return nil, err
	}
	amReady()
	for !stopped.Load() {
		if ok, err := await(d, true, nil); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		if err := hop(d, f); err != nil {
			return nil, err
		}
	}
	return sample{"ok": 1}, nil
}
