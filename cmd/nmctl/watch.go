package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// watchOptions are the flags of what can be printed again and again.
type watchOptions struct {
	on       bool
	interval time.Duration
	count    int
}

// Limits of the time between prints; the daemon has the same for statistics.
const (
	minInterval = 100 * time.Millisecond
	maxInterval = time.Hour
)

// watchable gives a command the flags. What it does within call is then repeated.
func (c *cli) watchable(cmd *cobra.Command, what string) *cobra.Command {
	o, flags := &c.watch, cmd.Flags()
	flags.BoolVarP(&o.on, "watch", "w", false, "print "+what+" again and again")
	flags.DurationVar(&o.interval, "interval", time.Second, "with --watch: time between prints, 100ms to 1h")
	flags.IntVar(&o.count, "count", 0, "with --watch: end after so many prints (default 0: never)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case !o.on && (flags.Changed("interval") || flags.Changed("count")):
			return wrongUsage(cmd, "--interval and --count need --watch")
		case o.count < 0:
			return wrongUsage(cmd, "--count %d: expected 0 or more", o.count)
		case o.interval < minInterval || o.interval > maxInterval:
			return wrongUsage(cmd, "--interval %v: expected %v to %v", o.interval, minInterval, maxInterval)
		}
		return nil
	}
	return cmd
}

// repeat calls once, or with --watch again and again until the context ends,
// which is how a user ends it, or count is reached.
func (o *watchOptions) repeat(ctx context.Context, out *printer, once func() error) error {
	if !o.on {
		return once()
	}
	out.series = true
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for n := 1; ; n++ {
		if err := once(); err != nil && ctx.Err() == nil {
			return err
		}
		if n == o.count {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
