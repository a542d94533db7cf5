package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Users and groups of nobody; the kernel does not ask whether they exist.
const (
	alice, bob = 41001, 41002
	packets    = 41100 // the configured group
)

// Users are let in by the configured group, and do what the rules say.
func TestAccess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to run programs as other users")
	}
	must(t, os.Chmod(filepath.Dir(nmctl), 0o755)) // for others to run it
	yaml := filepath.Join(t.TempDir(), "netmapd.yaml")
	must(t, os.WriteFile(yaml, []byte(`
version: 1
access:
  group: "41100"
  rules:
  - {who: ["@41100"], may: [view, attach], ports: ["vale0:*"]}
  - {who: ["41001"], may: [administer], ports: [vale7]}
`), 0o600))
	d := startDaemon(t, "--config", yaml)
	must(t, os.Chmod(d.dir, 0o755))
	tests := []struct {
		what   string
		uid    uint32
		groups []uint32
		args   string
		want   string // of the error; "" for success
	}{
		{"an allowed port", alice, []uint32{packets}, "pkt-gen -i vale0:a -f tx -n 100", ""},
		{"a pipe's parent by the same rule, listed", bob, []uint32{packets}, "port list", ""},
		{"another switch", alice, []uint32{packets}, "pkt-gen -i vale1:a -f tx -n 100", "may not attach vale1:a: no rule under access.rules"},
		{"an interface", bob, []uint32{packets}, "pkt-gen -i netmap:lo -f tx -n 100", "may not attach lo"},
		{"the switch of one's own", alice, []uint32{packets}, "switch create vale7", ""},
		{"somebody else's switch", bob, []uint32{packets}, "switch delete vale7", "may not administer vale7"},
		{"another switch, to change it", alice, []uint32{packets}, "switch create vale8", "may not administer vale8"},
		{"outside the group", alice, nil, "port list", "permission denied"},
		{"outside the group, a port", alice, nil, "pkt-gen -i vale0:a -f tx -n 100", "not allowed to connect to netmapd"},
	}
	for _, tt := range tests {
		cmd := exec.CommandContext(limited(t), nmctl, append([]string{"--runtime-dir", d.dir}, strings.Fields(tt.args)...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tt.uid, Gid: tt.uid, Groups: tt.groups}}
		out, err := cmd.CombinedOutput()
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v\n%s", tt.what, err, out)
		case tt.want != "" && (err == nil || !strings.Contains(string(out), tt.want)):
			t.Errorf("%s: %v, want an error with %q in\n%s", tt.what, err, tt.want, out)
		}
	}
	for _, want := range []string{
		`action=CreateSwitch object=vale7 who="uid 41001 (`, `result=done`,
		`action=DeleteSwitch object=vale7 who="uid 41002 (`, `result=denied`,
		`uid=41001 action=attach object=vale1:a result=denied`,
	} {
		waitFor(t, "a line of the audit", func() error { // which comes on another way than the answers
			if !strings.Contains(d.log.String(), want) {
				return fmt.Errorf("it says nothing like %s", want)
			}
			return nil
		})
	}
}
