package flows

import "time"

// yield waits for frames to arrive elsewhere, without taking the CPU from who
// moves them.
func yield() { time.Sleep(50 * time.Microsecond) }
