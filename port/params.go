package port

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
	vale "github.com/netmapd/netmapd/switch"
)

// A param is one of netmap's module parameters (NC A.10, E.14). They live as
// long as the daemon does.
type param struct {
	name  string
	value int64
	size  bool                  // of a pool: not negative; what is sensible is found out when a region is made
	show  func(*Registry) int64 // set: read-only, the value in force
	fixed bool                  // read-only, decided when the module is loaded
}

type params []*param

// newParams makes the table with netmap's defaults, and the operator's for the
// global region. Those that mean something to us say where; the others are
// stored and read back.
func newParams(global shm.Params) params {
	var t params
	pools := func(prefix string, p shm.Params) {
		for _, q := range []param{
			{name: "if_size", value: int64(p.IfSize)},
			{name: "if_num", value: int64(p.IfNum)},
			{name: "ring_size", value: int64(p.RingSize)},
			{name: "ring_num", value: int64(p.RingNum)},
			{name: "buf_size", value: int64(p.BufSize)},
			{name: "buf_num", value: int64(p.BufNum)},
		} {
			t = append(t, &param{name: prefix + q.name, value: q.value, size: true})
		}
	}
	pools("", global)                   // globalRegion
	pools("priv_", shm.PrivateParams()) // privateRegion
	for pool, of := range map[string]func(shm.Geometry) shm.Pool{
		"if":   func(g shm.Geometry) shm.Pool { return g.If },
		"ring": func(g shm.Geometry) shm.Pool { return g.Ring },
		"buf":  func(g shm.Geometry) shm.Pool { return g.Buf },
	} {
		inForce := func(g *Registry) shm.Pool {
			geo, _ := g.globalGeometry() // zero if the next region cannot be made
			return of(geo)
		}
		t = append(t,
			&param{name: pool + "_curr_size", show: func(g *Registry) int64 { return int64(inForce(g).Size) }},
			&param{name: pool + "_curr_num", show: func(g *Registry) int64 { return int64(inForce(g).Count) }})
	}
	t = append(t,
		&param{name: "bridge_batch", value: vale.DefaultBatch},    // newSwitch
		&param{name: "generic_ringsize", value: abi.DefaultSlots}, // addDevicePort
		&param{name: "max_bridges", value: 8, fixed: true},
	)
	for name, value := range map[string]int64{
		"admode": 0, "default_pipes": 0, "fwd": 0, "generic_hwcsum": 0, "generic_mit": 100000, "generic_rings": 1,
		"generic_txqdisc": 1, "no_pendintr": 1, "no_timestamp": 0, "ptnet_vnet_hdr": 1, "verbose": 0,
	} {
		t = append(t, &param{name: name, value: value})
	}
	slices.SortFunc(t, func(a, b *param) int { return strings.Compare(a.name, b.name) })
	return t
}

func (t params) find(name string) *param {
	i, ok := slices.BinarySearchFunc(t, name, func(p *param, name string) int { return strings.Compare(p.name, name) })
	if !ok {
		return nil
	}
	return t[i]
}

// get returns a value that is stored; the name is one of the table.
func (t params) get(name string) int64 { return t.find(name).value }

func (t params) pools(prefix string) shm.Params {
	get := func(name string) uint32 { return uint32(t.get(prefix + name)) }
	return shm.Params{
		IfSize: get("if_size"), IfNum: get("if_num"), RingSize: get("ring_size"), RingNum: get("ring_num"),
		BufSize: get("buf_size"), BufNum: get("buf_num"),
	}
}

func (t params) global() shm.Params  { return t.pools("") }
func (t params) private() shm.Params { return t.pools("priv_") }

// defaultSlots of a ring of a NIC-like port.
func (t params) defaultSlots() uint32 {
	n := t.get("generic_ringsize")
	if n < 3 { // no ring (NC E.3)
		return abi.DefaultSlots
	}
	return uint32(min(n, abi.ValeMaxSlots))
}

func (p *param) readOnly() bool { return p.show != nil || p.fixed }

// parse reads a number as Linux does for its module parameters: of 32 bits,
// decimal, 0x or 0, with at most one newline after it.
func (p *param) parse(text string) (int64, bool) {
	text = strings.TrimSuffix(text, "\n")
	if strings.Contains(text, "_") {
		return 0, false // only in Go is it a part of numbers
	}
	if p.size {
		n, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 0, 32)
		return int64(n), err == nil
	}
	n, err := strconv.ParseInt(text, 0, 32)
	return n, err == nil
}

func (p *param) text(g *Registry) string {
	if p.show != nil {
		return strconv.FormatInt(p.show(g), 10)
	}
	return strconv.FormatInt(p.value, 10)
}

// maySet says whether a client may change parameters: they are everybody's, so
// it takes the daemon's own user or root, as it takes root below /sys.
func maySet(who Caller) bool { return who.UID == 0 || who.UID == os.Geteuid() }

const paramOp = "module parameter"

func (g *Registry) findParam(name string) (*param, error) {
	if p := g.params.find(name); p != nil {
		return p, nil
	}
	return nil, refuse(paramOp, name, unix.ENOENT, "netmap has no parameter of this name")
}

// Param returns the value in force of a module parameter of netmap (NC A.10,
// E.14), and whether the caller may set it.
func (g *Registry) Param(who Caller, name string) (value string, writable bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, err := g.findParam(name)
	if err != nil {
		return "", false, err
	}
	return p.text(g), maySet(who) && !p.readOnly(), nil
}

// SetParam sets a module parameter. Sizes of pools are for regions made from now
// on; the global one is made again when no port lives in it (NC A.11).
func (g *Registry) SetParam(who Caller, name, text string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, err := g.findParam(name)
	if err != nil {
		return err
	}
	switch {
	case p.readOnly():
		return refuse(paramOp, name, unix.EACCES, "it can only be read")
	case !maySet(who):
		return refuse(paramOp, name, unix.EACCES, "uid %d may not set it; root and the user that netmapd runs as may", who.UID)
	}
	n, ok := p.parse(text)
	if !ok {
		return refuse(paramOp, name, unix.EINVAL, "%q is not a number of 32 bits", text)
	}
	if n != p.value {
		g.log.Info("module parameter set", "name", name, "value", n, "was", p.value, "pid", who.PID, "uid", who.UID)
	}
	p.value = n
	if name == "fwd" {
		g.forward.Store(n != 0)
	}
	return nil
}

// Params lists all module parameters with their values in force, one in a line.
func (g *Registry) Params() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var b strings.Builder
	for _, p := range g.params {
		b.WriteString(p.name + " " + p.text(g) + "\n")
	}
	return b.String()
}
