package port

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/dpdk/ethdev"
	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
	vale "github.com/netmapd/netmapd/switch"
)

// device is the DPDK side of an interface or device port. A kernel interface is
// driven only while somebody uses the port, so that the host has it otherwise;
// other devices are plugged in as long as their port exists.
type device struct {
	plain
	log     *slog.Logger
	ifname  string // kernel interface; "" for other devices
	drv     string // in effect, or the one that will be tried first
	choices []Driver
	devargs string // other devices
	queues  int    // 0: as the device has it, until it is plugged in
	slots   int
	mtu     int    // 0: as it is
	fill    string // what the buffers hold at first
	bufSize int    // of the region
	region  *shm.Region

	address string                 // of other devices, on their bus
	zero    *zeroCopy              // nil: frames are copied
	copies  string                 // why
	broken  string                 // why it copies from now on, although the driver's table says otherwise
	doubt   atomic.Pointer[string] // set by the lcore: broken, to be

	nic   *ethdev.Device // nil while not driven
	rx    []*rxQueue
	tx    []*txQueue
	units crew[*deviceUnit] // while clients have HW rings open
	wakes []int             // sockets that the lcores watch
	host  host
	lost  bool // the interface or device went while it was driven

	link     *bool           // as it was told last, nil if it was not looked at yet
	pretend  ethdev.Happened // what DPDK is to have said: for tests
	switched string          // the switch that it was on when it went
}

// interfaceExists looks in the daemon's network namespace. Package net would list all interfaces for it, each time that a port of
// a switch is opened.
func interfaceExists(ifname string) bool {
	req, err := unix.NewIfreq(ifname)
	if err != nil {
		return false // too long for one
	}
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // nothing is made in its place
	}
	defer unix.Close(s) //nolint:errcheck // nothing was written
	return !errors.Is(unix.IoctlIfreq(s, unix.SIOCGIFINDEX, req), unix.ENODEV)
}

// createInterface makes a port for a kernel interface (NC E.3).
func (g *Registry) createInterface(_ context.Context, s Spec) (*port, error) {
	const op = "create port"
	if s.Ifname == "" {
		s.Ifname = s.Name
	}
	ifi, err := net.InterfaceByName(s.Ifname)
	if err != nil {
		return nil, refuse(op, s.Name, unix.ENXIO, "the kernel has no interface %q in the daemon's network namespace", s.Ifname)
	}
	for _, p := range g.ports { // drivers do not see each other
		if dev, ok := p.be.(*device); ok && dev.ifname == s.Ifname {
			return nil, refuse(op, s.Name, unix.EBUSY, "interface %s belongs to port %s; use that, or delete it first", s.Ifname, p.name)
		}
	}
	d := &device{plain: plain{g: g}, log: g.log, ifname: s.Ifname, queues: max(s.Rings, 1), slots: s.Slots}
	switch s.Driver {
	case DriverAuto, "":
		d.choices = []Driver{DriverAFXDP, DriverAFPacket}
	case DriverAFXDP, DriverAFPacket:
		d.choices = []Driver{s.Driver}
	default:
		return nil, refuse(op, s.Name, unix.EINVAL, "driver %q is not auto, af_xdp or af_packet", s.Driver)
	}
	region, err := g.deviceRegion(s.Name)
	if err != nil {
		return nil, refuseFor(op, s.Name, err)
	}
	d.drv, d.bufSize = string(d.choices[0]), int(region.Geometry().Buf.Size)
	if err := d.fits(ifi); err != nil {
		return nil, refuseFor(op, s.Name, err)
	}
	return g.addDevicePort(s, KindInterface, d)
}

