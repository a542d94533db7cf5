package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/valectl"
	"github.com/netmapd/netmapd/netmap"
)

func newValeCtlCommand(c *cli) *cobra.Command {
	o := &valectl.Options{}
	cmd := &cobra.Command{
		Use:   "vale-ctl [-g|-a|-h|-d|-n|-r|-l|-p|-P NAME]",
		Short: "Manage switches and persistent ports, as netmap's vale-ctl does",
		Long: `Manage switches and persistent ports, as netmap's vale-ctl does, by the requests
that netmap programs make. Without an option all ports of all switches are
listed, and the exit status is 1, as that of vale-ctl. What only netmapd has is under
nmctl switch and nmctl port.`,
		Example: "  nmctl vale-ctl -n p0\n  nmctl vale-ctl -a vale0:p0 -v\n  nmctl vale-ctl",
		Args:    positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return wrongUsage(cmd, "%v", err)
			}
			err := valectl.Run(cmd.Context(), o, cmd.OutOrStdout(), netmap.WithRuntimeDir(c.runtimeDir))
			if errors.Is(err, valectl.ErrListed) {
				return errSilent
			}
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().Bool("help", false, "help for vale-ctl") // -h is taken
	o.AddFlags(cmd.Flags())
	return cmd
}
