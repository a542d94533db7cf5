package name

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A vector is a line of testdata/names.txt; the file says what it means.
type vector struct {
	line          int
	grammar, spec string
	want          string // what follows the spec in the file
}

var vectorLine = regexp.MustCompile(`^(new|old) "([^"]*)" (ok "[^"]*" \d+ \d+ 0x[0-9a-f]+ \d+|[A-Z]+|0)$`)

func readVectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := vectorLine.FindStringSubmatch(line)
		if f == nil {
			t.Fatalf("testdata/names.txt:%d is not in the form that the file describes: %s", i+1, line)
		}
		vectors = append(vectors, vector{i + 1, f[1], f[2], f[3]})
	}
	return vectors
}

// outcome is what a parser returned, as the file writes it.
func outcome(s Spec, err error) string {
	var e *Error
	switch {
	case err == nil:
		return fmt.Sprintf("ok %q %d %d %#x %d", s.Name, s.Mode, s.RingID, s.Flags, s.MemID)
	case !errors.As(err, &e):
		return err.Error()
	}
	switch errno := e.Errno(true); errno {
	case 0:
		return "0"
	case syscall.EINVAL:
		return "EINVAL"
	case syscall.EOPNOTSUPP:
		return "EOPNOTSUPP"
	default:
		return errno.Error()
	}
}

func TestVectors(t *testing.T) {
	parse := map[string]func(string) (Spec, error){"new": Parse, "old": ParseLegacy}
	for _, v := range readVectors(t) {
		if got := outcome(parse[v.grammar](v.spec)); got != v.want {
			t.Errorf("testdata/names.txt:%d: %s %q: got %s\nwant %s", v.line, v.grammar, v.spec, got, v.want)
		}
	}
}
