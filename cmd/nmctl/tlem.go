package main

import (
	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/tlem"
	"github.com/netmapd/netmapd/netmap"
)

func newTLEMCommand(c *cli) *cobra.Command {
	o := tlem.Default()
	cmd := &cobra.Command{
		Use:   "tlem -i PORT -i PORT [-B BANDWIDTH] [-D DELAY] [-L LOSS]",
		Short: "Join two ports by a link with a bandwidth, delay and loss, as netmap's tlem does",
		Long: `Join two ports by an emulated link, as netmap's tlem does, until interrupted. Each
direction has a bandwidth (-B) with a queue (-Q) before it, a delay (-D), loss (-L) and
reordering (-R). What is given once holds for both; given twice, the first is for the
frames that come in by the first port. Frames stay in order, but for those that -R
holds back. Route mode (-r, -G) and sessions (-s, -a, -M) of the original are not had.`,
		Example: "  nmctl tlem -i vale0:link -i vale1:link -B 100M -D 20ms\n  nmctl tlem -i netmap:eth0 -i netmap:eth1 -B 10M -B 1M -D uniform,5ms,30ms -L 0.001",
		Args:    positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return wrongUsage(cmd, "%v", err)
			}
			_, err := tlem.Run(cmd.Context(), o, cmd.OutOrStdout(), netmap.WithRuntimeDir(c.runtimeDir))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}
