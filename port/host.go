package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/hostif"
	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/abi"
	vale "github.com/netmapd/netmapd/switch"
)

// maxHostRings is how many host rings each way a client can have: each costs
// rings, and a queue of the tap.
const maxHostRings = 64

// host joins a device's port with the host's network stack. Its tap is there
// while a client has a kernel interface's port open; the counterpart of another
// device, which the host uses by itself, as long as the port is.
type host struct {
	d       *device
	name    string // of a device's counterpart
	drop    bool   // frames of queues that nobody has bound are dropped
	tap     *hostif.Tap
	over    *hostif.Takeover // kernel interface in use
	sources []*tapSource
	sinks   []*tapSink
	units   crew[*hostUnit]
	passed  books // between the host and the wire
	carrier bool
	why     error // there is no tap
	port    *port // on the switch that the device is on
	joined  bool  // what is written to the tap reaches the interface
	spared  bool  // what the unit takes from unbound queues is not for the host
	taken   taken // from the host on a kernel interface
}

// taken is what comes in, what the host sends, and where that goes.
type taken struct {
	in, out bool
	to      *hostif.Tap
}

func (h *host) kernel() bool { return h.d.ifname != "" }

// up makes the tap, and what moves frames to and from it.
func (h *host) up(ctx context.Context) error {
	if h.tap != nil {
		return nil
	}
	err := h.makeTap()
	if err == nil {
		err = h.serve(ctx)
	}
	if err != nil {
		h.down(ctx)
	}
	return err
}

// makeTap makes the tap alone.
func (h *host) makeTap() (err error) {
	if h.tap != nil {
		return nil
	}
	conf := hostif.TapConfig{Name: h.name, Queues: h.queues()}
	if h.kernel() {
		ifi, err := net.InterfaceByName(h.d.ifname)
		if err != nil {
			return refuse("drive", h.d.ifname, unix.ENXIO, "the kernel has no interface %q in the daemon's network namespace any more", h.d.ifname)
		}
		conf.Name, conf.MTU, conf.Hidden = "nmh%d", ifi.MTU, true
		if h.over == nil {
			h.over = hostif.NewTakeover(ifi.Index, ethdev.HostMark)
		}
	} else if conf.MAC, conf.MTU, err = h.d.identity(); err != nil {
		return err
	}
	if h.tap, err = h.openTap(conf); err != nil {
		return err
	}
	if h.kernel() {
		err = h.join()
	} else {
		h.carrier = true // as a tap is born
	}
	if err == nil {
		err = h.openQueues()
	}
	if err != nil {
		h.dropTap()
	}
	return err
}

// openTap makes a tap whose frames pass through vhost-net, where a device has it
// beside it and the kernel has that; otherwise one that is read and written.
func (h *host) openTap(conf hostif.TapConfig) (*hostif.Tap, error) {
	if _, err := os.Stat(hostif.VhostDevice); h.kernel() || err != nil {
		return hostif.OpenTap(conf)
	}
	fast := conf
	fast.Vhost = h.d.bufSize
	t, why := hostif.OpenTap(fast)
	if why == nil {
		return t, nil
	}
	t, err := hostif.OpenTap(conf)
	if err == nil {
		h.d.log.Warn("frames to and from the host take a system call each", "port", h.d.p.name, "err", why)
	}
	return t, err
}

// ready is up for clients of a kernel interface. Without a tap they can use its
// HW rings all the same, and are told when they want more.
func (h *host) ready(ctx context.Context) {
	if h.tap != nil || !h.kernel() {
		return
	}
	if h.why = h.up(ctx); h.why != nil {
		h.d.log.Warn("a port has no host rings", "port", h.d.p.name, "err", h.why)
	}
}

// missing says why there are no host rings.
func (h *host) missing() error {
	if h.tap == nil {
		return refuse("register", h.d.p.name, unix.EOPNOTSUPP, "the port has no host rings now: %v", h.why)
	}
	return nil
}

// idle is down when the last client has gone. The host rings that it wished for
// go with it (NC B.5).
func (h *host) idle(ctx context.Context) error {
	if h.kernel() {
		h.down(ctx)
	}
	if h.d.p.ephemeral {
		return nil
	}
	return h.wish(ctx, 0, 0)
}

