package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// topOptions are the flags of top.
type topOptions struct {
	sort     string
	filter   string
	interval time.Duration
	once     bool
	limit    int
}

// topOrders say by what ports are sorted, the largest first.
var topOrders = map[string]func(p portStatsView) float64{
	"tx":    func(p portStatsView) float64 { return p.Rates.Tx.Frames },
	"rx":    func(p portStatsView) float64 { return p.Rates.Rx.Frames },
	"bits":  func(p portStatsView) float64 { return p.Rates.Tx.Bytes + p.Rates.Rx.Bytes },
	"drops": func(p portStatsView) float64 { return p.Rates.lost() },
	"name":  func(portStatsView) float64 { return 0 },
}

var topSorts = []string{"tx", "rx", "bits", "drops", "name"}

// AddFlags declares the flags.
func (o *topOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.sort, "sort", "tx", "what puts a port on top: "+strings.Join(topSorts, ", "))
	flags.StringVar(&o.filter, "filter", "", "only ports whose name matches, as a shell pattern: 'vale0:*'")
	flags.DurationVar(&o.interval, "interval", time.Second, "time between pictures, 100ms to 1h")
	flags.BoolVar(&o.once, "once", false, "print one picture, of one interval, and end")
	flags.IntVar(&o.limit, "limit", 40, "most ports to show; 0: all")
}

func newTopCommand(c *cli) *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use: "top", Short: "Watch ports and lcores at work", Args: positional(),
		Long: "Watch ports and lcores at work: rates of ports, what they lose and why, and what lcores spend on a packet and on nothing.\n\n" +
			"The picture is drawn anew each interval, until it is interrupted.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if topOrders[o.sort] == nil {
				return wrongUsage(cmd, "--sort %q: expected one of %s", o.sort, strings.Join(topSorts, ", "))
			}
			if _, err := path.Match(o.filter, ""); err != nil || o.limit < 0 {
				return wrongUsage(cmd, "--filter %q and --limit %d: expected a shell pattern, and 0 or more", o.filter, o.limit)
			}
			return c.stream(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return o.Run(ctx, pb.NewStatsServiceClient(conn), out)
			})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.AddFlags(cmd.Flags())
	complete(cmd, "sort", topSorts...)
	must(cmd.RegisterFlagCompletionFunc("filter", c.completeArgs(portNames)))
	return cmd
}

// Run draws until the context ends, which is how a user ends it.
func (o *topOptions) Run(ctx context.Context, stats pb.StatsServiceClient, out *printer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := stats.WatchStats(ctx, &pb.WatchStatsRequest{Interval: durationpb.New(o.interval)})
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
			if err := o.draw(out, o.picture(last, now)); err != nil || o.once {
				return err
			}
		}
		last = now
	}
}

// draw shows a picture in the place of the one before; JSON and YAML are a series.
func (o *topOptions) draw(out *printer, v topView) error {
	if o.once {
		return out.print(v)
	}
	if out.format != formatTable {
		return out.printNext(v)
	}
	var buf bytes.Buffer
	if err := (&printer{w: &buf, format: formatTable}).print(v); err != nil {
		return err
	}
	// Home, each line cleared behind its end, and what is below it: nothing flickers.
	text := "\x1b[H" + strings.ReplaceAll(buf.String(), "\n", "\x1b[K\n") + "\x1b[J"
	_, err := io.WriteString(out.w, text)
	return err
}

// topView is what top draws.
type topView struct {
	ratesView
	Sort   string `json:"sort"`
	Hidden int    `json:"hidden"` // ports beyond the limit
}

// picture picks the ports and sorts them. Departed ones are left out.
func (o *topOptions) picture(last, now *pb.Snapshot) topView {
	v := topView{ratesView: viewRates(last, now), Sort: o.sort}
	v.Ports = slices.DeleteFunc(v.Ports, func(p portStatsView) bool {
		match, _ := path.Match(o.filter, p.Name) // checked before
		return p.Gone || o.filter != "" && !match
	})
	by := topOrders[o.sort]
	slices.SortFunc(v.Ports, func(a, b portStatsView) int {
		return cmp.Or(cmp.Compare(by(b), by(a)), cmp.Compare(a.Name, b.Name))
	})
	if o.limit > 0 && len(v.Ports) > o.limit {
		v.Hidden = len(v.Ports) - o.limit
		v.Ports = v.Ports[:o.limit]
	}
	return v
}

func (v topView) table(t *table) {
	v.ratesView.table(t)
	if v.Hidden > 0 {
		t.gap()
		t.row(fmt.Sprintf("%d more beyond --limit", v.Hidden))
	}
}

// lost is all drops.
func (r *portRates) lost() (n float64) {
	for _, d := range r.Drops {
		n += d
	}
	return n
}
