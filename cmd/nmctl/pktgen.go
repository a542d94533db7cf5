package main

import (
	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/pktgen"
	"github.com/netmapd/netmapd/netmap"
)

func newPktGenCommand(c *cli) *cobra.Command {
	o := pktgen.Default()
	cmd := &cobra.Command{
		Use:   "pkt-gen -i PORT [-f FUNCTION]",
		Short: "Send, receive or answer frames on a port, as netmap's pkt-gen does",
		Long: `Send, receive or answer frames on a port, as netmap's pkt-gen does.

  tx    send -n frames of -l bytes as fast as the port takes them, or -R a second
  rx    receive and count
  ping  send a frame, wait for its answer, measure the time between
  pong  answer

A line with the rate is printed each second, and a summary at the end, which is
when -n frames are done or the command is interrupted.`,
		Example: "  nmctl pkt-gen -i vale0:sink -f rx -W\n  nmctl pkt-gen -i vale0:gen -f tx -n 10M",
		Args:    positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return wrongUsage(cmd, "%v", err)
			}
			_, err := pktgen.Run(cmd.Context(), o, cmd.OutOrStdout(), netmap.WithRuntimeDir(c.runtimeDir))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.AddFlags(cmd.Flags())
	complete(cmd, "function", pktgen.Functions...)
	return cmd
}
