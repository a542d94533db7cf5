package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// completionTimeout bounds how long a press of the tab key takes.
const completionTimeout = time.Second

// lister finds the words that an argument can be; args are those before it.
type lister func(ctx context.Context, conn grpc.ClientConnInterface, args []string) ([]string, error)

// completeArgs completes each argument with what its lister finds in the
// running daemon. Without a daemon nothing is offered.
func (c *cli) completeArgs(listers ...lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(listers) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.words(cmd, args, listers[len(args)])
	}
}

// completeMany completes any number of different arguments.
func (c *cli) completeMany(list lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		words, directive := c.words(cmd, args, list)
		words = slices.DeleteFunc(words, func(w string) bool { return slices.Contains(args, w) })
		return words, directive
	}
}

func (c *cli) words(cmd *cobra.Command, args []string, list lister) ([]string, cobra.ShellCompDirective) {
	conn, err := c.dial()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer conn.Close() // nothing is buffered
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, min(c.timeout, completionTimeout))
	defer cancel()
	words, err := list(ctx, conn, args)
	if err != nil {
		cobra.CompDebugln(c.explain(ctx, err, conn).Error(), false)
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	// What a shell would have to be protected from is not offered.
	words = slices.DeleteFunc(words, func(w string) bool { return printable(w) != w })
	return words, cobra.ShellCompDirectiveNoFileComp
}

func portNames(ctx context.Context, conn grpc.ClientConnInterface, _ []string) ([]string, error) {
	resp, err := pb.NewPortServiceClient(conn).ListPorts(ctx, &pb.ListPortsRequest{})
	return views(resp.GetPorts(), (*pb.Port).GetName), err
}

func switchNames(ctx context.Context, conn grpc.ClientConnInterface, _ []string) ([]string, error) {
	resp, err := pb.NewSwitchServiceClient(conn).ListSwitches(ctx, &pb.ListSwitchesRequest{})
	return views(resp.GetSwitches(), (*pb.Switch).GetName), err
}

// portNamesOnSwitch are the ports of the switch that is the argument before.
func portNamesOnSwitch(ctx context.Context, conn grpc.ClientConnInterface, args []string) ([]string, error) {
	resp, err := pb.NewSwitchServiceClient(conn).GetSwitch(ctx, &pb.GetSwitchRequest{Name: args[len(args)-1]})
	return views(resp.GetSwitch().GetPorts(), (*pb.SwitchPort).GetName), err
}
