// Package netmap is the Go client of netmapd: it opens ports by their netmap
// names and sends and receives frames through rings in shared memory. It needs
// neither cgo nor DPDK nor privileges, only the attach socket of the daemon.
//
// # Model
//
// [Open] gives a [Desc], what netmap calls a control descriptor bound to a port.
// It has transmit and receive rings. A ring is a circle of slots; each slot
// names a buffer of the port's [Region]. The slots in [Head, Tail) are the
// program's, all others are the core's. The program fills or reads its slots,
// moves Head (and Cur, the point where it wants to be woken) forward, and
// tells the core by a sync:
//
//   - [Desc.TxSync] and [Desc.RxSync], netmap's NIOCTXSYNC and NIOCRXSYNC,
//   - [Desc.Poll], netmap's poll, which blocks until there is room or a frame.
//
// Nothing in a ring that belongs to the program moves between syncs (NC D.1).
// [TxRing.Send], [RxRing.Recv] and [Desc.Frames] do all this for programs that
// would rather copy than count.
//
// A sync is no system call: it exchanges indices with an lcore of the daemon
// through a sync block in shared memory, and makes a system call only to wake a
// daemon that sleeps or to wait.
//
// A poll looks for up to 100 us before it sleeps, if that was of use lately, and offers
// the CPU to others meanwhile; the environment variable NETMAPD_SPIN sets another limit, in
// microseconds up to 10000, and 0 makes polls sleep at once. The C library does the same.
//
// A program that keeps its indices in arrays of its own, as a hypervisor does for its
// guests, uses CSB mode: [Desc.SyncLoop] moves them in a thread of the program, or
// lcores do where the arrays lie in shared memory ([WithCSB]).
//
// # Memory
//
// Slots and buffers are shared memory, mapped until [Desc.Close]: touching them
// afterwards crashes the program, as it would in C. The daemon, and whoever has a
// port in the same region, can write to it at any time; what is read twice may
// differ. The package itself never relies on it: a wrong index in shared memory is
// reported, it does not make the package read outside the region.
//
// # Concurrency
//
// One goroutine at a time may use a ring, where using is moving its indices or
// touching its slots. Syncs take care of themselves: a sync that finds another
// one running on the same ring leaves that ring out (NC D.1). So one goroutine
// may receive and Poll for PollIn while another sends and polls for PollOut on
// the same Desc. Close is for when all of them are done.
//
// # Failure
//
// Errors are [*Error] and unwrap to the errno that a netmap program in C would
// see. When the daemon or the port goes away, syncs return EIO and Poll says
// PollErr; the memory stays readable until Close.
package netmap
