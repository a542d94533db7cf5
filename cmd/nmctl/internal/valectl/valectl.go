// Package valectl manages switches as netmap's vale-ctl does, with the requests of
// the attach socket (NC F.3).
package valectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
)

// ErrListed is returned when all ports were listed: netmap's tool ends with
// status 1 then, and scripts know it so.
var ErrListed = errors.New("")

// Options are vale-ctl's. One action is chosen at most; none lists all ports.
type Options struct {
	names   map[string]*string // by action's letter
	Config  string
	MemID   string
	Verbose bool
}

// action is what a letter asks for.
type action struct {
	letter, long, help string
	what               string // "failed to WHAT NAME"
	run                func(*tool, string) error
}

var actions = []action{
	{"g", "info", "show memory, slots and rings of `PORT`", "obtain info for", (*tool).info},
	{"a", "attach", "attach an interface: `SWITCH:INTERFACE`", "attach", (*tool).attach},
	{"h", "attach-host", "attach an interface with its host rings: `SWITCH:INTERFACE`", "attach", (*tool).attachHost},
	{"d", "detach", "detach `SWITCH:INTERFACE`", "detach", (*tool).detach},
	{"n", "new", "make the persistent port `NAME`", "create", (*tool).newif},
	{"r", "remove", "delete the persistent port `NAME`", "remove", (*tool).delif},
	{"l", "list", "show the indices of `SWITCH:PORT`", "list", (*tool).list},
	{"p", "poll", "start polling of `SWITCH:INTERFACE`", "enable polling on", (*tool).pollingOn},
	{"P", "no-poll", "stop polling of `SWITCH:INTERFACE`", "disable polling on", (*tool).pollingOff},
}

// AddFlags registers the flags.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	o.names = map[string]*string{}
	for _, a := range actions {
		o.names[a.letter] = f.StringP(a.long, a.letter, "", a.help)
	}
	f.StringVarP(&o.Config, "config", "C", "", "for -n and -a: slots and rings as `NUMBERS`: txslots[,rxslots[,txrings[,rxrings]]]; for -p: mode (0 one CPU, 1 one for each ring), first CPU or ring, how many")
	f.StringVarP(&o.MemID, "mem", "m", "", "for -n and -a: memory `ID`, or the port whose region is to be used (netmap:NAME, valeX:NAME)")
	f.BoolVarP(&o.Verbose, "verbose", "v", false, "show what became of the request")
}

// tool is one run.
type tool struct {
	*Options
	ctx context.Context
	ctl *netmap.Control
	out io.Writer
	mem uint16
}

// choose finds the action that was asked for; nil for none.
func (o *Options) choose() (*action, string, error) {
	var chosen *action
	for i := range actions {
		if *o.names[actions[i].letter] == "" {
			continue
		}
		if chosen != nil {
			return nil, "", fmt.Errorf("-%s and -%s: one action at a time", chosen.letter, actions[i].letter)
		}
		chosen = &actions[i]
	}
	if chosen == nil {
		return nil, "", nil
	}
	return chosen, *o.names[chosen.letter], nil
}

// numbers reads the -C option: up to four numbers.
func (o *Options) numbers() (n [4]uint32, given int, err error) {
	if o.Config == "" {
		return n, 0, nil
	}
	fields := strings.Split(o.Config, ",")
	if len(fields) > len(n) {
		return n, 0, fmt.Errorf("-C %s: expected at most %d numbers, found %d", o.Config, len(n), len(fields))
	}
	for i, f := range fields {
		v, err := strconv.ParseUint(f, 10, 32)
		if err != nil {
			return n, 0, fmt.Errorf("-C %s: %q is not a number", o.Config, f)
		}
		n[i] = uint32(v)
	}
	return n, len(fields), nil
}

// Validate refuses what no request can be made of.
func (o *Options) Validate() error {
	if _, _, err := o.choose(); err != nil {
		return err
	}
	_, _, err := o.numbers()
	return err
}

// Run makes the request and prints what it tells. Errors begin with "failed to", as
// users of vale-ctl know them.
func Run(ctx context.Context, o *Options, out io.Writer, opts ...netmap.Option) error {
	ctl, err := netmap.NewControl(ctx, opts...)
	if err != nil {
		return err
	}
	defer ctl.Close() //nolint:errcheck // nothing is bound
	t := &tool{Options: o, ctx: ctx, ctl: ctl, out: out}
	a, port, err := o.choose()
	if err != nil {
		return err
	}
	if a == nil {
		return t.listAll()
	}
	if t.mem, err = t.memID(); err == nil {
		err = a.run(t, port)
	}
	if err != nil {
		return fmt.Errorf("failed to %s %s: %w", a.what, port, err)
	}
	return nil
}

func (t *tool) request(typ uint16, port string, body any) error {
	_, err := t.ctl.Request(t.ctx, typ, port, body)
	return err
}

