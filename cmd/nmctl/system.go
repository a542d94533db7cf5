package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newSystemCommand(c *cli) *cobra.Command {
	return noun("system", "Tell about the daemon", newLogLevelCommand(c), &cobra.Command{
		Use: "info", Short: "Show the daemon's version, how it was started, and what it does without", Args: positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return systemInfo(ctx, pb.NewSystemServiceClient(conn), out)
			})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	})
}

func newLogLevelCommand(c *cli) *cobra.Command {
	levels := []string{"debug", "info", "warn", "error"}
	return &cobra.Command{
		Use: "log-level LEVEL", Short: "Change how much the daemon logs: debug, info, warn or error", Args: positional("LEVEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				if _, err := pb.NewSystemServiceClient(conn).SetLogLevel(ctx, &pb.SetLogLevelRequest{Level: args[0]}); err != nil {
					return err
				}
				return out.print(done{Action: "set to " + args[0], Kind: "log level of", Name: "netmapd"})
			})
		},
		ValidArgsFunction: cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp),
	}
}

func systemInfo(ctx context.Context, system pb.SystemServiceClient, out *printer) error {
	resp, err := system.GetInfo(ctx, &pb.GetInfoRequest{})
	if err != nil {
		return err
	}
	return out.print(viewSystem(resp.GetInfo(), time.Now()))
}

// systemView is pb.SystemInfo to be printed, with the uptime.
type systemView struct {
	Version       string     `json:"version"`
	PID           int32      `json:"pid"`
	Started       *time.Time `json:"started"`
	UptimeSeconds int64      `json:"uptime_seconds"`
	DPDKVersion   string     `json:"dpdk_version"`
	EALArgs       []string   `json:"eal_args"`
	Notes         []string   `json:"notes"`
	RuntimeDir    string     `json:"runtime_dir"`
	AttachSocket  string     `json:"attach_socket"`
	LogLevel      string     `json:"log_level"`
	Limits        limitsView `json:"limits"`
}

// limitsView is pb.Limits to be printed.
type limitsView struct {
	DescriptorsPerUID     uint64  `json:"descriptors_per_uid"`
	ExtraBufsPerUID       uint64  `json:"extra_bufs_per_uid"`
	MemoryMBPerUID        uint64  `json:"memory_mb_per_uid"`
	SessionsPerUID        uint64  `json:"sessions_per_uid"`
	Sessions              uint64  `json:"sessions"`
	ControlTimeoutSeconds float64 `json:"control_timeout"`
}

func viewLimits(l *pb.Limits) limitsView {
	return limitsView{
		DescriptorsPerUID: l.GetDescriptorsPerUid(), ExtraBufsPerUID: l.GetExtraBufsPerUid(), MemoryMBPerUID: l.GetMemoryMbPerUid(),
		SessionsPerUID: l.GetSessionsPerUid(), Sessions: l.GetSessions(), ControlTimeoutSeconds: l.GetControlTimeout().AsDuration().Seconds(),
	}
}

func viewSystem(i *pb.SystemInfo, now time.Time) systemView {
	v := systemView{
		Version: i.GetVersion(), PID: i.GetPid(), Started: when(i.GetStarted()), DPDKVersion: i.GetDpdkVersion(),
		EALArgs: orEmpty(i.GetEalArgs()), Notes: orEmpty(i.GetNotes()),
		RuntimeDir: i.GetRuntimeDir(), AttachSocket: i.GetAttachSocket(), LogLevel: i.GetLogLevel(),
		Limits: viewLimits(i.GetLimits()),
	}
	if v.Started != nil {
		v.UptimeSeconds = int64(max(now.Sub(*v.Started), 0) / time.Second)
	}
	return v
}

func (v systemView) table(t *table) {
	t.row("Version:", dash(v.Version))
	t.row("DPDK:", dash(v.DPDKVersion))
	t.row("PID:", v.PID)
	t.row("Started:", whenText(v.Started))
	t.row("Uptime:", time.Duration(v.UptimeSeconds)*time.Second)
	t.row("Runtime directory:", dash(v.RuntimeDir))
	t.row("Attach socket:", dash(v.AttachSocket))
	t.row("Log level:", dash(v.LogLevel))
	t.row("Limits:", fmt.Sprintf("%d clients; for each user %d clients, %d descriptors, %d extra buffers, %d MiB of memory",
		v.Limits.Sessions, v.Limits.SessionsPerUID, v.Limits.DescriptorsPerUID, v.Limits.ExtraBufsPerUID, v.Limits.MemoryMBPerUID))
	t.row("EAL arguments:", dash(strings.Join(v.EALArgs, " ")))
	for i, note := range v.Notes {
		label := ""
		if i == 0 {
			label = "Notes:"
		}
		t.row(label, note)
	}
}
