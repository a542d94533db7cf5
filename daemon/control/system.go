package control

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

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
		Limits:       limitsToProto(info.Limits),
	}}, nil
}

func limitsToProto(l Limits) *pb.Limits {
	return &pb.Limits{
		DescriptorsPerUid: uint64(l.DescriptorsPerUID), ExtraBufsPerUid: uint64(l.ExtraBufsPerUID), MemoryMbPerUid: uint64(l.MemoryMBPerUID),
		SessionsPerUid: uint64(l.SessionsPerUID), Sessions: uint64(l.Sessions), ControlTimeout: durationpb.New(l.ControlTimeout),
	}
}

func (s *systemService) SetLogLevel(_ context.Context, req *pb.SetLogLevelRequest) (*pb.SetLogLevelResponse, error) {
	var p problems
	if !slices.Contains(LogLevels, req.GetLevel()) {
		p.add("level", "%.64q is not one of %s", req.GetLevel(), strings.Join(LogLevels, ", "))
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	s.plane.SetLogLevel(req.GetLevel())
	return &pb.SetLogLevelResponse{}, nil
}
