package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/netmap/rundir"
)

// cli holds the flags that every command has.
type cli struct {
	runtimeDir             string
	address                string
	tlsCert, tlsKey, tlsCA string
	output                 string
	timeout                time.Duration

	watch watchOptions // of commands that are watchable
}

// dir is the runtime directory, where both sockets of the daemon lie.
func (c *cli) dir() (string, error) { return rundir.Find(c.runtimeDir) }

func newRoot() *cobra.Command {
	c := &cli{}
	root := &cobra.Command{
		Use:               "nmctl COMMAND",
		Short:             "Control netmapd and its ports and switches",
		Long:              "nmctl controls a running netmapd: its ports, its switches, its counters.\n\nExit status: 0 done, 1 failed, 2 wrong usage.",
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              cobra.ArbitraryArgs,
		RunE:              needVerb,
		PersistentPreRunE: func(*cobra.Command, []string) error { return c.validate() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&c.runtimeDir, "runtime-dir", "", "directory of the daemon's sockets (default $"+rundir.Env+", else /run/netmapd for root, else the user's own, else /run/netmapd)")
	flags.StringVar(&c.address, "address", "", "control socket instead of the one in the runtime directory: a path, unix:PATH, or HOST:PORT")
	flags.StringVar(&c.tlsCert, "tls-cert", "", "with --address HOST:PORT: file with our certificate, in PEM; its common name is who we are")
	flags.StringVar(&c.tlsKey, "tls-key", "", "with --address HOST:PORT: file with its key, in PEM")
	flags.StringVar(&c.tlsCA, "tls-ca", "", "with --address HOST:PORT: file with the authority that signs the daemon's certificate, in PEM (default: the system's)")
	flags.StringVarP(&c.output, "output", "o", formatTable, "how to print results: "+strings.Join(formats, ", "))
	flags.DurationVar(&c.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	complete(root, "output", formats...)
	must(root.MarkPersistentFlagDirname("runtime-dir"))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return wrongUsage(cmd, "%v", err) })
	root.AddCommand(commands(c)...)
	return root
}

// validate checks the flags of cli before any command runs.
func (c *cli) validate() error {
	if !slices.Contains(formats, c.output) {
		return &usageError{fmt.Sprintf("--output %q: expected one of %s", c.output, strings.Join(formats, ", "))}
	}
	if c.timeout <= 0 {
		return &usageError{fmt.Sprintf("--timeout %v: expected a time above zero, such as 5s", c.timeout)}
	}
	return nil
}

// usageError is a mistake in the command line: exit status 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// wrongUsage makes a usageError that ends with how to use the command.
func wrongUsage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...) + "\nusage: " + cmd.UseLine() + "\n(" + cmd.CommandPath() + " --help tells more)"}
}

// noun makes a command that only groups verbs.
func noun(name, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name + " COMMAND", Short: short, Args: cobra.ArbitraryArgs, RunE: needVerb}
	cmd.AddCommand(verbs...)
	return cmd
}

// needVerb runs when a command that groups others is given none of them.
// Without it cobra would print the help and call that a success.
func needVerb(cmd *cobra.Command, args []string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	expected := "expected one of " + strings.Join(names, ", ")
	if len(args) == 0 {
		return wrongUsage(cmd, "no command given, %s", expected)
	}
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		expected = "did you mean " + strings.Join(like, " or ") + "?"
	}
	return wrongUsage(cmd, "unknown command %q, %s", args[0], expected)
}

// positional demands one argument for each of these names.
func positional(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		expected := "no argument"
		if len(names) > 0 {
			expected = strings.Join(names, " and ")
		}
		return wrongUsage(cmd, "expected %s, found %d arguments", expected, len(args))
	}
}

// complete offers fixed words for a flag.
func complete(cmd *cobra.Command, flag string, words ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// must is for calls that fail only when nmctl itself is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
