package port

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
)

// checkCSB judges what of CSB mode does not need the client's memory (NC B.9.3). The
// library does the rest, and undoes the registration should that fail, unless
// the arrays lie in memory that we were given: then lcores serve them.
func (d *Desc) checkCSB(full string, o *Options) (err error) {
	const op = "register in CSB mode"
	n := len(d.bound())
	switch {
	case o.CSB == nil || n == 0:
		return nil
	case d.flags&abi.FlagExclusive == 0:
		return refuse(op, full, unix.EINVAL, "it takes exclusive use of the rings")
	case (o.CSB.AtoK|o.CSB.KtoA)%abi.CSBAlign != 0:
		return refuse(op, full, unix.EINVAL, "the arrays begin at multiples of %d bytes", abi.CSBAlign)
	case o.CSBFile == nil:
		return nil
	case d.port.be.keeps():
		return refuse(op, full, unix.EOPNOTSUPP, "no lcore serves a pipe, whose ends move the slots; leave the arrays to the library's sync loop")
	}
	file, err := shm.IDOf(o.CSBFile)
	if err == nil {
		err = d.g.fileFree(op, full, file)
	}
	if err == nil {
		d.csb, err = shm.OpenCSB(o.CSBFile, o.CSB.AtoK, o.CSB.KtoA, n)
	}
	if err != nil {
		return refuseFor(op, full, err)
	}
	return nil
}

// fileFree refuses a file that is something already: what lcores write there means
// something else.
func (g *Registry) fileFree(op, full string, file shm.FileID) error {
	for id, r := range g.regions {
		if same, err := shm.IDOf(r.File()); err == nil && same == file || g.claims[id].file == file {
			return refuse(op, full, unix.EINVAL, "the memory is that of region %s", r.Name())
		}
	}
	for _, p := range g.ports {
		if same, err := shm.IDOf(p.blocks.File()); err == nil && same == file {
			return refuse(op, full, unix.EINVAL, "the memory is that of the sync blocks of %s", p.name)
		}
		for d := range p.descs {
			if d.csb != nil && d.csb.ID == file {
				return refuse(op, full, unix.EBUSY, "pid %d has port %s open with a CSB in this memory; give each descriptor memory of its own", d.caller.PID, p.name)
			}
		}
	}
	return nil
}

// serveCSB has the client of the i-th ring that the descriptor binds publish in its CSB.
func (d *Desc) serveCSB(ctx context.Context, i int, k *kring) error {
	if d.csb == nil {
		return nil
	}
	atok, ktoa, err := d.csb.Entry(i)
	if err != nil {
		return err
	}
	touched := make(chan error, 1) // the lcore may be at it still when it is given up
	if err := k.lc.Do(ctx, func() { touched <- d.csb.Touch(func() { k.Serve(atok, ktoa) }) }); err != nil {
		return err
	}
	return <-touched
}

// unserve ends that.
func (k *kring) unserve(ctx context.Context) error {
	if !k.Served() {
		return nil
	}
	return k.lc.Do(ctx, k.Unserve)
}

// closeCSB lets go of the client's memory, of a descriptor whose rings nobody uses. While an
// lcore may be at it still, it stays mapped.
func (d *Desc) closeCSB(ctx context.Context) {
	if d.csb == nil || d.g.quiesce(ctx) != nil {
		return
	}
	for _, k := range d.bound() { // whose start failed, or whose end
		if k.unserve(ctx) != nil {
			return
		}
	}
	if d.g.quiesce(ctx) == nil {
		d.csb.Close()
		d.csb = nil
	}
}
