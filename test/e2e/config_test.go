package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/netmap/rundir"
)

// A configuration that cannot be meant is refused with the place of the
// mistake, before anything is touched: no socket, no file.
func TestConfigRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		yaml    string
		flags   []string
		want    []string // in what it prints
		machine bool     // only this machine cannot run it: --check finds nothing
	}{
		{"unknown key", "version: 1\nlog:\n  levle: info\n", nil, []string{"bad.yaml:3", "log.levle", "unknown key", "did you mean level"}, false},
		{"unknown section", "version: 1\nswitchs: []\n", nil, []string{"bad.yaml:2", "switchs", "unknown key"}, false},
		{"text for a number", "version: 1\nlimits:\n  sessions: many\n", nil, []string{"bad.yaml:3", "limits.sessions", "expected a whole number", `"many"`}, false},
		{"a list for a text", "version: 1\nlog:\n  level: [info]\n", nil, []string{"bad.yaml:3", "log.level"}, false},
		{"a number out of range", "version: 1\nports:\n- name: x\n  kind: device\n  devargs: net_null0\n  rings: 1000\n", nil, []string{"bad.yaml:6", "ports[0].rings", "0 to 64"}, false},
		{"a wrong duration", "version: 1\nlcores:\n- cpu: 0\n  spin: 5 parsecs\n", nil, []string{"bad.yaml:4", "lcores[0].spin"}, false},
		{"no version", "log:\n  level: info\n", nil, []string{"bad.yaml", "version"}, false},
		{"a later version", "version: 99\n", nil, []string{"bad.yaml:1", "version"}, false},
		{"no YAML", "version: 1\n  log: {\n", nil, []string{"bad.yaml"}, false},
		{"a port of no kind", "version: 1\nports:\n- name: x\n  kind: quantum\n", nil, []string{"bad.yaml:4", "ports[0].kind", "quantum"}, false},
		{"a port with the name of a switch port", "version: 1\nports:\n- name: vale0:x\n  kind: interface\n", nil, []string{"bad.yaml:3", "ports[0].name", "vale0:x"}, false},
		{"a port twice", "version: 1\nports:\n- {name: x, kind: device, devargs: net_null0}\n- {name: x, kind: device, devargs: net_null1}\n", nil, []string{"bad.yaml:4", "ports[1].name", "names are unique"}, false},
		{"two mistakes at once", "version: 1\nlog:\n  levle: info\nlimits:\n  sessions: many\n", nil, []string{"bad.yaml:3", "log.levle", "bad.yaml:5", "limits.sessions"}, false},
		{"an interface that is not there", "version: 1\nports:\n- name: lan\n  kind: interface\n  ifname: nosuch0\n", nil, []string{"bad.yaml:5", "ports[0].ifname", "the kernel has no interface", "nosuch0"}, true},
		{"a switch of nothing", "version: 1\nswitches:\n- name: vale1\n  ports: [nosuch0]\n", nil, []string{"bad.yaml:4", "switches[0].ports[0]", "nosuch0"}, true},
		{"a CPU that is not there", "version: 1\nlcores:\n- cpu: 4095\n", nil, []string{"bad.yaml:3", "lcores[0].cpu", "cannot run on CPU 4095"}, true},
		{"a wrong flag", "version: 1\n", []string{"--log-level=loud"}, []string{"log-level", "loud"}, false},
		{"an unknown flag", "version: 1\n", []string{"--no-such-flag"}, []string{"no-such-flag"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bad.yaml")
			must(t, os.WriteFile(file, []byte(c.yaml), 0o600))
			for _, check := range []bool{true, false} {
				if check && c.machine {
					continue
				}
				dir := filepath.Join(t.TempDir(), "run")
				args := append([]string{"--config", file, "--runtime-dir", dir}, c.flags...)
				if check {
					args = append(args, "--check")
				}
				cmd := exec.CommandContext(limited(t), netmapd, args...)
				out, _ := cmd.CombinedOutput()
				if code := cmd.ProcessState.ExitCode(); code != 2 {
					t.Errorf("netmapd %q exits with %v, want 2", args[3:], cmd.ProcessState)
				}
				for _, want := range c.want {
					if !strings.Contains(string(out), want) {
						t.Errorf("netmapd says %q, which lacks %q", out, want)
					}
				}
				if _, err := os.Stat(dir); err == nil {
					t.Errorf("%s was touched", filepath.Base(dir))
				}
			}
		})
	}
}

// A device that DPDK does not know can only be found by trying; nothing of the
// attempt stays.
func TestConfigDevice(t *testing.T) {
	file, dir := filepath.Join(t.TempDir(), "bad.yaml"), filepath.Join(t.TempDir(), "run")
	must(t, os.WriteFile(file, []byte("version: 1\nports:\n- name: x\n  kind: device\n  devargs: net_nosuch0\n"), 0o600))
	cmd := exec.CommandContext(limited(t), netmapd, "--config", file, "--runtime-dir", dir)
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("netmapd exits with %v, want 1", cmd.ProcessState)
	}
	for _, want := range []string{"bad.yaml:3", `create port \"x\"`, "net_nosuch0"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("netmapd says %s, which lacks %q", out, want)
		}
	}
	for _, s := range []string{rundir.ControlSocket(dir), rundir.AttachSocket(dir)} {
		if _, err := os.Stat(s); err == nil {
			t.Errorf("%s was made", filepath.Base(s))
		}
	}
}

// A second daemon does not take the sockets of the first one away, and names it.
func TestSecondDaemon(t *testing.T) {
	d := startDaemon(t)
	w := d.watch(t)
	cmd := exec.CommandContext(limited(t), netmapd, "--runtime-dir", d.dir)
	out, _ := cmd.CombinedOutput()
	want := fmt.Sprintf("another netmapd (pid %d) runs in %s", d.pid(), d.dir)
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), want) {
		t.Errorf("the second daemon exits with %v and says %s", cmd.ProcessState, out)
	}
	w.undisturbed(t)
}
