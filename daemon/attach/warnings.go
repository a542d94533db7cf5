package attach

import (
	"log/slog"
	"sync"
	"time"
)

// What clients do wrong is worth a line in the log, and no client may fill the
// log with it: beyond so many lines in so long a time they are only counted.
const (
	warnLines = 20
	warnTime  = time.Minute
)

// warnings writes the lines that clients cause.
type warnings struct {
	log *slog.Logger

	mu      sync.Mutex
	since   time.Time
	lines   int // written since then
	swallow int // not written
}

// warn logs what went wrong, or counts it.
func (w *warnings) warn(log *slog.Logger, msg string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.since) >= warnTime {
		if w.swallow > 0 {
			w.log.Warn("warnings about clients were left out", "lines", w.swallow)
		}
		w.since, w.lines, w.swallow = now, 0, 0
	}
	if w.lines++; w.lines > warnLines {
		w.swallow++
		return
	}
	log.Warn(msg, "err", err)
	if w.lines == warnLines {
		w.log.Warn("clients cause too many warnings; the next ones are left out", "for", (warnTime - time.Since(w.since)).Round(time.Second))
	}
}
