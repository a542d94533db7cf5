package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand is for those who package nmctl.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man FOLDER", Short: "Write a manual page for each command into a folder", Hidden: true, Args: positional("FOLDER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true // nmctl of one version writes the same pages every day
			root.InitDefaultCompletionCmd()
			header := &doc.GenManHeader{Section: "1", Source: "netmapd", Manual: "netmapd"}
			return doc.GenManTree(root, header, args[0])
		},
	}
}
