package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report is all of a run; its JSON keeps every reading.
type report struct {
	Machine machine   `json:"machine"`
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Quick   bool      `json:"quick"`
	Time    string    `json:"time_of_one_measurement"`
	Weather []weather `json:"weather"` // before the first round and after each
	Rows    []result  `json:"rows"`

	tables []*table
}

// result is a row in the JSON.
type result struct {
	Name  string  `json:"name"`
	About string  `json:"about"`
	Lines []line  `json:"metrics"`
	Notes []notes `json:"notes,omitempty"`
}

// line is one metric of a row: a line of the table.
type line struct {
	Key      string `json:"key"`
	Unit     string `json:"unit"`
	Lower    bool   `json:"lower_is_better"`
	Info     bool   `json:"not_compared,omitempty"`
	Subjects []cell `json:"subjects"`
}

// cell is a metric of one subject.
type cell struct {
	Name    string     `json:"name"`
	Summary *summary   `json:"summary,omitempty"`
	Ratio   *float64   `json:"ours_is_better_by,omitempty"` // median of the rounds' ratios; peers only
	Bar     *verdict   `json:"bar,omitempty"`               // of ours, at the peer that it is relative to
	Values  []*float64 `json:"values,omitempty"`
}

// verdict is a bar and whether ours passes it.
type verdict struct {
	Bar string `json:"bar"`
	Met bool   `json:"met"`
}

func (v *verdict) String() string {
	if v == nil {
		return ""
	}
	return v.Bar + ": " + map[bool]string{true: "met", false: "MISSED"}[v.Met]
}

// notes tell why a subject has no or fewer readings.
type notes struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// finish turns the columns into results.
func (r *report) finish() {
	if r.Rows != nil {
		return
	}
	for _, t := range r.tables {
		r.Rows = append(r.Rows, t.result())
	}
}

func (t *table) result() result {
	res := result{Name: t.name, About: t.about}
	for _, m := range t.metrics {
		l := line{Key: m.key, Unit: m.unit, Lower: m.lower, Info: m.info}
		ours := t.cols[0].values(m.key)
		for i, c := range t.cols {
			v := c.values(m.key)
			out := cell{Name: c.name}
			for _, x := range v {
				out.Values = append(out.Values, number(x))
			}
			if got := present(v); len(got) > 0 {
				s := summarize(got)
				out.Summary = &s
				if rs := ratios(ours, v, m.lower); i > 0 && !m.info && len(rs) > 0 {
					out.Ratio = number(median(rs))
				}
			} else {
				out.Values = nil
			}
			out.Bar = t.verdict(m, ours, v, i)
			l.Subjects = append(l.Subjects, out)
		}
		res.Lines = append(res.Lines, l)
	}
	for _, c := range t.cols {
		if c.absent != "" {
			res.Notes = append(res.Notes, notes{c.name, "absent: " + c.absent})
		}
		if n := len(c.errs); n > 0 {
			res.Notes = append(res.Notes, notes{c.name, fmt.Sprintf("%d measurements failed, the last one: %v", n, c.errs[n-1])})
		}
	}
	return res
}

// verdict is that of the bar of metric m that is to be shown at subject i, nil for none.
func (t *table) verdict(m metric, ours, v []float64, i int) *verdict {
	for _, b := range t.bars {
		if b.key == m.key && (b.peer == "" && i == 0 || b.peer == t.cols[i].name) {
			if met, known := b.met(ours, v, m.lower); known {
				return &verdict{b.text(m.lower), met}
			}
		}
	}
	return nil
}

// number is x for JSON, which has no NaN.
func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// print writes the table.
func (r *report) print(w io.Writer) {
	r.finish()
	m := r.Machine
	fmt.Fprintf(w, "%s, %d CPUs%s, TSC %.0f MHz, Linux %s, %s, %d MB, hugepages %s\n", m.CPU, m.CPUs,
		map[bool]string{true: " of a virtual machine"}[m.Virtual], m.TSCMHz, m.Kernel, m.Go, m.MemoryMB, m.Hugepages)
	fmt.Fprintf(w, "netmapd %s; lcore on CPU %d, programs on %v; %d rounds of %s\n", m.Commit, m.LcoreCPU, m.ClientCPU, max(0, len(r.Weather)-1), r.Time)
	for i, x := range r.Weather {
		fmt.Fprintf(w, "  %-14s load %.1f, steal %.1f %%, core clock by calibration %.0f MHz\n", when(i), x.Load1, x.Steal, x.CoreMHz)
	}
	fmt.Fprintf(w, "\n%-36s %-18s %-36s %-18s %s\n", "row", "subject", "median [p25 .. p75]", "ours is better by", "bar for ours")
	var missed []string
	met := 0
	for _, row := range r.Rows {
		name := row.Name
		for _, l := range row.Lines {
			for _, c := range l.Subjects {
				if c.Summary == nil {
					continue
				}
				ratio := ""
				if c.Ratio != nil {
					ratio = format(*c.Ratio) + " x"
				}
				s := c.Summary
				fmt.Fprintf(w, "%-36s %-18s %-36s %-18s %s\n", name, c.Name,
					fmt.Sprintf("%s %s [%s .. %s]", format(s.Median), l.Unit, format(s.Low), format(s.High)), ratio, c.Bar)
				name = ""
				if c.Bar != nil && c.Bar.Met {
					met++
				} else if c.Bar != nil {
					missed = append(missed, fmt.Sprintf("  %s: %s: %s", row.Name, l.Unit, c.Bar.Bar))
				}
			}
		}
		for _, n := range row.Notes {
			fmt.Fprintf(w, "%-36s %-18s %s\n", name, n.Subject, strings.ReplaceAll(n.Text, "\n", "\n"+strings.Repeat(" ", 56)))
			name = ""
		}
	}
	fmt.Fprintf(w, "\n%d bars are met, %d are missed\n%s", met, len(missed), strings.Join(append(missed, ""), "\n"))
}

func when(i int) string {
	if i == 0 {
		return "at the start:"
	}
	return fmt.Sprintf("after round %d:", i)
}

// format writes a number with three digits that count.
func format(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100 || a == 0:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	case a >= 0.1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

// save writes the results, named by the time of the run, and a copy of them as latest.
func (r *report) save(dir string) error {
	r.finish()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the folder for results: %w", err)
	}
	doc, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	var errs []error
	for _, name := range []string{r.Start.UTC().Format("20060102-150405"), "latest"} {
		base := filepath.Join(dir, name)
		errs = append(errs, os.WriteFile(base+".json", doc, 0o644), os.WriteFile(base+".svg", []byte(r.svg()), 0o644))
	}
	return errors.Join(errs...)
}
