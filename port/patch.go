package port

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	vale "github.com/netmapd/netmapd/switch"
)

// patch is the second attachment of a persistent port: what either switch sends
// to the port comes out at the other one (NC B.7). It is a port of the second
// switch, without rings; nobody can open it.
type patch struct {
	plain
	inner          *persistent
	toOut, fromOut *vale.Cable // for the second switch, and from it
}

// attachPatch attaches a port that is on one switch to another one.
func (g *Registry) attachPatch(ctx context.Context, s *valeSwitch, inner *persistent) (*port, error) {
	const op = "attach"
	in := inner.p
	switch {
	case in.sw == s:
		return nil, refuse(op, in.name, unix.EBUSY, "it is attached to switch %s", s.name)
	case inner.patch != nil:
		return nil, refuse(op, in.name, unix.EBUSY, "it ties the switches %s and %s together", in.sw.name, inner.patch.p.sw.name)
	}
	p, err := g.newPort(s.name+":"+in.name, KindPatch, in.region, shape{})
	if err != nil {
		return nil, refuse(op, in.name, unix.ENOMEM, "%v", err)
	}
	t := &patch{plain: plain{g, p}, inner: inner, toOut: vale.NewCable(), fromOut: vale.NewCable()}
	p.be, p.ephemeral, p.used, p.lc = t, true, true, in.lc // it has no rings
	if err := g.attach(ctx, s, p, t); err != nil {
		p.free(g)
		return nil, refuseFor(op, in.name, err)
	}
	g.enlist(p)
	inner.patch = t
	if err := t.tie(ctx); err != nil {
		if derr := g.detach(ctx, p); derr != nil {
			g.log.Error("undo an attachment", "err", derr)
		} else {
			g.vanish(ctx, p)
		}
		return nil, refuseFor(op, in.name, err)
	}
	return p, nil
}

// tie puts the cables in the place of the inner port's rings.
func (t *patch) tie(ctx context.Context) error {
	in := t.inner.p
	pl, err := t.g.poller(ctx, in.sw, in.lc)
	if err != nil {
		return err
	}
	if err := in.sw.SetSinks(in.vp, []vale.Sink{t.toOut}); err != nil {
		return err
	}
	return in.pollSources(ctx, in.lc, pl)
}

// untie gives the inner port its rings back.
func (t *patch) untie(ctx context.Context) error {
	in := t.inner.p
	if err := in.leavePoller(ctx); err != nil {
		return err
	}
	if err := in.sw.SetSinks(in.vp, in.rxSinks()); err != nil {
		return fmt.Errorf("untie %s: %w", in.name, err)
	}
	return t.g.quiesce(ctx)
}

func (t *patch) admit(full string, _ *abi.Register) error {
	return refuse("register", full, unix.EBUSY, "the port ties the switches %s and %s together", t.inner.p.sw.name, t.p.sw.name)
}

func (t *patch) plug() ([]vale.Sink, error) { return []vale.Sink{t.fromOut}, nil }

func (t *patch) sources() []vale.Source { return []vale.Source{t.toOut} }

// unplug leaves the inner port to clients again.
func (t *patch) unplug() {
	if t.inner.patch != t {
		return // attaching failed before
	}
	if err := t.untie(context.Background()); err != nil { // a command has its own limit
		t.g.log.Error("a port stays tied to a switch that it left", "port", t.inner.p.name, "err", err)
		return
	}
	t.inner.patch = nil
}

// leave keeps the port as long as it is attached.
func (t *patch) leave(context.Context) bool { return t.p.sw == nil }
