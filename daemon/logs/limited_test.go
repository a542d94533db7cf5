package logs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestLimited(t *testing.T) {
	var out bytes.Buffer
	h := Limited(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	say := func(h slog.Handler, level slog.Level, message string) {
		if err := h.Handle(context.Background(), slog.NewRecord(now, level, message, 0)); err != nil {
			t.Fatal(err)
		}
	}
	lines := func(part string) int { return strings.Count(out.String(), part) }
	for i := range 1000 {
		say(h.WithAttrs([]slog.Attr{slog.Int("pid", i)}).WithGroup("g"), slog.LevelInfo, "flood")
		say(h, slog.LevelWarn, "audit")
		say(h, slog.LevelInfo, "audit")
		say(h, slog.LevelDebug, "asked")
	}
	say(h, slog.LevelError, "once")
	for part, want := range map[string]int{"msg=flood": burst, "level=WARN msg=audit": burst, "level=INFO msg=audit": 1000, "msg=asked": 1000, "msg=once": 1} {
		if got := lines(part); got != want {
			t.Errorf("%d lines of %s, want %d", got, part, want)
		}
	}
	now = now.Add(window)
	say(h, slog.LevelInfo, "flood")
	if lines(`msg="messages were left out" message=flood times=940`) != 1 || lines("msg=flood") != burst+1 {
		t.Errorf("the next minute begins with\n%s", out.String()[max(0, out.Len()-400):])
	}
	for i := range 2 * messages { // nor do messages that differ
		say(h, slog.LevelWarn, fmt.Sprintf("new-%d", i))
	}
	if got := lines("msg=new-"); got > messages+burst {
		t.Errorf("%d different lines", got)
	}
}
