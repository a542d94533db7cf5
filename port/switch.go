package port

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/name"
	vale "github.com/netmapd/netmapd/switch"
)

// addressAge is how long a switch that an operator made remembers a silent
// address. Switches that appear by opening valeX:y never forget, as netmap's.
const addressAge = 300 * time.Second

// valeSwitch is a switch with its pollers, one for each lcore that has sources.
type valeSwitch struct {
	*vale.Switch
	name      string
	index     uint16 // among all switches: VALE_LIST's bridge index
	ephemeral bool
	compat    bool
	created   time.Time
	pollers   map[*lcore.Lcore]*vale.Poller
}

// newSwitch makes a switch that appears by itself.
func (g *Registry) newSwitch(swName string) *valeSwitch {
	return g.makeSwitch(SwitchSpec{Name: swName, Age: new(time.Duration)}, true)
}

func (g *Registry) makeSwitch(spec SwitchSpec, ephemeral bool) *valeSwitch {
	opt := vale.Options{Wanted: g.wantTending, Batch: int(g.params.get("bridge_batch")), Age: spec.age(), Compat: spec.Compat, Clock: lcore.Cycles}
	s := &valeSwitch{
		name: spec.Name, index: g.freeSwitchIndex(), ephemeral: ephemeral, compat: spec.Compat, created: time.Now(),
		pollers: map[*lcore.Lcore]*vale.Poller{}, Switch: vale.New(spec.Name, opt),
	}
	g.switches[spec.Name] = s
	return s
}

// freeSwitchIndex is the lowest index that no switch has.
func (g *Registry) freeSwitchIndex() (i uint16) {
	for _, s := range g.bySwitch() {
		if s.index == i {
			i++
		}
	}
	return i
}

// poller returns the switch's poller on an lcore. It is started when first
// needed, and again after it failed: a panic takes it off its lcore for good.
// The rings that it polled then stay stopped, until their clients close them.
func (g *Registry) poller(ctx context.Context, s *valeSwitch, l *lcore.Lcore) (*vale.Poller, error) {
	if pl := s.pollers[l]; pl != nil {
		failed, err := pollerFailure(ctx, l, pl)
		if err != nil || failed == nil {
			return pl, err
		}
		g.log.Warn("switch starts again after a failure", "switch", s.name, "lcore", l.ID(), "failure", failed)
		s.ClosePoller(pl)
		delete(s.pollers, l)
	}
	pl := s.NewPoller()
	if err := l.Add(ctx, pl); err != nil {
		s.ClosePoller(pl)
		return nil, fmt.Errorf("start switch %s on lcore %d: %w", s.name, l.ID(), err)
	}
	s.pollers[l] = pl
	for _, p := range g.ports {
		if p.sw == s {
			if err := p.pollSources(ctx, l, pl); err != nil {
				return nil, err
			}
		}
	}
	return pl, nil
}

func pollerFailure(ctx context.Context, l *lcore.Lcore, pl *vale.Poller) (error, error) {
	var failed error
	if err := l.Do(ctx, func() { failed = pl.Err() }); err != nil {
		return nil, err
	}
	return failed, nil
}

// pollSources makes a switch take frames from what an attached port has beside
// the rings of clients, as far as that is the lcore's.
func (p *port) pollSources(ctx context.Context, l *lcore.Lcore, pl *vale.Poller) error {
	at, ok := p.be.(attachable)
	if !ok || !slices.Contains(p.lcores(), l) {
		return nil
	}
	sources := at.sources()
	if len(sources) == 0 {
		return nil
	}
	return l.Do(ctx, func() {
		pl.Remove(p.vp) // it may be there: pollers that are made new ask for it too
		for i, src := range sources {
			if p.queueLcore(i) == l {
				pl.Add(p.vp, i, p.through(i, src))
			}
		}
	})
}

func (s *valeSwitch) tend(now time.Time) { s.Maintain(now) }

// dropSwitch ends a switch without ports.
func (g *Registry) dropSwitch(ctx context.Context, s *valeSwitch) {
	for l, pl := range s.pollers {
		if err := l.Remove(ctx, pl); err != nil && !errors.Is(err, lcore.ErrNoUnit) {
			g.log.Error("stop a switch", "switch", s.name, "lcore", l.ID(), "err", err)
			continue
		}
		s.ClosePoller(pl)
	}
	delete(g.switches, s.name)
}

