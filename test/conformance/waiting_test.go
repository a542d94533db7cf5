package conformance

// Sections that wait as a whole, or nearly so.

var tlChecks = []check{
	tests("TL-01", "pkt-gen tx and rx between VALE ports and over a pipe", goHalf, tl01),
	tests("TL-02", "as many threads as rings, each with a clone for its ring, as pkt-gen has it: totals add up", linkedHalf, tl02),
	tests("TL-03", "bridge between two ports: traffic both ways, zero copy where the region is one", goHalf, tl03),
	testsAlone("TL-04", "vale-ctl without switches: no output, status 1", goHalf, tl04),
	tests("TL-05", "lb with 4 pipes and extra buffers, one consumer stalled", goHalf, tl05),
	tests("TL-06", "lb groups, one behind the other", goHalf, tl06),
	tests("TL-07", "dedup between two pipes", goHalf, tl07),
	tests("TL-08", "what libpcap with netmap support does: nm_open, poll, nm_dispatch with a filter, nm_inject", cHalf, tl08),
}
