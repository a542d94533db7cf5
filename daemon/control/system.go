package control

import (
	"context"
	"slices"
	"strings"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

type systemService struct {
	pb.UnimplementedSystemServiceServer
	plane Plane
}

func (s *systemService) GetInfo(context.Context, *pb.GetInfoRequest) (*pb.GetInfoResponse, error) {
	info := s.plane.Info()
	return &pb.GetInfoResponse{Info: &pb.SystemInfo{
		Version:      info.Version,
		Pid:          int32(info.PID),
		Started:      timestamp(info.Started),
		DpdkVersion:  info.DPDKVersion,
		EalArgs:      info.EALArgs,
		Notes:        info.Notes,
		RuntimeDir:   info.RuntimeDir,
		AttachSocket: info.AttachSocket,
		LogLevel:     info.LogLevel,
	}}, nil
}

func (s *systemService) SetLogLevel(_ context.Context, req *pb.SetLogLevelRequest) (*pb.SetLogLevelResponse, error) {
	var p problems
	if !slices.Contains(LogLevels, req.GetLevel()) {
		p.add("level", "%q is not one of %s", req.GetLevel(), strings.Join(LogLevels, ", "))
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	s.plane.SetLogLevel(req.GetLevel())
	return &pb.SetLogLevelResponse{}, nil
}
