package main

import (
	"context"
	"fmt"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// What features cost that touch the packet path, when they are used: the same flood with and without. What they cost when
// they are not is in all other rows.

func featureRows() (rows []row) {
	unicast := flood{size: 60, ports: 2, dst: "unicast"}
	compare := func(name, about string, quick bool, on, off flood) {
		rows = append(rows, row{
			name: "feature/" + name, about: about, quick: quick,
			metrics: []metric{cycles, busy},
			ours:    subject{"on", on.measure},
			peers:   []subject{{"off", off.measure}},
		})
	}
	on := func(change func(*flood)) flood {
		f := unicast
		change(&f)
		return f
	}
	compare("capture", "nmctl capture of the receiver, 64 bytes of each frame, with a filter that no frame passes", true, on(func(f *flood) { f.with = capture }), unicast)
	compare("monitor", "a copy monitor of what the receiver gets, and a program on the clients' CPU that reads it", false, on(func(f *flood) { f.with = monitor("/r") }), unicast)
	compare("zero-copy-monitor", "the same with a zero-copy monitor", false, on(func(f *flood) { f.with = monitor("/zr") }), unicast)
	compare("vnet-header/equal", "both ports have virtio-net headers of 12 bytes", false, on(func(f *flood) { f.header = [2]int{12, 12} }), unicast)
	compare("vnet-header/added", "the receiver has virtio-net headers of 12 bytes, the sender none", false, on(func(f *flood) { f.header = [2]int{0, 12} }), unicast)
	compare("offsets", "frames of both ports begin 64 bytes into their buffers, as negotiated", false, on(func(f *flood) { f.offset = 64 }), unicast)
	compare("compat-table", "a switch with netmap's own table", false,
		on(func(f *flood) { f.daemon.config = "switches:\n  - {name: vale0, compat: true}\n" }), unicast)
	bcast := flood{size: 60, ports: 2, dst: toAll}
	limited := bcast
	limited.with = limit
	compare("flood-limit", "broadcast from a port with a limit that it does not reach", false, limited, bcast)
	rows = append(rows, row{
		name:    "feature/stage-cycles",
		about:   "instructions of a turn with the cycles of its stages taken and without, by callgrind: of batches of one frame, and for each frame of batches of 512. They cannot be switched off in a daemon",
		metrics: []metric{{key: "one", unit: "instructions/batch of 1", lower: true}, {key: "many", unit: "instructions/frame of 512", lower: true}},
		ours:    subject{"on", stageInstructionsOf("")},
		peers:   []subject{{"off", stageInstructionsOf("/untimed")}},
	})
	return rows
}

func stageInstructionsOf(which string) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		s, err := instructions("")(h)
		if err != nil {
			return nil, err
		}
		return sample{"one": s["all/one"+which], "many": s["all/unicast"+which]}, nil
	}
}

// receiver is the port that floods go to.
const receiver = "vale0:r0"

// capture has the daemon copy what the receiver gets, and throws it away.
func capture(h *harness, d *daemon) error {
	ctx, cancel := context.WithCancel(h.ctx)
	h.later(cancel)
	none := []*pb.BpfInstruction{{Code: 0x06}} // return 0
	c, err := pb.NewCaptureServiceClient(d.conn).Capture(ctx, &pb.CaptureRequest{Ports: []string{receiver}, SnapLength: 64, Filter: none})
	if err != nil {
		return err
	}
	if _, err := c.Recv(); err != nil { // it has begun
		return fmt.Errorf("capture %s: %w", receiver, err)
	}
	go func() {
		for err == nil {
			_, err = c.Recv()
		}
	}()
	return nil
}

// monitor has a program read a monitor of the receiver.
func monitor(suffix string) func(*harness, *daemon) error {
	return func(h *harness, d *daemon) error {
		_, err := h.role(roleSpec{Role: "receive", Dir: d.dir, Ports: []string{receiver + suffix}}, h.cpu.clients, "")
		return err
	}
}

// limit has the sender flood a billion frames a second at most.
func limit(h *harness, d *daemon) error {
	most := uint32(1e9)
	_, err := pb.NewForwardingServiceClient(d.conn).SetPortForwarding(h.ctx, &pb.SetPortForwardingRequest{
		Switch: "vale0", Port: "vale0:s0", Forwarding: &pb.PortForwarding{FloodLimit: &most},
	})
	return err
}
