package port

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/hostif"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	vale "github.com/netmapd/netmapd/switch"
)

// persistent is a VALE port that stays (NC E.6): on the switch that it is
// attached to, and where there is none it swallows what clients send.
type persistent struct {
	plain
	vnetHeader
	unit  *swallower // while clients have the port open and it is on no switch
	patch *patch     // the second attachment
	mac   net.HardwareAddr
	shown *hostif.Tap // the interface of the host that stands for the port
}

// show makes the interface of the host that stands for the port, with its address.
// What the host sends there is discarded, as in netmap (NC E.6): nobody reads it,
// and the kernel drops what its queue does not hold.
func (v *persistent) show(ifname string) (err error) {
	v.shown, err = hostif.OpenTap(hostif.TapConfig{Name: ifname, MAC: v.mac, MTU: defaultMTU})
	return err
}

func (v *persistent) free() {
	if v.shown != nil {
		v.shown.Close()
	}
}

// NewIf answers VALE_NEWIF: a persistent port of the wanted shape, as far as
// there are limits, which b comes back with. EINVAL for a name that is a
// switch's or too long, EEXIST where an interface or port has it.
func (g *Registry) NewIf(who Caller, ifname string, b *abi.ValeNewif) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, err := g.createPersistent(who, ifname, &abi.Register{
		TxSlots: b.TxSlots, RxSlots: b.RxSlots, TxRings: b.TxRings, RxRings: b.RxRings, MemID: b.MemID,
	})
	if err != nil {
		return err
	}
	if p.hwTx == p.hwRx && p.txSlots == p.rxSlots && b.MemID == 0 { // CreatePort could have made it, and it is worth saving
		p.spec = &Spec{Name: ifname, Kind: KindPersistent, Rings: p.hwTx, Slots: int(p.txSlots)}
	}
	b.TxSlots, b.RxSlots, b.TxRings, b.RxRings = p.txSlots, p.rxSlots, uint16(p.hwTx), uint16(p.hwRx)
	b.MemID = p.region.ID()
	return nil
}

// createPersistent makes a persistent port with the wishes of a registration.
func (g *Registry) createPersistent(who Caller, ifname string, req *abi.Register) (*port, error) {
	const op = "create port"
	core, err := name.ParseCore(ifname)
	switch {
	case strings.HasPrefix(ifname, "vale"), err == nil && core.Kind != name.Interface:
		return nil, refuse(op, ifname, unix.EINVAL, "the name is an interface's: it does not begin with vale, and has no colon or brace")
	case err != nil:
		return nil, refuse(op, ifname, unix.EINVAL, "%v", err)
	case len(ifname) >= unix.IFNAMSIZ:
		return nil, refuse(op, ifname, unix.EINVAL, "the name has %d bytes, at most %d are possible", len(ifname), unix.IFNAMSIZ-1)
	case g.ports[ifname] != nil:
		return nil, refuse(op, ifname, unix.EEXIST, "a port of kind %s has this name", g.ports[ifname].kind)
	case interfaceExists(ifname):
		return nil, refuse(op, ifname, unix.EEXIST, "the kernel has an interface of this name")
	}
	if err := g.mayName(who, op, ifname, req.MemID); err != nil {
		return nil, err
	}
	p, err := g.newVALEPort(who, ifname, KindPersistent, req)
	if err != nil {
		return nil, noRoom(op, ifname, err)
	}
	mac := make(net.HardwareAddr, 6)
	_, _ = rand.Read(mac) // it cannot fail
	mac[0] = mac[0]&^1 | 2
	p.be = &persistent{plain: plain{g, p}, mac: mac}
	g.enlist(p)
	return p, nil
}

