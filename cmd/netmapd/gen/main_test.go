package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/cmd/netmapd/flags"
)

// Every flag is in the man page and in what shells complete, which bash can read.
func TestGenerate(t *testing.T) {
	dir := t.TempDir()
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	f, err := flags.New()
	if err != nil {
		t.Fatal(err)
	}
	for file, form := range map[string]string{
		"netmapd.8": `\fB--NAME\fP`, "netmapd.bash": "--NAME ", "_netmapd": "'--NAME", "netmapd.fish": " -l NAME ",
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		f.VisitAll(func(f *pflag.Flag) {
			if want := strings.ReplaceAll(form, "NAME", f.Name); !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %s", file, want)
			}
		})
	}
	script := `source "$1"; COMP_WORDS=(netmapd --log-l); COMP_CWORD=1; _netmapd; echo "${COMPREPLY[@]}"`
	out, err := exec.CommandContext(t.Context(), "bash", "-c", script, "bash", filepath.Join(dir, "netmapd.bash")).CombinedOutput()
	if err != nil || string(out) != "--log-level\n" {
		t.Errorf("bash completes --log-l with %q, %v", out, err)
	}
}