// leave stands aside for a switch.
func (h *host) leave(ctx context.Context) error {
	if !h.kernel() {
		return h.pause(ctx)
	}
	ifi, err := net.InterfaceByName(h.d.ifname)
	if err != nil {
		return err
	}
	h.over = hostif.NewTakeover(ifi.Index, ethdev.HostMark)
	return h.take(taken{in: true, out: true})
}

// comeBack undoes leave.
func (h *host) comeBack(ctx context.Context) {
	if h.kernel() {
		h.release()
		return
	}
	for _, s := range h.sources {
		s.empty() // nobody waits for it any more
	}
	if err := h.serve(ctx); err != nil {
		h.d.log.Error("the host does not get a device back", "port", h.d.p.name, "err", err)
	}
}

// lose tells the clients of host rings that the interface is gone.
func (h *host) lose(ctx context.Context) {
	units := h.units
	if err := h.pause(ctx); err == nil {
		units.fail(unix.ENODEV)
	}
}

// hostUp makes the counterpart of a device.
func (d *device) hostUp(ctx context.Context) error {
	if err := d.use(); err != nil { // the host uses it from now on
		return err
	}
	if err := d.host.up(ctx); err != nil {
		return err
	}
	d.host.mirror()
	return nil
}

// mirror gives the counterpart of a device the state of the device's link.
func (h *host) mirror() {
	if h.kernel() || h.tap == nil || h.d.nic == nil {
		return
	}
	l, err := h.d.nic.Link()
	if err != nil || l.Up == h.carrier {
		return
	}
	if err := h.tap.SetCarrier(l.Up); err != nil {
		h.d.log.Warn("the host does not see the state of a link", "port", h.d.p.name, "err", err)
	}
	h.carrier = l.Up // asked for once
}

// counters adds what went between the host and the wire without a client.
func (h *host) counters(to map[string]uint64) {
	c, err := h.d.g.sum(context.Background(), h.passed)
	if err != nil {
		return
	}
	to["host_tx_frames"], to["host_rx_frames"] = c.Tx.Frames, c.Rx.Frames
	for _, n := range c.Drops {
		to["host_dropped"] += n
	}
}

// queues is how many the tap needs.
func (h *host) queues() int { return max(h.d.p.hostTx, h.d.p.hostRx, 1) }

func (h *host) openQueues() error {
	for j, fd := range h.tap.Queues() {
		var v *hostif.Vhost
		if all := h.tap.Vhosts(); all != nil {
			v = all[j]
		}
		src, err := newTapSource(fd, v, h.d.bufSize)
		if err != nil {
			return err
		}
		h.sources, h.sinks = append(h.sources, src), append(h.sinks, newTapSink(fd, v))
		for _, l := range h.readers(j) {
			if err := l.Watch(src.wakes()); err != nil {
				return fmt.Errorf("watch the host's queue: %w", err)
			}
		}
	}
	return nil
}

// readers are the lcores that read a queue of the tap: that of the device's queue
// of its number, or with the device on a switch the port's.
func (h *host) readers(j int) []*lcore.Lcore {
	p := h.d.p
	if l := p.tx[j%p.hwTx].lc; l != p.lc {
		return []*lcore.Lcore{l, p.lc}
	}
	return []*lcore.Lcore{p.lc}
}

// forgetQueues undoes openQueues.
func (h *host) forgetQueues() {
	for j, s := range h.sources {
		for _, l := range h.readers(j) {
			_ = l.Unwatch(s.wakes()) // not watched if that failed
		}
		s.free()
	}
	h.sources, h.sinks = nil, nil
}

// down undoes up.
func (h *host) down(ctx context.Context) {
	if err := h.pause(ctx); err != nil {
		h.d.log.Error("what a port's host rings had is left allocated", "port", h.d.p.name, "err", err)
		return
	}
	h.release()
	h.dropTap()
}

// dropTap undoes makeTap. No lcore uses the queues.
func (h *host) dropTap() {
	h.forgetQueues()
	if h.over != nil {
		_ = h.over.Join(nil) // it ends with the tap anyhow
		h.joined = false
	}
	if h.tap == nil {
		return
	}
	if h.kernel() {
		go h.tap.Close() // the kernel takes its time, up to seconds, and nobody needs the name again
	} else {
		h.tap.Close()
	}
	h.tap = nil
}

