package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker (-X main.version=...); without it the version
// that the Go command recorded is shown.
var version string

func newVersionCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of nmctl; the daemon's is in system info", Args: positional(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := &printer{w: cmd.OutOrStdout(), format: c.output}
			return out.print(versionView{Version: ownVersion(), Go: runtime.Version()})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func ownVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

type versionView struct {
	Version string `json:"version"`
	Go      string `json:"go"`
}

func (v versionView) table(t *table) { t.row("nmctl " + v.Version + " (" + v.Go + ")") }