// joinSwitch attaches a port; an ephemeral switch that stays empty goes again.
func (g *Registry) joinSwitch(ctx context.Context, s *valeSwitch, p *port, sinks []vale.Sink) error {
	vp, err := s.Attach(p.name, sinks)
	if err != nil {
		if s.ephemeral && len(s.Ports()) == 0 {
			g.dropSwitch(ctx, s)
		}
		return err
	}
	p.sw, p.vp = s, vp
	p.tellHeader()
	g.happened(EventAttached, p)
	return nil
}

// leaveSwitch detaches a port whose sources were removed. Its counters stay in
// p.vp. An error says that an lcore may go on using the port's sinks.
func (g *Registry) leaveSwitch(ctx context.Context, p *port) error {
	s := p.sw
	g.happened(EventDetached, p)
	if err := s.Detach(p.vp); err != nil {
		g.log.Error("detach", "switch", s.name, "port", p.name, "err", err)
	}
	err := g.quiesce(ctx)
	if s.ephemeral && len(s.Ports()) == 0 {
		g.dropSwitch(ctx, s)
	}
	return err
}

// Switches lists the switches by name order of creation.
func (g *Registry) Switches(context.Context) ([]SwitchInfo, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]SwitchInfo, 0, len(g.switches))
	for _, s := range g.switches {
		out = append(out, s.info())
	}
	return out, nil
}

func (s *valeSwitch) info() SwitchInfo {
	i := SwitchInfo{Name: s.name, Table: s.Table(), Ephemeral: s.ephemeral, Compat: s.compat, Created: s.created}
	for _, p := range s.Ports() {
		i.Ports = append(i.Ports, SwitchPort{Index: p.Index(), Name: p.Name(), Options: p.Options()})
	}
	return i
}

// CreateSwitch makes a switch that stays until it is deleted. A switch that
// appeared because a program opened a port of it becomes a lasting one. To ask for
// a switch that is there just so is no error.
func (g *Registry) CreateSwitch(_ context.Context, spec SwitchSpec) (SwitchInfo, error) {
	const op = "create switch"
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := name.CheckSwitch(spec.Name); err != nil {
		return SwitchInfo{}, refuse(op, spec.Name, unix.EINVAL, "%v", err)
	}
	s := g.switches[spec.Name]
	switch {
	case s == nil:
		s = g.makeSwitch(spec, false)
	case s.compat != spec.Compat:
		return s.info(), refuse(op, spec.Name, unix.EEXIST, "it exists, and whether its table is netmap's cannot change; end its ports and delete it first")
	case s.ephemeral:
		s.ephemeral = false
		s.SetAge(spec.age())
	case s.Table().Age != spec.age():
		return s.info(), refuse(op, spec.Name, unix.EEXIST, "it exists with another ageing time; nmctl fdb ageing changes that")
	}
	return s.info(), nil
}

// DeleteSwitch removes a switch without ports.
func (g *Registry) DeleteSwitch(ctx context.Context, swName string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.switches[swName]
	if s == nil {
		return refuse("delete switch", swName, unix.ENXIO, "no switch has this name")
	}
	if ps := s.Ports(); len(ps) > 0 {
		return refuse("delete switch", swName, unix.EBUSY, "%d ports are attached, the first is %s; detach them, or end the clients that opened them", len(ps), ps[0].Name())
	}
	g.dropSwitch(ctx, s)
	return nil
}

// Attach joins an interface or device port to a switch. A kernel interface that
// has no port yet gets one, which goes again when it is detached. PORT* as in
// netmap:PORT* joins its host rings too, as a second port.
func (g *Registry) Attach(ctx context.Context, swName, portName string) (SwitchPort, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	portName, hostToo := strings.CutSuffix(portName, "*")
	at, err := g.attachPort(ctx, swName, portName)
	if err != nil || !hostToo {
		return at, err
	}
	p := g.attached(swName, portName)
	if err := g.attachHost(ctx, p.sw, p); err != nil {
		if derr := g.detach(ctx, p); derr != nil {
			g.log.Error("undo an attachment", "err", derr)
		}
		g.vanish(ctx, p)
		return SwitchPort{}, err
	}
	return at, nil
}

