package netmap_test

import (
	"context"
	"fmt"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Send a frame from one port of a switch and receive it on another. Switch and
// ports come into being by being opened.
func Example() {
	ctx := context.Background()
	sink, err := netmap.Open(ctx, "vale0:sink")
	if err != nil {
		fmt.Println(err) // says how to start netmapd if it does not run
		return
	}
	defer sink.Close()
	source, err := netmap.Open(ctx, "vale0:source")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()

	frame := make([]byte, 60)
	for i := range 6 {
		frame[i] = 0xff // to everybody
	}
	source.TxRings()[0].Send(frame)
	if err := source.TxSync(); err != nil { // returns when it has been delivered
		fmt.Println(err)
		return
	}

	buf := make([]byte, 2048)
	if err := sink.RxSync(); err != nil {
		fmt.Println(err)
		return
	}
	n, ok := sink.RxRings()[0].Recv(buf)
	fmt.Println(n, ok)
}

// Receive frames without copying them, until a second passes.
func ExampleDesc_Frames() {
	d, err := netmap.Open(context.Background(), "netmap:eth0/R")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for frame, err := range d.Frames(ctx) {
		if err != nil {
			fmt.Println("end:", err)
			break
		}
		fmt.Printf("%d bytes from %x\n", len(frame), frame[6:12])
	}
}

// Forward between two ports of one region by swapping buffers: the core of a
// bridge.
func ExampleDesc_Poll() {
	ctx := context.Background()
	in, err := netmap.Open(ctx, "netmap:eth0/R")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	out, err := netmap.Open(ctx, "netmap:eth1/T@share=netmap:eth0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer out.Close()
	if in.Region() != out.Region() {
		fmt.Println("the ports live in different regions: copy instead")
		return
	}

	rx, tx := in.RxRings()[0], out.TxRings()[0]
	for {
		if _, err := in.Poll(ctx, netmap.PollIn); err != nil {
			fmt.Println(err)
			return
		}
		for !rx.Empty() && !tx.Empty() {
			from, to := rx.Slot(rx.Head()), tx.Slot(tx.Head())
			from.BufIdx, to.BufIdx = to.BufIdx, from.BufIdx
			to.Len, to.Flags = from.Len, from.Flags&abi.NSMoreFrag|abi.NSBufChanged
			from.Flags |= abi.NSBufChanged
			rx.Advance(rx.Next(rx.Head()))
			tx.Advance(tx.Next(tx.Head()))
		}
		if _, err := out.Poll(ctx, netmap.PollOut); err != nil { // sends, and waits for room
			fmt.Println(err)
			return
		}
	}
}
