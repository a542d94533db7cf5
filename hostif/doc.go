// Package hostif is the kernel's side of host rings (NC E.2): how frames get
// into the host's network stack and out of it.
//
// Behind host rings is a [Tap], a kernel interface whose other end is ours, with
// one queue for each host ring. Nothing of a device's offloads is promised to the
// kernel, so it has segmented frames and filled in their checksums before they
// arrive here, and none is dropped for want of it (NC E.2 drops them). A tap ends
// with the process that made it. Its queues are read and written, a frame at a time,
// or pass frames in bursts through a [Vhost] each.
//
// A device has no interface of its own in the kernel: a tap with a name, and the
// device's address and MTU, is its counterpart there. A kernel interface is one
// already. Its tap has no name worth knowing and no addresses; a [Takeover] joins
// the two by BPF programs on the hooks of traffic control:
//
//	             host stack                             netmapd
//	    |                          ^
//	    | sends                    | receives (packet sockets, addresses, ...)
//	    v                          |
//	+--------------- interface eth0 ---------------+      +-- tap nmh0 --+
//	| egress:  redirect to the tap -------------------->--| read         |--> host RX ring
//	| ingress: drop what has no mark   <-- with mark --<--| write        |<-- host TX ring
//	+----------------------------------------------+      +--------------+
//	    ^
//	    | frames from the wire, which the device behind the port has seen already
//
// What netmapd itself sends on eth0 passes neither hook: af_xdp, and af_packet
// with PACKET_QDISC_BYPASS, go straight to the device.
//
// From kernel 6.6 on the programs hang on BPF links, which end with the process.
// Older kernels have clsact filters only, which would stay: they are replaced at
// the next use of the interface, and CAVEATS.md says how to remove one by hand.
package hostif