func (g *Registry) attachPort(ctx context.Context, swName, portName string) (SwitchPort, error) {
	const op = "attach"
	s := g.switches[swName]
	if s == nil {
		return SwitchPort{}, refuse(op, portName, unix.ENXIO, "no switch is called %s; make it with nmctl switch create %s", swName, swName)
	}
	p := g.ports[portName]
	switch {
	case p == nil:
		var err error
		if p, err = g.createInterface(ctx, Spec{Name: portName, Kind: KindInterface, Driver: g.cfg.Driver}); err != nil {
			return SwitchPort{}, err
		}
		p.ephemeral = true
	case p.kind == KindVALE:
		return SwitchPort{}, refuse(op, portName, unix.EINVAL, "it was born on switch %s and stays there", p.sw.name)
	case len(p.descs) > 0:
		return SwitchPort{}, refuse(op, portName, unix.EBUSY, "pid %d has it open", p.anyUser())
	case p.sw != nil:
		if inner, ok := p.be.(*persistent); ok {
			out, err := g.attachPatch(ctx, s, inner)
			if err != nil {
				return SwitchPort{}, err
			}
			return SwitchPort{Index: out.vp.Index(), Name: out.name}, nil
		}
		return SwitchPort{}, refuse(op, portName, unix.EBUSY, "it is attached to switch %s", p.sw.name)
	}
	at, ok := p.be.(attachable)
	if !ok {
		return SwitchPort{}, refuse(op, portName, unix.EINVAL, "ports of kind %s cannot be on a switch", p.kind)
	}
	if err := g.attach(ctx, s, p, at); err != nil {
		g.vanish(ctx, p) // unless the undoing failed, and it is on the switch still
		return SwitchPort{}, refuseFor(op, portName, err)
	}
	return SwitchPort{Index: p.vp.Index(), Name: p.name}, nil
}

// attach gets the port's own side ready and makes the switch's poller take
// frames from it.
func (g *Registry) attach(ctx context.Context, s *valeSwitch, p *port, at attachable) error {
	for _, l := range p.lcores() {
		if _, err := g.poller(ctx, s, l); err != nil {
			return err
		}
	}
	sinks, err := at.plug()
	if err != nil {
		return err
	}
	if err := g.joinSwitch(ctx, s, p, p.onTo(sinks)); err != nil {
		at.unplug()
		return err
	}
	p.sinks = sinks
	for _, l := range p.lcores() {
		if err := p.pollSources(ctx, l, s.pollers[l]); err != nil {
			if derr := g.detach(ctx, p); derr != nil {
				g.log.Error("undo an attachment", "err", derr)
			}
			return err
		}
	}
	p.used = true
	g.rekeep(p)
	return nil
}

// Detach takes an interface or device port off its switch.
func (g *Registry) Detach(ctx context.Context, swName, portName string) error {
	const op = "detach"
	g.mu.Lock()
	defer g.mu.Unlock()
	portName = strings.TrimSuffix(portName, "*") // the host rings go with it
	p := g.attached(swName, portName)
	switch {
	case p == nil:
		return refuse(op, portName, unix.ENXIO, "no port of this name is on switch %s", swName)
	case p.kind == KindVALE:
		return refuse(op, portName, unix.EBUSY, "it goes when the client that opened it closes it")
	case p.kind == KindHost:
		return refuse(op, portName, unix.EBUSY, "it goes with the port whose host rings it is")
	case p.polling != nil:
		return refuse(op, portName, unix.EBUSY, "it is in polling mode; end that first")
	}
	if v, ok := p.be.(*persistent); ok && v.patch != nil {
		return refuse(op, portName, unix.EBUSY, "it was attached to switch %s afterwards; detach it there first", v.patch.p.sw.name)
	}
	if err := g.detach(ctx, p); err != nil {
		return err
	}
	g.vanish(ctx, p)
	return nil
}

// attached is the port that a switch lists as SWITCH:PORT; nil if none.
func (g *Registry) attached(swName, portName string) *port {
	for _, full := range []string{swName + ":" + portName, portName} {
		if p := g.ports[full]; p != nil && p.sw != nil && p.sw.name == swName {
			return p
		}
	}
	return nil
}

// detach takes a port off its switch, and gives a kernel interface back to the
// host. When an lcore does not answer, the port stays attached, or at least its
// device is left as it is.
func (g *Registry) detach(ctx context.Context, p *port) error {
	s := p.sw
	if err := g.dropHostPort(ctx, p); err != nil {
		return err
	}
	if err := p.leavePoller(ctx); err != nil {
		return err
	}
	err := g.leaveSwitch(ctx, p)
	p.retire()
	g.rekeep(p)
	if len(p.descs) == 0 {
		p.stopMonitors(ctx)
	}
	if err != nil {
		return fmt.Errorf("detach %s from %s: it is off the switch, but an lcore may still use its device: %w", p.name, s.name, err)
	}
	if at, ok := p.be.(attachable); ok {
		at.unplug()
	}
	return nil
}
