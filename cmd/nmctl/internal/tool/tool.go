// Package tool holds what the traffic tools of nmctl share: how a port is
// written on a command line, waiting, and where a thread runs.
package tool

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// PortName adds netmap: to a plain interface name, as netmap's tools do (NC F.1).
func PortName(s string) string {
	if strings.HasPrefix(s, "netmap:") || strings.HasPrefix(s, "vale") {
		return s
	}
	return "netmap:" + s
}

// maxWait is the longest wait before a start, in seconds.
const maxWait = 3600

// LinkWait completes -w: what is negative becomes the tool's own default for
// ports that have a link to wait for, and none for the others. Switch ports and
// pipes have no link.
func LinkWait(seconds, standard float64, ports ...string) (float64, error) {
	switch {
	case math.IsNaN(seconds) || seconds > maxWait:
		return 0, fmt.Errorf("-w %v: expected 0 to %d seconds", seconds, maxWait)
	case seconds >= 0:
		return seconds, nil
	}
	for _, p := range ports {
		if !strings.HasPrefix(p, "vale") && !strings.ContainsAny(p, "{}") {
			return standard, nil
		}
	}
	return 0, nil
}

// Sleep waits unless the context ends, and reports that it did not.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Seconds is a duration of so many.
func Seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// CPUs parses a list such as 2,3.
func CPUs(s string) (list []int, err error) {
	if s == "" {
		return nil, nil
	}
	for _, word := range strings.Split(s, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 || n > 1023 {
			return nil, fmt.Errorf("CPU %q: expected numbers from 0, separated by commas", word)
		}
		list = append(list, n)
	}
	return list, nil
}

// Pin keeps the calling goroutine on the i-th of these CPUs, taking them in
// turn. The thread is the goroutine's from then on and ends with it. No CPUs
// leave it where it is.
func Pin(cpus []int, i int) error {
	if len(cpus) == 0 {
		return nil
	}
	runtime.LockOSThread() // never unlocked: the thread must not go to others as it is
	var set unix.CPUSet
	set.Set(cpus[i%len(cpus)])
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("run on CPU %d: %w; is it there and allowed?", cpus[i%len(cpus)], err)
	}
	return nil
}

// A Pause is how long to wait where nothing reports what is waited for: short
// at first, longer while nothing moves.
type Pause struct{ d time.Duration }

const (
	shortest = 50 * time.Microsecond
	// Longest is the longest pause.
	Longest = 5 * time.Millisecond
)

// Next is the next pause, after something moved or nothing did.
func (p *Pause) Next(moved bool) time.Duration {
	if moved || p.d == 0 {
		p.d = shortest
		return p.d
	}
	p.d = min(2*p.d, Longest)
	return p.d
}
