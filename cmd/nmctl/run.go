package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/netmapd/netmapd/netmap/rundir"
)

// libraryName is the interposer's file.
const libraryName = "libnetmapd-preload.so"

func newRunCommand(c *cli) *cobra.Command {
	var library string
	cmd := &cobra.Command{
		Use:   "run -- PROGRAM [ARGUMENT...]",
		Short: "Run a netmap program on netmapd",
		Long: `Run a program that was built for netmap's kernel module, unchanged. The library
` + libraryName + ` is loaded into it and into whatever it starts; it answers where
the program opens /dev/netmap. Programs that are statically linked or set-user-ID,
or that make system calls without the C library, cannot be run so.

The library is looked for beside nmctl and in ../lib/netmapd. With
NETMAPD_EXPLAIN=1 it prints why a request was refused.`,
		Example: "  nmctl run -- pkt-gen -i vale0:a -f rx",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrongUsage(cmd, "no program given")
			}
			dir, err := c.dir()
			if err != nil {
				return err
			}
			if library, err = findLibrary(library); err != nil {
				return err
			}
			program, err := exec.LookPath(args[0])
			if err != nil {
				return fmt.Errorf("run: %w", err)
			}
			err = syscall.Exec(program, args, preloaded(os.Environ(), library, dir))
			return fmt.Errorf("run %s: %w", program, err)
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the program is the program's
	cmd.Flags().StringVar(&library, "library", "", "the library to load, instead of the one beside nmctl or in ../lib/netmapd")
	must(cmd.MarkFlagFilename("library", "so"))
	return cmd
}

// findLibrary is the absolute path of the interposer.
func findLibrary(given string) (string, error) {
	var places []string
	if given != "" {
		places = []string{given}
	} else if self, err := os.Executable(); err == nil {
		if target, err := filepath.EvalSymlinks(self); err == nil {
			self = target
		}
		dir := filepath.Dir(self)
		places = []string{filepath.Join(dir, libraryName), filepath.Join(dir, "..", "lib", "netmapd", libraryName)}
	}
	for _, p := range places {
		abs, err := filepath.Abs(p)
		if err != nil {
			return "", err
		}
		info, err := os.Stat(abs)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", err
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("library %s: expected a file, found %v", abs, info.Mode().Type())
		case strings.ContainsAny(abs, ": "): // the dynamic linker's separators
			return "", fmt.Errorf("library %s: its path has a colon or a space, which LD_PRELOAD cannot hold; give another one with --library", abs)
		}
		return abs, nil
	}
	return "", fmt.Errorf("no library found at %s; build it with «make clib» or name it with --library", strings.Join(places, " or "))
}

// preloaded is an environment in which programs load the library and find the
// daemon. Libraries that are preloaded already come behind ours.
func preloaded(env []string, library, dir string) []string {
	const preload = "LD_PRELOAD"
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, preload+"="); ok && v != "" && !slices.Contains(strings.FieldsFunc(v, separator), library) {
			library += ":" + v
		}
	}
	env = slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == preload || name == rundir.Env
	})
	return append(env, preload+"="+library, rundir.Env+"="+dir)
}

func separator(r rune) bool { return r == ':' || r == ' ' }
