package lcore

// readSched reads the structures of Go's scheduler for the calling thread. It faults where they are not as in the release that the
// offsets are taken from. Only findSlice calls it.
//
//go:noescape
func readSchedTo(s *sched)

func readSched() (s sched) {
	readSchedTo(&s)
	return s
}

// renewSlice counts the counter on. It is not called unless findSlice found it.
func renewSlice()
