package port

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/dpdk/mempool"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
	vale "github.com/netmapd/netmapd/switch"
)

// This file is what a NIC has beside other devices: limits, and buffers that are
// the region's own.

// zeroCopy is the state of a device whose frames stay in the region's buffers,
// one way or both.
type zeroCopy struct {
	pins *pins
	lent int // buffers of the region that the device receives into
	mark *probe
	rx   []*ethdev.ZeroRx
	tx   []*zeroTx // made when the rings are there
}

// pins are the mbufs of one region, shared by its devices: so a frame can go from
// one to the other in the buffer it came in.
type pins struct {
	region *shm.Region
	pool   *mempool.Pinned
	users  int
}

// pinSeq numbers the pools: the names must differ.
var pinSeq atomic.Uint32

// pin makes the mbufs of a region, or shares them, unless they are to be a
// device's own: what net_null receives is what its buffers held before.
func (g *Registry) pin(r *shm.Region, own bool) (*pins, error) {
	if p := g.pinned[r]; p != nil && !own {
		p.users++
		return p, nil
	}
	bufs := r.Bufs()
	pool, err := mempool.NewPinned(fmt.Sprintf("region%d.%d", r.ID(), pinSeq.Add(1)), bufs.Base(), bufs.Num(), bufs.Size(), r.PageSize())
	if err != nil {
		return nil, err
	}
	p := &pins{region: r, pool: pool, users: 1}
	if !own {
		g.pinned[r] = p
	}
	return p, nil
}

// unpin ends one share. The device does not use the pool any more.
func (g *Registry) unpin(p *pins) error {
	if p.users--; p.users > 0 {
		return nil
	}
	if g.pinned[p.region] == p {
		delete(g.pinned, p.region)
	}
	return p.pool.Free()
}

// shape brings what was asked for into the limits of the device, or says which
// one it exceeds.
func (d *device) shapeUp(cfg *ethdev.Config) error {
	i := d.nic.Info()
	if d.queues == 0 {
		d.queues = 1
		if i.Bus == "pci" {
			d.queues = max(1, min(int(i.MaxRxQueues), int(i.MaxTxQueues), runtime.NumCPU()))
		}
	}
	limit := func(what string, asked, most int) error {
		return fmt.Errorf("%d %s were asked for, %s (%s) has %d at most: %w", asked, what, d.nic.Name(), i.Driver, most, unix.EINVAL)
	}
	most := min(int(i.MaxRxQueues), int(i.MaxTxQueues))
	switch {
	case d.queues > most:
		return limit("queue pairs", d.queues, most)
	case d.slots > int(min(i.MaxRxDesc, i.MaxTxDesc)):
		return limit("descriptors in a queue", d.slots, int(min(i.MaxRxDesc, i.MaxTxDesc)))
	case d.mtu > int(i.MaxMTU) && i.MaxMTU > 0:
		return limit("bytes of MTU", d.mtu, int(i.MaxMTU))
	case d.mtu+etherLen+vlanRoom > d.bufSize && !(i.ScatterRx && i.MultiSegTx):
		return fmt.Errorf("an MTU of %d bytes does not fit the buffers of %d, and driver %s does not spread frames over several; "+
			"lower the MTU, or give the region larger buffers (memory.global.buf-size): %w", d.mtu, d.bufSize, i.Driver, unix.EINVAL)
	}
	cfg.RxQueues, cfg.TxQueues = uint16(d.queues), uint16(d.queues)
	cfg.RxDesc, cfg.TxDesc, cfg.MTU = uint16(d.slots), uint16(d.slots), uint16(d.mtu)
	if d.slots == 0 && d.ifname == "" {
		usual := uint16(d.g.params.defaultSlots())
		// Drivers recommend as few as 256, for an lcore that never sleeps.
		cfg.RxDesc, cfg.TxDesc = max(usual, i.RxDesc), max(usual, i.TxDesc)
	}
	return nil
}

// ringSlots is what the rings of a port have: what was asked for, else as many as
// the device's queues, as far as that fits the region (NC E.1).
func (d *device) ringSlots(r *shm.Region) (tx, rx uint32) {
	if d.slots != 0 {
		return uint32(d.slots), uint32(d.slots)
	}
	if d.nic == nil {
		return d.g.params.defaultSlots(), d.g.params.defaultSlots()
	}
	c, most := d.nic.Config(), (r.Geometry().Ring.Size-abi.RingHeaderSize)/abi.SlotSize
	return min(uint32(c.TxDesc), most), min(uint32(c.RxDesc), most)
}

// goZero gets a device ready to work in the region's buffers, as far as its
// driver allows it. Where it does not work the device copies, and d.copies says
// why.
func (d *device) goZero(cfg *ethdev.Config) {
	z := d.nic.ZeroCopy()
	d.copies = z.Why
	if d.ifname != "" || d.broken != "" || !z.Rx || !z.Tx {
		if d.broken != "" {
			d.copies = d.broken
		}
		return
	}
	pins, err := d.g.pin(d.region, d.fill != "")
	if err != nil {
		d.copies = err.Error()
		return
	}
	d.zero = &zeroCopy{pins: pins}
	if err := d.lend(cfg); err != nil {
		d.copies = err.Error()
		d.endZero()
		return
	}
	cfg.Pinned, cfg.TxEach = pins.pool, z.ByStatus
}

