// Package logs bounds the log: what clients do, however often, fills no disk.
package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A message may come so often in so long a time; further ones are counted.
const (
	burst    = 60
	window   = time.Minute
	messages = 1024 // that are counted each for itself; further ones are counted as one
)

// Limited makes a handler that leaves out messages that repeat too often; their attributes may differ. All of these get
// through: what is logged for debugging, which somebody asked for, and the audit of changes, which are an administrator's.
func Limited(to slog.Handler) slog.Handler { return limited{to, &counts{}} }

type limited struct {
	slog.Handler
	counts *counts
}

// counts are those of the messages of the current window.
type counts struct {
	mu    sync.Mutex
	since time.Time
	seen  map[string]int
}

// Handle passes a record on, or counts it.
func (l limited) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo || r.Level == slog.LevelInfo && r.Message == "audit" {
		return l.Handler.Handle(ctx, r)
	}
	n, before := l.counts.count(r.Time, r.Message)
	for message, n := range before {
		if n > burst {
			note := slog.NewRecord(r.Time, slog.LevelWarn, "messages were left out", 0)
			note.AddAttrs(slog.String("message", message), slog.Int("times", n-burst))
			if err := l.Handler.Handle(ctx, note); err != nil {
				return err
			}
		}
	}
	if n > burst {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// count returns how often a message came in this window, and what came in the one before if it is over.
func (c *counts) count(now time.Time, message string) (n int, before map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || now.Sub(c.since) >= window {
		before, c.since, c.seen = c.seen, now, map[string]int{}
	}
	if _, known := c.seen[message]; !known && len(c.seen) >= messages {
		message = "others"
	}
	c.seen[message]++
	return c.seen[message], before
}

// WithAttrs returns a handler that shares the counts.
func (l limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return limited{l.Handler.WithAttrs(attrs), l.counts}
}

// WithGroup returns a handler that shares the counts.
func (l limited) WithGroup(name string) slog.Handler {
	return limited{l.Handler.WithGroup(name), l.counts}
}
