// Command netmapd is the daemon: flags and exit codes, nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/cmd/netmapd/flags"
	"github.com/netmapd/netmapd/daemon"
	"github.com/netmapd/netmapd/daemon/config"
	"github.com/netmapd/netmapd/daemon/logs"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // could not start, or a part failed
	exitUsage   = 2 // wrong flags or configuration; nothing was touched
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	f, err := flags.New()
	if err != nil {
		fmt.Fprintln(stderr, "netmapd:", err)
		return exitFailure
	}
	f.SetOutput(stderr)
	switch err := f.Parse(args); {
	case errors.Is(err, flags.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, "netmapd:", err)
		return exitUsage
	case f.NArg() > 0:
		fmt.Fprintf(stderr, "netmapd: unexpected argument %q; netmapd takes flags only\n", f.Arg(0))
		return exitUsage
	case f.Version:
		fmt.Fprintln(stdout, "netmapd", daemon.Version)
		return exitOK
	}
	cfg, err := config.Load(f.File, f.FlagSet)
	if err != nil {
		fmt.Fprintln(stderr, "netmapd:", err)
		return exitUsage
	}
	if f.Check {
		fmt.Fprintln(stdout, "netmapd: the configuration is fine")
		return exitOK
	}
	return serve(cfg, daemon.Source{File: f.File, Flags: f.FlagSet, Level: new(slog.LevelVar), Format: new(logs.Format)}, stderr)
}

func serve(cfg *config.Config, src daemon.Source, stderr io.Writer) int {
	log := newLogger(cfg.Log, src, stderr)
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	hangups := make(chan os.Signal, 1) // one that comes too early is no reason to die
	signal.Notify(hangups, unix.SIGHUP)
	var cpus unix.CPUSet // before Start keeps threads off some
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		log.Error("netmapd does not start", "err", err)
		return exitFailure
	}
	d, err := daemon.Start(cfg, src, log)
	if errors.Is(err, daemon.ErrHugepages) {
		log.Warn("netmapd starts again without hugepages", "err", err)
		err = errors.Join(err, again(&cpus, "--dpdk-hugepages=never"))
	}
	if err != nil {
		log.Error("netmapd does not start", "err", err)
		if _, ok := errors.AsType[*config.Error](err); ok { // this machine cannot do what it says
			return exitUsage
		}
		return exitFailure
	}
	go func() {
		for range hangups {
			d.Reload()
		}
	}()
	err = d.Run(ctx)
	// A second signal ends a stop that takes too long; not at once, since shells and
	// wrappers send one signal to a process and to its group.
	time.AfterFunc(time.Second, stop)
	if err != nil {
		log.Error("netmapd stops", "err", err)
	} else {
		log.Info("netmapd stops")
	}
	d.Stop()
	if err != nil {
		return exitFailure
	}
	return exitOK
}

// again replaces this process by a new netmapd with one more flag, the last of
// which holds. It returns only when that fails.
func again(cpus *unix.CPUSet, flag string) error {
	runtime.LockOSThread() // the thread that the new one inherits its CPUs from
	if err := unix.SchedSetaffinity(0, cpus); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", append(os.Args, flag), os.Environ())
}

func newLogger(c config.Log, src daemon.Source, w io.Writer) *slog.Logger {
	_ = src.Level.UnmarshalText([]byte(c.Level)) // the configuration allows known levels only
	src.Format.Set(c.Format)
	return slog.New(logs.Limited(src.Format.Handler(w, &slog.HandlerOptions{Level: src.Level})))
}
