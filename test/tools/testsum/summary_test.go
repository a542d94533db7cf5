package main

import (
	"strings"
	"testing"
)

// stream writes events in short: "action package test text", with "-" for no test.
func stream(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		f := strings.SplitN(l, " ", 4)
		b.WriteString(`{"Action":"` + f[0] + `","Package":"` + f[1] + `"`)
		if f[2] != "-" {
			b.WriteString(`,"Test":"` + f[2] + `"`)
		}
		if len(f) == 4 {
			b.WriteString(`,"Output":"` + f[3] + `\n"`)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    string
		last  string
		ok    bool
		holds []string
	}{
		{
			name: "all pass",
			in:   stream("run p A", "pass p A", "run p B", "pass p B", "pass p -"),
			last: "2 passed, 0 failed, 0 skipped", ok: true,
			holds: []string{"ok    p"},
		},
		{
			name: "subtests count, not what holds them",
			in:   stream("run p A", "run p A/x", "run p A/y", "pass p A/x", "pass p A/y", "pass p A", "pass p -"),
			last: "2 passed, 0 failed, 0 skipped", ok: true,
		},
		{
			name: "one failed subtest is one failure, shown with its output",
			in: stream("run p A", "run p A/x", "output p A/x got 1, want 2", "fail p A/x", "fail p A",
				"output p - exit status 1", "fail p -"),
			last: "0 passed, 1 failed, 0 skipped", holds: []string{"got 1, want 2", "FAIL  p"},
		},
		{
			name: "a test that fails beside its passing subtests",
			in:   stream("run p A", "run p A/x", "pass p A/x", "fail p A", "fail p -"),
			last: "1 passed, 1 failed, 0 skipped",
		},
		{
			name: "a skipped test and its reason",
			in: stream("run p A", "pass p A", "run p B", "output p B === RUN B",
				"output p B     b_test.go:7: needs root", "output p B --- SKIP: B (0.00s)", "skip p B", "pass p -"),
			last: "1 passed, 0 failed, 1 skipped", ok: true,
			holds: []string{"  p B: b_test.go:7: needs root\n"},
		},
		{
			name: "a package that does not build",
			in:   stream("build-output p - x.go:1: undefined: y", "output p - FAIL p [build failed]", "fail p -", "exit all -"),
			last: "0 passed, 1 failed, 0 skipped", holds: []string{"x.go:1: undefined: y", "[build failed]"},
		},
		{
			name: "the same package fails in two runs",
			in:   stream("fail p A", "fail p -", "output p - panic: late", "fail p -"),
			last: "0 passed, 2 failed, 0 skipped", holds: []string{"panic: late"},
		},
		{
			name: "a package that ends amid its tests",
			in: stream("run p A", "output p A done", "pass p A", "run p B", "run p B/x", "output p B/x panic: test timed out",
				"output q C not p", "output p - FAIL p 600s", "fail p -"),
			last: "1 passed, 1 failed, 0 skipped", holds: []string{"--- DID NOT END: p B/x\npanic: test timed out\n", "FAIL p 600s"},
		},
		{
			name: "a command that fails without a word",
			in:   stream("pass p A", "pass p -", "exit unit -"),
			last: "1 passed, 1 failed, 0 skipped", holds: []string{"FAIL  unit"},
		},
		{
			name: "nothing ran",
			in:   stream("skip p -") + "go: some message\n",
			last: "0 passed, 0 failed, 0 skipped", holds: []string{"go: some message\n", "no test ran"},
		},
		{
			name: "only skips is nothing ran",
			in:   stream("skip p A", "pass p -"),
			last: "0 passed, 0 failed, 1 skipped", holds: []string{"no test ran", "no reason given"},
		},
		{
			name: "a last line without an end, and JSON that is no event",
			in:   stream("pass p A", "pass p -") + "{\"a\":1}\n{broken",
			last: "1 passed, 0 failed, 0 skipped", ok: true, holds: []string{"{\"a\":1}\n", "{broken"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := summarize(strings.NewReader(c.in), &out)
			if err != nil || ok != c.ok {
				t.Errorf("summarize = %v, %v; want %v, nil", ok, err, c.ok)
			}
			text := strings.TrimSuffix(out.String(), "\n")
			if last := text[strings.LastIndexByte(text, '\n')+1:]; last != c.last {
				t.Errorf("last line %q, want %q", last, c.last)
			}
			for _, h := range c.holds {
				if !strings.Contains(out.String(), h) {
					t.Errorf("the report does not hold %q:\n%s", h, out.String())
				}
			}
		})
	}
}
