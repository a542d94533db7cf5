package main

import (
	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/replay"
	"github.com/netmapd/netmapd/netmap"
)

func newReplayCommand(c *cli) *cobra.Command {
	o := replay.Default()
	cmd := &cobra.Command{
		Use:   "replay -f FILE -i PORT",
		Short: "Send the frames of a pcap or pcapng file, as netmap's nmreplay does",
		Long: `Send the frames of a pcap or pcapng file into a port, as netmap's nmreplay does: at
the pace they were captured (-B real), at a multiple of it (-B real,10), at a number of
bits a second (-B 1G, -B ether,1G), or as fast as the port takes them (-B 0); -n times
or, with -n 0, until interrupted. The file is read into memory before the start.`,
		Example: "  nmctl replay -f trace.pcap -i vale0:1\n  nmctl replay -f trace.pcapng -i netmap:eth0 -B real,2.5 -n 0",
		Args:    positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return wrongUsage(cmd, "%v", err)
			}
			_, err := replay.Run(cmd.Context(), o, cmd.OutOrStdout(), netmap.WithRuntimeDir(c.runtimeDir))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.AddFlags(cmd.Flags())
	must(cmd.MarkFlagFilename("file", "pcap", "pcapng", "cap", "gz"))
	return cmd
}
