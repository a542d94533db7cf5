package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/port"
)

// Bounds of the interval of WatchStats.
const (
	minInterval     = 100 * time.Millisecond
	maxInterval     = time.Hour
	defaultInterval = time.Second
)

type statsService struct {
	pb.UnimplementedStatsServiceServer
	plane Plane
	streams
}

func (s *statsService) GetStats(ctx context.Context, req *pb.GetStatsRequest) (*pb.GetStatsResponse, error) {
	var p problems
	p.portNames(req.GetPorts())
	if err := p.err(); err != nil {
		return nil, err
	}
	snapshot, err := s.snapshot(ctx, req.GetPorts())
	if err != nil {
		return nil, err
	}
	for _, want := range req.GetPorts() {
		if !slices.ContainsFunc(snapshot.GetPorts(), func(have *pb.PortStats) bool { return have.GetName() == want }) {
			return nil, &port.Error{
				Op: "report statistics of", Name: want, Errno: unix.ENXIO,
				Why: "no live or departed port has this name; nmctl stats without names shows all",
			}
		}
	}
	return &pb.GetStatsResponse{Snapshot: snapshot}, nil
}

func (s *statsService) WatchStats(req *pb.WatchStatsRequest, stream pb.StatsService_WatchStatsServer) error {
	var p problems
	p.portNames(req.GetPorts())
	interval := p.interval(req.GetInterval())
	if err := p.err(); err != nil {
		return err
	}
	ctx := stream.Context()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		snapshot, err := s.snapshot(ctx, req.GetPorts())
		if err != nil {
			return err
		}
		if err := sendInTime(s.streams, stream, &pb.WatchStatsResponse{Snapshot: snapshot}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopping:
			return status.Error(codes.Unavailable, "netmapd is stopping")
		}
	}
}

// snapshot takes all counters and leaves out the ports that nobody asked for.
func (s *statsService) snapshot(ctx context.Context, ports []string) (*pb.Snapshot, error) {
	all, err := s.plane.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot of the counters: %w", err)
	}
	if len(ports) > 0 {
		all.Ports = slices.DeleteFunc(slices.Clone(all.Ports), func(st port.Stats) bool { return !slices.Contains(ports, st.Name) })
	}
	return snapshotToProto(all), nil
}

func (p *problems) portNames(names []string) {
	if len(names) > maxStatsPorts {
		p.add("ports", "%d names, at most %d are allowed; none means all ports", len(names), maxStatsPorts)
		return
	}
	for i, n := range names {
		p.name(fmt.Sprintf("ports[%d]", i), n)
	}
}

func (p *problems) interval(asked *durationpb.Duration) time.Duration {
	if asked == nil {
		return defaultInterval
	}
	interval := asked.AsDuration()
	if !asked.IsValid() || interval < minInterval || interval > maxInterval {
		p.add("interval", "is %v, expected %v to %v", interval, minInterval, maxInterval)
	}
	return interval
}
