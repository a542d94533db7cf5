package lcore

// Cycles returns the CPU's time stamp counter (RDTSC, not serialising).
func Cycles() uint64
