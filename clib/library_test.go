package clib

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/netmap/rundir"
)

// shared are the arguments that link a program with libnetmap.so.
func shared() []string { return []string{"-L" + binDir, "-lnetmap", "-Wl,-rpath," + binDir} }

func archive() string { return filepath.Join(binDir, "libnetmap.a") }

// A program linked with libnetmap needs no preload, however it is linked, and can be under the interposer all the same.
func TestLibrary(t *testing.T) {
	dir, _ := startDaemon(t)
	for _, c := range []struct {
		name string
		link []string
	}{
		{"shared", shared()},
		{"archive", []string{archive()}},
		{"static", []string{"-static", archive()}},
	} {
		program := compile(t, "library", c.link...)
		for _, preload := range []string{"", library} {
			name := c.name
			if preload != "" {
				name += " under the interposer"
			}
			t.Run(name, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), program)
				cmd.Env = append(os.Environ(), rundir.Env+"="+dir, "LD_PRELOAD="+preload)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// The programs that run under the interposer do as well when they are linked with the library.
func TestProgramsLinked(t *testing.T) {
	dir, _ := startDaemon(t)
	for _, c := range [][]string{{"control"}, {"traffic", "10000"}, {"waits"}, {"epoll", "10000"}, {"processes"}} {
		t.Run(c[0], func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), compile(t, c[0], shared()...), c[1:]...)
			cmd.Env = append(os.Environ(), rundir.Env+"="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// C++ programs include the headers too, and so do programs for other standards.
func TestHeadersCompile(t *testing.T) {
	if noCC != nil {
		t.Skip("no C compiler:", noCC)
	}
	const all = "#define NETMAP_WITH_LIBS\n#include <libnetmap.h>\n#include <net/netmap_virt.h>\n" +
		"int main(void) { struct nmport_d *d = nmport_new(); nmport_delete(d); return nm_open(\"foo\", 0, 0, 0) != 0; }\n"
	for _, c := range [][]string{
		{"gcc", "-x", "c", "-std=gnu99"},
		{"gcc", "-x", "c", "-std=c11", "-D_GNU_SOURCE", "-pedantic-errors"},
		{"gcc", "-x", "c", "-std=gnu17", "-O3"},
		{"g++", "-x", "c++", "-std=c++11"},
		{"g++", "-x", "c++", "-std=c++20"},
	} {
		t.Run(strings.Join(c, " "), func(t *testing.T) {
			if _, err := exec.LookPath(c[0]); err != nil {
				t.Skip(err)
			}
			args := slices.Concat(c[1:], []string{"-Wall", "-Wextra", "-Werror", "-Wno-pedantic", "-Iinclude", "-o", filepath.Join(t.TempDir(), "all"), "-"})
			cmd := exec.CommandContext(t.Context(), c[0], append(args, shared()...)...)
			cmd.Stdin = strings.NewReader(all)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// What is installed is enough to build a program as others do, with pkg-config.
func TestInstall(t *testing.T) {
	if noCC != nil {
		t.Skip("no C compiler:", noCC)
	}
	if _, err := exec.LookPath("pkg-config"); err != nil {
		t.Skip(err)
	}
	root := t.TempDir()
	if out, err := exec.Command("make", "-C", "..", "install-clib", "BIN="+binDir, "CC=gcc", "PREFIX="+root, "LIBDIR="+root+"/lib64").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pkgConfig := exec.Command("pkg-config", "--cflags", "--libs", "libnetmap")
	pkgConfig.Env = append(os.Environ(), "PKG_CONFIG_PATH="+root+"/lib64/pkgconfig")
	flags, err := pkgConfig.Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(root, "library")
	args := append([]string{"-D_GNU_SOURCE", "-o", program, "test/library.c", "-Wl,-rpath," + root + "/lib64"}, strings.Fields(string(flags))...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %q: %v\n%s", args, err, out)
	}
	dir, _ := startDaemon(t)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), rundir.Env+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Both parsers in C read names as package name does.
func TestNames(t *testing.T) {
	text, err := os.ReadFile("../netmap/name/testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), compile(t, "names", shared()...))
	cmd.Stdin = strings.NewReader(string(text))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	i := 0
	for line := range strings.Lines(string(text)) {
		line = strings.ReplaceAll(strings.TrimSuffix(line, "\n"), " 0x0 ", " 0 ") // as printf writes it
		if line == "" || line[0] == '#' {
			continue
		}
		if i == len(got) {
			t.Fatalf("it ends before %s", line)
		}
		if got[i] != line {
			t.Fatalf("C says %s\nwant   %s", got[i], line) // what follows may be out of step
		}
		i++
	}
}
