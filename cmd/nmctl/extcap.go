package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/filter"
)

// extcapArgs makes a command line of what Wireshark calls its capture helpers with,
// which has no verb.
func extcapArgs(args []string) []string {
	if slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--extcap-") }) {
		return append([]string{"extcap"}, args...)
	}
	return args
}

// extcapOptions are the flags by which Wireshark asks.
type extcapOptions struct {
	interfaces, dlts, config, capture bool
	of, fifo, filter, version         string
	o                                 captureOptions
}

// newExtcapCommand is Wireshark's way to capture.
func newExtcapCommand(c *cli) *cobra.Command {
	e := extcapOptions{}
	cmd := &cobra.Command{
		Use: "extcap", Short: "Capture for Wireshark", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(c, cmd) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&e.interfaces, "extcap-interfaces", false, "list the ports")
	flags.BoolVar(&e.dlts, "extcap-dlts", false, "tell the link type")
	flags.BoolVar(&e.config, "extcap-config", false, "list the options")
	flags.BoolVar(&e.capture, "capture", false, "capture")
	flags.StringVar(&e.of, "extcap-interface", "", "the port")
	flags.StringVar(&e.fifo, "fifo", "", "where to write")
	flags.StringVar(&e.filter, "extcap-capture-filter", "", "frames to keep")
	flags.StringVar(&e.version, "extcap-version", "", "Wireshark's version")
	flags.StringVar(&e.o.direction, "direction", anyDirection, "in, out or both")
	flags.Uint32Var(&e.o.snap, "snaplen", 0, "bytes to keep of each frame")
	return cmd
}

func (e *extcapOptions) run(c *cli, cmd *cobra.Command) error {
	w := cmd.OutOrStdout()
	switch {
	case e.interfaces:
		return e.list(c, cmd, w)
	case e.of == "":
		return wrongUsage(cmd, "--extcap-interface is missing")
	case e.dlts:
		_, err := fmt.Fprintln(w, "dlt {number=1}{name=EN10MB}{display=Ethernet}")
		return err
	case e.config:
		_, err := io.WriteString(w, "arg {number=0}{call=--direction}{display=Direction}{tooltip=As the user of the port sees it}{type=selector}\n"+
			"arg {number=1}{call=--snaplen}{display=Bytes of each frame}{tooltip=0: all}{type=integer}{range=0,65536}{default=0}\n"+
			"value {arg=0}{value=both}{display=both ways}{default=true}\n"+
			"value {arg=0}{value=in}{display=in}{default=false}\nvalue {arg=0}{value=out}{display=out}{default=false}\n")
		return err
	case !e.capture: // Wireshark asks whether the filter is good: silence says so
		if _, err := filter.Compile(e.filter); e.filter != "" && err != nil {
			_, err := fmt.Fprintln(w, err)
			return err
		}
		return nil
	case e.fifo == "":
		return wrongUsage(cmd, "--fifo is missing")
	}
	e.o.filter, e.o.write = e.filter, e.fifo
	req, err := e.o.request(cmd, []string{e.of})
	if err != nil {
		return err
	}
	return c.stream(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, _ *printer) error {
		f, err := os.OpenFile(e.fifo, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		quiet := &printer{w: io.Discard, format: formatTable}
		return errors.Join(e.o.Run(ctx, conn, f, quiet, req), f.Close())
	})
}

// list names the ports. Without a daemon there are none, which is no reason for a
// dialogue in Wireshark.
func (e *extcapOptions) list(c *cli, cmd *cobra.Command, w io.Writer) error {
	fmt.Fprintf(w, "extcap {version=%s}{help=https://github.com/netmapd/netmapd}{display=netmapd}\n", ownVersion()) // the next one reports it
	names, _ := c.words(cmd, nil, portNames)
	for _, name := range names {
		if strings.ContainsAny(name, "{}") { // they are Wireshark's
			continue
		}
		if _, err := fmt.Fprintf(w, "interface {value=%s}{display=netmapd: %s}\n", name, name); err != nil {
			return err
		}
	}
	return nil
}
