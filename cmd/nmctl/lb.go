package main

import (
	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/lb"
	"github.com/netmapd/netmapd/netmap"
)

func newLBCommand(c *cli) *cobra.Command {
	o := lb.Default()
	cmd := &cobra.Command{
		Use:   "lb -i PORT [-p [NAME:]NUMBER]...",
		Short: "Spread the frames of a port over pipes, as netmap's lb does",
		Long: `Spread the frames of a port over pipes without copying them, as netmap's lb does,
until interrupted. Frames of one connection, in both directions, go to the same
pipe and stay in order; the other ends are NAME}0, NAME}1, ... where NAME is the
port's unless given.

Groups stand one behind the other: each sees every frame, when the group before it
has released it. Programs on the pipes of a group that has another one behind it
must not change the frames. With -B buffers, frames whose pipe is full wait;
without, or when all are taken, they pass to the next group or are dropped.`,
		Example: "  nmctl lb -i vale0:in -p 4 -B 4096\n  nmctl lb -i netmap:eth0 -p ids:4 -p recorder:1 -o 1",
		Args:    positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return wrongUsage(cmd, "%v", err)
			}
			_, err := lb.Run(cmd.Context(), o, cmd.OutOrStdout(), netmap.WithRuntimeDir(c.runtimeDir))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}