// DelIf answers VALE_DELIF: ENXIO where nothing has the name, EINVAL for what is
// no persistent port, EBUSY for one that is open or on a switch.
func (g *Registry) DelIf(ctx context.Context, ifname string) error {
	const op = "delete port"
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.ports[ifname]
	switch {
	case p == nil && !interfaceExists(ifname):
		return refuse(op, ifname, unix.ENXIO, "no port and no interface has this name")
	case p == nil || p.kind != KindPersistent || p.ephemeral:
		return refuse(op, ifname, unix.EINVAL, "it is no persistent VALE port")
	}
	return g.deleteIdle(ctx, p)
}

// deleteIdle removes a port that nobody uses.
func (g *Registry) deleteIdle(ctx context.Context, p *port) error {
	const op = "delete port"
	switch {
	case len(p.descs) > 0:
		return refuse(op, p.name, unix.EBUSY, "%d clients have it open, the first is pid %d", len(p.descs), p.anyUser())
	case len(p.pipes) > 0:
		return refuse(op, p.name, unix.EBUSY, "%d pipes hang on it", len(p.pipes))
	case p.sw != nil:
		return refuse(op, p.name, unix.EBUSY, "it is attached to switch %s; detach it first", p.sw.name)
	}
	g.destroy(ctx, p)
	return nil
}

// admit refuses clients while the port ties two switches together.
func (v *persistent) admit(full string, _ *abi.Register) error {
	if v.patch != nil {
		return refuse("register", full, unix.EBUSY, "the port ties the switches %s and %s together", v.p.sw.name, v.patch.p.sw.name)
	}
	return nil
}

// open swallows what clients send, unless a switch takes it.
func (v *persistent) open(ctx context.Context) error {
	if err := v.close(ctx); err != nil { // left by a close that found the lcore stuck
		return fmt.Errorf("open %s: %w", v.p.name, err)
	}
	if v.p.sw != nil {
		return nil
	}
	return v.swallow(ctx)
}

func (v *persistent) swallow(ctx context.Context) error {
	u := newSwallower(v.p)
	v.unit = u
	if err := v.p.lc.Add(ctx, u); err != nil { // it may be there: it is taken off before the next use
		return fmt.Errorf("open %s: %w", v.p.name, err)
	}
	return nil
}

func (v *persistent) close(ctx context.Context) error {
	if v.unit == nil {
		return nil
	}
	if err := removeUnit(ctx, v.p.lc, v.unit); err != nil {
		return err
	}
	v.unit = nil
	return nil
}

// start puts a ring on the switch, or makes an lcore that sleeps arm it.
func (v *persistent) start(ctx context.Context, k *kring) error {
	if v.p.sw != nil {
		return v.g.pollRing(ctx, v.p, k)
	}
	return v.p.lc.Do(ctx, func() {})
}

func (v *persistent) stop(ctx context.Context, k *kring, last bool) error {
	switch {
	case v.p.sw != nil:
		return v.g.drainRing(ctx, v.p, k, last)
	case v.unit == nil || k.Dir() != abi.DirTx:
		return nil
	}
	return v.p.lc.Do(ctx, func() { v.unit.drain(k) })
}

// leave is for ports that pipes made.
func (v *persistent) leave(context.Context) bool { return v.p.sw == nil }

// plug gives the RX rings to a switch. Nobody has the port open.
func (v *persistent) plug() ([]vale.Sink, error) { return v.p.rxSinks(), nil }

// unplug lets clients that have the port open go on, into nothing.
func (v *persistent) unplug() {
	for _, k := range v.p.tx {
		k.src = nil // the poller's
	}
	if len(v.p.descs) == 0 {
		return
	}
	if err := v.swallow(context.Background()); err != nil { // a command has its own limit
		v.g.log.Error("a port that left its switch stands still", "port", v.p.name, "err", err)
	}
}

// sources are the rings of clients, which come and go with them, or the other
// switch.
func (v *persistent) sources() []vale.Source {
	if v.patch != nil {
		return []vale.Source{v.patch.fromOut}
	}
	return nil
}

func (v *persistent) describe(i *Info) { i.MAC, i.MTU = v.mac.String(), defaultMTU }

// defaultMTU of an interface that has not been told otherwise.
const defaultMTU = 1500
