package port

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	"github.com/netmapd/netmapd/shm"
)

// This file serves the netmap requests that bind nothing (NC B.7). Errors carry
// the errno of NC and a text for people.

// describe finds the port and region that an info request is about, creating
// what REGISTER would create, and calls fn on them; what was created for the
// purpose vanishes again. An empty name means the region of memID alone.
func (g *Registry) describe(ctx context.Context, who Caller, op, full string, req *abi.Register, fn func(*port, *shm.Region)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if full == "" {
		return g.describeRegion(op, req.MemID, fn)
	}
	if err := g.mayName(who, op, full, req.MemID); err != nil {
		return err
	}
	if err := checkRequest(full, req); err != nil {
		return err
	}
	p := g.lookup(full)
	if p == nil {
		var err error
		if p, err = g.find(ctx, who, full, req); err != nil {
			return err
		}
	}
	fn(p, p.region)
	g.vanish(ctx, p)
	return nil
}

// lookup finds a live port by the name that clients open or, on a switch, by
// the name that VALE_LIST gives it; nil when there is none.
func (g *Registry) lookup(full string) *port {
	if p := g.ports[full]; p != nil {
		return p
	}
	if swName, portName, ok := strings.Cut(full, ":"); ok {
		return g.attached(swName, portName)
	}
	return nil
}

func (g *Registry) describeRegion(op string, id uint16, fn func(*port, *shm.Region)) error {
	r, err := g.regionByID(max(id, abi.MemIDGlobal))
	if err != nil {
		return err
	}
	if r == nil {
		return refuse(op, "", unix.EINVAL, "memory id %d names no region", id)
	}
	fn(nil, r)
	return nil
}

// PortInfo answers PORT_INFO_GET.
func (g *Registry) PortInfo(ctx context.Context, who Caller, full string, q *abi.PortInfo) error {
	req := abi.Register{
		Mode: abi.ModeAllNIC, MemID: q.MemID, TxSlots: q.TxSlots, RxSlots: q.RxSlots,
		TxRings: q.TxRings, RxRings: q.RxRings, HostTxRings: q.HostTxRings, HostRxRings: q.HostRxRings,
	}
	return g.describe(ctx, who, "port info", full, &req, func(p *port, r *shm.Region) {
		q.MemSize, q.MemID = r.Geometry().Size(), r.ID()
		if p == nil {
			return
		}
		p.counts(&req)
		q.TxSlots, q.RxSlots, q.TxRings, q.RxRings = req.TxSlots, req.RxSlots, req.TxRings, req.RxRings
		q.HostTxRings, q.HostRxRings = req.HostTxRings, req.HostRxRings
	})
}

// PoolsInfo answers POOLS_INFO_GET.
func (g *Registry) PoolsInfo(ctx context.Context, who Caller, full string, q *abi.PoolsInfo) error {
	if full == "" {
		return refuse("pools info", full, unix.ENXIO, "a port must be named")
	}
	req := abi.Register{Mode: abi.ModeAllNIC, MemID: q.MemID}
	return g.describe(ctx, who, "pools info", full, &req, func(_ *port, r *shm.Region) { *q = r.PoolsInfo() })
}

// listName is the name under which a switch lists a port (NC B.7): what a
// client opens, or the switch's name and the interface's.
func (s *valeSwitch) listName(portName string) string {
	if strings.HasPrefix(portName, s.name+":") {
		return portName
	}
	return s.name + ":" + portName
}

// bySwitch lists the switches by index.
func (g *Registry) bySwitch() []*valeSwitch {
	out := make([]*valeSwitch, 0, len(g.switches))
	for _, s := range g.switches {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *valeSwitch) int { return cmp.Compare(a.index, b.index) })
	return out
}

// absentPort is the port index that VALE_LIST gives for a port that is not on
// the switch it was asked about.
const absentPort = 255

// ValeList answers VALE_LIST: by name where and whether a port is, or without a
// name the first port at or after the given indices, with its full name. ENOENT
// ends the iteration.
func (g *Registry) ValeList(full string, bridge uint16, index uint32) (string, uint16, uint32, error) {
	const op = "vale list"
	g.mu.Lock()
	defer g.mu.Unlock()
	if full != "" {
		if !strings.HasPrefix(full, "vale") {
			return "", 0, 0, refuse(op, full, unix.EINVAL, `the name of a switch port begins with "vale"`)
		}
		swName, _, _ := strings.Cut(full, ":")
		s := g.switches[swName]
		if s == nil {
			return "", 0, 0, refuse(op, full, unix.ENOENT, "there is no switch %s", swName)
		}
		for _, p := range s.Ports() {
			if s.listName(p.Name()) == full {
				return full, s.index, uint32(p.Index()), nil
			}
		}
		return full, s.index, absentPort, nil
	}
	for _, s := range g.bySwitch() {
		if s.index < bridge {
			continue
		}
		for _, p := range s.Ports() {
			if s.index == bridge && uint32(p.Index()) < index {
				continue
			}
			return s.listName(p.Name()), s.index, uint32(p.Index()), nil
		}
	}
	return "", 0, 0, refuse(op, full, unix.ENOENT, "no further port")
}

