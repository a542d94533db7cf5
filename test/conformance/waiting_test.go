package conformance

// Sections that wait as a whole, or nearly so.

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
