package main

import (
	"fmt"
	"html"
	"strings"
)

// The plot's measures in pixels.
const (
	plotLeft  = 170
	plotWidth = 520
	barHeight = 14
	textWidth = 200
)

// svg draws every compared metric as a group of bars, one for each subject, on a scale of its own that begins at 0. A
// thin line over a bar spans the middle half of the readings.
func (r *report) svg() string {
	var b strings.Builder
	y := 24
	text := func(x, y int, class, anchor, s string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, html.EscapeString(s))
	}
	text(8, y, "t", "start", fmt.Sprintf("netmapd %s on %s, %s", r.Machine.Commit, r.Machine.CPU, r.Start.UTC().Format("2006-01-02 15:04 UTC")))
	y += 10
	for _, row := range r.Rows {
		for _, l := range row.Lines {
			top := 0.0
			for _, c := range l.Subjects {
				if c.Summary != nil {
					top = max(top, c.Summary.High, c.Summary.Median)
				}
			}
			if l.Info || top == 0 {
				continue
			}
			y += 22
			better := "more is better"
			if l.Lower {
				better = "less is better"
			}
			text(8, y, "h", "start", fmt.Sprintf("%s: %s (%s)", row.Name, l.Unit, better))
			y += 6
			for i, c := range l.Subjects {
				if c.Summary == nil {
					continue
				}
				px := func(v float64) float64 { return plotLeft + plotWidth*v/top }
				s, class := c.Summary, "o"
				if i > 0 {
					class = "p"
				}
				text(plotLeft-8, y+barHeight-3, "l", "end", c.Name)
				fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" class="%s"/>`+"\n", plotLeft, y, px(s.Median)-plotLeft, barHeight-2, class)
				mid := float64(y) + barHeight/2 - 1
				fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" class="s"/>`+"\n", px(s.Low), mid, px(s.High))
				label := format(s.Median)
				if c.Ratio != nil {
					label += fmt.Sprintf(" (ours is better by %s x)", format(*c.Ratio))
				}
				text(plotLeft+plotWidth+8, y+barHeight-3, "l", "start", label)
				y += barHeight
			}
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">
<style>.t{font-size:14px;font-weight:bold}.h{font-size:12px;font-weight:bold}.l{font-size:11px}.o{fill:#2a7ab0}.p{fill:#b9b9b9}.s{stroke:#222;stroke-width:1.5;fill:none}</style>
<rect width="100%%" height="100%%" fill="#fff"/>
%s</svg>
`, plotLeft+plotWidth+textWidth, y+16, b.String())
}
