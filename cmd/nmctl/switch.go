package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newSwitchCommand(c *cli) *cobra.Command {
	return noun("switch", "Show, create and delete switches, attach and detach ports",
		newSwitchListCommand(c),
		switchVerb(c, "show", "Show one switch and its ports", c.completeArgs(switchNames), showSwitch, "NAME"),
		newSwitchCreateCommand(c),
		switchVerb(c, "delete", "Delete a switch that has no ports", c.completeArgs(switchNames), deleteSwitch, "NAME"),
		switchVerb(c, "attach", "Put a port on a switch", c.completeArgs(switchNames, portNames), attachToSwitch, "SWITCH", "PORT"),
		switchVerb(c, "detach", "Take a port off a switch", c.completeArgs(switchNames, portNamesOnSwitch), detachFromSwitch, "SWITCH", "PORT"),
		newSwitchSetCommand(c))
}

func newSwitchListCommand(c *cli) *cobra.Command {
	return c.watchable(switchVerb(c, "list", "List all switches", cobra.NoFileCompletions, listSwitches), "the list")
}

// switchVerb makes a command that has no flags of its own.
func switchVerb(c *cli, verb, short string, complete cobra.CompletionFunc,
	run func(ctx context.Context, switches pb.SwitchServiceClient, out *printer, args []string) error, args ...string,
) *cobra.Command {
	use := verb
	for _, a := range args {
		use += " " + a
	}
	return &cobra.Command{
		Use: use, Short: short, Args: positional(args...),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return run(ctx, pb.NewSwitchServiceClient(conn), out, args)
			})
		},
		ValidArgsFunction: complete,
	}
}

func listSwitches(ctx context.Context, switches pb.SwitchServiceClient, out *printer, _ []string) error {
	all, err := pages(func(token string) ([]*pb.Switch, string, error) {
		resp, err := switches.ListSwitches(ctx, &pb.ListSwitchesRequest{PageToken: token})
		return resp.GetSwitches(), resp.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return out.print(switchList{Switches: views(all, viewSwitch)})
}

func showSwitch(ctx context.Context, switches pb.SwitchServiceClient, out *printer, args []string) error {
	resp, err := switches.GetSwitch(ctx, &pb.GetSwitchRequest{Name: args[0]})
	if err != nil {
		return err
	}
	return out.print(viewSwitch(resp.GetSwitch()))
}

func newSwitchCreateCommand(c *cli) *cobra.Command {
	var ageing string
	req := &pb.CreateSwitchRequest{}
	cmd := switchVerb(c, "create", "Create a switch that lives until it is deleted", cobra.NoFileCompletions,
		func(ctx context.Context, switches pb.SwitchServiceClient, out *printer, args []string) error {
			if req.Name = args[0]; ageing != "" {
				age, err := parseAge(ageing)
				if err != nil {
					return err
				}
				req.Ageing = durationpb.New(age)
			}
			resp, err := switches.CreateSwitch(ctx, req)
			if err != nil {
				return err
			}
			return out.print(viewSwitch(resp.GetSwitch()))
		}, "NAME")
	cmd.Flags().StringVar(&ageing, "ageing", "", "how long silent addresses are remembered, 0 for ever (default 300s)")
	cmd.Flags().BoolVar(&req.Compat, "compat", false, "with a table like netmap's: 1024 addresses, never forgotten")
	return cmd
}

func deleteSwitch(ctx context.Context, switches pb.SwitchServiceClient, out *printer, args []string) error {
	if _, err := switches.DeleteSwitch(ctx, &pb.DeleteSwitchRequest{Name: args[0]}); err != nil {
		return err
	}
	return out.print(done{Action: "deleted", Kind: "switch", Name: args[0]})
}

func attachToSwitch(ctx context.Context, switches pb.SwitchServiceClient, out *printer, args []string) error {
	resp, err := switches.AttachToSwitch(ctx, &pb.AttachToSwitchRequest{Switch: args[0], Port: args[1]})
	if err != nil {
		return err
	}
	return out.print(attachment{Switch: args[0], switchPortView: viewSwitchPort(resp.GetPort())})
}

func detachFromSwitch(ctx context.Context, switches pb.SwitchServiceClient, out *printer, args []string) error {
	if _, err := switches.DetachFromSwitch(ctx, &pb.DetachFromSwitchRequest{Switch: args[0], Port: args[1]}); err != nil {
		return err
	}
	return out.print(done{Action: "detached", Kind: "port", Name: args[1]})
}

// switchView is pb.Switch to be printed.
type switchView struct {
	Name       string           `json:"name"`
	Ports      []switchPortView `json:"ports"`
	FDBEntries uint32           `json:"fdb_entries"`

	Table forwardingTableView `json:"table"`

	Ephemeral bool       `json:"ephemeral"`
	Compat    bool       `json:"compat"`
	Created   *time.Time `json:"created"`
}

// switchPortView is pb.SwitchPort to be printed.
type switchPortView struct {
	Index uint32 `json:"index"`
	Name  string `json:"name"`

	Forwarding forwardingView `json:"forwarding"`
}

func viewSwitch(s *pb.Switch) switchView {
	return switchView{
		Name: s.GetName(), Ports: views(s.GetPorts(), viewSwitchPort), FDBEntries: s.GetFdbEntries(), Table: viewForwardingTable(s.GetTable()),
		Ephemeral: s.GetEphemeral(), Compat: s.GetCompat(), Created: when(s.GetCreated()),
	}
}

func viewSwitchPort(p *pb.SwitchPort) switchPortView {
	return switchPortView{Index: p.GetIndex(), Name: p.GetName(), Forwarding: viewForwarding(p.GetForwarding())}
}

func (s switchView) table(t *table) {
	t.row("Name:", s.Name)
	t.row("Addresses:", s.FDBEntries)
	t.row("Ageing:", s.Table.ageing())
	t.row("Ephemeral:", s.Ephemeral)
	t.row("Created:", whenText(s.Created))
	if len(s.Ports) == 0 {
		t.row("Ports:", "none")
		return
	}
	t.row("Ports:")
	t.gap()
	t.row("INDEX", "NAME", "LEARNING", "FLOOD LIMIT")
	for _, p := range s.Ports {
		t.row(p.Index, p.Name, p.Forwarding.Learning, p.Forwarding.limit())
	}
}

// switchList is the result of switch list.
type switchList struct {
	Switches []switchView `json:"switches"`
}

func (l switchList) table(t *table) {
	t.row("NAME", "PORTS", "ADDRESSES", "EPHEMERAL")
	for _, s := range l.Switches {
		t.row(s.Name, len(s.Ports), s.FDBEntries, s.Ephemeral)
	}
}

// attachment is the result of switch attach.
type attachment struct {
	Switch string `json:"switch"`
	switchPortView
}

func (a attachment) table(t *table) {
	t.row(fmt.Sprintf("port %s attached to %s as number %d", a.Name, a.Switch, a.Index))
}
