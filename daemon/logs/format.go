package logs

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
)

// Format is the form of a log's lines, which can change while it is written; the
// zero value is text.
type Format struct{ json atomic.Bool }

// Set takes "text" or "json".
func (f *Format) Set(name string) { f.json.Store(name == "json") }

// Handler writes to w in this form.
func (f *Format) Handler(w io.Writer, o *slog.HandlerOptions) slog.Handler {
	return formatted{f, slog.NewTextHandler(w, o), slog.NewJSONHandler(w, o)}
}

// formatted keeps both forms ready: attributes are formatted when they are added.
type formatted struct {
	format     *Format
	text, json slog.Handler
}

func (h formatted) now() slog.Handler {
	if h.format.json.Load() {
		return h.json
	}
	return h.text
}

// Enabled is the same in both forms.
func (h formatted) Enabled(ctx context.Context, level slog.Level) bool {
	return h.text.Enabled(ctx, level)
}

// Handle writes a record in the form that holds now.
func (h formatted) Handle(ctx context.Context, r slog.Record) error { return h.now().Handle(ctx, r) }

// WithAttrs returns a handler whose form changes with that of h.
func (h formatted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return formatted{h.format, h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

// WithGroup returns a handler whose form changes with that of h.
func (h formatted) WithGroup(name string) slog.Handler {
	return formatted{h.format, h.text.WithGroup(name), h.json.WithGroup(name)}
}
