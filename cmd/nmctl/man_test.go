package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that help shows has a page, which names its flags.
func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	if got := nmctl(t, t.TempDir(), "man "+dir); got.status != exitOK {
		t.Fatalf("status %d, %q", got.status, got.stderr)
	}
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		text, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(text), `\fB--runtime-dir\fP`) {
			t.Errorf("the page of %s does not name a flag that every command has", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(newRoot())
	if _, err := os.Stat(filepath.Join(dir, "nmctl-man.1")); err == nil {
		t.Error("a hidden command has a page")
	}
}
