package conformance

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A half is a way to be a netmap program.
type half int

const (
	goHalf         half = 1 << iota // package netmap and the attach socket
	interposerHalf                  // driver.c under the interposer
	linkedHalf                      // driver.c linked with libnetmap
	cHalf          = interposerHalf | linkedHalf
	both           = goHalf | cHalf
)

var ways = []half{goHalf, interposerHalf, linkedHalf}

func (h half) String() string {
	return map[half]string{goHalf: "go", interposerHalf: "interposer", linkedHalf: "linked"}[h]
}

// A check is one line of the checklist. It has a test, or a difference.
type check struct {
	id, text   string // the line in our words
	halves     half   // where the test applies
	run        func(*env)
	alone      bool   // not beside other tests: it measures, or looks at all of the daemon
	difference string // why netmapd does otherwise
}

func tests(id, text string, halves half, run func(*env)) check {
	return check{id: id, text: text, halves: halves, run: run}
}

func testsAlone(id, text string, halves half, run func(*env)) check {
	return check{id: id, text: text, halves: halves, run: run, alone: true}
}

func differs(id, text, reason string) check { return check{id: id, text: text, difference: reason} }

// A section is one part of the checklist.
type section struct {
	prefix string
	title  string
	count  int // IDs that NC has; where one line of it stands for several, each counts
	checks []check
}

// Checklist G of NC: 290 lines, one of which stands for 17 IDs.
var checklist = []section{
	{"ABI", "Memory ABI", 30, abiChecks},
	{"CTL", "Control: generic", 14, ctlChecks},
	{"REG", "Control: register", 30, regChecks},
	{"LEG", "Control: legacy", 12, legChecks},
	{"OPT", "Options", 16, optChecks},
	{"NAM", "Names", 29, namChecks},
	{"SYN", "Sync", 22, synChecks},
	{"POL", "Poll", 22, polChecks},
	{"CLS", "Close and descriptor identity", 9, clsChecks},
	{"HST", "Host rings", 9, hstChecks},
	{"NIC", "NICs", 3, nicChecks},
	{"VAL", "VALE", 26, valChecks},
	{"PER", "Switch management and persistent ports", 17, perChecks},
	{"PIP", "Pipes", 17, pipChecks},
	{"MON", "Monitors", 13, monChecks},
	{"NUL", "Null ports", 4, nulChecks},
	{"CSB", "CSB and loop", 15, csbChecks},
	{"HDR", "Virtio-net header", 10, hdrChecks},
	{"TL", "Tools end to end", 8, tlChecks},
}

const checklistIDs = 306

// TestTable makes sure that the whole checklist is there, once, and that each line has one status.
func TestTable(t *testing.T) {
	total := 0
	for _, s := range checklist {
		if len(s.checks) != s.count {
			t.Errorf("section %s has %d checks, NC has %d", s.prefix, len(s.checks), s.count)
		}
		total += s.count
		for i, c := range s.checks {
			if want := fmt.Sprintf("%s-%02d", s.prefix, i+1); c.id != want {
				t.Errorf("check %d of section %s is %q, want %q", i+1, s.prefix, c.id, want)
			}
			states := 0
			for _, has := range []bool{c.run != nil, c.difference != ""} {
				if has {
					states++
				}
			}
			if states != 1 || c.text == "" || (c.run != nil) != (c.halves != 0) {
				t.Errorf("%s needs a text and exactly one of a test with its halves and a difference", c.id)
			}
		}
	}
	if total != checklistIDs {
		t.Errorf("the sections have %d IDs, NC has %d", total, checklistIDs)
	}
}

// outcomes of this run: "pass", "FAIL" or "" for what did not run.
type outcomes struct {
	mu sync.Mutex
	m  map[string]string
}

var results = outcomes{m: map[string]string{}}

func key(id string, h half) string { return id + "/" + h.String() }

func (o *outcomes) note(t *testing.T, id string, h half) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case t.Failed():
		o.m[key(id, h)] = "FAIL"
	case !t.Skipped():
		o.m[key(id, h)] = "pass"
	}
}

func (o *outcomes) of(id string, h half) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.m[key(id, h)]
}

