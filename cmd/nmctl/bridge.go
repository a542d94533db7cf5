package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/bridge"
	"github.com/netmapd/netmapd/netmap"
)

func newBridgeCommand(c *cli) *cobra.Command {
	o := bridge.Default()
	cmd := &cobra.Command{
		Use:   "bridge -i PORT -i PORT",
		Short: "Carry frames between two ports, as netmap's bridge does",
		Long: `Carry frames between two ports in both directions, as netmap's bridge does,
until interrupted. The ports can also be given as arguments, with the burst behind
them: nmctl bridge PORT PORT [BURST]. Ports of one memory region swap buffers, others copy.`,
		Example: "  nmctl bridge -i vale0:b -i vale1:b",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := bridgeArgs(cmd, &o, args); err != nil {
				return err
			}
			if err := o.Validate(); err != nil {
				return wrongUsage(cmd, "%v", err)
			}
			_, err := bridge.Run(cmd.Context(), o, cmd.OutOrStdout(), netmap.WithRuntimeDir(c.runtimeDir))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// bridgeArgs takes what is given without flags: A B [burst].
func bridgeArgs(cmd *cobra.Command, o *bridge.Options, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case len(args) > 3 || len(o.Interfaces) > 0:
		return wrongUsage(cmd, "expected ports as -i PORT -i PORT or as arguments PORT PORT [BURST], found %d arguments", len(args))
	case len(args) == 3:
		burst, err := strconv.Atoi(args[2])
		if err != nil {
			return wrongUsage(cmd, "burst %q: expected a number", args[2])
		}
		o.Burst = burst
	}
	o.Interfaces = args[:min(2, len(args))]
	return nil
}
