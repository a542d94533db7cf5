package port

import "github.com/netmapd/netmapd/netmap/abi"

// deviceUnit moves frames between those of a device's queues that are an lcore's
// and the rings of the clients that have its port open: netmap without a switch.
type deviceUnit struct {
	queues []queuePair
	silent bool
}

type queuePair struct {
	rx, tx   *kring
	receive  mover
	transmit mover
}

func newDeviceUnits(d *device) crew[*deviceUnit] {
	p, c := d.p, crew[*deviceUnit]{}
	for i := range d.rx {
		q := queuePair{rx: p.rx[i], tx: p.tx[i]}
		q.receive, q.transmit = d.movers(i)
		u := c.of(q.rx.lc, func() *deviceUnit { return &deviceUnit{silent: len(d.nic.Sockets()) == 0} })
		u.queues = append(u.queues, q)
	}
	return c
}

// Poll moves one batch each way on every queue.
func (u *deviceUnit) Poll() (n int) {
	for i := range u.queues {
		q := &u.queues[i]
		// A full ring leaves frames in the device's queue, where they wait.
		if q.rx.Bound() && q.rx.Release() > 0 {
			n += q.receive.Turn(burst)
		}
		n += q.transmit.Turn(burst)
	}
	return n
}

// Arm asks clients for kicks: at new frames to send, and at slots released from
// a full ring.
func (u *deviceUnit) Arm() bool {
	for i := range u.queues {
		q := &u.queues[i]
		if q.tx.Bound() && !q.tx.Arm() {
			return false
		}
		if q.rx.Bound() && q.rx.Release() == 0 && !q.rx.Arm() {
			return false
		}
	}
	return true
}

// Disarm takes that back.
func (u *deviceUnit) Disarm() {
	for i := range u.queues {
		u.queues[i].tx.Disarm()
		u.queues[i].rx.Disarm()
	}
}

// Silent says that the device has nothing to wake the lcore with.
func (u *deviceUnit) Silent() bool { return u.silent }

// Fail tells the clients that the port is gone.
func (u *deviceUnit) Fail(error) {
	for i := range u.queues {
		u.queues[i].rx.Stop()
		u.queues[i].tx.Stop()
	}
}

// drain sends what is published, as far as the device takes it.
func (u *deviceUnit) drain() {
	for i := range u.queues {
		drainLink(u.queues[i].transmit)
	}
}

// drainLink moves what the source of a link has; no more than a ring of a client
// that goes on sending.
func drainLink(l mover) {
	for moved := 0; moved < abi.ValeMaxSlots; {
		n := l.Turn(burst)
		if n == 0 {
			return
		}
		moved += n
	}
}
