package config

import (
	"fmt"
	"slices"
	"strings"
)

// Error holds every problem of a configuration.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Problem is one thing to put right.
type Problem struct {
	Source string // the file, "NETMAPD_LOG_LEVEL", "--log-level", "the default"
	Line   int    // in the file, 0 when there is none
	Key    string // "ports[1].driver", "" for the file as a whole
	Text   string
}

func (p Problem) String() string {
	where := origin{p.Source, p.Line}.String()
	if p.Key == "" {
		return where + ": " + p.Text
	}
	return where + ": " + p.Key + ": " + p.Text
}

// origin is where a value was set.
type origin struct {
	source string
	line   int
}

func (o origin) String() string {
	if o.line == 0 {
		return o.source
	}
	return fmt.Sprintf("%s:%d", o.source, o.line)
}

// origins tells where each key was set; what is absent has its default.
type origins map[string]origin

// of finds the origin of a key, or of the nearest key around it.
func (o origins) of(key string) origin {
	for {
		if where, ok := o[key]; ok {
			return where
		}
		up := parent(key)
		if up == key {
			return origin{source: "the default"}
		}
		key = up
	}
}

// parent is the key around a key: "ports" for "ports[1]" for "ports[1].name".
// The top is its own parent.
func parent(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

// problems collects problems. Of a key it keeps the first only, and none of the
// keys inside: those would be its consequences.
type problems struct {
	list []Problem
	seen map[string]bool
}

func (p *problems) add(where origin, key, format string, args ...any) {
	for k := key; k != ""; k = parent(k) {
		if p.seen[k] {
			return
		}
	}
	if p.seen == nil {
		p.seen = make(map[string]bool)
	}
	p.seen[key] = true
	p.list = append(p.list, Problem{where.source, where.line, key, fmt.Sprintf(format, args...)})
}

// err is nil or an *Error, the file's problems in the order of its lines.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		if a.Source != b.Source {
			return 0
		}
		return a.Line - b.Line
	})
	return &Error{p.list}
}

// suggest is "; did you mean X?" for the candidate nearest to word, or "".
func suggest(word string, candidates []string) string {
	best, distance := "", len(word)/3+2
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(word), c); d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// editDistance is Levenshtein's, in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
