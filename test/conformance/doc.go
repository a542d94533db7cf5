// Package conformance holds netmapd against the checklist of netmap's contract (NC G), line by line. Every line has an
// ID, and every ID has a test of that name, a reason why netmapd differs on purpose, or the capability that it waits for.
//
// Most tests are written once, against what a netmap program can do (interface program), and run three times: as a Go
// client, with package netmap and requests written byte by byte on the attach socket, and as a C program of our own
// (driver.c), under the interposer and linked with libnetmap. What the run shows is written to docs/conformance.md:
//
//	go test ./test/conformance -update
//
// NETMAPD_SOAK=1 runs the counts of packets and cycles that NC names; otherwise they are a tenth or less.
package conformance
