package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc test2json), with the fields of a build event beside it. The scripts add
// one action of their own, "exit": a command ended with an error status.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// test names one test of one package run; an empty name is the package itself.
type test struct{ pkg, name string }

// parent returns the test that t is a subtest of; ok is false for a top-level test.
func (t test) parent() (p test, ok bool) {
	i := strings.LastIndexByte(t.name, '/')
	if i < 0 {
		return test{}, false
	}
	return test{t.pkg, t.name[:i]}, true
}

// summary counts tests. Subtests count in the place of the test that holds them, which counts itself only when it
// fails and none of its subtests did; a package that fails without a failed test (it does not build, it ran out of
// time) counts as one failure.
type summary struct {
	out io.Writer

	passed, failed, skipped int
	reasons                 []string

	output   map[test]*strings.Builder
	holds    map[test]bool // it has subtests
	blamed   map[test]bool // a failure below it is counted already
	anything bool          // some failure is counted
}

// summarize reads events from in until its end and writes the report to out. ok tells whether tests ran and none failed.
func summarize(in io.Reader, out io.Writer) (ok bool, err error) {
	s := &summary{
		out:    out,
		output: map[test]*strings.Builder{},
		holds:  map[test]bool{},
		blamed: map[test]bool{},
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			s.line(line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
	}
	return s.close(), nil
}

func (s *summary) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Fprintln(s.out, strings.TrimSuffix(line, "\n"))
		return
	}
	t := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "run":
		if p, ok := t.parent(); ok {
			s.holds[p] = true
		}
	case "output":
		s.keep(t, e.Output)
	case "pass", "fail", "skip":
		s.end(t, e)
		s.forget(t)
	case "exit":
		if !s.anything {
			s.fail(t)
			fmt.Fprintf(s.out, "FAIL  %s ended with an error and reported no failed test\n", e.Package)
		}
	}
}

// end counts a test, or prints the line of a package, that has ended.
func (s *summary) end(t test, e event) {
	if t.name == "" {
		s.endPackage(t, e)
		return
	}
	switch e.Action {
	case "pass":
		if !s.holds[t] {
			s.passed++
		}
	case "skip":
		s.skipped++
		s.reasons = append(s.reasons, fmt.Sprintf("%s %s: %s", t.pkg, t.name, reason(s.text(t))))
	case "fail":
		if !s.blamed[t] {
			s.fail(t)
		}
		fmt.Fprintf(s.out, "--- FAIL: %s %s (%.2fs)\n%s", t.pkg, t.name, e.Elapsed, s.text(t))
	}
}

func (s *summary) endPackage(t test, e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out, "ok    %s (%.1fs)\n", t.pkg, e.Elapsed)
	case "fail":
		if !s.blamed[t] {
			s.fail(t)
			fmt.Fprint(s.out, s.text(t))
		}
		s.unended(t.pkg)
		fmt.Fprintf(s.out, "FAIL  %s (%.1fs)\n", t.pkg, e.Elapsed)
		s.blamed[t] = false // the package may run again, with other flags
	}
}

// unended shows the tests that ran when their package ended: what a panic says, or that time is up, is in the output of one.
func (s *summary) unended(pkg string) {
	var names []string
	for t := range s.output {
		if t.pkg == pkg && t.name != "" {
			names = append(names, t.name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		t := test{pkg, name}
		fmt.Fprintf(s.out, "--- DID NOT END: %s %s\n%s", pkg, name, s.text(t))
		s.forget(t)
	}
}

// fail counts a failure of t and marks all that hold t, so that they do not count again.
func (s *summary) fail(t test) {
	s.failed++
	s.anything = true
	s.blamed[test{t.pkg, ""}] = true
	for p, ok := t.parent(); ok; p, ok = p.parent() {
		s.blamed[p] = true
	}
}

func (s *summary) keep(t test, text string) {
	if s.output[t] == nil {
		s.output[t] = &strings.Builder{}
	}
	s.output[t].WriteString(text)
}

func (s *summary) text(t test) string {
	if b := s.output[t]; b != nil {
		return b.String()
	}
	return ""
}

// forget drops what is known of a test that has ended; it may run again in a later run of the same stream.
func (s *summary) forget(t test) {
	delete(s.output, t)
	delete(s.holds, t)
	if t.name != "" {
		delete(s.blamed, t)
	}
}

// reason takes what a skipped test said out of its output: all but the lines that the testing package adds.
func reason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

// close prints the totals and tells whether all is well.
func (s *summary) close() bool {
	if len(s.reasons) > 0 {
		fmt.Fprintln(s.out, "skipped:")
	}
	for _, r := range s.reasons {
		fmt.Fprintln(s.out, "  "+r)
	}
	ran := s.passed+s.failed > 0
	if !ran {
		fmt.Fprintln(s.out, "no test ran")
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return ran && s.failed == 0
}