// createDevice makes a port for any other DPDK device.
func (g *Registry) createDevice(ctx context.Context, s Spec) (*port, error) {
	if s.Devargs == "" {
		return nil, refuse("create port", s.Name, unix.EINVAL, "a device port needs devargs, for example net_null0")
	}
	region, err := g.deviceRegion(s.Name)
	if err != nil {
		return nil, refuse("create port", s.Name, unix.ENOMEM, "%v", err)
	}
	address, _, _ := strings.Cut(s.Devargs, ",")
	d := &device{
		plain: plain{g: g}, log: g.log, devargs: s.Devargs, queues: s.Rings, slots: s.Slots, mtu: s.MTU, fill: s.Fill,
		bufSize: int(region.Geometry().Buf.Size), region: region, address: address,
	}
	if err := d.plugIn(); err != nil {
		return nil, refuseFor("create port", s.Name, err)
	}
	p, err := g.addDevicePort(s, KindDevice, d)
	if err != nil {
		d.pullOut()
		return nil, err
	}
	if s.Host == "" {
		return p, nil
	}
	if err := d.hostUp(ctx); err != nil {
		g.destroy(ctx, p)
		return nil, refuseFor("create port", s.Name, err)
	}
	return p, nil
}

func (g *Registry) addDevicePort(s Spec, kind Kind, d *device) (*port, error) {
	region, err := g.deviceRegion(s.Name)
	if err != nil {
		return nil, refuse("create port", s.Name, unix.ENOMEM, "%v", err)
	}
	sh := shape{hwTx: d.queues, hwRx: d.queues}
	sh.txSlots, sh.rxSlots = d.ringSlots(region)
	if kind == KindInterface || s.Host != "" {
		sh.hostTx, sh.hostRx = 1, 1
	}
	p, err := g.newPort(s.Name, kind, region, sh)
	if err != nil {
		return nil, refuse("create port", s.Name, unix.ENOMEM, "%v", err)
	}
	d.plain, p.be = plain{g, p}, d
	d.spread()
	p.seat()
	d.host.drop = s.DropUnbound
	d.host.passed = newBooks(g.lcores)
	d.host.d, d.host.name, d.bufSize = d, s.Host, int(region.Geometry().Buf.Size)
	g.enlist(p)
	return p, nil
}

// plugIn plugs the device in and starts it. Of several drivers for an interface
// the first that works is taken.
func (d *device) plugIn() error {
	if d.nic != nil {
		return nil
	}
	if d.ifname == "" {
		err := d.run(d.devargs)
		if err != nil {
			d.pullOut()
		}
		return err
	}
	ifi, err := net.InterfaceByName(d.ifname)
	if err != nil {
		return refuse("drive", d.ifname, unix.ENXIO, "the kernel has no interface %q in the daemon's network namespace any more", d.ifname)
	}
	if err := d.fits(ifi); err != nil {
		return err
	}
	var errs []error
	for _, drv := range d.choices {
		args, err := ethdev.InterfaceDevargs(string(drv), d.ifname, d.queues, d.slots)
		if err == nil {
			err = d.run(args)
		}
		for try := 0; err != nil && drv == DriverAFXDP && lingers(err) && try < lingerTries; try++ {
			d.pullOut()
			time.Sleep(lingerPause)
			err = d.run(args)
		}
		if err == nil && drv == DriverAFXDP && len(d.choices) > 1 && genericXDP(d.ifname) {
			err = errors.New("the driver of the interface has no XDP, and without it host rings do not go together with af_xdp")
		}
		if err == nil {
			d.drv = string(drv)
			return nil
		}
		d.pullOut()
		errs = append(errs, fmt.Errorf("%s: %w", drv, err))
	}
	return fmt.Errorf("drive kernel interface %s: %w", d.ifname, errors.Join(errs...))
}

// The kernel gives a queue free some time after its last AF_XDP socket was closed:
// who opens an interface again at once may have to try more than once.
const (
	lingerTries = 5
	lingerPause = 10 * time.Millisecond
)

func lingers(err error) bool { return strings.Contains(err.Error(), "create xsk socket") }

// fits checks that what the interface receives fits the buffers (NC B.5, step
// 15). Its MTU can change whenever it is not open.
func (d *device) fits(ifi *net.Interface) error {
	if ifi.MTU > d.bufSize {
		return refuse("drive", d.ifname, unix.EINVAL, "its MTU of %d bytes does not fit the buffers of %d; lower it with ip link set %s mtu %d", ifi.MTU, d.bufSize, d.ifname, d.bufSize)
	}
	return nil
}

