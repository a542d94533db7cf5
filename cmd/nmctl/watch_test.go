package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
)

// twoSnapshots are half a second apart.
func twoSnapshots() (last, now *pb.Snapshot) {
	at := controltest.Epoch
	last = &pb.Snapshot{
		Time: timestamppb.New(at),
		Ports: []*pb.PortStats{
			{Id: 1, Name: "vale0:1", Tx: &pb.Count{Frames: 1000, Bytes: 60000}, Rx: &pb.Count{}, Drops: map[string]uint64{"ring-full": 5}},
			{Id: 2, Name: "vale0:2", Tx: &pb.Count{Frames: 7}, Gone: true},
		},
		Lcores: []*pb.LcoreStats{{Packets: 1000, BusyCycles: 1_000_000, IdleCycles: 5}},
	}
	now = &pb.Snapshot{
		Time: timestamppb.New(at.Add(500 * time.Millisecond)),
		Ports: []*pb.PortStats{
			{Id: 1, Name: "vale0:1", Switch: "vale0", Tx: &pb.Count{Frames: 2000, Bytes: 120000}, Rx: &pb.Count{}, Drops: map[string]uint64{"ring-full": 15, "unread": 1}},
			{Id: 2, Name: "vale0:2", Tx: &pb.Count{Frames: 7}, Gone: true},
			{Id: 3, Name: "vale0:2", Switch: "vale0", Rx: &pb.Count{Frames: 50, Bytes: 3000}}, // new, of an old name
		},
		Lcores: []*pb.LcoreStats{
			{Packets: 2000, BusyCycles: 1_060_000, IdleCycles: 20_005, Mode: pb.LcoreMode_LCORE_MODE_POLL},
			{Id: 1, Cpu: 1, Stuck: true},
		},
	}
	return last, now
}

func TestRates(t *testing.T) {
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			p := &printer{w: &out, format: format}
			v := viewRates(twoSnapshots())
			for range 2 { // a series has something between its members
				if err := p.printNext(v); err != nil {
					t.Fatal(err)
				}
			}
			golden(t, "watch."+format, out.String())
		})
	}
}

func TestRatesOfNoTime(t *testing.T) {
	last, now := twoSnapshots()
	now.Time = last.Time
	for _, p := range viewRates(last, now).Ports {
		if f := p.Rates.Tx.Frames; f != 0 || math.IsNaN(f) {
			t.Errorf("%s: %v frames per second", p.Name, f)
		}
	}
}

func TestWatchUntilCount(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	got := mustRun(t, dir, "stats --watch --interval 100ms --count 2 -o json vale0:gen")
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2:\n%s", len(lines), got)
	}
	for _, line := range lines {
		var v ratesView
		if err := json.Unmarshal([]byte(line), &v); err != nil || len(v.Ports) != 1 || v.Ports[0].Tx.Frames != 1000 || v.Ports[0].Rates == nil {
			t.Errorf("%v: %s", err, line)
		}
	}
}

// Lists that are watched are those that are printed once, again and again.
func TestWatchLists(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	for _, list := range []string{"port list", "switch list", "fdb list vale0 --port vale0:sink", "lcore list", "attachment list vale0:gen", "region list"} {
		once := mustRun(t, dir, list)
		if got := mustRun(t, dir, list+" --watch --interval 100ms --count 2"); got != once+"\n"+once {
			t.Errorf("%s is first\n%s\nand then\n%s", list, once, got)
		}
		lines := strings.SplitAfter(mustRun(t, dir, list+" -w --interval 100ms --count 2 -o json"), "\n")
		if len(lines) != 3 || lines[0] != lines[1] || !json.Valid([]byte(lines[0])) {
			t.Errorf("%s as JSON: %q, want two equal lines", list, lines)
		}
		if got := mustRun(t, dir, list+" -w --interval 100ms --count 2 -o yaml"); strings.Count("\n"+got, "\n---\n") != 1 {
			t.Errorf("%s as YAML is not two documents:\n%s", list, got)
		}
	}
}

// Ending the watch is how one leaves it, not a failure.
func TestWatchUntilInterrupted(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	for _, what := range []string{"stats", "port list"} {
		ctx, cancel := context.WithCancel(t.Context())
		reader, writer := io.Pipe()
		go func() {
			_, _ = reader.Read(make([]byte, 1)) // the first print has begun
			cancel()
			_, _ = io.Copy(io.Discard, reader)
		}()
		var stderr bytes.Buffer
		line := strings.Fields(what + " --watch --interval 100ms --runtime-dir " + dir)
		if status := run(ctx, line, writer, &stderr); status != exitOK {
			t.Errorf("%s: status %d, %s", what, status, stderr.String())
		}
		cancel()
	}
}

func TestWatchEndsWithTheDaemon(t *testing.T) {
	for _, what := range []string{"stats", "port list"} {
		plane, dir := start(t, controltest.Sample())
		reader, writer := io.Pipe()
		go func() {
			_, _ = reader.Read(make([]byte, 1))
			plane.Set(func(s *controltest.State) { s.Panic = "gone" })
			_, _ = io.Copy(io.Discard, reader)
		}()
		var stderr bytes.Buffer
		line := strings.Fields(what + " --watch --interval 100ms --runtime-dir " + dir)
		if status := run(t.Context(), line, writer, &stderr); status != exitError || !strings.Contains(stderr.String(), "bug in netmapd") {
			t.Errorf("%s: status %d, %s", what, status, stderr.String())
		}
	}
}
