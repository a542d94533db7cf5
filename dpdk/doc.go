// Package dpdk is the parent of netmapd's own bindings to DPDK 22.11, the only place in the project that uses cgo.
//
// The bindings exist because go-dpdk (github.com/yerden/go-dpdk) cannot be fetched where netmapd is built. They keep its
// package names (eal, ethdev, mempool, mbuf, lcore, common) and, wherever it has a function for what we need, that
// function's name and meaning, so that moving over is mostly a change of import paths. What has no counterpart there is
// ours: the EAL plan, hot-plugged devices, and the burst batches.
//
// Three rules hold in all of them:
//
//   - C is entered once per burst. Arrays of pointers live in C memory, and no Go pointer to an array of pointers is ever
//     passed to C: the check that cgo makes of it costs microseconds.
//   - Packets of a queue are touched only by the lcore that owns the queue. Control calls may come from any goroutine and
//     are serialised by a mutex.
//   - A failed call returns a *common.Error: the call, the device, the errno, and what DPDK logged while it failed.
package dpdk
