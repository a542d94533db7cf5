package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newLcoreCommand(c *cli) *cobra.Command {
	return noun("lcore", "Show the poll loops, and move ports between them", newLcoreListCommand(c), newLcoreMoveCommand(c))
}

func newLcoreListCommand(c *cli) *cobra.Command {
	return c.watchable(&cobra.Command{
		Use: "list", Short: "List the lcores and the ports they serve", Args: positional(),
		Long: "List the lcores and the ports they serve.\n\n" +
			"BUSY is the share of the time since the daemon started in which an lcore moved packets. One that says \"by timer\"\n" +
			"serves something that cannot wake it, and looks at it now and then, however idle it is.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				resp, err := pb.NewLcoreServiceClient(conn).ListLcores(ctx, &pb.ListLcoresRequest{})
				if err != nil {
					return err
				}
				return out.print(lcoreList{Lcores: views(resp.GetLcores(), viewLcorePorts), TSCHz: resp.GetTscHz()})
			})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}, "the list")
}

func newLcoreMoveCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "move PORT LCORE", Short: "Give a port that nobody uses to another lcore", Args: positional("PORT", "LCORE"),
		Long: "Give a port that nobody uses to another lcore.\n\n" +
			"Of a device with several queues the first goes there, and the others to the lcores after that one, in turn.",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[1], 10, 16)
			if err != nil {
				return wrongUsage(cmd, "%q is not the number of an lcore; nmctl lcore list shows them", args[1])
			}
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				if _, err := pb.NewLcoreServiceClient(conn).MovePort(ctx, &pb.MovePortRequest{Port: args[0], Lcore: uint32(id)}); err != nil {
					return err
				}
				return out.print(done{Action: "moved to lcore " + args[1], Kind: "port", Name: args[0]})
			})
		},
		ValidArgsFunction: c.completeArgs(portNames, lcoreIDs),
	}
}

func lcoreIDs(ctx context.Context, conn grpc.ClientConnInterface, _ []string) ([]string, error) {
	resp, err := pb.NewLcoreServiceClient(conn).ListLcores(ctx, &pb.ListLcoresRequest{})
	return views(resp.GetLcores(), func(l *pb.Lcore) string { return strconv.Itoa(int(l.GetStats().GetId())) }), err
}

// lcoreView is pb.Lcore to be printed.
type lcoreView struct {
	lcoreStatsView
	BusyShare *float64        `json:"busy_share"` // of all time, 0 to 1
	Ports     []lcorePortView `json:"ports"`
}

type lcorePortView struct {
	Name     string `json:"name"`
	RxQueues uint32 `json:"rx_queues"`
	TxQueues uint32 `json:"tx_queues"`
}

func viewLcorePorts(l *pb.Lcore) lcoreView {
	s := l.GetStats()
	return lcoreView{
		lcoreStatsView: viewLcore(s),
		BusyShare:      quotient(s.GetBusyCycles(), s.GetBusyCycles()+s.GetIdleCycles()+s.GetSleepCycles()),
		Ports: views(l.GetPorts(), func(p *pb.LcorePort) lcorePortView {
			return lcorePortView{Name: p.GetName(), RxQueues: p.GetRxQueues(), TxQueues: p.GetTxQueues()}
		}),
	}
}

// lcoreList is the result of lcore list.
type lcoreList struct {
	Lcores []lcoreView `json:"lcores"`
	TSCHz  uint64      `json:"tsc_hz"`
}

func (l lcoreList) table(t *table) {
	t.row("LCORE", "CPU", "MODE", "STATE", "BUSY", "CYCLES/PACKET", "UNITS", "PORTS (RX+TX QUEUES)")
	for _, v := range l.Lcores {
		state := "ok"
		switch {
		case v.Stuck:
			state = "STUCK"
		case v.SilentUnits > 0 && v.Mode != "poll":
			state = "by timer"
		}
		var ports []string
		for _, p := range v.Ports {
			ports = append(ports, fmt.Sprintf("%s (%d+%d)", p.Name, p.RxQueues, p.TxQueues))
		}
		t.row(v.ID, v.CPU, dash(v.Mode), state, share(v.BusyShare), ratio(v.CyclesPerPacket), v.Units, dash(strings.Join(ports, ", ")))
	}
}

func share(q *float64) string {
	if q == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100**q)
}

func ratio(q *float64) string {
	if q == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *q)
}
