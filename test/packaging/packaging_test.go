package packaging

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The Debian packages are built, as clean as lintian wants them, and do on a copy of this machine what they are for: the
// service starts as its unit says, with and without root, lets those in who it should, and goes.
func TestDebianPackages(t *testing.T) {
	for _, tool := range []string{"dpkg-deb", "dpkg-shlibdeps", "strip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("packages are built with dpkg's tools:", err)
		}
	}
	lookAtSources(t)
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../../scripts/deb", dir).CombinedOutput(); err != nil {
		t.Fatalf("scripts/deb: %v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 3 {
		t.Fatalf("packages %q, %v; want three", debs, err)
	}
	t.Run("lintian", func(t *testing.T) {
		if _, err := exec.LookPath("lintian"); err != nil {
			t.Skip(err)
		}
		args := append([]string{"--allow-root", "--fail-on", "error,warning"}, debs...)
		if out, err := exec.CommandContext(t.Context(), "lintian", args...).CombinedOutput(); err != nil {
			t.Errorf("lintian: %v\n%s", err, out)
		}
	})
	t.Run("machine", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("root only: it takes a copy of the machine to install packages on")
		}
		script, err := filepath.Abs("testdata/machine.sh")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", script, dir)
		out, err := cmd.CombinedOutput()
		switch reason, skip := strings.CutPrefix(lastLine(out), "SKIP: "); {
		case err != nil:
			t.Errorf("%v\n%s", err, out)
		case skip:
			t.Skip(reason)
		case lastLine(out) != "== done":
			t.Errorf("it ends early:\n%s", out)
		}
	})
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// lookAtSources walks over the tree, from which the packages are built: go test would repeat an old result otherwise.
func lookAtSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if name := e.Name(); err == nil && e.IsDir() && path != "../.." && (name == "bin" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