func (d *device) run(devargs string) (err error) {
	if d.nic, err = ethdev.Attach(devargs); err != nil {
		d.nic = nil
		return err
	}
	if d.ifname == "" {
		d.drv = d.nic.Info().Driver
	}
	cfg := ethdev.Config{Promiscuous: true}
	if err := d.shapeUp(&cfg); err != nil {
		return err
	}
	d.goZero(&cfg)
	if err = d.nic.Configure(cfg); err != nil {
		return err
	}
	mtu, err := d.nic.MTU()
	if err != nil {
		return err
	}
	if most := d.nic.MaxMTU(); int(mtu) > most {
		return fmt.Errorf("its MTU of %d bytes is above the %d that %s carries; lower it, or use another driver: %w", mtu, most, d.nic.Info().Driver, unix.EINVAL)
	}
	if err := d.nic.Start(); err != nil {
		return err
	}
	for i := range cfg.RxQueues {
		d.rx = append(d.rx, newRxQueue(d.nic, i))
		d.tx = append(d.tx, newTxQueue(d.nic, i, int(mtu)))
		if d.zero != nil {
			d.zero.rx = append(d.zero.rx, d.nic.NewZeroRx(i, burst))
		}
	}
	return nil
}

// pullOut undoes plugIn. No lcore may be using the device.
func (d *device) pullOut() {
	for i := range d.rx {
		d.rx[i].free()
		d.tx[i].free()
	}
	d.rx, d.tx, d.lost, d.link = nil, nil, false, nil
	if d.nic != nil {
		if d.zero != nil && d.zero.pins.users == 1 {
			if err := d.nic.UnmapDMA(d.zero.pins.pool); err != nil {
				d.log.Warn("take a region from the reach of a device", "device", d.nic.Name(), "err", err)
			}
		}
		if err := d.nic.Close(); err != nil {
			d.log.Error("unplug a device", "device", d.nic.Name(), "err", err)
		}
		d.nic = nil
	}
	d.endZero()
}

// use opens the device and makes its sockets wake the lcores.
func (d *device) use() error {
	if err := d.plugIn(); err != nil {
		return err
	}
	if len(d.wakes) > 0 {
		return nil // its host uses it
	}
	d.wakes = d.nic.Sockets()
	if err := d.watch(); err != nil {
		d.unwatch()
		d.idle()
		return err
	}
	return nil
}

// watch makes the sockets wake the lcores that poll the queues, and no others. A
// frame that wakes the wrong one costs a look.
func (d *device) watch() error {
	wakes := d.wakes
	d.unwatch()
	d.wakes = wakes
	for _, l := range d.p.lcores() {
		for _, fd := range wakes {
			if err := l.Watch(fd); err != nil {
				return fmt.Errorf("watch the sockets of %s: %w", d.nic.Name(), err)
			}
		}
	}
	return nil
}

func (d *device) unwatch() {
	for _, l := range d.g.lcores {
		for _, fd := range d.wakes {
			_ = l.Unwatch(fd) // it may not be watched there
		}
	}
	d.wakes = nil
}

// idle ends a use: a kernel interface goes back to the host. No lcore may be
// using the device.
func (d *device) idle() {
	if d.nic == nil || d.host.name != "" { // its host goes on using it
		return
	}
	d.unwatch()
	if d.ifname != "" {
		d.pullOut()
	}
}

// plug gives the transmit queues to a switch. The host has nothing of the device
// then, but by host rings that are on the switch too.
func (d *device) plug() ([]vale.Sink, error) {
	ctx := context.Background() // commands have their own limit
	if err := d.use(); err != nil {
		return nil, err
	}
	if err := d.host.leave(ctx); err != nil {
		d.unplug()
		return nil, err
	}
	var out []vale.Sink
	for _, q := range d.tx {
		out = append(out, q)
	}
	return out, nil
}

func (d *device) unplug() {
	d.idle()
	d.host.comeBack(context.Background())
}

