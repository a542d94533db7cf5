package eal

/*
#include "log.h"
*/
import "C"

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Level is DPDK's log level, 1 (emergency) to 8 (debug).
type Level int

// The levels that matter for a decision (rte_log.h).
const (
	LevelError   Level = 4
	LevelWarning Level = 5
	LevelInfo    Level = 7
)

// Slog is the slog level of l.
func (l Level) Slog() slog.Level {
	switch {
	case l <= LevelError:
		return slog.LevelError
	case l == LevelWarning:
		return slog.LevelWarn
	case l <= LevelInfo:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// LogFunc takes one line of DPDK's log, without its newline. It is called from one goroutine, in order.
type LogFunc func(level Level, line string)

var logFunc atomic.Pointer[LogFunc]

// SetLog gives DPDK's log lines to fn from now on. Without it they go to slog.Default. Call it before Start to miss nothing.
func SetLog(fn LogFunc) { logFunc.Store(&fn) }

// LogDropped counts the log messages lost because they came faster than they were taken.
func LogDropped() uint64 { return uint64(C.netmapd_log_dropped()) }

func emit(level Level, line string) {
	if fn := logFunc.Load(); fn != nil {
		(*fn)(level, line)
		return
	}
	slog.Default().Log(context.Background(), level.Slog(), line, "from", "dpdk")
}

// logPipe carries DPDK's log from C to a goroutine.
type logPipe struct {
	r, w *os.File
	done chan struct{} // closed when the last line is out
}

func openLog() (*logPipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("dpdk: pipe for the log: %w", err)
	}
	p := &logPipe{
		r: os.NewFile(uintptr(fds[0]), "dpdk log"), w: os.NewFile(uintptr(fds[1]), "dpdk log"),
		done: make(chan struct{}),
	}
	if rc := C.netmapd_log_open(C.int(fds[1])); rc < 0 {
		return nil, fmt.Errorf("dpdk: rte_openlog_stream: %w", unix.Errno(-rc))
	}
	go func() {
		defer close(p.done)
		readLog(p.r, emit)
	}()
	return p, nil
}

func (p *logPipe) close() {
	C.netmapd_log_close()
	_ = p.w.Close()
	<-p.done
	_ = p.r.Close()
}

// readLog turns the records of log.c into lines until r ends. A message without a newline is continued by the next one.
func readLog(r io.Reader, emit LogFunc) {
	in := bufio.NewReader(r)
	var head [4]byte
	var partial strings.Builder
	var level Level
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			break
		}
		text := make([]byte, binary.NativeEndian.Uint16(head[2:]))
		if _, err := io.ReadFull(in, text); err != nil {
			break
		}
		if partial.Len() == 0 {
			level = Level(head[0])
		}
		for line := range strings.Lines(string(text)) {
			partial.WriteString(line)
			if strings.HasSuffix(line, "\n") {
				flush(&partial, level, emit)
				level = Level(head[0])
			}
		}
	}
	flush(&partial, level, emit)
}

func flush(partial *strings.Builder, level Level, emit LogFunc) {
	if line := strings.TrimRight(partial.String(), "\r\n "); line != "" {
		emit(level, line)
	}
	partial.Reset()
}
