package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// cgo: C is entered in one place, so that what crosses the border can be read in one place.
func cgo(t tree) (broken []string) {
	for _, f := range t.goFiles() {
		if f.isCgo() && !under(f.path, "dpdk", "clib") {
			broken = append(broken, f.path+`: import "C" belongs under dpdk/`)
		}
	}
	return broken
}

// unsafes: code that the compiler cannot check says so in its file's name.
func unsafes(t tree) (broken []string) {
	for _, f := range t.goFiles() {
		named := strings.HasSuffix(f.path, "_unsafe.go") || strings.HasSuffix(f.path, "_unsafe_test.go")
		if f.hasImport("unsafe") && !named && !f.isCgo() && !f.isGenerated() {
			broken = append(broken, f.path+": unsafe belongs into a file named *_unsafe.go")
		}
	}
	return broken
}

const elf = "\x7fELF"

// binaries: what is built lies in bin/, so that it is never committed.
func binaries(t tree) (broken []string) {
	for _, f := range t {
		if strings.HasPrefix(f.text, elf) {
			broken = append(broken, f.path+": a program or library that was built; make build puts them into bin/")
		}
	}
	return broken
}

const maxLines = 700

// lengths: a file is read in one go.
func lengths(t tree) (broken []string) {
	for _, f := range t {
		source := f.isScript() || slices.ContainsFunc([]string{".go", ".c", ".h", ".s"}, func(end string) bool {
			return strings.HasSuffix(f.path, end)
		})
		if n := strings.Count(f.text, "\n"); source && n > maxLines && !f.isGenerated() {
			broken = append(broken, fmt.Sprintf("%s has %d lines, at most %d: split it", f.path, n, maxLines))
		}
	}
	return broken
}

// machinePath finds folders of the machines we work on. It is put together here so as not to find itself.
var machinePath = regexp.MustCompile(`(^|[^\w.-])/(tmp/)?wor` + `k/`)

// paths: nothing depends on where it was written.
func paths(t tree) (broken []string) {
	for _, f := range t {
		for i, line := range strings.Split(f.text, "\n") {
			if found := machinePath.FindString(line); found != "" {
				broken = append(broken, fmt.Sprintf("%s:%d names a folder of one machine: %s", f.path, i+1, found))
			}
		}
	}
	return broken
}

func (f file) isScript() bool { return strings.HasPrefix(f.path, "scripts/") }

// bashisms are what dash accepts or only notices when it runs the line, and POSIX does not have.
var bashisms = map[string]*regexp.Regexp{
	"local":                regexp.MustCompile(`^\s*(local|declare|typeset)\s`),
	"function":             regexp.MustCompile(`^\s*function\s`),
	"[[":                   regexp.MustCompile(`(^|[;&|\s])\[\[\s`),
	"== in a test":         regexp.MustCompile(`\[\s[^\]]*\s==\s`),
	"source":               regexp.MustCompile(`^\s*source\s`),
	"&> or <( or >(":       regexp.MustCompile(`&>\S|\s[<>]\(`),
	"an array":             regexp.MustCompile(`^\s*\w+\+?=\(`),
	"${x//}, ${x:0:1}":     regexp.MustCompile(`\$\{\w+(/|:\d|\^|,)`),
	"$'...'":               regexp.MustCompile(`(^|[\s=])\$'`),
	"echo -e":              regexp.MustCompile(`\becho\s+-[en]`),
	"pipefail":             regexp.MustCompile(`\bset\s.*pipefail`),
	"a signal name SIG...": regexp.MustCompile(`\btrap\s.*\sSIG[A-Z]`),
	"trap ERR":             regexp.MustCompile(`\btrap\s.*\sERR\b`),
	"read -p":              regexp.MustCompile(`\bread\s+-[a-qs-z]`),
	"RANDOM, BASH_, EUID":  regexp.MustCompile(`\$\{?(RANDOM|BASH_\w+|EUID|UID|PIPESTATUS)\b`),
	"(( as a command":      regexp.MustCompile(`(^|[;&|]\s*|\b(if|while)\s+)\(\(`),
	"here-string":          regexp.MustCompile(`<<<`),
	"brace range {1..9}":   regexp.MustCompile(`\{\d+\.\.\d+\}`),
}

// posix: the scripts run with whatever /bin/sh is.
func posix(t tree) (broken []string) {
	for _, f := range t {
		if !f.isScript() {
			continue
		}
		for i, line := range strings.Split(f.text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			for what, re := range bashisms {
				if re.MatchString(line) {
					broken = append(broken, fmt.Sprintf("%s:%d is not POSIX sh: %s", f.path, i+1, what))
				}
			}
		}
	}
	return broken
}
