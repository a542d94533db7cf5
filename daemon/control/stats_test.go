package control_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
)

func TestStatsOfAll(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	resp, err := pb.NewStatsServiceClient(conn).GetStats(testContext(t), &pb.GetStatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s := resp.GetSnapshot()
	if len(s.GetPorts()) != 4 || len(s.GetLcores()) != 1 || len(s.GetRegions()) != 1 || s.GetSessions() != 2 || s.GetTscHz() != 2_100_000_000 {
		t.Fatalf("got %v", s)
	}
	gen, old := s.GetPorts()[0], s.GetPorts()[3]
	if gen.GetTx().GetFrames() != 1000 || gen.GetDrops()["ring-full"] != 90 || gen.GetBadRings() != 1 || !old.GetGone() {
		t.Errorf("ports: %v, %v", gen, old)
	}
	if s.GetLcores()[0].GetMode() != pb.LcoreMode_LCORE_MODE_ADAPTIVE || s.GetRegions()[0].GetBufPool().GetFree() != 16384 {
		t.Errorf("lcore %v, region %v", s.GetLcores()[0], s.GetRegions()[0])
	}
}

func TestStatsOfSome(t *testing.T) {
	plane, _, conn := start(t, controltest.Sample())
	stats := pb.NewStatsServiceClient(conn)
	resp, err := stats.GetStats(testContext(t), &pb.GetStatsRequest{Ports: []string{"vale0:old", "eth0"}})
	if err != nil || len(resp.GetSnapshot().GetPorts()) != 2 || resp.GetSnapshot().GetPorts()[0].GetName() != "eth0" {
		t.Errorf("got %v, %v", resp, err)
	}
	if n := len(plane.Get().Snapshot.Ports); n != 4 {
		t.Errorf("the plane's own snapshot has %d ports left", n)
	}
	_, err = stats.GetStats(testContext(t), &pb.GetStatsRequest{Ports: []string{"eth0", "nobody"}})
	if status.Code(err) != codes.NotFound || reason(err) != "ENXIO" {
		t.Errorf("an unknown port: %v", err)
	}
}

func TestWatchStatsFollowsTheCounters(t *testing.T) {
	plane, _, conn := start(t, controltest.Sample())
	ctx, cancel := context.WithCancel(testContext(t))
	stream, err := pb.NewStatsServiceClient(conn).WatchStats(ctx, &pb.WatchStatsRequest{
		Ports: []string{"vale0:gen", "not yet there"}, Interval: durationpb.New(100e6),
	})
	if err != nil {
		t.Fatal(err)
	}
	recv := func() *pb.PortStats {
		t.Helper()
		resp, err := stream.Recv()
		if err != nil || len(resp.GetSnapshot().GetPorts()) != 1 {
			t.Fatalf("got %v, %v; want one port", resp, err)
		}
		return resp.GetSnapshot().GetPorts()[0]
	}
	if got := recv().GetTx().GetFrames(); got != 1000 {
		t.Errorf("the first has %d frames, want 1000", got)
	}
	plane.Set(func(s *controltest.State) {
		changed := controltest.Sample().Snapshot
		changed.Ports[0].Tx.Frames = 2000
		s.Snapshot = changed
	})
	for recv().GetTx().GetFrames() != 2000 {
	}
	cancel()
	for err = nil; err == nil; {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Canceled {
		t.Errorf("after cancelling: %v", err)
	}
}