// longestFrame is what the interface's MTU allows, without VLAN tags.
func (d *device) longestFrame() int { return int(d.tx[0].most) - vlanRoom }

// sources are the receive queues.
func (d *device) sources() []vale.Source {
	var out []vale.Source
	for _, q := range d.rx {
		if len(d.nic.Sockets()) > 0 {
			out = append(out, awakening{q})
		} else {
			out = append(out, q)
		}
	}
	return out
}

// admit refuses clients while a switch has the device. The first one says how
// many host rings there are (NC B.5).
func (d *device) admit(full string, req *abi.Register) error {
	if sw := d.p.sw; sw != nil {
		return refuse("register", full, unix.EBUSY, "the interface is attached to switch %s; open a port of that switch, or detach it", sw.name)
	}
	if len(d.p.descs) > 0 {
		return nil
	}
	return d.host.wish(context.Background(), req.HostTxRings, req.HostRxRings) // commands have their own limit
}

// open gets the host's side ready. A host without it is none for host rings
// only.
func (d *device) open(ctx context.Context) error {
	if err := d.park(ctx); err != nil { // left by a close that found the lcore stuck
		return fmt.Errorf("open %s: %w", d.p.name, err)
	}
	d.host.ready(ctx)
	return nil
}

// start drives the device from the first HW ring on.
func (d *device) start(ctx context.Context, k *kring) error {
	if d.p.hostRing(k) {
		if err := d.host.missing(); err != nil {
			return err
		}
	} else if len(d.units) == 0 {
		if err := d.drive(ctx); err != nil {
			return refuseFor("register", d.p.name, err)
		}
	}
	if err := d.host.settle(ctx, nil); err != nil {
		return err
	}
	// An lcore that sleeps has not armed this ring, nor looked at its queue.
	return k.lc.Do(ctx, func() {})
}

// drive starts moving frames between the device and the port's HW rings.
func (d *device) drive(ctx context.Context) error {
	if err := d.use(); err != nil {
		return err
	}
	if err := d.makeZeroTx(); err != nil {
		d.idle()
		return err
	}
	d.units = newDeviceUnits(d)
	err := d.units.start(ctx)
	if err == nil {
		err = d.host.serve(ctx)
	}
	if err != nil && !errors.Is(err, lcore.ErrMayRun) { // else it is taken off before the next use
		_ = d.park(ctx) // the first error says more
	}
	return err
}

// park stops it. When an lcore does not answer, the device stays.
func (d *device) park(ctx context.Context) error {
	if len(d.units) == 0 {
		return nil
	}
	if err := d.units.stop(ctx); err != nil {
		return err
	}
	if err := d.land(ctx); err != nil {
		return err
	}
	if d.ifname == "" {
		d.units = nil
		return nil
	}
	if err := d.host.pause(ctx); err != nil {
		return err
	}
	d.units = nil
	d.idle()
	return d.host.serve(ctx)
}

// stop sends what clients published, and ends the driving with the last HW ring.
func (d *device) stop(ctx context.Context, k *kring, last bool) error {
	u, h, z := d.units[k.lc], d.host.units[k.lc], d.zero
	err := k.lc.Do(ctx, func() {
		switch {
		case k.Dir() == abi.DirRx:
			k.Release() // some slots may be for the host
			if last && z != nil && !d.p.hostRing(k) {
				z.rx[k.ID()].Flush()
			}
		case d.p.hostRing(k):
			if h != nil {
				h.drain()
			}
		case u != nil:
			u.drain()
			if last && z != nil {
				z.tx[k.ID()].settle()
			}
		}
	})
	if err != nil || !last {
		return err
	}
	if err := d.host.settle(ctx, k); err != nil {
		return err
	}
	if d.p.hostRing(k) || d.host.anyBound(d.p.tx[:d.p.hwTx], k) || d.host.anyBound(d.p.rx[:d.p.hwRx], k) {
		return nil
	}
	return d.park(ctx)
}

// close gives everything back that was there for clients only.
func (d *device) close(ctx context.Context) error {
	if err := d.park(ctx); err != nil {
		return err
	}
	return d.host.idle(ctx)
}