// splitAttach takes "valeX:interface" apart.
func splitAttach(op, full string) (swName, ifname string, err error) {
	core, perr := name.ParseCore(full)
	switch {
	case !strings.HasPrefix(full, "val"):
		return "", "", refuse(op, full, unix.EINVAL, `the name is that of a switch, a colon, and an interface`)
	case perr != nil || core.Kind != name.SwitchPort || core.Port == "":
		return "", "", refuse(op, full, unix.ENOMEM, `the name is that of a switch, a colon, and an interface`)
	}
	return core.Switch, core.Port, nil
}

// ValeAttach answers VALE_ATTACH and returns the port index.
func (g *Registry) ValeAttach(ctx context.Context, full string, req *abi.Register) (uint32, error) {
	const op = "attach"
	swName, ifname, err := splitAttach(op, full)
	if err != nil {
		return 0, err
	}
	if err := g.attachable(op, full, ifname, req); err != nil {
		return 0, err
	}
	if err := g.prepareAttach(swName, ifname); err != nil {
		return 0, valeErrno(op, full, err)
	}
	if req.Mode == abi.ModeNICSW {
		ifname += "*" // with its host rings
	}
	p, err := g.Attach(ctx, swName, ifname)
	if err != nil {
		g.dropIfEmpty(ctx, swName)
		return 0, valeErrno(op, full, err)
	}
	return uint32(p.Index), nil
}

// attachable makes the checks of NC B.7 that need no device, in its order.
func (g *Registry) attachable(op, full, ifname string, req *abi.Register) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.ports[ifname]
	switch {
	case req.MemID > abi.MemIDGlobal && g.regions[req.MemID] == nil && g.named(req.MemID) == nil:
		return refuse(op, full, unix.EINVAL, "memory id %d names no region", req.MemID)
	case g.lookup(full) != nil:
		return refuse(op, full, unix.EBUSY, "a port of this name is on the switch")
	case p == nil && !interfaceExists(ifname):
		return refuse(op, full, unix.EINVAL, "there is no interface %s", ifname)
	case p != nil && len(p.descs) > 0:
		return refuse(op, full, unix.EBUSY, "pid %d has %s open", p.anyUser(), ifname)
	case p != nil && p.kind == KindPersistent:
		return nil // mode and ring are not looked at, and two switches may have it
	case p != nil && p.sw != nil:
		return refuse(op, full, unix.EBUSY, "%s is attached to switch %s", ifname, p.sw.name)
	case req.RingID != 0 || req.Mode != abi.ModeAllNIC && req.Mode != abi.ModeNICSW:
		return refuse(op, full, unix.EINVAL, "an interface is attached whole: mode all-NIC or NIC-and-host, ring 0")
	case req.Mode == abi.ModeNICSW && p != nil && p.hostTx+p.hostRx == 0:
		return refuse(op, full, unix.EINVAL, "the port has no host rings")
	}
	return nil
}

// ValeDetach answers VALE_DETACH and returns the index that the port had.
func (g *Registry) ValeDetach(ctx context.Context, full string) (uint32, error) {
	const op = "detach"
	swName, ifname, err := splitAttach(op, full)
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	var index uint32
	if p := g.attached(swName, ifname); p != nil {
		index = uint32(p.vp.Index())
	}
	g.mu.Unlock()
	if err := g.Detach(ctx, swName, ifname); err != nil {
		return 0, err
	}
	return index, nil
}

// valeErrno gives an attachment's error the errno of NC B.7, where an interface
// that does not exist is EINVAL.
func valeErrno(op, full string, err error) error {
	if errnoOf(err) == unix.ENXIO {
		return refuse(op, full, unix.EINVAL, "%v", err)
	}
	return err
}

// prepareAttach asks the policy where the attachment would make a port for an
// interface, and makes the switch that it names, which goes with its last port as
// in netmap.
func (g *Registry) prepareAttach(swName, ifname string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ports[ifname] == nil {
		if err := g.mayOpen("attach", ifname); err != nil {
			return err
		}
	}
	if g.switches[swName] == nil {
		g.newSwitch(swName)
	}
	return nil
}

func (g *Registry) dropIfEmpty(ctx context.Context, swName string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.switches[swName]; s != nil && s.ephemeral && len(s.Ports()) == 0 {
		g.dropSwitch(ctx, s)
	}
}
