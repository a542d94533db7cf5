// Package niclab has only tests: the real netmapd with DPDK's poll-mode drivers
// for NICs that QEMU emulates.
//
// The tests boot a small machine of Debian's kernel, busybox and this machine's
// DPDK (scripts/guest names the folder with what is not installed here), in
// which everything of ours is built from the tree. The host holds the far end of
// every NIC, a datagram socket whose datagrams are frames; pulls cables and whole
// NICs through QEMU's monitor; and talks gRPC to the daemon in the guest. What
// has to happen in the guest is done by test/niclab/guest.
//
// TestHardware does what it can of that with NICs of this machine
// (scripts/test-hardware).
//
// The machine is emulated instruction by instruction: things take ten to thirty
// times as long as on a CPU, and nothing here is judged by the clock.
package niclab
