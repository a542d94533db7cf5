package conformance

// Sections that wait as a whole, or nearly so.

var tlChecks = []check{
	waits("TL-01", "pkt-gen tx and rx between VALE ports, pipes and NICs", byHand),
	tests("TL-02", "as many threads as rings, each with a clone for its ring, as pkt-gen has it: totals add up", linkedHalf, tl02),
	waits("TL-03", "bridge between two ports and on one", byHand),
	waits("TL-04", "vale-ctl without switches: no output, status 1", byHand),
	waits("TL-05", "lb with 4 pipes and extra buffers, one consumer stalled", pipes),
	waits("TL-06", "lb groups, one behind the other", pipes),
	waits("TL-07", "dedup between two pipes", pipes),
	tests("TL-08", "what libpcap with netmap support does: nm_open, poll, nm_dispatch with a filter, nm_inject", cHalf, tl08),
}