// TestChecklist runs every check that has a test: TestChecklist/REG-11/go, /interposer, /linked.
func TestChecklist(t *testing.T) {
	for _, alone := range []bool{true, false} {
		for _, s := range checklist {
			for _, c := range s.checks {
				if c.run == nil || c.alone != alone {
					continue
				}
				t.Run(c.id, func(t *testing.T) {
					if !alone {
						t.Parallel()
					}
					for _, h := range ways {
						if c.halves&h == 0 {
							continue
						}
						t.Run(h.String(), func(t *testing.T) {
							defer func() { results.note(t, c.id, h) }()
							c.run(newEnv(t, h))
						})
					}
				})
			}
		}
	}
}

const document = "../../docs/conformance.md"

// TestDocument compares docs/conformance.md with what this run showed; -update writes it. What did not run, because it
// was not selected or needs what the machine has not, is not held against the document. It must come after TestChecklist.
func TestDocument(t *testing.T) {
	old, err := os.ReadFile(document)
	if err != nil && !*update {
		t.Fatalf("%v; write it: go test ./test/conformance -update", err)
	}
	was := parseDocument(string(old))
	now := renderDocument(func(id string, h half) string {
		if r := results.of(id, h); r != "" {
			return r
		}
		if r := was[key(id, h)]; r != "" {
			return r
		}
		return "not run"
	})
	switch {
	case now == string(old):
	case *update && !strings.Contains(now, "FAIL"):
		if err := os.WriteFile(document, []byte(now), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/conformance.md is stale; run go test ./test/conformance -update and look at what changed:\n%s", firstDifference(string(old), now))
	}
}

func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return "- " + as[i] + "\n+ " + bs[i]
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(as), len(bs))
}

// column says what a half made of a check.
func column(c check, h half, outcome func(string, half) string) string {
	switch {
	case c.difference != "":
		return ""
	case c.halves&h == 0:
		return "–"
	}
	return outcome(c.id, h)
}

// status of a check as a whole.
func status(c check, outcome func(string, half) string) string {
	if c.difference != "" {
		return "difference"
	}
	var seen []string
	for _, h := range ways {
		if c.halves&h != 0 {
			seen = append(seen, outcome(c.id, h))
		}
	}
	switch {
	case slices.Contains(seen, "FAIL"):
		return "FAIL"
	case slices.Contains(seen, "pass"):
		return "pass"
	}
	return "not run"
}

func renderDocument(outcome func(string, half) string) string {
	var b strings.Builder
	b.WriteString(`# Conformance

What netmapd does of the checklist of netmap's contract, NC G. Generated by ` + "`go test ./test/conformance -update`" + ` from a run of
the tests, each of which has the name of its line: ` + "`go test ./test/conformance -run TestChecklist/REG-11`" + `. Do not edit.

"Go" is package netmap with requests written by hand on the attach socket, "C" is a C program under the interposer, "linked"
the same program linked with libnetmap instead; "–" means that a line does not concern this kind of program, "not run" that
nobody could run it yet. A line passes when it does in every way in which it was run.

`)
	columns := []string{"pass", "difference", "not run", "FAIL"}
	b.WriteString("| Section | Lines | Pass | Difference | Not run |\n|---|---|---|---|---|\n")
	sum := map[string]int{}
	for _, s := range checklist {
		n := map[string]int{}
		for _, c := range s.checks {
			n[status(c, outcome)]++
		}
		for _, k := range columns {
			sum[k] += n[k]
		}
		fmt.Fprintf(&b, "| %s: %s | %d | %d | %d | %d |\n", s.prefix, s.title, len(s.checks), n["pass"], n["difference"], n["not run"]+n["FAIL"])
	}
	fmt.Fprintf(&b, "| all | %d | %d | %d | %d |\n", checklistIDs, sum["pass"], sum["difference"], sum["not run"]+sum["FAIL"])
	for _, s := range checklist {
		fmt.Fprintf(&b, "\n## %s\n\n| ID | Line | Go | C | linked | |\n|---|---|---|---|---|---|\n", s.title)
		for _, c := range s.checks {
			note := ""
			if c.difference != "" {
				note = "difference: " + c.difference
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.id, strings.ReplaceAll(c.text, "|", `\|`),
				column(c, goHalf, outcome), column(c, interposerHalf, outcome), column(c, linkedHalf, outcome), note)
		}
	}
	return b.String()
}

// parseDocument reads the outcomes back.
func parseDocument(text string) map[string]string {
	was := map[string]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "/"), "|")
		if len(cells) < 7 || !strings.Contains(cells[1], "-") {
			continue
		}
		id := strings.TrimSpace(cells[1])
		for i, h := range ways {
			was[key(id, h)] = strings.TrimSpace(cells[3+i])
		}
	}
	return was
}
