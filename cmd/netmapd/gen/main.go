// Command gen writes what documents netmapd into a folder: its man pages, what
// shells complete its flags with, and the reference of its configuration.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/cmd/netmapd/flags"
	"github.com/netmapd/netmapd/daemon/config"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen FOLDER")
		os.Exit(2)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(folder string) error {
	netmapd, err := command()
	if err != nil {
		return err
	}
	var reference, page bytes.Buffer
	if err := config.WriteReference(&reference); err != nil {
		return err
	}
	header := &doc.GenManHeader{Title: "NETMAPD", Section: "8", Source: "netmapd", Manual: "netmapd"}
	if err := doc.GenMan(netmapd, header, &page); err != nil {
		return err
	}
	files := map[string][]byte{
		"configuration.md": reference.Bytes(),
		"netmapd.8":        page.Bytes(),
		"netmapd.yaml.5":   md2man.Render(manual(reference.Bytes())),
	}
	for name, text := range completions {
		var b bytes.Buffer
		if err := template.Must(template.New(name).Funcs(functions).Parse(text)).Execute(&b, words(netmapd.Flags())); err != nil {
			return err
		}
		files[name] = b.Bytes()
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil { //nolint:gosec // for everybody to read
			return err
		}
	}
	return nil
}

// command is netmapd's command line as cobra, which writes man pages, knows it.
func command() (*cobra.Command, error) {
	f, err := flags.New()
	if err != nil {
		return nil, err
	}
	cmd := &cobra.Command{
		Use:   "netmapd",
		Short: "netmap rings and learning switches on DPDK",
		Long: "netmapd serves ports as netmap rings in shared memory to client processes, and switches between them. " +
			"nmctl(1) controls it, nmctl-run(1) runs netmap programs on it.\n\n" +
			"It stops on SIGTERM and SIGINT, and reads its configuration anew on SIGHUP. A configuration that is wrong then changes nothing.\n\n" +
			"Exit status: 0 stopped, 1 could not start or failed, 2 wrong flags or configuration; then nothing was touched.\n\n" +
			"Every flag that is a key of the configuration is explained in netmapd.yaml(5).",
		Run:               func(*cobra.Command, []string) {},
		DisableAutoGenTag: true,
	}
	cmd.Flags().AddFlagSet(f.FlagSet)
	return cmd, nil
}

// manual makes a manual page of the reference: a title line, and one level up.
func manual(reference []byte) []byte {
	_, text, _ := bytes.Cut(reference, []byte("# Configuration\n"))
	return append([]byte("% NETMAPD.YAML 5\n\n# NAME\n\nnetmapd.yaml - configuration of netmapd(8)\n\n# DESCRIPTION\n"), text...)
}

// word is a flag as shells complete it.
type word struct {
	Name, Help  string
	Value, File bool // it takes a value; that is a file
}

func words(set *pflag.FlagSet) (all []word) {
	set.VisitAll(func(f *pflag.Flag) {
		help, _, _ := strings.Cut(f.Usage, ". ")
		all = append(all, word{f.Name, help, f.NoOptDefVal == "", f.Name == "config"})
	})
	return all
}

var functions = template.FuncMap{
	"fish": strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace,
	"zsh":  strings.NewReplacer(`\`, `\\`, `'`, `'\''`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace,
}

// completions are the templates of what shells complete with, by file.
var completions = map[string]string{
	"netmapd.bash": `# bash completion for netmapd
_netmapd() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    if [ "$prev" = --config ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W '{{range .}}--{{.Name}} {{end}}' -- "$cur")
    fi
}
complete -o filenames -F _netmapd netmapd
`,
	"_netmapd": `#compdef netmapd
_arguments \
{{- range .}}
  '--{{.Name}}{{if .Value}}={{end}}[{{zsh .Help}}]{{if .File}}:file:_files{{else if .Value}}:value:{{end}}' \
{{- end}}
  '*: :'
`,
	"netmapd.fish": `complete -c netmapd -f
{{range .}}complete -c netmapd -l {{.Name}}{{if .File}} -r -F{{else if .Value}} -x{{end}} -d '{{fish .Help}}'
{{end}}`,
}
