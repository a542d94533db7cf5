package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newStatsCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats [PORT...]",
		Short: "Show the counters of ports, lcores and memory regions",
		Long: "Show the counters of all ports or of those named, and of the lcores and memory regions.\n\n" +
			"Cycles per packet are time stamp counter cycles of polls that moved packets, divided by those packets.\n" +
			"Idle is the share of polling cycles in which nothing moved; time asleep is in neither.\n" +
			"With --watch both are of the last interval, and the first print comes after one interval;\n" +
			"as JSON each print is one line, with the counters and, under \"rates\", their growth per second.",
		Example: "  nmctl stats\n  nmctl stats --watch vale0:1\n  nmctl stats -o json | jq '.ports[] | {name, lost: ([.drops[]] | add)}'",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, ports []string) error {
			if c.watch.on {
				return c.stream(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
					return watchStats(ctx, pb.NewStatsServiceClient(conn), out, ports, c.watch)
				})
			}
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return showStats(ctx, pb.NewStatsServiceClient(conn), out, ports)
			})
		},
		ValidArgsFunction: c.completeMany(portNames),
	}
	return c.watchable(cmd, "rates per second")
}

// showStats prints the counters once.
func showStats(ctx context.Context, stats pb.StatsServiceClient, out *printer, ports []string) error {
	resp, err := stats.GetStats(ctx, &pb.GetStatsRequest{Ports: ports})
	if err != nil {
		return err
	}
	return out.print(viewStats(resp.GetSnapshot()))
}

// watchStats prints rates until the context ends, which is how a user ends it, or
// count is reached.
func watchStats(ctx context.Context, stats pb.StatsServiceClient, out *printer, ports []string, o watchOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := stats.WatchStats(ctx, &pb.WatchStatsRequest{Ports: ports, Interval: durationpb.New(o.interval)})
	if err != nil {
		return err
	}
	var last *pb.Snapshot
	for {
		resp, err := stream.Recv()
		switch {
		case ctx.Err() != nil && status.Code(err) == codes.Canceled:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("netmapd ended the statistics")
		case err != nil:
			return err
		}
		now := resp.GetSnapshot()
		if last != nil {
			if err := out.printNext(viewRates(last, now)); err != nil {
				return err
			}
			if out.printed == o.count {
				return nil
			}
		}
		last = now
	}
}
