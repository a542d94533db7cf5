package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newPortCommand(c *cli) *cobra.Command {
	return noun("port", "Show, create and delete ports",
		newPortListCommand(c), newPortShowCommand(c), newPortCreateCommand(c), newPortDeleteCommand(c))
}

func newPortListCommand(c *cli) *cobra.Command {
	return c.watchable(&cobra.Command{
		Use: "list", Short: "List all ports", Args: positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return listPorts(ctx, pb.NewPortServiceClient(conn), out)
			})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}, "the list")
}

func listPorts(ctx context.Context, ports pb.PortServiceClient, out *printer) error {
	all, err := pages(func(token string) ([]*pb.Port, string, error) {
		resp, err := ports.ListPorts(ctx, &pb.ListPortsRequest{PageToken: token})
		return resp.GetPorts(), resp.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return out.print(portList{Ports: views(all, viewPort)})
}

func newPortShowCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show one port and who uses it", Args: positional("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return showPort(ctx, pb.NewPortServiceClient(conn), out, args[0])
			})
		},
		ValidArgsFunction: c.completeArgs(portNames),
	}
}

func showPort(ctx context.Context, ports pb.PortServiceClient, out *printer, name string) error {
	resp, err := ports.GetPort(ctx, &pb.GetPortRequest{Name: name})
	if err != nil {
		return err
	}
	return out.print(viewPort(resp.GetPort()))
}

// portCreateOptions are the flags of port create.
type portCreateOptions struct {
	kind, ifname, driver, devargs, host string

	rings, slots, mtu uint32
	dropUnbound       bool
}

// AddFlags declares the flags.
func (o *portCreateOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kind, "kind", "", "interface (of the kernel), device (of DPDK) or persistent (a VALE port that stays); by default device with --devargs, else interface")
	flags.StringVar(&o.ifname, "ifname", "", "kernel interface, when it is not called as the port")
	flags.StringVar(&o.driver, "driver", "", "how a kernel interface is reached: auto, af_xdp or af_packet (default auto)")
	flags.StringVar(&o.devargs, "devargs", "", `DPDK device: a PCI address, or a virtual one such as "net_null0,size=60"`)
	flags.Uint32Var(&o.mtu, "mtu", 0, "bytes of payload in a frame, of a device (default as its driver has it)")
	flags.Uint32Var(&o.rings, "rings", 0, "queue pairs (default 1, or as many as the hardware has, up to the number of CPUs)")
	flags.Uint32Var(&o.slots, "slots", 0, "slots in each ring (default 1024)")
	flags.StringVar(&o.host, "host", "", "name of an interface that is made for the port: the host uses a device through it, and programs have host rings")
	flags.BoolVar(&o.dropUnbound, "drop-unbound", false, "drop frames of queues that no program has open, instead of giving them to the host")
}

// createdKinds are the kinds that are asked for; ports of the others appear when
// they are opened.
var createdKinds = []string{"interface", "device", "persistent"}

// spec is what the API is asked for.
func (o *portCreateOptions) spec(name string) (*pb.PortSpec, error) {
	spec := &pb.PortSpec{Name: name, Ifname: o.ifname, Devargs: o.devargs, Rings: o.rings, Slots: o.slots, HostIfname: o.host, DropUnbound: o.dropUnbound, Mtu: o.mtu}
	kind := o.kind
	if kind == "" {
		kind = "interface"
		if o.devargs != "" {
			kind = "device"
		}
	}
	value, ok := pb.PortKind_value["PORT_KIND_"+strings.ToUpper(kind)]
	if !ok || value == int32(pb.PortKind_PORT_KIND_UNSPECIFIED) {
		return nil, &usageError{fmt.Sprintf("--kind %q: expected interface, device or persistent", o.kind)}
	}
	spec.Kind = pb.PortKind(value)
	if o.driver != "" {
		value, ok := pb.InterfaceDriver_value["INTERFACE_DRIVER_"+strings.ToUpper(o.driver)]
		if !ok || value == int32(pb.InterfaceDriver_INTERFACE_DRIVER_UNSPECIFIED) {
			return nil, &usageError{fmt.Sprintf("--driver %q: expected auto, af_xdp or af_packet", o.driver)}
		}
		spec.Driver = pb.InterfaceDriver(value)
	}
	return spec, nil
}

// Run creates the port and prints it.
func (o *portCreateOptions) Run(ctx context.Context, ports pb.PortServiceClient, out *printer, spec *pb.PortSpec) error {
	resp, err := ports.CreatePort(ctx, &pb.CreatePortRequest{Spec: spec})
	if err != nil {
		return err
	}
	return out.print(viewPort(resp.GetPort()))
}

func newPortCreateCommand(c *cli) *cobra.Command {
	var o portCreateOptions
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a port that lives until it is deleted", Args: positional("NAME"),
		Long: "Create a port, which programs open as netmap:NAME, from a kernel interface or a DPDK device, or one that\n" +
			"is only put on VALE switches.\n" +
			"Ports of VALE switches are not created: they appear when a program opens valeX:name.",
		Example: "  nmctl port create eth1\n  nmctl port create sink --devargs net_null0,size=60\n  nmctl port create lane --kind persistent",
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := o.spec(args[0])
			if err != nil {
				return err
			}
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return o.Run(ctx, pb.NewPortServiceClient(conn), out, spec)
			})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.AddFlags(cmd.Flags())
	complete(cmd, "kind", createdKinds...)
	complete(cmd, "driver", "auto", "af_xdp", "af_packet")
	return cmd
}

func newPortDeleteCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a port", Args: positional("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return deletePort(ctx, pb.NewPortServiceClient(conn), out, args[0])
			})
		},
		ValidArgsFunction: c.completeArgs(portNames),
	}
}

func deletePort(ctx context.Context, ports pb.PortServiceClient, out *printer, name string) error {
	if _, err := ports.DeletePort(ctx, &pb.DeletePortRequest{Name: name}); err != nil {
		return err
	}
	return out.print(done{Action: "deleted", Kind: "port", Name: name})
}

// portView is pb.Port to be printed.
type portView struct {
	ID        uint64       `json:"id"`
	Name      string       `json:"name"`
	Kind      string       `json:"kind"`
	Driver    string       `json:"driver"`
	Ephemeral bool         `json:"ephemeral"`
	Switch    string       `json:"switch"`
	Index     int32        `json:"index"`
	MAC       string       `json:"mac"`
	LinkUp    bool         `json:"link_up"`
	MTU       uint32       `json:"mtu"`
	TxRings   uint32       `json:"tx_rings"`
	RxRings   uint32       `json:"rx_rings"`
	TxSlots   uint32       `json:"tx_slots"`
	RxSlots   uint32       `json:"rx_slots"`
	RegionID  uint32       `json:"region_id"`
	Lcore     int32        `json:"lcore"`
	Users     []userView   `json:"users"`
	Created   *time.Time   `json:"created"`
	NIC       *portNICView `json:"nic"`
}

// userView is pb.PortUser to be printed.
type userView struct {
	PID     int32      `json:"pid"`
	UID     uint32     `json:"uid"`
	Command string     `json:"command"`
	Since   *time.Time `json:"since"`
	Mode    string     `json:"mode"`
	Rings   []string   `json:"rings"`
}

func viewPort(p *pb.Port) portView {
	return portView{
		ID: p.GetId(), Name: p.GetName(), Kind: word(p.GetKind(), "PORT_KIND_"), Driver: p.GetDriver(),
		Ephemeral: p.GetEphemeral(), Switch: p.GetSwitch(), Index: p.GetIndex(),
		MAC: p.GetMac(), LinkUp: p.GetLinkUp(), MTU: p.GetMtu(),
		TxRings: p.GetTxRings(), RxRings: p.GetRxRings(), TxSlots: p.GetTxSlots(), RxSlots: p.GetRxSlots(),
		RegionID: p.GetRegionId(), Lcore: p.GetLcore(),
		Users: views(p.GetUsers(), viewUser), Created: when(p.GetCreated()), NIC: viewPortNIC(p.GetNic()),
	}
}

func viewUser(u *pb.PortUser) userView {
	return userView{
		PID: u.GetPid(), UID: u.GetUid(), Command: u.GetCommand(), Since: when(u.GetSince()),
		Mode: u.GetMode(), Rings: orEmpty(u.GetRings()),
	}
}

func (p portView) link() string {
	switch {
	case p.NIC != nil && !p.NIC.Present:
		return "no device"
	case p.LinkUp:
		return "up"
	}
	return "down"
}

// at is the switch with the number on it: "vale0[1]".
func (p portView) at() string {
	switch {
	case p.Switch == "":
		return "-"
	case p.Index < 0:
		return p.Switch
	}
	return fmt.Sprintf("%s[%d]", p.Switch, p.Index)
}

func (p portView) table(t *table) {
	t.row("Name:", p.Name)
	t.row("Kind:", p.Kind)
	t.row("Driver:", dash(p.Driver))
	t.row("Switch:", p.at())
	t.row("MAC:", dash(p.MAC))
	t.row("Link:", p.link())
	t.row("MTU:", p.MTU)
	t.row("Rings:", fmt.Sprintf("%d tx of %d slots, %d rx of %d slots", p.TxRings, p.TxSlots, p.RxRings, p.RxSlots))
	t.row("Region:", p.RegionID)
	t.row("Lcore:", p.Lcore)
	if n := p.NIC; n != nil {
		t.row("Device:", n.device())
		if n.LinkMbps > 0 {
			t.row("Speed:", fmt.Sprintf("%d Mbit/s", n.LinkMbps))
		}
		t.row("Promiscuous:", n.Promiscuous)
		t.row("Buffers:", n.copying())
		t.row("Queues:", fmt.Sprintf("polled by lcores %v", n.QueueLcores))
	}
	t.row("Ephemeral:", p.Ephemeral)
	t.row("Created:", whenText(p.Created))
	if len(p.Users) == 0 {
		t.row("Users:", "none")
		return
	}
	t.row("Users:")
	t.gap()
	t.row("PID", "UID", "COMMAND", "MODE", "RINGS", "SINCE")
	for _, u := range p.Users {
		t.row(u.PID, u.UID, dash(u.Command), dash(u.Mode), dash(strings.Join(u.Rings, ",")), whenText(u.Since))
	}
}

// portList is the result of port list.
type portList struct {
	Ports []portView `json:"ports"`
}

func (l portList) table(t *table) {
	t.row("NAME", "KIND", "DRIVER", "SWITCH", "RINGS", "SLOTS", "LINK", "REGION", "LCORE", "USERS")
	for _, p := range l.Ports {
		t.row(p.Name, p.Kind, dash(p.Driver), p.at(),
			fmt.Sprintf("%d/%d", p.TxRings, p.RxRings), fmt.Sprintf("%d/%d", p.TxSlots, p.RxSlots),
			p.link(), p.RegionID, p.Lcore, len(p.Users))
	}
}

// views maps a list to be printed; JSON has an empty one as [].
func views[From, To any](in []From, f func(From) To) []To {
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}
