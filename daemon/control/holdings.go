package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/port"
)

type attachmentService struct {
	pb.UnimplementedAttachmentServiceServer
	plane Plane
}

// ListAttachments goes by the ids of ports and the age of attachments.
func (s *attachmentService) ListAttachments(ctx context.Context, req *pb.ListAttachmentsRequest) (*pb.ListAttachmentsResponse, error) {
	var p problems
	if req.GetPort() != "" {
		p.name("port", req.GetPort())
	}
	at := p.page(req)
	if err := p.err(); err != nil {
		return nil, err
	}
	ports, err := s.ports(ctx, req.GetPort())
	if err != nil {
		return nil, err
	}
	list, next := cut(holdings(ports), func(h holding) string { return h.key }, at)
	resp := &pb.ListAttachmentsResponse{NextPageToken: next}
	for _, h := range list {
		resp.Attachments = append(resp.Attachments, &pb.Attachment{Port: text(h.port.Name), RegionId: uint32(h.port.RegionID), User: userToProto(h.user)})
	}
	return resp, nil
}

// holding is an attachment with its place in the list.
type holding struct {
	port port.Info
	user port.User
	key  string
}

// holdings are those of all users of these ports. A process that has a port open
// several times since one moment has numbers in its keys.
func holdings(ports []port.Info) (all []holding) {
	for _, p := range ports {
		times := map[string]int{}
		for _, u := range p.Users {
			var since int64
			if !u.Since.IsZero() {
				since = u.Since.UnixNano()
			}
			key := fmt.Sprintf("%020d %020d %d", p.ID, since, u.PID)
			times[key]++
			all = append(all, holding{p, u, fmt.Sprintf("%s %d", key, times[key])})
		}
	}
	return all
}

// ports are all, or the one of a name.
func (s *attachmentService) ports(ctx context.Context, name string) ([]port.Info, error) {
	if name != "" {
		p, err := s.plane.Port(ctx, name)
		return []port.Info{p}, err
	}
	return s.plane.Ports(ctx)
}

func byID(ports []port.Info) []port.Info {
	return slices.SortedFunc(slices.Values(ports), func(a, b port.Info) int { return cmp.Compare(a.ID, b.ID) })
}

type regionService struct {
	pb.UnimplementedRegionServiceServer
	plane Plane
}

func (s *regionService) ListRegions(ctx context.Context, req *pb.ListRegionsRequest) (*pb.ListRegionsResponse, error) {
	var p problems
	at := p.page(req)
	if err := p.err(); err != nil {
		return nil, err
	}
	snap, ports, err := snapshotAndPorts(ctx, s.plane)
	if err != nil {
		return nil, err
	}
	regions, next := cut(snap.Regions, func(r port.RegionStats) string { return fmt.Sprintf("%010d", r.ID) }, at)
	resp := &pb.ListRegionsResponse{NextPageToken: next}
	for _, r := range regions {
		out := &pb.Region{Stats: regionToProto(r)}
		for _, p := range ports {
			if p.RegionID == r.ID {
				out.Ports = append(out.Ports, text(p.Name))
			}
		}
		resp.Regions = append(resp.Regions, out)
	}
	return resp, nil
}

type lcoreService struct {
	pb.UnimplementedLcoreServiceServer
	plane Plane
}

func (s *lcoreService) ListLcores(ctx context.Context, _ *pb.ListLcoresRequest) (*pb.ListLcoresResponse, error) {
	snap, ports, err := snapshotAndPorts(ctx, s.plane)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListLcoresResponse{TscHz: snap.TSCHz}
	for _, l := range slices.SortedFunc(slices.Values(snap.Lcores), func(a, b port.LcoreStats) int { return cmp.Compare(a.ID, b.ID) }) {
		out := &pb.Lcore{Stats: lcoreToProto(l)}
		for _, p := range ports {
			if rx, tx := queuesOn(p, l.ID); p.Lcore == l.ID || rx > 0 {
				out.Ports = append(out.Ports, &pb.LcorePort{Name: text(p.Name), RxQueues: count(rx), TxQueues: count(tx)})
			}
		}
		resp.Lcores = append(resp.Lcores, out)
	}
	return resp, nil
}

// queuesOn counts the queues, or rings, of a port that an lcore serves.
func queuesOn(p port.Info, lcore int) (rx, tx int) {
	switch {
	case p.QueueLcores == nil && p.Lcore == lcore:
		return p.RxRings, p.TxRings
	default:
		for _, l := range p.QueueLcores {
			if l == lcore {
				rx++
			}
		}
		return rx, rx
	}
}

func (s *lcoreService) MovePort(ctx context.Context, req *pb.MovePortRequest) (*pb.MovePortResponse, error) {
	var p problems
	p.name("port", req.GetPort())
	p.atMost("lcore", req.GetLcore(), maxLcore)
	if err := p.err(); err != nil {
		return nil, err
	}
	return &pb.MovePortResponse{}, s.plane.MovePort(ctx, req.GetPort(), int(req.GetLcore()))
}

// maxLcore keeps nonsense out.
const maxLcore = 1 << 16

func snapshotAndPorts(ctx context.Context, plane Plane) (port.Snapshot, []port.Info, error) {
	snap, err := plane.Snapshot(ctx)
	if err != nil {
		return snap, nil, err
	}
	ports, err := plane.Ports(ctx)
	return snap, byID(ports), err
}
