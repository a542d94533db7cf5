package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/port"
)

type attachmentService struct {
	pb.UnimplementedAttachmentServiceServer
	plane Plane
}

// ListAttachments goes by the ids of ports: a page token is how many attachments
// came before, so one that comes meanwhile may show twice.
func (s *attachmentService) ListAttachments(ctx context.Context, req *pb.ListAttachmentsRequest) (*pb.ListAttachmentsResponse, error) {
	var p problems
	if req.GetPort() != "" {
		p.name("port", req.GetPort())
	}
	p.atMost("page_size", req.GetPageSize(), maxPage)
	before := 0
	if token := req.GetPageToken(); token != "" {
		n, err := strconv.ParseUint(token, 10, 31)
		if err != nil {
			p.add("page_token", "%.64q is none that ListAttachments returned", token)
		}
		before = int(n)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	ports, err := s.ports(ctx, req.GetPort())
	if err != nil {
		return nil, err
	}
	var all []*pb.Attachment
	for _, p := range ports {
		users := slices.Clone(p.Users)
		slices.SortStableFunc(users, func(a, b port.User) int { return a.Since.Compare(b.Since) })
		for _, u := range users {
			all = append(all, &pb.Attachment{Port: text(p.Name), RegionId: uint32(p.RegionID), User: userToProto(u)})
		}
	}
	page := cmp.Or(int(req.GetPageSize()), defaultPage)
	first := min(before, len(all))
	end := min(first+page, len(all))
	resp := &pb.ListAttachmentsResponse{Attachments: all[first:end]}
	if end < len(all) {
		resp.NextPageToken = strconv.Itoa(end)
	}
	return resp, nil
}

// ports are all, by id, or the one of a name.
func (s *attachmentService) ports(ctx context.Context, name string) ([]port.Info, error) {
	if name != "" {
		p, err := s.plane.Port(ctx, name)
		return []port.Info{p}, err
	}
	all, err := s.plane.Ports(ctx)
	return byID(all), err
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
			if p.Lcore == l.ID {
				out.Ports = append(out.Ports, &pb.LcorePort{Name: text(p.Name), RxQueues: count(p.RxRings), TxQueues: count(p.TxRings)})
			}
		}
		resp.Lcores = append(resp.Lcores, out)
	}
	return resp, nil
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