// release gives a kernel interface back to the host.
func (h *host) release() {
	if h.over == nil {
		return
	}
	if err := h.over.Close(); err != nil && !errors.Is(err, unix.ENODEV) { // of one that is gone
		h.d.log.Warn("give an interface back to the host stack", "interface", h.d.ifname, "err", err)
	}
	h.over, h.taken, h.joined = nil, taken{}, false
}

// serve puts units for the port's rings and the device as it is now on the
// lcores, in the place of the last ones.
func (h *host) serve(ctx context.Context) error {
	if h.tap == nil || !h.kernel() && h.d.nic == nil { // the device went under its clients, who close one by one
		return nil
	}
	if err := h.pause(ctx); err != nil {
		return err
	}
	if err := h.join(); err != nil {
		return err
	}
	h.units = h.newUnits()
	if err := h.units.start(ctx); err != nil {
		return fmt.Errorf("serve the host rings of %s: %w", h.d.p.name, err)
	}
	return nil
}

// join lets the host have what is written to the tap of a kernel interface, unless
// it would come back for ever: see genericXDP.
func (h *host) join() error {
	if !h.kernel() || h.over == nil {
		return nil
	}
	apart := h.d.nic != nil && h.d.drv == string(DriverAFXDP) && genericXDP(h.d.ifname)
	if h.joined == !apart {
		return nil
	}
	h.joined = !apart
	if apart {
		return h.over.Join(nil)
	}
	return h.over.Join(h.tap)
}

// pause takes the units off the lcores.
func (h *host) pause(ctx context.Context) error {
	if err := h.units.stop(ctx); err != nil {
		return err
	}
	for _, u := range h.units {
		for _, k := range u.hw {
			k.OnRelease(nil)
		}
	}
	h.units = nil
	return nil
}

// newUnits makes what serves the host. Each queue of the device is used on the
// lcore of its rings, which alone knows in between whose it is.
func (h *host) newUnits() crew[*hostUnit] {
	d, p, c := h.d, h.d.p, crew[*hostUnit]{}
	on := func(k *kring) *hostUnit {
		return c.of(k.lc, func() *hostUnit { return &hostUnit{silent: d.nic != nil && len(d.nic.Sockets()) == 0} })
	}
	for j, src := range h.sources {
		q := fromHost{src: src, hw: p.tx[j%p.hwTx]}
		l := q.hw.lc
		q.ring = vale.NewLink(src, vale.NewRxSink(p.rx[p.hwRx+j%p.hostRx].Ring), true, p.books.of(l))
		if !h.kernel() {
			q.wire = vale.NewLink(src, d.tx[j%len(d.tx)], false, h.passed.of(l))
		}
		u := on(q.hw)
		u.from = append(u.from, q)
	}
	for i, k := range p.tx[p.hwTx:] {
		u := on(k)
		u.to = append(u.to, toHost{k, vale.NewLink(vale.NewTxSource(k.Ring), h.sinks[i%len(h.sinks)], false, p.books.of(k.lc)), true})
	}
	for i, src := range d.rx {
		k := p.rx[i]
		u := on(k)
		var sink vale.Sink = discard{}
		if !h.spared {
			sink = h.sinks[i%len(h.sinks)]
		}
		u.to = append(u.to, toHost{k, vale.NewLink(src, sink, true, h.passed.of(k.lc)), false})
		f := &forwarder{k: k, sink: h.sinks[i%len(h.sinks)], all: &d.g.forward, books: p.books.of(k.lc)}
		k.OnRelease(f.released)
		u.hw = append(u.hw, k)
	}
	return c
}

// native says that the host has what the device receives by itself: packet
// sockets see copies, and nothing is taken from the host.
func (h *host) native(closing *kring) bool {
	return h.kernel() && h.d.drv == string(DriverAFPacket) && !h.anyBound(h.d.p.rx[:h.d.p.hwRx], closing)
}

// anyBound says whether one of the rings, but for a closing one, has a user.
func (h *host) anyBound(ks []*kring, closing *kring) bool {
	for _, k := range ks {
		if k.Bound() && k != closing {
			return true
		}
	}
	return false
}

