package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
)

// valid has a request for each method of the API that its fields allow; every field that a request may have is set in one
// of them.
func valid() map[string][]proto.Message {
	learning, limit := true, uint32(7)
	const mac = "02:00:00:00:00:01"
	return map[string][]proto.Message{
		"PortService.ListPorts": {&pb.ListPortsRequest{PageSize: 1, PageToken: "eA"}},
		"PortService.GetPort":   {&pb.GetPortRequest{Name: "eth0"}},
		"PortService.CreatePort": {
			&pb.CreatePortRequest{Spec: &pb.PortSpec{Name: "a", Kind: pb.PortKind_PORT_KIND_INTERFACE, Ifname: "a", Driver: 1, Rings: 1, Slots: 64, DropUnbound: true}},
			&pb.CreatePortRequest{Spec: &pb.PortSpec{Name: "b", Kind: pb.PortKind_PORT_KIND_DEVICE, Devargs: "net_null0", HostIfname: "b0", Mtu: 1500}},
		},
		"PortService.DeletePort": {&pb.DeletePortRequest{Name: "eth0"}},
		"PortService.AttachPort": {&pb.AttachPortRequest{Spec: "vale0:1", ExtraBuffers: 1}},

		"SwitchService.ListSwitches":     {&pb.ListSwitchesRequest{PageSize: 1, PageToken: "eA"}},
		"SwitchService.GetSwitch":        {&pb.GetSwitchRequest{Name: "vale0"}},
		"SwitchService.CreateSwitch":     {&pb.CreateSwitchRequest{Name: "vale1", Ageing: durationpb.New(time.Minute)}, &pb.CreateSwitchRequest{Name: "vale2", Compat: true}},
		"SwitchService.DeleteSwitch":     {&pb.DeleteSwitchRequest{Name: "vale0"}},
		"SwitchService.AttachToSwitch":   {&pb.AttachToSwitchRequest{Switch: "vale0", Port: "eth0"}},
		"SwitchService.DetachFromSwitch": {&pb.DetachFromSwitchRequest{Switch: "vale0", Port: "eth0"}},

		"ForwardingService.ListAddresses":  {&pb.ListAddressesRequest{Switch: "vale0", Port: "eth0", PageSize: 1, PageToken: mac}},
		"ForwardingService.AddAddress":     {&pb.AddAddressRequest{Switch: "vale0", Mac: mac, Port: "eth0"}},
		"ForwardingService.DeleteAddress":  {&pb.DeleteAddressRequest{Switch: "vale0", Mac: mac}},
		"ForwardingService.FlushAddresses": {&pb.FlushAddressesRequest{Switch: "vale0", Port: "eth0"}},
		"ForwardingService.SetAgeing":      {&pb.SetAgeingRequest{Switch: "vale0", Ageing: durationpb.New(time.Minute)}},
		"ForwardingService.SetPortForwarding": {
			&pb.SetPortForwardingRequest{Switch: "vale0", Port: "eth0", Forwarding: &pb.PortForwarding{Learning: &learning, FloodLimit: &limit}},
		},
		"ForwardingService.TraceFrame": {&pb.TraceFrameRequest{Port: "eth0", Frame: make([]byte, 60)}},

		"CaptureService.Capture": {
			&pb.CaptureRequest{Ports: []string{"eth0"}, Direction: 1, SnapLength: 60, Filter: []*pb.BpfInstruction{{Code: 0x15, Jt: 0, Jf: 0, K: 1}, {Code: 6}}},
		},
		"AttachmentService.ListAttachments": {&pb.ListAttachmentsRequest{Port: "eth0", PageSize: 1, PageToken: "MDE"}},
		"EventService.WatchEvents":          {&pb.WatchEventsRequest{Ports: []string{"eth0"}}},
		"RegionService.ListRegions":         {&pb.ListRegionsRequest{PageSize: 1, PageToken: "eA"}},
		"LcoreService.ListLcores":           {&pb.ListLcoresRequest{}},
		"LcoreService.MovePort":             {&pb.MovePortRequest{Port: "eth0", Lcore: 1}},
		"StatsService.GetStats":             {&pb.GetStatsRequest{Ports: []string{"eth0"}}},
		"StatsService.WatchStats":           {&pb.WatchStatsRequest{Ports: []string{"eth0"}, Interval: durationpb.New(time.Second)}},
		"ConfigService.GetConfig":           {&pb.GetConfigRequest{}},
		"ConfigService.CheckConfig":         {&pb.CheckConfigRequest{Yaml: "version: 1"}},
		"ConfigService.PlanConfig":          {&pb.PlanConfigRequest{Yaml: "version: 1"}},
		"ConfigService.ApplyConfig":         {&pb.ApplyConfigRequest{Yaml: "version: 1"}},
		"ConfigService.SaveConfig":          {&pb.SaveConfigRequest{}},
		"SystemService.GetInfo":             {&pb.GetInfoRequest{}},
		"SystemService.SetLogLevel":         {&pb.SetLogLevelRequest{Level: "info"}},
	}
}

// anything are fields whose every value is legal, or is judged by who reads it.
var anything = []string{"yaml", "learning", "drop_unbound", "compat", "filter[0].k", "filter[0].jf", "filter[0].code"}

