//go:build !amd64

package lcore

import "time"

var cyclesBase = time.Now()

// Cycles returns nanoseconds where no cycle counter is read; TSCHz then says so.
func Cycles() uint64 { return uint64(time.Since(cyclesBase)) }

// CyclesDone is Cycles.
func CyclesDone() uint64 { return Cycles() }