// settle takes from the host on a kernel interface what the bound rings ask for
// (NC E.1, E.2): what comes in, when some HW RX ring is bound; what it sends, when
// all HW TX rings are. It sends into host rings, if one is bound.
func (h *host) settle(ctx context.Context, closing *kring) error {
	p := h.d.p
	if h.over == nil {
		return h.spare(ctx, closing)
	}
	in := h.d.nic != nil && h.anyBound(p.rx[:p.hwRx], closing)
	out := h.d.nic != nil
	for _, k := range p.tx[:p.hwTx] {
		out = out && k.Bound() && k != closing
	}
	var to *hostif.Tap
	if h.anyBound(p.rx[p.hwRx:], closing) {
		to = h.tap
	}
	if err := h.take(taken{in, out, to}); err != nil {
		return err
	}
	return h.spare(ctx, closing)
}

// spare makes the unit again if frames of unbound queues now go to the host, or
// do not any more.
func (h *host) spare(ctx context.Context, closing *kring) error {
	p := h.d.p
	used := h.anyBound(p.rx[:p.hwRx], closing) || h.anyBound(p.tx[:p.hwTx], closing)
	spared := h.native(closing) || h.drop && used
	if spared == h.spared {
		return nil
	}
	h.spared = spared
	return h.serve(ctx)
}

// take is settle with the outcome decided. What is as it was is left alone.
func (h *host) take(want taken) (err error) {
	was := h.taken
	// XDP programs see frames before the ingress hook: with af_xdp nothing is left there.
	if want.in = want.in && h.d.drv == string(DriverAFPacket); want.in != was.in {
		err = h.over.Ingress(want.in)
	}
	switch {
	case err != nil || want.out == was.out && want.to == was.to:
	case want.out:
		err = h.over.Egress(want.to)
	case was.out:
		err = h.over.ReleaseEgress()
	}
	if err != nil {
		return fmt.Errorf("take interface %s from the host: %w", h.d.ifname, err)
	}
	h.taken = want
	return nil
}

// genericXDP says whether the interface runs XDP programs on what is given to the
// host too, so that it would come back to af_xdp. Drivers without XDP do.
func genericXDP(ifname string) bool {
	l, err := netlink.LinkByName(ifname)
	const inDriver = 1 // XDP_ATTACHED_DRV
	return err == nil && l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached && l.Attrs().Xdp.AttachMode != inDriver
}

// wish gives the port the host rings that its first descriptor asks for, as far
// as it has any; 0 means 1 (NC B.5).
func (h *host) wish(ctx context.Context, tx, rx uint16) error {
	p := h.d.p
	s := p.shape
	s.hostTx, s.hostRx = wish(tx, maxHostRings, 1), wish(rx, maxHostRings, 1)
	if p.hostTx+p.hostRx == 0 || s == p.shape {
		return nil
	}
	if err := h.pause(ctx); err != nil {
		return err
	}
	if err := h.d.g.quiesce(ctx); err != nil {
		return err
	}
	err := p.remakeRings(s, len(h.d.g.lcores) > 1)
	if err == nil && h.tap != nil {
		err = h.resize(ctx)
	}
	return errors.Join(err, h.serve(ctx))
}

// resize gives the tap as many queues as there are host rings.
func (h *host) resize(ctx context.Context) error {
	h.forgetQueues()
	return errors.Join(h.tap.SetQueues(h.queues()), h.openQueues())
}

// remakeRings gives a port that nobody has open other rings. After an error it
// has those it had.
func (p *port) remakeRings(s shape, shared bool) error {
	old := *p
	p.tx, p.rx, p.blocks = nil, nil, nil
	if err := p.makeRings(s, shared); err != nil {
		p.shape, p.tx, p.rx, p.blocks = old.shape, old.tx, old.rx, old.blocks
		return refuse("register", p.name, unix.ENOMEM, "%v", err)
	}
	old.freeRings()
	for _, w := range p.captures {
		w.see()
	}
	return nil
}

// hostRing says that a ring is not one of the device's.
func (p *port) hostRing(k *kring) bool {
	if k.Dir() == abi.DirTx {
		return k.ID() >= p.hwTx
	}
	return k.ID() >= p.hwRx
}
