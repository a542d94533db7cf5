package control

import (
	"context"
	"slices"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/port"
)

type switchService struct {
	pb.UnimplementedSwitchServiceServer
	plane Plane
}

func (s *switchService) ListSwitches(ctx context.Context, req *pb.ListSwitchesRequest) (*pb.ListSwitchesResponse, error) {
	var p problems
	at := p.page(req)
	if err := p.err(); err != nil {
		return nil, err
	}
	infos, err := s.plane.Switches(ctx)
	if err != nil {
		return nil, err
	}
	infos, next := cut(infos, func(i port.SwitchInfo) string { return i.Name }, at)
	return &pb.ListSwitchesResponse{Switches: convert(infos, switchToProto), NextPageToken: next}, nil
}

func (s *switchService) GetSwitch(ctx context.Context, req *pb.GetSwitchRequest) (*pb.GetSwitchResponse, error) {
	var p problems
	p.name("name", req.GetName())
	if err := p.err(); err != nil {
		return nil, err
	}
	infos, err := s.plane.Switches(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(infos, func(info port.SwitchInfo) bool { return info.Name == req.GetName() })
	if i < 0 {
		return nil, &port.Error{
			Op: "show switch", Name: req.GetName(), Errno: unix.ENXIO,
			Why: "there is no switch of this name; nmctl switch list shows those there are",
		}
	}
	return &pb.GetSwitchResponse{Switch: switchToProto(infos[i])}, nil
}

func (s *switchService) CreateSwitch(ctx context.Context, req *pb.CreateSwitchRequest) (*pb.CreateSwitchResponse, error) {
	var p problems
	p.newSwitch("name", req.GetName())
	spec := port.SwitchSpec{Name: req.GetName(), Compat: req.GetCompat()}
	if req.GetAgeing() != nil {
		age := p.ageing(req.GetAgeing())
		if spec.Age = &age; spec.Compat && age != 0 {
			p.add("ageing", "a switch with netmap's table never forgets; leave it out or set it to 0")
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	info, err := s.plane.CreateSwitch(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &pb.CreateSwitchResponse{Switch: switchToProto(info)}, nil
}

func (s *switchService) DeleteSwitch(ctx context.Context, req *pb.DeleteSwitchRequest) (*pb.DeleteSwitchResponse, error) {
	var p problems
	p.name("name", req.GetName())
	if err := p.err(); err != nil {
		return nil, err
	}
	if err := s.plane.DeleteSwitch(ctx, req.GetName()); err != nil {
		return nil, err
	}
	return &pb.DeleteSwitchResponse{}, nil
}

func (s *switchService) AttachToSwitch(ctx context.Context, req *pb.AttachToSwitchRequest) (*pb.AttachToSwitchResponse, error) {
	var p problems
	p.name("switch", req.GetSwitch())
	p.name("port", req.GetPort())
	if err := p.err(); err != nil {
		return nil, err
	}
	at, err := s.plane.Attach(ctx, req.GetSwitch(), req.GetPort())
	if err != nil {
		return nil, err
	}
	return &pb.AttachToSwitchResponse{Port: switchPortToProto(at)}, nil
}

func (s *switchService) DetachFromSwitch(ctx context.Context, req *pb.DetachFromSwitchRequest) (*pb.DetachFromSwitchResponse, error) {
	var p problems
	p.name("switch", req.GetSwitch())
	p.name("port", req.GetPort())
	if err := p.err(); err != nil {
		return nil, err
	}
	if err := s.plane.Detach(ctx, req.GetSwitch(), req.GetPort()); err != nil {
		return nil, err
	}
	return &pb.DetachFromSwitchResponse{}, nil
}