// Every field of every method's request, given something absurd, is named by the refusal; nothing is an internal error.
func TestEveryFieldOfEveryRequest(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	requests, seen := valid(), 0
	for _, method := range methods() {
		name := string(method.Parent().Name() + "." + method.Name())
		if requests[name] == nil {
			t.Errorf("%s: the test has no request for it", name)
		}
		set := map[string]bool{}
		for _, request := range requests[name] {
			seen++
			if err := call(t, conn, method, request); !harmless(err) || status.Code(err) == codes.InvalidArgument {
				t.Errorf("%s of %v: %v", name, request, err)
			}
			for _, bad := range spoiled(request.ProtoReflect(), "") {
				set[bad.field] = true
				if slices.ContainsFunc(anything, func(f string) bool { return strings.HasSuffix(bad.field, f) }) {
					continue
				}
				m := proto.Clone(request)
				bad.spoil(m.ProtoReflect())
				err := call(t, conn, method, m)
				if status.Code(err) != codes.InvalidArgument || reason(err) != "EINVAL" || !violates(err, bad.field) {
					t.Errorf("%s with %s %s: %.300v, want a refusal that names the field", name, bad.field, bad.what, err)
				}
			}
		}
		// What a request leaves out is refused by name or not needed.
		err := call(t, conn, method, dynamicpb.NewMessage(method.Input()))
		if !harmless(err) || status.Code(err) == codes.InvalidArgument && len(detail[errdetails.BadRequest](err).GetFieldViolations()) == 0 {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
	if want := len(requests); seen < want {
		t.Errorf("%d of %d methods were called", seen, want)
	}
}

// methods are all of the API.
func methods() (all []protoreflect.MethodDescriptor) {
	protoregistry.GlobalFiles.RangeFilesByPackage("netmapd.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for s, j := f.Services().Get(i), 0; j < s.Methods().Len(); j++ {
				all = append(all, s.Methods().Get(j))
			}
		}
		return true
	})
	return all
}

// call makes a call and returns how it ends, or how a stream begins.
func call(t *testing.T, conn *grpc.ClientConn, method protoreflect.MethodDescriptor, request proto.Message) error {
	t.Helper()
	path := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
	answer := dynamicpb.NewMessage(method.Output())
	if !method.IsStreamingServer() {
		return conn.Invoke(testContext(t), path, request, answer)
	}
	stream, err := conn.NewStream(testContext(t), &grpc.StreamDesc{ServerStreams: true}, path)
	if err == nil {
		err = stream.SendMsg(request)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	if err == nil {
		err = stream.RecvMsg(answer)
	}
	return err
}

// harmless says that an error is about the request, not the daemon.
func harmless(err error) bool {
	return slices.Contains([]codes.Code{
		codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.ResourceExhausted,
	}, status.Code(err))
}

// violates says whether an error names a field, or an element of it.
func violates(err error, field string) bool {
	return slices.ContainsFunc(detail[errdetails.BadRequest](err).GetFieldViolations(), func(v *errdetails.BadRequest_FieldViolation) bool {
		return strings.HasPrefix(v.GetField(), field) || strings.HasPrefix(field, v.GetField())
	})
}

// bad is something absurd in a field.
type bad struct {
	field, what string
	spoil       func(protoreflect.Message)
}

// spoiled lists what can be absurd in a message, a field at a time; above is the path of the message.
func spoiled(m protoreflect.Message, above string) (all []bad) {
	m.Range(func(f protoreflect.FieldDescriptor, now protoreflect.Value) bool {
		field := above + string(f.Name())
		put := func(what string, v protoreflect.Value) {
			all = append(all, bad{field, what, func(m protoreflect.Message) { m.Set(f, v) }})
		}
		list := func(what string, n int, v protoreflect.Value) {
			all = append(all, bad{field, what, func(m protoreflect.Message) {
				for range n {
					m.Mutable(f).List().Append(v)
				}
			}})
		}
		switch {
		case f.IsList() && f.Message() != nil:
			list("without end", 5000, now.List().Get(0))
			for _, b := range spoiled(now.List().Get(0).Message(), field+"[0].") {
				all = append(all, bad{b.field, b.what, func(m protoreflect.Message) { b.spoil(m.Mutable(f).List().Get(0).Message()) }})
			}
		case f.IsList():
			list("without end", 5000, protoreflect.ValueOfString("a"))
			list("with an empty one", 1, protoreflect.ValueOfString(""))
			list("with an unprintable one", 1, protoreflect.ValueOfString("\x1b[2J"))
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Duration":
			put("below zero", protoreflect.ValueOfMessage(durationpb.New(-time.Second).ProtoReflect()))
			put("without end", protoreflect.ValueOfMessage((&durationpb.Duration{Seconds: 1 << 60}).ProtoReflect()))
			put("that is none", protoreflect.ValueOfMessage((&durationpb.Duration{Seconds: 30, Nanos: -5}).ProtoReflect()))
		case f.Message() != nil:
			all = append(all, bad{field, "left out", func(m protoreflect.Message) { m.Clear(f) }})
			for _, b := range spoiled(now.Message(), field+".") {
				all = append(all, bad{b.field, b.what, func(m protoreflect.Message) { b.spoil(m.Mutable(f).Message()) }})
			}
		case f.Kind() == protoreflect.StringKind:
			put("too long", protoreflect.ValueOfString(strings.Repeat("x", 70000)))
			put("unprintable", protoreflect.ValueOfString("a\x00\x1b[2J\n"))
		case f.Kind() == protoreflect.BytesKind:
			put("too long", protoreflect.ValueOfBytes(make([]byte, 70000)))
		case f.Kind() == protoreflect.EnumKind:
			put("of tomorrow", protoreflect.ValueOfEnum(99))
		case f.Kind() == protoreflect.Uint32Kind:
			put("too large", protoreflect.ValueOfUint32(1<<32-1))
		case f.Kind() == protoreflect.BoolKind:
		default:
			all = append(all, bad{field, "of a type that this test does not know", func(protoreflect.Message) {}})
		}
		return true
	})
	return all
}