// landing is how long a close waits for what is on its way. With the link down
// that may be for ever: then the buffers come back at the next use, or with the
// device.
const landing = 20 * time.Millisecond

// land waits until the device has read what was sent, but not long.
func (d *device) land(ctx context.Context) error {
	if d.zero == nil {
		return nil
	}
	for end := time.Now().Add(landing); ; time.Sleep(time.Millisecond) {
		flying := 0
		for i, t := range d.zero.tx {
			err := d.p.tx[i].lc.Do(ctx, func() { // where the host may be using the queue
				t.Turn(0)
				flying += int(t.tail - t.head)
			})
			if err != nil {
				return err
			}
		}
		if flying == 0 || time.Now().After(end) {
			return nil
		}
	}
}

// leave keeps a port that an attachment made, and that goes with it.
func (d *device) leave(context.Context) bool { return d.p.sw == nil }

func (d *device) free() {
	d.host.down(context.Background())
	d.unwatch()
	d.pullOut()
}

func (d *device) driver() string { return d.drv }

// vanished tells, once, that the kernel interface that is driven is gone.
func (d *device) vanished() bool {
	if d.ifname == "" || d.nic == nil || d.lost {
		return false
	}
	_, err := net.InterfaceByIndex(d.nic.Info().IfIndex)
	if _, failed := errors.AsType[*os.SyscallError](err); err == nil || failed {
		return false
	}
	d.lost = true
	return true
}

// lose tells the clients of a port that its interface is gone: POLLERR.
func (d *device) lose() {
	p := d.p
	d.log.Warn("a kernel interface is gone; its port is of no use until it is closed, or detached, and opened again",
		"port", p.name, "interface", d.ifname)
	if len(d.units) == 0 {
		return
	}
	ctx := context.Background() // a command has its own limit
	if err := d.units.stop(ctx); err != nil {
		d.log.Warn("stop a port without interface", "port", p.name, "err", err)
		return
	}
	d.units.fail(unix.ENODEV)
	d.host.lose(ctx)
}

// identity is the device's address and MTU.
func (d *device) identity() (mac net.HardwareAddr, mtu int, err error) {
	if mac, err = d.nic.MAC(); err != nil {
		return nil, 0, err
	}
	m, err := d.nic.MTU()
	return mac, int(m), err
}

// describe adds what only the device knows.
func (d *device) describe(i *Info) {
	if ifi, err := net.InterfaceByName(d.ifname); d.ifname != "" && err == nil {
		i.MAC, i.MTU, i.LinkUp = ifi.HardwareAddr.String(), ifi.MTU, ifi.Flags&net.FlagRunning != 0
		return
	}
	i.LinkUp = false
	i.NIC = d.tellNIC()
	if d.nic == nil {
		return
	}
	if mac, err := d.nic.MAC(); err == nil {
		i.MAC = mac.String()
	}
	if mtu, err := d.nic.MTU(); err == nil {
		i.MTU = int(mtu)
	}
	if l, err := d.nic.Link(); err == nil {
		i.LinkUp = l.Up
	}
}

// counters are the driver's own, since the device was plugged in: those that all
// drivers have, and under its names those that only this one has.
func (d *device) counters() map[string]uint64 {
	if d.nic == nil {
		return nil
	}
	s, err := d.nic.Stats()
	if err != nil {
		return nil
	}
	c := map[string]uint64{
		"rx_frames": s.Ipackets, "rx_bytes": s.Ibytes, "rx_missed": s.Imissed, "rx_errors": s.Ierrors, "rx_no_mbuf": s.RxNoMbuf,
		"tx_frames": s.Opackets, "tx_bytes": s.Obytes, "tx_errors": s.Oerrors,
	}
	xs, _ := d.nic.Xstats() // drivers without have none
	for _, x := range xs {
		if _, both := c[x.Name]; !both {
			c[x.Name] = x.Value
		}
	}
	if d.p.hostTx+d.p.hostRx > 0 {
		d.host.counters(c)
	}
	return c
}
