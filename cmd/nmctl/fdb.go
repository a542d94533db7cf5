package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newFdbCommand(c *cli) *cobra.Command {
	noPort := c.completeArgs(switchNames)
	return noun("fdb", "Show and change the forwarding table of a switch",
		newFdbListCommand(c),
		fdbVerb(c, "add", "Pin an address to a port", c.completeArgs(switchNames, nothing, portNamesOfFirst), addAddress, "SWITCH", "MAC", "PORT"),
		fdbVerb(c, "delete", "Forget an address", noPort, deleteAddress, "SWITCH", "MAC"),
		newFdbFlushCommand(c),
		fdbVerb(c, "ageing", "Set how long silent addresses are remembered: 300s, 1h, or 0 for ever", noPort, setAgeing, "SWITCH", "TIME"),
	)
}

// nothing completes nothing.
func nothing(context.Context, grpc.ClientConnInterface, []string) ([]string, error) { return nil, nil }

// portNamesOfFirst are the ports of the switch that is the first argument.
func portNamesOfFirst(ctx context.Context, conn grpc.ClientConnInterface, args []string) ([]string, error) {
	return portNamesOnSwitch(ctx, conn, args[:1])
}

// fdbVerb makes a command that has no flags of its own.
func fdbVerb(c *cli, verb, short string, complete cobra.CompletionFunc,
	run func(ctx context.Context, fdb pb.ForwardingServiceClient, out *printer, args []string) error, args ...string,
) *cobra.Command {
	use := verb
	for _, a := range args {
		use += " " + a
	}
	return &cobra.Command{
		Use: use, Short: short, Args: positional(args...),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return run(ctx, pb.NewForwardingServiceClient(conn), out, args)
			})
		},
		ValidArgsFunction: complete,
	}
}

func newFdbListCommand(c *cli) *cobra.Command {
	var port string
	cmd := fdbVerb(c, "list", "List the addresses that a switch knows", c.completeArgs(switchNames),
		func(ctx context.Context, fdb pb.ForwardingServiceClient, out *printer, args []string) error {
			list := addressList{Switch: args[0]}
			for token := ""; ; {
				resp, err := fdb.ListAddresses(ctx, &pb.ListAddressesRequest{Switch: args[0], Port: port, PageToken: token, PageSize: 10000})
				if err != nil {
					return err
				}
				list.Addresses = append(list.Addresses, views(resp.GetAddresses(), viewAddress)...)
				list.Table = viewForwardingTable(resp.GetTable())
				if token = resp.GetNextPageToken(); token == "" {
					return out.print(list)
				}
			}
		}, "SWITCH")
	cmd.Flags().StringVar(&port, "port", "", "only addresses of this port")
	return c.watchable(cmd, "the list")
}

func newFdbFlushCommand(c *cli) *cobra.Command {
	var port string
	cmd := fdbVerb(c, "flush", "Forget what a switch learned; pinned addresses stay", c.completeArgs(switchNames),
		func(ctx context.Context, fdb pb.ForwardingServiceClient, out *printer, args []string) error {
			resp, err := fdb.FlushAddresses(ctx, &pb.FlushAddressesRequest{Switch: args[0], Port: port})
			if err != nil {
				return err
			}
			return out.print(flushed{Switch: args[0], Flushed: resp.GetFlushed()})
		}, "SWITCH")
	cmd.Flags().StringVar(&port, "port", "", "only addresses of this port")
	return cmd
}

func addAddress(ctx context.Context, fdb pb.ForwardingServiceClient, out *printer, args []string) error {
	if _, err := fdb.AddAddress(ctx, &pb.AddAddressRequest{Switch: args[0], Mac: args[1], Port: args[2]}); err != nil {
		return err
	}
	return out.print(done{Action: "added", Kind: "address", Name: args[1]})
}

func deleteAddress(ctx context.Context, fdb pb.ForwardingServiceClient, out *printer, args []string) error {
	if _, err := fdb.DeleteAddress(ctx, &pb.DeleteAddressRequest{Switch: args[0], Mac: args[1]}); err != nil {
		return err
	}
	return out.print(done{Action: "deleted", Kind: "address", Name: args[1]})
}

func setAgeing(ctx context.Context, fdb pb.ForwardingServiceClient, out *printer, args []string) error {
	age, err := parseAge(args[1])
	if err != nil {
		return err
	}
	if _, err := fdb.SetAgeing(ctx, &pb.SetAgeingRequest{Switch: args[0], Ageing: durationpb.New(age)}); err != nil {
		return err
	}
	return out.print(done{Action: "set to " + ageText(age), Kind: "ageing time of", Name: args[0]})
}

// parseAge reads a duration, seconds if it has no unit.
func parseAge(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, &usageError{fmt.Sprintf("%q is no time; write for example 300s, 1h, or 0 for ever", s)}
	}
	return d, nil
}

