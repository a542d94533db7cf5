package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The values of --output.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

var formats = []string{formatTable, formatJSON, formatYAML}

// printer prints results in the format that was asked for.
type printer struct {
	w       io.Writer
	format  string
	series  bool // of results, as from --watch
	printed int  // results so far: there is something between them
}

// result is something to print. Its fields, with their json tags, are the JSON
// and YAML form: the names of the API's fields, 64-bit numbers as numbers (the
// protobuf mapping writes strings, with which jq cannot calculate), and every
// field present.
type result interface {
	// table writes the form for people.
	table(t *table)
}

// print prints one result. In JSON a single one is indented; those of a series are
// lines.
func (p *printer) print(r result) error {
	p.printed++
	switch p.format {
	case formatJSON:
		if p.series {
			return p.json(r, "")
		}
		return p.json(r, "  ")
	case formatYAML:
		return p.yaml(r)
	}
	if p.series && p.printed > 1 {
		if _, err := fmt.Fprintln(p.w); err != nil {
			return err
		}
	}
	t := &table{w: tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)}
	r.table(t)
	return t.w.Flush()
}

// printNext prints one of a series.
func (p *printer) printNext(r result) error {
	p.series = true
	return p.print(r)
}

func (p *printer) json(r result, indent string) error {
	enc := json.NewEncoder(p.w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	return enc.Encode(r)
}

// yaml goes through the JSON form, so that both have the same keys in the same
// order; a JSON text is a YAML text in another style.
func (p *printer) yaml(r result) error {
	var buf bytes.Buffer
	if err := (&printer{w: &buf}).json(r, ""); err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(buf.Bytes(), &doc); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	if err := blockStyle(&doc); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	if p.printed > 1 {
		if _, err := fmt.Fprintln(p.w, "---"); err != nil {
			return err
		}
	}
	enc := yaml.NewEncoder(p.w)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	return enc.Close()
}

// blockStyle drops the JSON style of the node and of all below it, except for
// empty lists and maps, which have no other.
func blockStyle(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		// Encoding anew keeps the quotes that readers of YAML 1.1 need: a MAC
		// address of digits is a number to them, "no" is false.
		return n.Encode(n.Value)
	case n.Kind == yaml.ScalarNode || len(n.Content) > 0:
		n.Style = 0
	}
	for _, child := range n.Content {
		if err := blockStyle(child); err != nil {
			return err
		}
	}
	return nil
}

// table writes aligned columns.
type table struct{ w *tabwriter.Writer }

// row writes one line. Cells may hold names that clients chose, which must not
// reach the terminal as control sequences.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = printable(fmt.Sprint(cell))
	}
	fmt.Fprintln(t.w, strings.Join(texts, "\t")) // Flush reports it
}

// text writes lines as they are, but for what cannot be printed.
func (t *table) text(s string) {
	for line := range strings.Lines(s) {
		t.row(strings.TrimSuffix(line, "\n"))
	}
}

// gap ends a block of columns: those after it are aligned anew.
func (t *table) gap() {
	t.w.Flush()       // the last Flush reports it again
	fmt.Fprintln(t.w) // Flush reports it
}

// printable shows what cannot be printed as an escape sequence.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// dash stands for what is not there.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// word is the domain's word for an enum value: "interface" for
// PORT_KIND_INTERFACE, and nothing for the unspecified one.
func word(value fmt.Stringer, prefix string) string {
	w := strings.ToLower(strings.TrimPrefix(value.String(), prefix))
	if w == "unspecified" {
		return ""
	}
	return w
}

// when is nil, JSON's null, for a time that is not set.
func when(ts *timestamppb.Timestamp) *time.Time {
	if ts == nil {
		return nil
	}
	t := ts.AsTime()
	return &t
}

func whenText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// done is the result of a verb that leaves nothing to show.
type done struct {
	Action string `json:"action"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
}

func (d done) table(t *table) { t.row(d.Kind + " " + d.Name + " " + d.Action) }

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
