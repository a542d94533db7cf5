package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newEventCommand(c *cli) *cobra.Command {
	return noun("event", "Watch what happens to ports and switches", newEventWatchCommand(c))
}

func newEventWatchCommand(c *cli) *cobra.Command {
	count := 0
	cmd := &cobra.Command{
		Use: "watch [PORT...]", Short: "Print what happens from now on, until it is interrupted", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, ports []string) error {
			return c.stream(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return watchEvents(ctx, pb.NewEventServiceClient(conn), out, ports, count)
			})
		},
		ValidArgsFunction: c.completeMany(portNames),
	}
	cmd.Flags().IntVar(&count, "count", 0, "end after so many events (default 0: never)")
	return cmd
}

func watchEvents(ctx context.Context, events pb.EventServiceClient, out *printer, ports []string, count int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := events.WatchEvents(ctx, &pb.WatchEventsRequest{Ports: ports})
	for n := 0; err == nil; {
		var resp *pb.WatchEventsResponse
		if resp, err = stream.Recv(); err != nil {
			break
		}
		for _, e := range resp.GetEvents() {
			if err := out.printLine(viewEvent(e)); err != nil {
				return err
			}
			if n++; n == count {
				return nil
			}
		}
	}
	switch {
	case ctx.Err() != nil && status.Code(err) == codes.Canceled:
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("netmapd ended the events")
	}
	return err
}

// printLine prints one of a series without an empty line between.
func (p *printer) printLine(r result) error {
	if p.format == formatTable {
		return p.print(r)
	}
	return p.printNext(r)
}

// eventView is pb.Event to be printed.
type eventView struct {
	Time    *time.Time `json:"time"`
	Kind    string     `json:"kind"`
	Port    string     `json:"port"`
	Switch  string     `json:"switch"`
	PID     int32      `json:"pid"`
	UID     uint32     `json:"uid"`
	Command string     `json:"command"`
	Detail  string     `json:"detail"`
}

func viewEvent(e *pb.Event) eventView {
	return eventView{
		Time: when(e.GetTime()), Kind: strings.ReplaceAll(word(e.GetKind(), "EVENT_KIND_"), "_", "-"), Port: e.GetPort(), Switch: e.GetSwitch(),
		PID: e.GetPid(), UID: e.GetUid(), Command: e.GetCommand(),
		Detail: e.GetDetail(),
	}
}

func (e eventView) table(t *table) {
	cells := []any{whenText(e.Time), e.Kind, dash(e.Port)}
	if e.Switch != "" {
		cells = append(cells, "switch "+e.Switch)
	}
	if e.PID != 0 {
		cells = append(cells, "pid", e.PID, "uid", e.UID, e.Command)
	}
	if e.Detail != "" {
		cells = append(cells, e.Detail)
	}
	t.row(cells...)
}
