package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/sysfs"
)

// machine is what nic and doctor look at.
var machine = sysfs.Tree{Root: "/"}

func newNICCommand(c *cli) *cobra.Command {
	return noun("nic", "Show the machine's NICs, give them to DPDK and back to the kernel",
		newNICListCommand(c), newNICBindCommand(c), newNICUnbindCommand(c))
}

func (c *cli) printer(cmd *cobra.Command) *printer {
	return &printer{w: cmd.OutOrStdout(), format: c.output}
}

func newNICListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the NICs on the PCI bus and who drives them", Args: positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			nics, err := machine.NICs()
			if err != nil {
				return err
			}
			return c.printer(cmd).print(nicList{views(nics, viewNIC)})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func newNICBindCommand(c *cli) *cobra.Command {
	driver, force := sysfs.VFIO, false
	cmd := &cobra.Command{
		Use: "bind ADDRESS...", Short: "Take NICs from the kernel, so that netmapd can drive them", Args: addresses,
		Long: "Take NICs from the kernel, so that netmapd can drive them as ports of kind device.\n" +
			"This holds until nmctl nic unbind or the next boot. Programs and connections that use the NIC lose it.",
		Example: "  nmctl nic bind 0000:01:00.0\n  nmctl nic bind 01:00.0 --driver " + sysfs.UIO,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachNIC(cmd, args, func(address string) (sysfs.Device, error) { return machine.Bind(address, driver, force) })
		},
		ValidArgsFunction: nicAddresses,
	}
	cmd.Flags().StringVar(&driver, "driver", driver, "driver that gives NICs to programs: "+sysfs.VFIO+", or "+sysfs.UIO+" where there is no IOMMU")
	cmd.Flags().BoolVar(&force, "force", false, "also a NIC that carries the default route")
	complete(cmd, "driver", sysfs.VFIO, sysfs.UIO)
	return cmd
}

func newNICUnbindCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "unbind ADDRESS...", Short: "Give NICs back to the kernel", Args: addresses,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachNIC(cmd, args, machine.Unbind)
		},
		ValidArgsFunction: nicAddresses,
	}
}

// eachNIC does something to each NIC, prints those that went well, and returns the errors of the others.
func (c *cli) eachNIC(cmd *cobra.Command, addresses []string, do func(string) (sysfs.Device, error)) error {
	var done []sysfs.Device
	var errs []error
	for _, a := range addresses {
		d, err := do(a)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, d)
	}
	if len(done) > 0 {
		errs = append(errs, c.printer(cmd).print(nicList{views(done, viewNIC)}))
	}
	return errors.Join(errs...)
}

func addresses(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return wrongUsage(cmd, "expected one or more PCI addresses, such as 0000:01:00.0 (nmctl nic list)")
	}
	return nil
}

func nicAddresses(*cobra.Command, []string, string) (found []string, _ cobra.ShellCompDirective) {
	nics, _ := machine.NICs() // completion has nowhere to say why not
	for _, d := range nics {
		found = append(found, d.Address+"\t"+d.Driver)
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// nicView is sysfs.Device to be printed.
type nicView struct {
	Address      string   `json:"address"`
	ID           string   `json:"id"`
	Driver       string   `json:"driver"`
	Interfaces   []string `json:"interfaces"`
	DefaultRoute bool     `json:"default_route"`
	IOMMUGroup   string   `json:"iommu_group"`
	NUMANode     int      `json:"numa_node"`
}

func viewNIC(d sysfs.Device) nicView {
	return nicView{
		Address: d.Address, ID: fmt.Sprintf("%04x:%04x", d.Vendor, d.ID), Driver: d.Driver, Interfaces: orEmpty(d.Interfaces),
		DefaultRoute: d.DefaultRoute != "", IOMMUGroup: d.IOMMUGroup, NUMANode: d.NUMANode,
	}
}

// nicList is the result of nic list.
type nicList struct {
	NICs []nicView `json:"nics"`
}

func (l nicList) table(t *table) {
	t.row("ADDRESS", "ID", "DRIVER", "FOR", "INTERFACES", "IOMMU GROUP", "NUMA NODE")
	for _, n := range l.NICs {
		use := "kernel"
		switch {
		case n.Driver == "":
			use = "nobody"
		case sysfs.IsUserDriver(n.Driver):
			use = "programs"
		case n.DefaultRoute:
			use = "kernel (default route)"
		}
		node := fmt.Sprint(n.NUMANode)
		if n.NUMANode < 0 {
			node = "-"
		}
		t.row(n.Address, n.ID, dash(n.Driver), use, dash(strings.Join(n.Interfaces, ",")), dash(n.IOMMUGroup), node)
	}
}
