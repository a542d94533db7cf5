// Package vale is netmapd's learning switch (folder switch: the word is a Go
// keyword). It is pure Go over views of rings and knows neither DPDK nor gRPC
// nor configuration.
//
// Frames enter through a Source and leave through a Sink; a client's TX ring is
// a TxSource, its RX ring an RxSink, and a device brings its own two. A Poller
// is the set of sources of one switch that one lcore polls. One turn of it:
//
//	take a batch of whole frames from a source      Source.Next
//	read all headers, so that cache misses overlap   classify
//	learn and look up, frame by frame, in order      resolve
//	group by destination, keeping the order          group
//	destination by destination: reserve, copy,
//	  publish, notify once                           Sink.Deliver
//	or, where each of many gets a few frames:
//	  reserve everywhere, copy, publish everywhere   scatter
//	give the slots back to the sender                Source.Done
//
// The sender never waits: what does not fit is dropped and counted.
//
// # The books
//
// Every frame that a source offers is counted once in Tx of its port. It then
// ends as exactly one drop at that port (Reason.AtSource), or, for each of its
// destinations (one for a learned address, all other ports for a flood), as
// exactly one frame in Rx or one drop at the destination port. A packet that is
// cut for a destination (SetHeader) counts there as the frames it becomes.
//
// # Who may call what
//
// The control plane (Switch, Port) is serialised by a lock of its own and may
// run on any goroutine at any time. It never touches what a poller is using: it
// builds a new view of the switch for each poller and publishes it by one
// atomic store; a poller loads its view once per turn. Therefore what a view
// referred to (the sinks of a detached port, say) may be taken apart only after
// each lcore of the switch has passed a poll boundary.
//
// A Poller's methods belong to its lcore: before the lcore has the poller, from
// lcore commands, or after the lcore gave it back.
package vale
