package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newTraceCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "trace PORT FRAME",
		Short: "Say where a frame would go, and why",
		Long: `Says what would become of a frame that PORT sends: the rule that decides, the entry of the forwarding
table, the ports it goes to, and the drop counters it would touch. Nothing is moved or learned.

FRAME is one of
  SRC>DST        two MAC addresses: 02:00:00:00:00:01>ff:ff:ff:ff:ff:ff
  HEX            the bytes of the frame, from the destination address on; spaces and colons are skipped
  -              the same, from standard input`,
		Args:              positional("PORT", "FRAME"),
		ValidArgsFunction: c.completeArgs(portNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			frame, err := parseFrame(args[1], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				resp, err := pb.NewForwardingServiceClient(conn).TraceFrame(ctx, &pb.TraceFrameRequest{Port: args[0], Frame: frame})
				if err != nil {
					return err
				}
				return out.print(viewTrace(args[0], resp))
			})
		},
	}
}

// parseFrame reads a frame as a person gives it.
func parseFrame(s string, stdin io.Reader) ([]byte, error) {
	if src, dst, ok := strings.Cut(s, ">"); ok {
		from, err := net.ParseMAC(src)
		if err != nil {
			return nil, &usageError{fmt.Sprintf("%q is no MAC address", src)}
		}
		to, err := net.ParseMAC(dst)
		if err != nil {
			return nil, &usageError{fmt.Sprintf("%q is no MAC address", dst)}
		}
		frame := append(append([]byte{}, to...), from...)
		return append(frame, make([]byte, 60-len(frame))...), nil
	}
	if s == "-" {
		b, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
		if err != nil {
			return nil, fmt.Errorf("read the frame: %w", err)
		}
		s = string(b)
	}
	frame, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "", "\r", "", ":", "").Replace(s))
	if err != nil {
		return nil, &usageError{fmt.Sprintf("the frame is neither SRC>DST nor hexadecimal: %v", err)}
	}
	return frame, nil
}

// traceView is pb.TraceFrameResponse to be printed.
type traceView struct {
	Port        string       `json:"port"`
	Switch      string       `json:"switch"`
	Source      string       `json:"source"`
	Destination string       `json:"destination"`
	Learns      bool         `json:"learns"`
	Rule        string       `json:"rule"`
	Why         string       `json:"why"`
	Entry       *addressView `json:"entry"`
	Drop        string       `json:"drop"`
	Hops        []hopView    `json:"hops"`
}

type hopView struct {
	Port string `json:"port"`
	Drop string `json:"drop"`
}

func viewTrace(port string, r *pb.TraceFrameResponse) traceView {
	v := traceView{
		Port: port, Switch: r.GetSwitch(), Source: r.GetSource(), Destination: r.GetDestination(), Learns: r.GetLearns(),
		Rule: r.GetRule(), Why: r.GetWhy(), Drop: r.GetDrop(),
		Hops: views(r.GetHops(), func(h *pb.TraceHop) hopView { return hopView{h.GetPort(), h.GetDrop()} }),
	}
	if r.GetEntry() != nil {
		e := viewAddress(r.GetEntry())
		v.Entry = &e
	}
	return v
}

func (v traceView) table(t *table) {
	t.row("From:", v.Port, "on "+v.Switch)
	t.row("Source:", v.Source, map[bool]string{true: "would be learned", false: "nothing new to learn"}[v.Learns])
	t.row("Destination:", v.Destination)
	t.row("Rule:", v.Rule)
	t.row("Why:", v.Why)
	if v.Entry != nil {
		t.row("Entry:", v.Entry.MAC+" is at "+v.Entry.Port, v.Entry.kind())
	}
	if v.Drop != "" {
		t.row("Result:", "dropped", "counted as "+v.Drop+" at "+v.Port)
		return
	}
	for _, h := range v.Hops {
		if h.Drop != "" {
			t.row("Goes to:", h.Port, "where it would now be dropped, counted as "+h.Drop)
		} else {
			t.row("Goes to:", h.Port, "")
		}
	}
}
