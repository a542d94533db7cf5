package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newRegionCommand(c *cli) *cobra.Command {
	return noun("region", "Show the memory that ports live in", newRegionListCommand(c))
}

func newRegionListCommand(c *cli) *cobra.Command {
	return c.watchable(&cobra.Command{
		Use: "list", Short: "List the memory regions, how full they are, and who lives there", Args: positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				all, err := pages(func(token string) ([]*pb.Region, string, error) {
					resp, err := pb.NewRegionServiceClient(conn).ListRegions(ctx, &pb.ListRegionsRequest{PageToken: token})
					return resp.GetRegions(), resp.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return out.print(regionList{Regions: views(all, viewRegionPorts)})
			})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}, "the list")
}

// regionView is pb.Region to be printed.
type regionView struct {
	regionStatsView
	Ports []string `json:"ports"`
}

func viewRegionPorts(r *pb.Region) regionView {
	return regionView{regionStatsView: viewRegion(r.GetStats()), Ports: orEmpty(r.GetPorts())}
}

// regionList is the result of region list.
type regionList struct {
	Regions []regionView `json:"regions"`
}

func (l regionList) table(t *table) {
	t.row("REGION", "NAME", "OWNER", "BYTES", "FREE IFS", "FREE RINGS", "FREE BUFFERS", "LENT", "ORPHANS", "PORTS")
	for _, r := range l.Regions {
		var owner any = "-"
		if r.Owner != nil {
			owner = *r.Owner
		}
		t.row(r.ID, dash(r.Name), owner, r.Size, r.IfPool, r.RingPool, r.BufPool, r.Lent, r.Orphans, dash(strings.Join(r.Ports, " ")))
	}
}
