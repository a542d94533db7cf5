// Package callgrind counts the instructions of parts of a Go program: it runs the program under Valgrind's tool of that
// name, and the program says which parts it means. Unlike time, the number does not depend on what else the machine does.
package callgrind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrAbsent says that there is no valgrind.
var ErrAbsent = errors.New("no valgrind on this machine; install the package valgrind")

// Run runs a program, which calls Start and Count, and returns the instructions of all parts by their names. dir is for the
// tool's files. The Go runtime is kept from doing work of its own meanwhile, as far as it can be.
func Run(ctx context.Context, dir string, env []string, program string, args ...string) (map[string]uint64, error) {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return nil, ErrAbsent
	}
	file := filepath.Join(dir, "counted")
	argv := append([]string{"--quiet", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=" + file, program}, args...)
	cmd := exec.CommandContext(ctx, valgrind, argv...)
	cmd.Env = append(append(os.Environ(), "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s under valgrind: %w\n%s", filepath.Base(program), err, out)
	}
	files, err := filepath.Glob(file + ".*")
	if err != nil {
		return nil, err
	}
	counts := map[string]uint64{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if name, n, ok := parse(string(text)); ok {
			counts[name] = n
		}
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("valgrind left no counts in %s", dir)
	}
	return counts, nil
}

// parse reads a file of callgrind's; ok says that Count caused it.
func parse(text string) (name string, instructions uint64, ok bool) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if s, found := strings.CutPrefix(line, "desc: Trigger: Client Request: "); found {
			name, ok = s, true
		}
		for _, key := range []string{"summary: ", "totals: "} {
			if s, found := strings.CutPrefix(line, key); found {
				instructions, _ = strconv.ParseUint(strings.TrimSpace(s), 10, 64)
			}
		}
	}
	return name, instructions, ok && instructions > 0
}
