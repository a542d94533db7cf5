package control

import (
	"context"
	"path"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/access"
)

// right is what a call needs to be allowed.
type right struct {
	verb access.Verb
	// object picks the name that the call is about out of a request; nil for
	// calls about nothing in particular.
	object func(req any) string
}

// open services tell nothing about the system that who may connect must not know.
var open = map[string]bool{
	healthpb.Health_ServiceDesc.ServiceName:                          true,
	grpc_reflection_v1.ServerReflection_ServiceDesc.ServiceName:      true,
	grpc_reflection_v1alpha.ServerReflection_ServiceDesc.ServiceName: true,
}

// rights are those of the methods of netmapd.v1; one that is not here is for
// administrators.
var rights = map[string]right{
	pb.PortService_ListPorts_FullMethodName:  {access.View, nil},
	pb.PortService_GetPort_FullMethodName:    {access.View, named},
	pb.PortService_CreatePort_FullMethodName: {access.Administer, func(req any) string { return req.(*pb.CreatePortRequest).GetSpec().GetName() }},
	pb.PortService_DeletePort_FullMethodName: {access.Administer, named},
	// Whether the port may be opened is asked again, and exactly, at the attach socket.
	pb.PortService_AttachPort_FullMethodName: {access.Attach, nil},

	pb.SwitchService_ListSwitches_FullMethodName:     {access.View, nil},
	pb.SwitchService_GetSwitch_FullMethodName:        {access.View, named},
	pb.SwitchService_CreateSwitch_FullMethodName:     {access.Administer, named},
	pb.SwitchService_DeleteSwitch_FullMethodName:     {access.Administer, named},
	pb.SwitchService_AttachToSwitch_FullMethodName:   {access.Administer, onSwitch},
	pb.SwitchService_DetachFromSwitch_FullMethodName: {access.Administer, onSwitch},

	pb.ForwardingService_ListAddresses_FullMethodName:     {access.View, onSwitch},
	pb.ForwardingService_AddAddress_FullMethodName:        {access.Administer, onSwitch},
	pb.ForwardingService_DeleteAddress_FullMethodName:     {access.Administer, onSwitch},
	pb.ForwardingService_FlushAddresses_FullMethodName:    {access.Administer, onSwitch},
	pb.ForwardingService_SetAgeing_FullMethodName:         {access.Administer, onSwitch},
	pb.ForwardingService_SetPortForwarding_FullMethodName: {access.Administer, onSwitch},
	pb.ForwardingService_TraceFrame_FullMethodName:        {access.View, nil},

	// Which ports is asked again once they are known.
	pb.CaptureService_Capture_FullMethodName: {access.Monitor, nil},

	pb.AttachmentService_ListAttachments_FullMethodName: {access.View, nil},
	pb.EventService_WatchEvents_FullMethodName:          {access.View, nil},
	pb.RegionService_ListRegions_FullMethodName:         {access.View, nil},
	pb.LcoreService_ListLcores_FullMethodName:           {access.View, nil},
	pb.LcoreService_MovePort_FullMethodName:             {access.Administer, func(req any) string { return req.(*pb.MovePortRequest).GetPort() }},

	pb.StatsService_GetStats_FullMethodName:   {access.View, nil},
	pb.StatsService_WatchStats_FullMethodName: {access.View, nil},

	pb.ConfigService_GetConfig_FullMethodName:   {access.View, nil},
	pb.ConfigService_CheckConfig_FullMethodName: {access.View, nil},
	pb.ConfigService_PlanConfig_FullMethodName:  {access.View, nil},
	pb.ConfigService_ApplyConfig_FullMethodName: {access.Administer, nil},
	pb.ConfigService_SaveConfig_FullMethodName:  {access.Administer, nil},

	pb.SystemService_SetLogLevel_FullMethodName: {access.Administer, nil},

	pb.SystemService_GetInfo_FullMethodName: {access.View, nil},
}

func named(req any) string    { return req.(interface{ GetName() string }).GetName() }
func onSwitch(req any) string { return req.(interface{ GetSwitch() string }).GetSwitch() }

// rightOf is what a method needs; ok is false for what everybody may call.
func rightOf(method string) (r right, ok bool) {
	if open[strings.TrimPrefix(path.Dir(method), "/")] {
		return right{}, false
	}
	if r, ok = rights[method]; !ok {
		r = right{verb: access.Administer}
	}
	return r, true
}

// checkUnary lets a call through that its caller may make, and audits changes.
func (s *Server) checkUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	r, ok := rightOf(info.FullMethod)
	if !ok {
		return handler(ctx, req)
	}
	object := ""
	if r.object != nil {
		object = r.object(req)
	}
	if err := s.check(ctx, info.FullMethod, r.verb, object); err != nil {
		return nil, err
	}
	res, err := handler(ctx, req)
	if r.verb == access.Administer {
		s.guard.Audit(caller(ctx), path.Base(info.FullMethod), object, err)
	}
	return res, err
}

// checkStream is checkUnary for streams, whose requests come later.
func (s *Server) checkStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	r, ok := rightOf(info.FullMethod)
	if ok {
		if err := s.check(stream.Context(), info.FullMethod, r.verb, ""); err != nil {
			return err
		}
	}
	return handler(srv, stream)
}

// check asks the policy; refusals are audited.
func (s *Server) check(ctx context.Context, method string, verb access.Verb, object string) error {
	id := caller(ctx)
	err := s.guard.Check(id, verb, object)
	if err != nil {
		s.guard.Audit(id, path.Base(method), object, err)
	}
	return err
}
