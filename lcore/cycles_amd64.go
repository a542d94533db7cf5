package lcore

// Cycles returns the CPU's time stamp counter (RDTSC, not serialising).
func Cycles() uint64

// CyclesDone returns the counter once all that stands before it is done (LFENCE, RDTSC): for timing what waits for memory.
func CyclesDone() uint64
