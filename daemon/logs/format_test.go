package logs

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	var out bytes.Buffer
	var f Format
	log := slog.New(f.Handler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})).With("part", "a").WithGroup("g")
	said := func() string {
		defer out.Reset()
		log.Info("too little")
		log.Warn("hello", "n", 1)
		return out.String()
	}
	for range 2 { // there and back
		if got := said(); !strings.HasSuffix(got, "level=WARN msg=hello part=a g.n=1\n") || strings.Count(got, "\n") != 1 {
			t.Errorf("as text: %q", got)
		}
		f.Set("json")
		var line struct {
			Msg, Part string
			G         struct{ N int }
		}
		if got := said(); json.Unmarshal([]byte(got), &line) != nil || line.Msg != "hello" || line.Part != "a" || line.G.N != 1 {
			t.Errorf("as JSON: %q", got)
		}
		f.Set("text")
	}
}
