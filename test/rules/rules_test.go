package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rules = map[string]func(tree) []string{
	"cgo":      cgo,
	"unsafe":   unsafes,
	"layering": layering,
	"purity":   purity,
	"binaries": binaries,
	"lengths":  lengths,
	"paths":    paths,
	"posix":    posix,
}

// TestTree holds the checkout against every rule.
func TestTree(t *testing.T) {
	all := checkout(t)
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			broken := rule(all)
			slices.Sort(broken)
			for _, b := range broken {
				t.Error(b)
			}
		})
	}
}

// TestRules shows that each rule finds what it is there for, and nothing else.
func TestRules(t *testing.T) {
	const (
		abi   = `import "` + module + `netmap/abi"`
		eal   = `import "` + module + `dpdk/eal"`
		viper = `import "github.com/spf13/viper"`
	)
	machine := "/wor" + "k/main"
	for _, c := range []struct {
		rule string
		path string
		text string
		want string // a part of the complaint; empty for none
	}{
		{"cgo", "dpdk/eal/eal.go", "package eal\nimport \"C\"\n", ""},
		{"cgo", "port/nic.go", "package port\nimport \"C\"\n", "port/nic.go"},
		{"cgo", "dpdkx/a.go", "package dpdkx\nimport \"C\"\n", "dpdkx/a.go"},
		{"unsafe", "shm/map_unsafe.go", "package shm\nimport \"unsafe\"\n", ""},
		{"unsafe", "shm/map_unsafe_test.go", "package shm\nimport \"unsafe\"\n", ""},
		{"unsafe", "dpdk/mbuf/mbuf.go", "package mbuf\nimport \"C\"\nimport \"unsafe\"\n", ""},
		{"unsafe", "api/x.pb.go", "package api\nimport \"unsafe\"\n", ""},
		{"unsafe", "shm/map.go", "package shm\nimport \"unsafe\"\n", "shm/map.go"},
		{"unsafe", "shm/map_test.go", "package shm\nimport \"unsafe\"\n", "shm/map_test.go"},
		{"layering", "switch/a.go", "package vale\n" + abi, ""},
		{"layering", "switch/a.go", "package vale\n" + eal, "imports dpdk/eal"},
		{"layering", "port/a.go", "package port\n" + eal, ""},
		{"layering", "dpdk/eal/a.go", "package eal\nimport \"" + module + "dpdk/common\"\n", ""},
		{"layering", "daemon/control/a.go", "package control\n" + eal, "imports dpdk/eal"},
		{"layering", "daemon/daemon.go", "package daemon\n" + eal, ""},
		{"layering", "daemon/daemon.go", "package daemon\nimport \"" + module + "cmd/nmctl/x\"\n", "imports cmd/nmctl/x"},
		{"layering", "daemon/daemon.go", "package daemon\n" + viper, "typed"},
		{"layering", "daemon/config/a.go", "package config\n" + viper, ""},
		{"layering", "cmd/nmctl/main.go", "package main\nimport \"" + module + "daemon\"\n", "imports daemon"},
		{"layering", "cmd/netmapd/main.go", "package main\nimport \"" + module + "daemon\"\n", ""},
		{"layering", "cmd/netmapd/main.go", "package main\nimport \"" + module + "port\"\n", "imports port"},
		{"layering", "shm/a.go", "package shm\nimport \"" + module + "ring/model\"\n", "imports ring/model"},
		{"layering", "newthing/a.go", "package newthing\n", "no line in layers"},
		{"purity", "lcore/a.go", "package lcore\n" + eal, "lcore -> dpdk/eal"},
		{"purity", "netmap/a.go", "package netmap\nimport \"C\"\n", "netmap -> C"},
		{"purity", "netmap/a_test.go", "package netmap\n" + eal, "netmap/a_test.go imports DPDK"},
		{"purity", "port/a_test.go", "package port\n" + eal, ""},
		{"binaries", "nmctl", elf, "bin/"},
		{"binaries", "docs/elf.md", "ELF", ""},
		{"lengths", "a/a.go", "package a\n" + strings.Repeat("\n", maxLines-1), ""},
		{"lengths", "a/a.go", "package a\n" + strings.Repeat("\n", maxLines), "701 lines"},
		{"lengths", "a/a.pb.go", "package a\n" + strings.Repeat("\n", maxLines), ""},
		{"lengths", "scripts/x", strings.Repeat("\n", maxLines+1), "701 lines"},
		{"paths", "docs/x.md", "see " + machine, "docs/x.md:1"},
		{"paths", "docs/x.md", "see frame" + machine + " and net" + machine, ""},
		{"posix", "scripts/x", "local x=1\n", "scripts/x:1"},
		{"posix", "scripts/x", "if [ \"$a\" == b ]; then :; fi\n", "== in a test"},
		{"posix", "scripts/x", "x=$((1 + 2))\n[ \"$x\" = 3 ] && (cd / && pwd)\n# local x\n", ""},
	} {
		f, err := newFile(c.path, c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.path, err)
		}
		broken := strings.Join(rules[c.rule](tree{f}), "\n")
		if !strings.Contains(broken, c.want) || (c.want == "") != (broken == "") {
			t.Errorf("%s on %s %q: got %q, want %q", c.rule, c.path, c.text[:min(len(c.text), 60)], broken, c.want)
		}
	}
}

// TestPurityIsTransitive looks through a package between the switch and DPDK.
func TestPurityIsTransitive(t *testing.T) {
	var all tree
	for path, text := range map[string]string{
		"switch/a.go": "package vale\nimport \"" + module + "ring\"\n",
		"ring/a.go":   "package ring\nimport \"" + module + "dpdk/mbuf\"\n",
	} {
		f, err := newFile(path, text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	if broken := strings.Join(purity(all), "\n"); !strings.Contains(broken, "switch -> ring -> dpdk/mbuf") {
		t.Errorf("got %q, want the way from switch over ring to dpdk/mbuf", broken)
	}
}

// TestScriptsParse lets the shell read every script without running it.
func TestScriptsParse(t *testing.T) {
	shell, err := exec.LookPath("dash")
	if err != nil {
		shell = "/bin/sh"
	}
	for _, f := range checkout(t) {
		if !f.isScript() {
			continue
		}
		path := filepath.Join("..", "..", filepath.FromSlash(f.path))
		if out, err := exec.Command(shell, "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s -n %s: %v\n%s", shell, f.path, err, out)
		}
	}
}

// TestCommandsWithoutCgo builds what must work without a C compiler, with an environment that has none.
func TestCommandsWithoutCgo(t *testing.T) {
	for _, target := range []string{"cmd/nmctl", "netmap"} {
		build := exec.Command("go", "build", "-o", os.DevNull, "./"+target)
		build.Dir = filepath.Join("..", "..")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "CC=/no/compiler/here")
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("CGO_ENABLED=0 go build ./%s: %v\n%s", target, err, out)
		}
	}
}
