package conformance

// Sections that wait as a whole, or nearly so.

var monChecks = []check{
	waits("MON-01", "monitor of a port that is not open: EINVAL", monitors),
	waits("MON-02", "copy monitor of RX sees a frame that the program has not read, and the program gets it", monitors),
	waits("MON-03", "copy monitor of TX sees a frame, with TXMON, and the destination gets it", monitors),
	waits("MON-04", "zero-copy monitor of RX sees a frame after the program released it", monitors),
	waits("MON-05", "zero-copy monitor of TX, on VALE after the sync, on a pipe after the receiver", monitors),
	waits("MON-06", "MON-02 to MON-05 on ephemeral and persistent ports and pipes", monitors),
	waits("MON-07", "a slow monitor costs the port nothing and keeps the newest of each batch", monitors),
	waits("MON-08", "three copy monitors all see everything", monitors),
	waits("MON-09", "of two zero-copy monitors the second sees a frame after the first released it", monitors),
	waits("MON-10", "the monitored port closes: POLLERR; both can be opened again", monitors),
	waits("MON-11", "monitor of an exclusive port: success", monitors),
	waits("MON-12", "the reply to a zero-copy request has both direction flags", monitors),
	waits("MON-13", "after a zero-copy capture the port's slots say BUF_CHANGED and are valid", monitors),
}

var tlChecks = []check{
	waits("TL-01", "pkt-gen tx and rx between VALE ports, pipes and NICs", byHand),
	waits("TL-02", "pkt-gen with as many threads as rings", byHand),
	waits("TL-03", "bridge between two ports and on one", byHand),
	waits("TL-04", "vale-ctl without switches: no output, status 1", byHand),
	waits("TL-05", "lb with 4 pipes and extra buffers, one consumer stalled", pipes),
	waits("TL-06", "lb groups, one behind the other", pipes),
	waits("TL-07", "dedup between two pipes", pipes),
	waits("TL-08", "libpcap with netmap support", byHand),
}
