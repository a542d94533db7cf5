package netmap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	"github.com/netmapd/netmapd/netmap/wire"
)

// Open binds a port by its netmap name, in the grammar of the new library (NC
// C.2 and C.3; package name): "netmap:eth0", "vale0:1", "netmap:eth0-2/R".
// A context without a deadline gives the daemon five seconds.
//
// Errors are *Error with the errno of NC B.7: ENXIO no such port, EBUSY
// bound exclusively by somebody, EINVAL a bad name or selection, ENOMEM a full
// region, ENOENT or ECONNREFUSED no daemon.
func Open(ctx context.Context, spec string, opts ...Option) (*Desc, error) {
	o := gather(opts)
	d, err := open(ctx, spec, &o)
	if err != nil {
		return nil, failed("open", spec, err)
	}
	return d, nil
}

func open(ctx context.Context, spec string, o *options) (*Desc, error) {
	s, err := o.parser.Parse(spec)
	if err != nil {
		if e, ok := errors.AsType[*name.Error](err); ok {
			return nil, &Error{Errno: e.Errno(true), Text: e.Error(), Err: e}
		}
		return nil, err
	}
	b, err := newBinding(o, s)
	if err != nil {
		return nil, err
	}
	defer b.ext.done()
	d, err := newDesc(ctx, spec, o.runtimeDir, nil)
	if err != nil {
		return nil, err
	}
	reg := o.register(s)
	if s.Share != "" {
		if reg.MemID, err = d.memIDOf(ctx, s.Share, reg.MemID); err != nil {
			return nil, errors.Join(err, d.release())
		}
	}
	return d.bindNamed(ctx, s.Name, reg, b)
}

// Redeem binds the port that a ticket of the gRPC API stands for (AttachPort).
func Redeem(ctx context.Context, ticket [16]byte, opts ...Option) (*Desc, error) {
	o := gather(opts)
	return bindBy(ctx, "redeem", o.runtimeDir, nil, func(token uint64) []byte {
		return wire.Append(nil, wire.TypeRedeem, 0, wire.Redeem{Token: token, Ticket: ticket}, nil)
	})
}

// Join makes a Desc of a descriptor that another process opened and handed
// over (see Desc.File): both then share the port's rings. It closes f. A process
// does not join what it holds already: the daemon wakes it through one eventfd
// for each descriptor, and the newest takes over.
func Join(ctx context.Context, f *os.File, opts ...Option) (*Desc, error) {
	o := gather(opts)
	conn, err := packetConn(f)
	if err != nil {
		return nil, failed("join", f.Name(), err)
	}
	d, err := bindBy(ctx, "join", o.runtimeDir, conn, func(token uint64) []byte {
		return wire.Append(nil, wire.TypeJoin, 0, wire.Join{Token: token}, nil)
	})
	if err == nil {
		d.shared.Store(true) // with whom it came from
	}
	return d, err
}

// bindBy sends one request on conn, or on a new descriptor, that is answered
// by a Bind.
func bindBy(ctx context.Context, op, runtimeDir string, conn *net.UnixConn, message func(token uint64) []byte) (*Desc, error) {
	d, err := newDesc(ctx, "", runtimeDir, conn)
	if err != nil {
		return nil, failed(op, "", err)
	}
	a, err := request(ctx, d.conn, message(d.session.token), -1, wire.BindFDs)
	if err != nil {
		_ = d.release()
		return nil, failed(op, "", err)
	}
	if d, err = d.bindTo(a.body, a); err != nil {
		return nil, failed(op, "", err)
	}
	d.name = d.PortName()
	return d, nil
}

// newDesc makes a descriptor that is bound to nothing yet. It takes over conn.
func newDesc(ctx context.Context, name, runtimeDir string, conn *net.UnixConn) (*Desc, error) {
	s, err := openSession(ctx, runtimeDir)
	if err == nil && conn == nil {
		if conn, err = dial(ctx, s.path); err != nil {
			s.release()
		}
	}
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, err
	}
	return &Desc{name: name, session: s, conn: conn, spin: spinner{most: spinAllowed()}}, nil
}

// A controlRequest is a netmap control request (NC B.4).
type controlRequest struct {
	req     uint16
	port    string
	body    []byte
	opts    []byte // as package wire has them
	memory  int    // a memfd that goes with it, or -1
	wantFDs int    // in the answer
}

// control makes a control request without options and returns what follows the
// Control in the answer.
func (d *Desc) control(ctx context.Context, req uint16, port string, body []byte) ([]byte, error) {
	_, rest, _, err := d.carryOut(ctx, controlRequest{req: req, port: port, body: body, memory: -1})
	return rest, err
}

// carryOut makes a control request and returns the name that comes back, and what
// follows the Control.
func (d *Desc) carryOut(ctx context.Context, q controlRequest) (string, []byte, *answer, error) {
	c := wire.Control{Token: d.session.token, ReqType: q.req, Version: abi.APIVersion, OptionBytes: uint16(len(q.opts))}
	if copy(c.Name[:len(c.Name)-1], q.port) != len(q.port) {
		return "", nil, nil, &Error{Errno: unix.EINVAL, Text: fmt.Sprintf("port name %q has more than %d bytes", q.port, len(c.Name)-1)}
	}
	msg := wire.Append(nil, wire.TypeControl, 0, c, slices.Concat(q.body, q.opts))
	a, err := request(ctx, d.conn, msg, q.memory, q.wantFDs)
	if err != nil {
		return "", nil, nil, err
	}
	rest, err := wire.Take(a.body, &c)
	switch behind := len(q.body) + len(q.opts); {
	case err != nil:
	case c.Errno != 0 && len(rest) >= behind: // with the options' statuses, whose text says it all
		err = &Error{Errno: unix.Errno(c.Errno), Text: abi.CString(rest[behind:])}
	case c.Errno != 0, len(a.fds) == 0 && q.wantFDs > 0:
		err = fmt.Errorf("%w: %d bytes and %d descriptors answer a request of type %d", wire.ErrMalformed, len(rest), len(a.fds), q.req)
	}
	if err != nil {
		a.closeFDs()
		return "", nil, nil, err
	}
	return abi.CString(c.Name[:]), rest, a, nil
}

