package main

import (
	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/tap"
	"github.com/netmapd/netmapd/netmap"
)

func newTapCommand(c *cli) *cobra.Command {
	var o tap.Options
	cmd := &cobra.Command{
		Use:   "tap PORT IFNAME",
		Short: "Give a port a kernel interface, for tcpdump and other programs of libpcap",
		Long: `Make a tap interface called IFNAME in the network namespace that nmctl runs in, and
carry frames between it and a port until interrupted: what the port receives,
programs capture on the interface, and what they send, or the host does, the port
transmits. The interface is up, and has no addresses but those you give it.

Of a monitor (/r, /t, /z) programs see the traffic of another port, which goes on as
before. Making the interface needs CAP_NET_ADMIN, or an administrator has made it:
ip tuntap add IFNAME mode tap user NAME.`,
		Example: "  nmctl tap vale0:watch watch0 &\n  tcpdump -i watch0",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return wrongUsage(cmd, "expected a port and the name of an interface, found %d arguments", len(args))
			}
			o.Port, o.Ifname = args[0], args[1]
			_, err := tap.Run(cmd.Context(), o, cmd.OutOrStdout(), netmap.WithRuntimeDir(c.runtimeDir))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&o.MAC, "mac", "", "address of the interface (a random one)")
	cmd.Flags().IntVar(&o.MTU, "mtu", 0, "MTU of the interface (1500)")
	return cmd
}
