package netmap

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// How long TxSync waits for the core to take what it published: first by
// looking, which finds an lcore at work, then asleep.
const (
	spinTime  = 20 * time.Microsecond
	takenTime = 10 * time.Millisecond
)

// TxSync is netmap's NIOCTXSYNC (NC D.2): it publishes the filled slots of every
// bound TX ring, waits until the core has taken them, and shows the room there
// is. Taken means delivered or dropped where the destination is a program, and
// handed over where it is a device. It waits at most 10 ms, and never for room.
//
// A ring in an illegal state is put back to its last good one without an error
// (NC D.4). EIO says that a ring, the port or the daemon is gone; rings that are
// not are still synced.
func (d *Desc) TxSync() error {
	out, err := d.syncAll("txsync", d.tx)
	if err == nil {
		d.awaitTaken()
		if !d.allFresh() { // the daemon took slots after the sync looked
			_, err = d.syncAll("txsync", d.tx)
		}
	}
	if err == nil && out&stopped != 0 {
		err = d.goneError("txsync")
	}
	return err
}

// RxSync is netmap's NIOCRXSYNC (NC D.3): it gives the released slots of every
// bound RX ring to the core and shows the frames that have come. It does not
// wait for any. Errors are those of TxSync.
func (d *Desc) RxSync() error {
	out, err := d.syncAll("rxsync", d.rx)
	if err == nil && out&stopped != 0 {
		err = d.goneError("rxsync")
	}
	return err
}

// syncAll syncs the rings in ascending order and kicks once for all of them.
func (d *Desc) syncAll(op string, rings []*Ring) (out outcome, err error) {
	if d.gone() {
		return 0, d.goneError(op)
	}
	if d.csb.Load() {
		return 0, d.csbError(op)
	}
	for _, r := range rings {
		out |= r.sync()
	}
	d.after(out)
	return out, nil
}

func (d *Desc) kick() {
	d.kicks.Add(1)
	d.session.kick()
}

func (d *Desc) allFresh() bool {
	for _, r := range d.tx {
		if !r.fresh() {
			return false
		}
	}
	return true
}

// awaitTaken waits until the daemon has taken what was published on all TX
// rings.
func (d *Desc) awaitTaken() {
	if d.allTaken() {
		return
	}
	start := time.Now()
	if d.maySpin() {
		for time.Since(start) < spinTime {
			for range spinLooks {
				if d.allTaken() {
					return
				}
			}
		}
	}
	d.session.beside(d.wake, 1)
	defer d.session.beside(d.wake, -1)
	for deadline := start.Add(takenTime); ; {
		gen := d.wake.generation()
		marked := true
		for _, r := range d.tx {
			if !r.taken() {
				marked = r.blk.ArmClient(abi.AskDescriptor) && marked
			}
		}
		if !marked {
			d.session.rouse() // it may have been that of a poll of the descriptor
		}
		if d.allTaken() { // armed first, then looked: no message is missed
			return
		}
		d.waits.Add(1)
		if err := d.wake.wait(context.Background(), deadline, gen); err != nil {
			return
		}
	}
}

func (d *Desc) allTaken() bool {
	for _, r := range d.tx {
		if !r.taken() {
			return false
		}
	}
	return true
}

// maySpin says whether looking again and again can help: not when it keeps the
// lcore of one of the rings from its CPU. How many CPUs this process may use does
// not matter: a program pinned to one of them is no reason to sleep.
func (d *Desc) maySpin() bool {
	here := currentCPU()
	for _, r := range d.tx {
		if cpu := r.blk.LcoreCPU(); cpu < 0 || cpu == here {
			return false
		}
	}
	return true
}

// Flush syncs until everything that was filled has been sent (NC D.8), the
// context ends, or the port is gone.
func (d *Desc) Flush(ctx context.Context) error {
	for {
		if err := d.TxSync(); err != nil {
			return err
		}
		pending := false
		for _, r := range d.txRings {
			pending = pending || r.Pending()
		}
		if !pending {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// gone reports whether syncs make no sense any more.
func (d *Desc) gone() bool {
	return d.closed.Load() || d.session.dead.Load() || d.wake.dead.Load()
}

// goneError says what is gone: ENXIO after Close, as after close(2) in netmap,
// EIO otherwise (NC D.4).
func (d *Desc) goneError(op string) error {
	switch {
	case d.closed.Load():
		return &Error{Op: op, Port: d.name, Errno: unix.ENXIO, Text: "the descriptor is closed"}
	case d.session.dead.Load() || d.wake.dead.Load():
		return &Error{Op: op, Port: d.name, Errno: unix.EIO, Text: "netmapd is gone; close the port and open it again"}
	}
	return &Error{Op: op, Port: d.name, Errno: unix.EIO, Text: "the port is gone, or one of its rings was stopped; close it"}
}

// waitError is for errors of wait that are neither a timeout nor the daemon's end.
func (d *Desc) waitError(err error) error {
	if d.gone() {
		return d.goneError("poll")
	}
	return err
}