// lend gives the device buffers to receive into: for all descriptors, for the
// bursts that are being handed over, and what the lcores keep at hand. Those for
// transmit descriptors are for what it forwards for others, which many drivers
// keep until the descriptor is used again.
func (d *device) lend(cfg *ethdev.Config) error {
	z := d.zero
	if err := d.nic.MapDMA(z.pins.pool); err != nil {
		return err
	}
	descs := cmp.Or(int(cfg.RxDesc), 1024)
	each := descs + cmp.Or(int(cfg.TxDesc), 1024) + 2*burst
	if d.nic.ZeroCopy().TwoRings {
		each += descs
	}
	idx, err := d.region.Lend(d.queues*each + 512*len(d.g.lcores))
	if err != nil {
		return err
	}
	z.lent = len(idx)
	z.mark = &probe{fail: d.suspect}
	z.mark.mark(d.region.Bufs(), idx)
	for _, i := range idx {
		copy(d.region.Bufs().Get(i), d.fill)
	}
	z.pins.pool.Put(idx)
	return nil
}

// suspect is what the probe says, on the lcore.
func (d *device) suspect(why string) {
	d.doubt.Store(&why)
	d.g.wantTending()
}

// endZero takes the buffers back after the device was closed, or did not start.
func (d *device) endZero() {
	z := d.zero
	if z == nil {
		return
	}
	d.zero = nil
	for _, q := range z.rx {
		q.Free()
	}
	var errs []error
	for _, q := range z.tx {
		errs = append(errs, q.free())
	}
	for _, l := range d.g.lcores {
		_ = l.Do(context.Background(), z.pins.pool.Flush) // what a stuck lcore has at hand is missing below
	}
	idx := z.pins.pool.Take(z.lent)
	errs = append(errs, d.region.Recover(idx), d.g.unpin(z.pins))
	if missing := z.lent - len(idx); missing > 0 {
		errs = append(errs, fmt.Errorf("%d of the %d buffers that it was lent are missing", missing, z.lent))
	}
	if err := errors.Join(errs...); err != nil {
		d.log.Error("take the buffers back from a device", "device", d.devargs, "err", err)
	}
}

// movers joins queue i with the rings of the port.
func (d *device) movers(i int) (receive, transmit mover) {
	p := d.p
	rx, tx := p.rx[i], p.tx[i]
	count := p.books.of(rx.lc)
	out := newOutlet(tx.Ring, count, d.nic.Info().MinFrame())
	z := d.zero
	if z == nil {
		return vale.NewLink(d.rx[i], vale.NewRxSink(rx.Ring), true, count), &copyTx{outlet: out, q: d.tx[i]}
	}
	bufs := p.region.Bufs()
	return &zeroRx{
		ring: rx.Ring, q: z.rx[i], owners: p.region.Owners(), base: bufs.Base(), size: bufs.Size(), books: count, probe: z.mark,
	}, z.tx[i].reuse(out)
}

// makeZeroTx makes the ways out, which need rings. They stay as long as the
// device is plugged in.
func (d *device) makeZeroTx() error {
	z := d.zero
	if z == nil || z.tx != nil {
		return nil
	}
	var all []*zeroTx
	for i := range d.queues {
		q, err := d.nic.NewZeroTx(uint16(i), z.pins.pool, burst)
		if err != nil {
			for _, t := range all {
				err = errors.Join(err, t.free())
			}
			return err
		}
		capacity := 2*int(d.nic.Config().TxDesc) + burst
		k := d.p.tx[i]
		all = append(all, newZeroTx(newOutlet(k.Ring, d.p.books.of(k.lc), d.nic.Info().MinFrame()), q, d.p.region.Owners(), capacity))
	}
	z.tx = all
	return nil
}

// NIC is what a port tells of the device behind it.
type NIC struct {
	Bus         string // "pci", "vdev"
	Address     string // on the bus: a PCI address, or the name of a vdev
	PCIID       string // vendor and device, "8086:100e"
	NUMA        int    // node, -1 if unknown
	Present     bool   // false while it is unplugged
	LinkMbps    uint32 // 0 if unknown
	FullDuplex  bool
	Promiscuous bool
	RxZeroCopy  bool   // frames stay in the buffer that the device wrote
	TxZeroCopy  bool   // the device reads the client's buffer
	Copies      string // why not, "" if neither way copies
}

// tellNIC describes the device.
func (d *device) tellNIC() *NIC {
	n := &NIC{NUMA: -1, Address: d.address, Copies: d.copies, Present: d.nic != nil}
	if d.nic == nil {
		return n
	}
	i := d.nic.Info()
	n.Bus, n.NUMA, n.Promiscuous = i.Bus, i.NUMA, d.nic.Config().Promiscuous
	n.Address = i.Device
	if i.Bus == "pci" {
		n.PCIID = ethdev.PCIID(i.Device)
	}
	n.RxZeroCopy, n.TxZeroCopy = d.zero != nil, d.zero != nil
	if l, err := d.nic.Link(); err == nil && l.Speed != ^uint32(0) {
		n.LinkMbps, n.FullDuplex = l.Speed, l.FullDuplex
	}
	return n
}