func (t *tool) listAll() error {
	var b abi.ValeList
	for ; ; b.PortIdx++ {
		port, err := t.ctl.Request(t.ctx, abi.ReqValeList, "", &b)
		switch {
		case errors.Is(err, unix.ENOENT):
			return ErrListed
		case err != nil:
			return fmt.Errorf("failed to list all: %w", err)
		}
		fmt.Fprintf(t.out, "%s bridge_idx %d port_idx %d\n", port, b.BridgeIdx, b.PortIdx)
	}
}

func (t *tool) info(port string) error {
	var b abi.PortInfo
	if err := t.request(abi.ReqPortInfoGet, port, &b); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "memsize:    %d\n", b.MemSize)
	t.shape(b.TxSlots, b.RxSlots, b.TxRings, b.RxRings, b.MemID)
	return nil
}

func (t *tool) shape(txSlots, rxSlots uint32, txRings, rxRings, memID uint16) {
	fmt.Fprintf(t.out, "tx_slots:   %d\nrx_slots:   %d\ntx_rings:   %d\nrx_rings:   %d\nmem_id:     %d\n",
		txSlots, rxSlots, txRings, rxRings, memID)
}

// wishes are the slots and rings of -C: the second of a pair is the first one's
// unless it is given.
func (t *tool) wishes() (txSlots, rxSlots uint32, txRings, rxRings uint16, err error) {
	n, given, err := t.numbers()
	if given == 1 {
		n[1] = n[0]
	}
	if given == 3 {
		n[3] = n[2]
	}
	return n[0], n[1], uint16(min(n[2], 1<<16-1)), uint16(min(n[3], 1<<16-1)), err
}

// memID is what -m says.
func (t *tool) memID() (uint16, error) {
	if t.MemID == "" {
		return 0, nil
	}
	if id, err := strconv.ParseUint(t.MemID, 10, 16); err == nil {
		return uint16(id), nil
	}
	spec, err := name.Parse(t.MemID)
	if err != nil {
		return 0, fmt.Errorf("-m %s: expected a number below 65536, or a port: %w", t.MemID, err)
	}
	var b abi.PortInfo
	err = t.request(abi.ReqPortInfoGet, spec.Name, &b)
	return b.MemID, err
}

func (t *tool) attach(port string) error     { return t.attachAs(abi.ModeAllNIC, port) }
func (t *tool) attachHost(port string) error { return t.attachAs(abi.ModeNICSW, port) }

func (t *tool) attachAs(mode uint32, port string) (err error) {
	b := abi.ValeAttach{Register: abi.Register{Mode: mode, MemID: t.mem}}
	r := &b.Register
	if r.TxSlots, r.RxSlots, r.TxRings, r.RxRings, err = t.wishes(); err != nil {
		return err
	}
	if err := t.request(abi.ReqValeAttach, port, &b); err != nil {
		return err
	}
	t.index(b.PortIndex)
	return nil
}

func (t *tool) index(i uint32) {
	if t.Verbose {
		fmt.Fprintf(t.out, "port_index: %d\n", i)
	}
}

func (t *tool) detach(port string) error {
	var b abi.ValeDetach
	if err := t.request(abi.ReqValeDetach, port, &b); err != nil {
		return err
	}
	t.index(b.PortIndex)
	return nil
}

func (t *tool) newif(port string) (err error) {
	b := abi.ValeNewif{MemID: t.mem}
	if b.TxSlots, b.RxSlots, b.TxRings, b.RxRings, err = t.wishes(); err != nil {
		return err
	}
	if err := t.request(abi.ReqValeNewif, port, &b); err != nil {
		return err
	}
	if t.Verbose {
		t.shape(b.TxSlots, b.RxSlots, b.TxRings, b.RxRings, b.MemID)
	}
	return nil
}

func (t *tool) delif(port string) error { return t.request(abi.ReqValeDelif, port, nil) }

func (t *tool) list(port string) error {
	var b abi.ValeList
	if err := t.request(abi.ReqValeList, port, &b); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "bridge_idx: %d\nport_idx:   %d\n", b.BridgeIdx, b.PortIdx)
	return nil
}

func (t *tool) pollingOn(port string) error {
	n, given, err := t.numbers()
	if err != nil {
		return err
	}
	b := abi.ValePolling{Mode: abi.PollingSingleCPU, FirstCPU: n[1], CPUs: 1}
	if n[0] == 1 {
		b.Mode = abi.PollingMultiCPU
		if given > 2 {
			b.CPUs = n[2]
		}
	}
	return t.request(abi.ReqValePollingEnable, port, &b)
}

func (t *tool) pollingOff(port string) error {
	return t.request(abi.ReqValePollingDisable, port, &abi.ValePolling{})
}