// newSwitchSetCommand changes what a port of a switch may do.
func newSwitchSetCommand(c *cli) *cobra.Command {
	var learning bool
	var limit uint32
	cmd := &cobra.Command{
		Use: "set SWITCH PORT", Short: "Change what a port of a switch may do", Args: positional("SWITCH", "PORT"),
		ValidArgsFunction: c.completeArgs(switchNames, portNamesOnSwitch),
	}
	cmd.Flags().BoolVar(&learning, "learning", true, "learn the addresses of its frames")
	cmd.Flags().Uint32Var(&limit, "flood-limit", 0, "frames a second that may be flooded; 0: any number")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		want := &pb.PortForwarding{}
		if cmd.Flags().Changed("learning") {
			want.Learning = &learning
		}
		if cmd.Flags().Changed("flood-limit") {
			want.FloodLimit = &limit
		}
		return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
			resp, err := pb.NewForwardingServiceClient(conn).SetPortForwarding(ctx, &pb.SetPortForwardingRequest{Switch: args[0], Port: args[1], Forwarding: want})
			if err != nil {
				return err
			}
			return out.print(portForwarding{Port: args[1], forwardingView: viewForwarding(resp.GetForwarding())})
		})
	}
	return cmd
}

// addressView is pb.Address to be printed; times are seconds.
type addressView struct {
	MAC    string  `json:"mac"`
	Port   string  `json:"port"`
	Static bool    `json:"static"`
	Age    float64 `json:"age"`
}

func viewAddress(a *pb.Address) addressView {
	return addressView{MAC: a.GetMac(), Port: a.GetPort(), Static: a.GetStatic(), Age: a.GetAge().AsDuration().Seconds()}
}

func (a addressView) kind() string {
	if a.Static {
		return "static"
	}
	return "learned"
}

// forwardingTableView is pb.ForwardingTable to be printed; times are seconds.
type forwardingTableView struct {
	Size      uint32  `json:"size"`
	Limit     uint32  `json:"limit"`
	Used      uint32  `json:"used"`
	Static    uint32  `json:"static"`
	Displaced uint32  `json:"displaced"`
	Evicted   uint64  `json:"evicted"`
	Ageing    float64 `json:"ageing"`
}

func viewForwardingTable(t *pb.ForwardingTable) forwardingTableView {
	return forwardingTableView{
		Size: t.GetSize(), Limit: t.GetLimit(), Used: t.GetUsed(), Static: t.GetStatic(),
		Displaced: t.GetDisplaced(), Evicted: t.GetEvicted(), Ageing: t.GetAgeing().AsDuration().Seconds(),
	}
}

func (v forwardingTableView) ageing() string {
	return ageText(time.Duration(v.Ageing * float64(time.Second)))
}

func ageText(d time.Duration) string {
	if d == 0 {
		return "never"
	}
	return d.String()
}

// addressList is the result of fdb list.
type addressList struct {
	Switch    string              `json:"switch"`
	Addresses []addressView       `json:"addresses"`
	Table     forwardingTableView `json:"table"`
}

func (l addressList) table(t *table) {
	t.row("ADDRESS", "PORT", "KIND", "AGE")
	for _, a := range l.Addresses {
		age := "-"
		if !a.Static && l.Table.Ageing > 0 {
			age = time.Duration(a.Age * float64(time.Second)).String()
		}
		t.row(a.MAC, a.Port, a.kind(), age)
	}
	t.gap()
	t.row(fmt.Sprintf("%d of %d slots used (limit %d), %d static, %d displaced, %d evicted, ageing %s",
		l.Table.Used, l.Table.Size, l.Table.Limit, l.Table.Static, l.Table.Displaced, l.Table.Evicted, l.Table.ageing()))
}

// flushed is the result of fdb flush.
type flushed struct {
	Switch  string `json:"switch"`
	Flushed uint32 `json:"flushed"`
}

func (f flushed) table(t *table) {
	t.row(fmt.Sprintf("%d addresses of %s flushed", f.Flushed, f.Switch))
}

// forwardingView is pb.PortForwarding to be printed.
type forwardingView struct {
	Learning   bool   `json:"learning"`
	FloodLimit uint32 `json:"flood_limit"`
}

func viewForwarding(f *pb.PortForwarding) forwardingView {
	return forwardingView{Learning: f.GetLearning(), FloodLimit: f.GetFloodLimit()}
}

func (f forwardingView) limit() string {
	if f.FloodLimit == 0 {
		return "none"
	}
	return fmt.Sprintf("%d/s", f.FloodLimit)
}

// portForwarding is the result of switch set.
type portForwarding struct {
	Port string `json:"port"`
	forwardingView
}

func (p portForwarding) table(t *table) {
	t.row("Port:", p.Port)
	t.row("Learning:", p.Learning)
	t.row("Flood limit:", p.limit())
}
