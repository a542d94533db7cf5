package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netmapd/netmapd/test/netns"
)

// A line of the walk that is typed, and those that it shows as the answer.
type typed struct {
	line    int
	command string
	shows   []string
}

// walk reads what docs/walk.md types.
func walk(t *testing.T) (all []typed) {
	t.Helper()
	page, err := os.ReadFile("../../docs/walk.md")
	must(t, err)
	for i, line := range strings.Split(string(page), "\n") {
		text, indented := strings.CutPrefix(line, "    ")
		command, isTyped := strings.CutPrefix(text, "$ ")
		switch {
		case isTyped && indented:
			all = append(all, typed{line: i + 1, command: command})
		case indented:
			last := &all[len(all)-1]
			last.shows = append(last.shows, text)
		}
	}
	return all
}

// answered says which line of the page is not in the output. They are there in their order, with others in between; columns
// may be wider.
func (c typed) answered(output string) error {
	lines := strings.Split(output, "\n")
	for _, want := range c.shows {
		pattern := regexp.QuoteMeta(strings.TrimSpace(want))
		pattern = strings.ReplaceAll(regexp.MustCompile(` +`).ReplaceAllString(pattern, ` +`), "…", ".*")
		is := regexp.MustCompile("^ *" + pattern + " *$").MatchString
		for len(lines) > 0 && !is(lines[0]) {
			lines = lines[1:]
		}
		if len(lines) == 0 {
			return fmt.Errorf("the page shows %q", want)
		}
		lines = lines[1:]
	}
	return nil
}

// TestWalk does what docs/walk.md tells a newcomer to do, and sees what it shows.
func TestWalk(t *testing.T) {
	netns.New(t) // skips where that is not allowed
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip(err)
	}
	bin, dir := t.TempDir(), t.TempDir()
	must(t, os.Symlink(netmapd, filepath.Join(bin, "netmapd")))
	must(t, os.Symlink(nmctl, filepath.Join(bin, "nmctl")))

	// The page uses names that others may have: it has network, files of /run and processes to itself, which all end with
	// the shell.
	shell := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash")
	shell.Dir = dir
	shell.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "NETMAPD_RUNTIME_DIR=", "LC_ALL=C.UTF-8")
	shell.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := shell.StdinPipe()
	must(t, err)
	out, err := shell.StdoutPipe()
	must(t, err)
	must(t, shell.Start())
	t.Cleanup(func() {
		_ = in.Close() // bash ends
		end := time.AfterFunc(patience, func() { _ = shell.Process.Kill() })
		_ = shell.Wait()
		end.Stop()
		if log, err := os.ReadFile(filepath.Join(dir, "netmapd.log")); t.Failed() || strings.Contains(string(log), "level=ERROR") {
			t.Errorf("netmapd logged (%v)\n%s", err, log)
		}
	})

	const mark = "---status "
	lines := bufio.NewScanner(out)
	run := func(command string) (output, status string) {
		stuck := time.AfterFunc(patience, func() { _ = shell.Process.Kill() })
		defer stuck.Stop()
		_, err := fmt.Fprintf(in, "%s\necho; echo '%s'$?\n", command, mark)
		must(t, err)
		for lines.Scan() {
			if status, ok := strings.CutPrefix(lines.Text(), mark); ok {
				return output, status
			}
			output += lines.Text() + "\n"
		}
		t.Fatalf("%s: the shell ended (%v) after\n%s", command, lines.Err(), output)
		return "", ""
	}
	run("exec 2>&1; mount -t tmpfs tmpfs /run; ip link set lo up")
	for _, c := range walk(t) {
		if strings.HasPrefix(c.command, "nmctl") {
			run("until [ -S /run/netmapd/control.sock ]; do sleep 0.05; done") // somebody who types is slower
		}
		output, status := run(c.command)
		err := c.answered(output)
		if err == nil && status != "0" && c.shows == nil {
			err = fmt.Errorf("exit status %s", status)
		}
		if err != nil {
			t.Fatalf("walk.md:%d: %s: %v; it printed\n%s", c.line, c.command, err, output)
		}
	}
}
