package control

import (
	"context"

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
	}}, nil
}
