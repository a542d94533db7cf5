// Package lcore is the poll-loop runtime: goroutines on locked, pinned threads that poll units
// (the rings of a switch, the queues of a device) and sleep when there is nothing to do.
//
// Ownership replaces locking. A unit belongs to one lcore and nobody else touches it; whoever
// wants to change it hands the lcore a command with [Lcore.Do], which runs between two polls. So
// the packet path has no lock, and the price is one atomic load per loop iteration.
//
// The life of an iteration:
//
//	+--> commands, if any --> Poll every unit --> packets moved? --yes--+
//	|                                                |                  |
//	|                                                no                 |
//	|                                                |                  |
//	+---------------- quiet for less than Spin? -yes-+                  |
//	|                                                no                 |
//	|                                                |                  |
//	|          Disarm <-- block in epoll <--yes-- all units Arm?        |
//	|            |                                   no: Disarm         |
//	+------------+-----------------------------------+------------------+
//
// Sleeping follows the protocol used everywhere in this project: set a mark that says "kick me",
// full barrier, look for work once more, only then block. Whoever has work publishes it, full
// barrier, reads the mark, and kicks only if it is set. Whatever the interleaving, one of the two
// sees the other. Go's sync/atomic operations are sequentially consistent, so for the lcore's own
// command queue they are the barrier; a unit whose mark lies in shared memory brings its own.
//
// A polling lcore occupies one of Go's processors (GOMAXPROCS), and a sleeping one needs a free one when
// it wakes: leave at least two more than there are lcores. Go's scheduler would stop it every 10 ms to see whether others
// want to run there; timeslice.go has the lcore left alone, but for now and then.
//
// Who gives a command looks for a fraction of a millisecond whether it is done, and an lcore that got one stays awake as long:
// commands come in series.
//
// A unit that panics, also by touching memory that is gone, is taken off its lcore and told so;
// the other units go on. Faults in C cannot be caught and end the process.
package lcore
