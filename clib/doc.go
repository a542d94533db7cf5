// Package clib is C: the libraries that netmap programs run with (make clib). In Go
// there are only their tests.
//
//   - src: libnetmapd-preload.so, the interposer (nmctl run)
//   - libnetmap: with all of src, libnetmap.so and libnetmap.a
//   - include: the public headers
//   - test: programs that run under the interposer or linked with libnetmap
//
// # libnetmap
//
// Programs call poll, ioctl and mmap on the descriptors that libnetmap gives them, and
// nm_open is inline in its programs: so libnetmap contains the interposer. The functions
// of the same names are found there before the C library's since it comes first when
// linking. The library's own part (names, nmreq, options, nmport, memory, nmctx) is a
// netmap client like any other.
//
// When there are two copies in one process, as when such a program runs under the
// interposer, the one that the program's calls reach does all the work, and calls the C
// library's functions past the other (libc.c).
//
// libnetmap.a has src as one member, whole and with its own names hidden; in a program
// that is linked statically, libnetmap/static.c makes the system calls.
//
// # The interposer
//
// One file for one thing, from the bottom up:
//
//	libc       the C library's own functions
//	sync       the sync of one ring: memory only, held to netmap/sync.go by test vectors
//	attach     requests over the attach socket; session: this process to the daemon
//	fdtab      what a descriptor number means to us; descriptors of our own
//	bind       the memory of a bound descriptor
//	desc       netmap descriptors: found, shared, joined, recycled
//	txrx       all rings of a descriptor: the sync ioctls, the phases of poll
//	spin       how a poll looks before it sleeps
//	options    the option list of a request; control: all requests
//	poll       the poll family; select, epoll on top of the same phases
//	iface      interface ioctls for names the kernel does not know
//	param      module parameters
//	process    load, fork, exec; preload, waits: the wrapped functions
//
// What a program opened is a socket connected to the daemon, so the kernel keeps
// it through dup, fork, exec and SCM_RIGHTS; in whatever process it is used, the
// library there finds out by its peer address and joins it. What it opens for
// itself lies at high numbers, closes on exec, and is out of the program's reach.
//
// # Limits
//
// Module parameters, the files under /sys/module/netmap/parameters, are served for
// open, fopen and access; stat, freopen and a listing of the directory find nothing.
// What a program writes takes effect, and what is wrong with it is reported, when
// it closes the descriptor or a duplicate of it, or exits; not if a signal ends it.
// Root and the daemon's user may write.
//
// What happens below the C library is not seen: programs that make system calls
// themselves, statically linked ones, set-user-ID ones. A process made by a bare
// clone(2) must exec before it uses netmap. An epoll that two processes share by
// fork wakes each for the other's netmap descriptors. EPOLLET reports a descriptor
// when a sync has brought something since it was last reported. A program that a
// sandbox keeps from process_vm_readv on itself gets SIGSEGV, not EFAULT, for a
// wild pointer in a request. A process that sees the daemon die while it waits
// for nothing notices within a second.
package clib
