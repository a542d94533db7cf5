// Command nmctl controls netmapd and talks to it as netmap programs do.
//
// Most nouns (port, switch, stats, system) are clients of the gRPC API, each in
// its own file: an options struct with the flags, and a run function that gets
// the API's client and the printer. Exit status: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit statuses.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// commands are all commands of nmctl, in the order of help.
func commands(c *cli) []*cobra.Command {
	return []*cobra.Command{
		newPortCommand(c),
		newSwitchCommand(c),
		newFdbCommand(c),
		newTraceCommand(c),
		newCaptureCommand(c),
		newExtcapCommand(c),
		newConfigCommand(c),
		newStatsCommand(c),
		newTopCommand(c),
		newLcoreCommand(c),
		newEventCommand(c),
		newAttachmentCommand(c),
		newRegionCommand(c),
		newSystemCommand(c),
		newNICCommand(c),
		newDoctorCommand(c),
		newPktGenCommand(c),
		newBridgeCommand(c),
		newLBCommand(c),
		newReplayCommand(c),
		newTLEMCommand(c),
		newDedupCommand(c),
		newTapCommand(c),
		newValeCtlCommand(c),
		newRunCommand(c),
		newVersionCommand(c),
		newManCommand(),
	}
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(extcapArgs(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errSilent) {
		printError(stderr, err)
	}
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitError
}

// errSilent ends a command with exitError that has nothing to complain about.
var errSilent = errors.New("failed without a word")

// printError prints the lines of an error. What the daemon says may hold names
// that a client chose.
func printError(stderr io.Writer, err error) {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	fmt.Fprintln(stderr, "nmctl: "+strings.Join(lines, "\n")) // nowhere to report it
}