// memIDOf asks for the memory id of a port whose region is to be shared, which
// must agree with the id the program asked for, if it did (NC C.3).
func (d *Desc) memIDOf(ctx context.Context, port string, asked uint16) (uint16, error) {
	body, err := d.control(ctx, abi.ReqPortInfoGet, port, abi.Encode(nil, abi.PortInfo{}))
	if err != nil {
		return 0, err
	}
	var info abi.PortInfo
	if err := abi.Decode(body, &info); err != nil {
		return 0, err
	}
	if asked != 0 && asked != info.MemID {
		return 0, &Error{Errno: unix.EINVAL, Text: fmt.Sprintf("memory id %d asked for, but %s lives in region %d", asked, port, info.MemID)}
	}
	return info.MemID, nil
}

// bindTo maps what the daemon handed out and takes over d: on an error d is
// released.
func (d *Desc) bindTo(body []byte, a *answer) (*Desc, error) {
	defer a.closeFDs()
	err := d.adopt(body, a)
	if err != nil {
		_ = d.release()
		return nil, err
	}
	return d, nil
}

func (d *Desc) adopt(body []byte, a *answer) (err error) {
	if d.bind, d.reg, err = parseBind(body); err != nil {
		return err
	}
	b := &d.bind
	if d.region, err = openRegion(a.fds[wire.FDRegion], b); err != nil {
		return err
	}
	rings := d.entries()
	if d.netif, err = d.region.mem.If(b.IfOffset, rings); err != nil {
		return err
	}
	st, err := statSealed(a.fds[wire.FDSync], uint64(d.firstSync()+rings)*abi.SyncBlockSize)
	if err != nil {
		return fmt.Errorf("the sync blocks: %w", err)
	}
	if d.syncs, err = unix.Mmap(a.fds[wire.FDSync], 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the sync blocks: %w", err)
	}
	if d.wake, err = newWake(a.take(wire.FDWake), a.take(wire.FDHangup), d.pipeFDs(a)); err != nil {
		return err
	}
	d.session.enlist(d.wake)
	d.noTxPoll = b.Flags&abi.FlagNoTxPoll != 0
	if err := d.viewRings(); err != nil {
		return err
	}
	if rings := d.rings(); len(rings) > 0 {
		d.csb.Store(rings[0].blk.CSB()) // by another process
	}
	return nil
}

// firstSync is the index of the sync block of the first entry of ring_ofs.
func (d *Desc) firstSync() int {
	if d.bind.Features&wire.FeatureSecondHalf == 0 {
		return 0
	}
	return d.entries()
}

// entries is the length of ring_ofs.
func (d *Desc) entries() int {
	b := &d.bind
	return int(b.TxRings) + int(b.HostTxRings) + int(b.RxRings) + int(b.HostRxRings)
}

// viewRings finds the bound rings. Where they lie is in shared memory, where it
// may have been overwritten: it is read once and checked.
func (d *Desc) viewRings() error {
	b := &d.bind
	txAll := int(b.TxRings) + int(b.HostTxRings)
	for i := int(b.FirstTx); i < int(b.EndTx); i++ {
		r := &TxRing{}
		if err := d.viewRing(&r.Ring, abi.DirTx, i, i, b.TxSlots); err != nil {
			return err
		}
		r.host = i >= int(b.TxRings)
		d.txRings, d.tx = append(d.txRings, r), append(d.tx, &r.Ring)
	}
	for i := int(b.FirstRx); i < int(b.EndRx); i++ {
		r := &RxRing{}
		if err := d.viewRing(&r.Ring, abi.DirRx, i, txAll+i, b.RxSlots); err != nil {
			return err
		}
		r.host = i >= int(b.RxRings)
		d.rxRings, d.rx = append(d.rxRings, r), append(d.rx, &r.Ring)
	}
	d.forwards()
	return nil
}

func (d *Desc) viewRing(r *Ring, dir, id, index int, slots uint32) (err error) {
	ofs := atomic.LoadInt64(&d.netif.RingOfs[index])
	if ofs == 0 {
		return fmt.Errorf("%w: ring %d is bound, but not in the netmap_if", wire.ErrMalformed, index)
	}
	// Offsets are relative to the netmap_if and may be negative (NC A.4). What
	// wraps around lies outside the region, and is refused by the view.
	if r.ring, err = d.region.mem.Ring(d.bind.IfOffset+uint64(ofs), slots); err != nil {
		return err
	}
	if r.blk, err = abi.NewMem(d.syncs).SyncBlock(d.firstSync() + index); err != nil {
		return err
	}
	r.bufs, r.n, r.dir, r.id, r.session = d.region.bufs, slots, dir, uint16(id), d.session.id
	r.offsets = r.ring.OffsetMask
	r.indirect = dir == abi.DirTx && d.bind.Features&wire.FeatureIndirect != 0
	if d.pipe {
		return r.viewPeer(d)
	}
	return nil
}
