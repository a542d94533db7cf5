package main

import (
	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/dedup"
	"github.com/netmapd/netmapd/netmap"
)

func newDedupCommand(c *cli) *cobra.Command {
	o := dedup.Default()
	cmd := &cobra.Command{
		Use:   "dedup -i IN -i OUT",
		Short: "Carry frames from port to port without duplicates, as netmap's dedup does",
		Long: `Carry frames from one port to another, as netmap's dedup does, and leave out those
that are equal to one of the last -F frames of the last -W microseconds. Frames of
several slots pass without being compared.`,
		Example: "  nmctl dedup -i vale0:mirror -i vale1:clean -W 1000 -F 64",
		Args:    positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return wrongUsage(cmd, "%v", err)
			}
			_, err := dedup.Run(cmd.Context(), o, cmd.OutOrStdout(), netmap.WithRuntimeDir(c.runtimeDir))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}
