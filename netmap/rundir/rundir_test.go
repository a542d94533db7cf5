package rundir

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolveOrder(t *testing.T) {
	tmp := t.TempDir()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		what, flag, env, xdg string
		uid                  int
		want                 string
	}{
		{"the flag wins", "/a", "/b", "/c", 0, "/a"},
		{"then the environment", "", "/b", "/c", 0, "/b"},
		{"then root's own", "", "", "/c", 0, "/run/netmapd"},
		{"then the session's", "", "", "/c", 1000, "/c/netmapd"},
		{"a relative session directory is ignored", "", "", "c", 1000, tmp + "/netmapd-1000"},
		{"then one per user", "", "", "", 1000, tmp + "/netmapd-1000"},
		{"relative paths become absolute", "x/../y", "", "", 0, wd + "/y"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			getenv := func(key string) string {
				return map[string]string{Env: tt.env, "XDG_RUNTIME_DIR": tt.xdg}[key]
			}
			got, err := resolve(tt.flag, getenv, tt.uid, tmp)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	if got := ControlSocket("/run/netmapd"); got != "/run/netmapd/control.sock" {
		t.Error(got)
	}
	if got := AttachSocket("/run/netmapd"); got != "/run/netmapd/netmap.sock" {
		t.Error(got)
	}
}

func TestResolveReadsTheEnvironment(t *testing.T) {
	t.Setenv(Env, "/somewhere")
	if dir, err := Resolve(""); err != nil || dir != "/somewhere" {
		t.Errorf("got %q, %v", dir, err)
	}
}

// Another user may have made /tmp/netmapd-UID before us.
func TestResolveDistrustsTheSharedDirectory(t *testing.T) {
	uid := os.Geteuid()
	if uid == 0 {
		uid = 4242 // root has /run/netmapd; play somebody else
	}
	tests := []struct {
		what, want string // want "" means accepted
		uid        int
		create     func(dir string) error
	}{
		{"as we make it", "", uid, func(dir string) error { return os.Mkdir(dir, 0o700) }},
		{"open to others", "found mode 0755, expected at most 0700; run chmod 700 ", uid, func(dir string) error { return os.Mkdir(dir, 0o755) }},
		{"a link", "expected a directory, found a symbolic link", uid, func(dir string) error { return os.Symlink("/", dir) }},
		{"a dangling link", "expected a directory, found a symbolic link", uid, func(dir string) error { return os.Symlink("/nowhere", dir) }},
		{"a file", "expected a directory, found a file", uid, func(dir string) error { return os.WriteFile(dir, nil, 0o600) }},
		{"another's", fmt.Sprintf("expected owner uid %d, found %d", uid+1, uid), uid + 1, func(dir string) error { return os.Mkdir(dir, 0o700) }},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			tmp := t.TempDir()
			dir, _ := choose("", func(string) string { return "" }, tt.uid, tmp)
			if err := tt.create(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(dir, uid, -1); err != nil {
				t.Fatal(err)
			}
			_, err := resolve("", func(string) string { return "" }, tt.uid, tmp)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestResolveRefusesPathsTooLongForSockets(t *testing.T) {
	ok := "/" + strings.Repeat("x", maxSocketPath-len("//control.sock"))
	if _, err := Resolve(ok); err != nil {
		t.Errorf("%d bytes: %v", maxSocketPath, err)
	}
	if _, err := Resolve(ok + "x"); err == nil || !strings.Contains(err.Error(), "108 bytes, Linux allows 107") {
		t.Errorf("got %v", err)
	}
}

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := Create(dir, -1); err != nil {
		t.Fatal(err)
	}
	want := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		want = 0o755
	}
	info, err := os.Lstat(dir)
	if err != nil || info.Mode().Perm() != want {
		t.Errorf("mode %v, %v; want %v", info.Mode(), err, want)
	}
	if err := Create(dir, -1); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := os.Chmod(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	if err := Create(dir, -1); err == nil || !strings.Contains(err.Error(), "found mode 0775, expected at most 0755") {
		t.Errorf("writable by the group: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := Create(link, -1); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link: %v", err)
	}
	if err := Create(filepath.Join(dir, "a", "b"), -1); err == nil || !strings.Contains(err.Error(), "its parent must exist") {
		t.Errorf("no parent: %v", err)
	}
}

// A user without a daemon of his own is sent to the system's, if it serves.
func TestFind(t *testing.T) {
	tmp := t.TempDir()
	xdg, system := filepath.Join(tmp, "xdg"), filepath.Join(tmp, "system")
	own := filepath.Join(xdg, "netmapd")
	env := map[string]string{"XDG_RUNTIME_DIR": xdg}
	serves := func(dir string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(AttachSocket(dir), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what, flag string, uid int, want string) {
		t.Helper()
		got, err := find(flag, func(k string) string { return env[k] }, uid, tmp, system)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", what, got, err, want)
		}
	}
	expect("nobody serves", "", 7, own)
	serves(system)
	expect("the system's daemon serves", "", 7, system)
	expect("a flag", "/flag", 7, "/flag")
	env[Env] = "/env"
	expect("the environment", "", 7, "/env")
	delete(env, Env)
	serves(own)
	expect("the own daemon serves", "", 7, own)
}
