package control_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
)

func TestErrorsHaveCodeTextAndDetails(t *testing.T) {
	refusal := func(errno unix.Errno) error {
		return &port.Error{Op: "delete port", Name: "eth0", Errno: errno, Why: "it is so; do this"}
	}
	tests := []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{refusal(unix.ENXIO), codes.NotFound, "ENXIO"},
		{refusal(unix.ENOENT), codes.NotFound, "ENOENT"},
		{refusal(unix.ENODEV), codes.NotFound, "ENODEV"},
		{refusal(unix.EEXIST), codes.AlreadyExists, "EEXIST"},
		{refusal(unix.EBUSY), codes.FailedPrecondition, "EBUSY"},
		{refusal(unix.EINVAL), codes.InvalidArgument, "EINVAL"},
		{refusal(unix.ENOMEM), codes.ResourceExhausted, "ENOMEM"},
		{refusal(unix.EACCES), codes.PermissionDenied, "EACCES"},
		{refusal(unix.EPERM), codes.PermissionDenied, "EPERM"},
		{refusal(unix.EOPNOTSUPP), codes.Unimplemented, unix.ErrnoName(unix.EOPNOTSUPP)},
		{refusal(unix.EAGAIN), codes.Unavailable, "EAGAIN"},
		{refusal(unix.ETIMEDOUT), codes.DeadlineExceeded, "ETIMEDOUT"},
		{refusal(unix.EIO), codes.Internal, "EIO"},
		{refusal(unix.Errno(4000)), codes.Internal, "ERRNO_4000"},
		{fmt.Errorf("in the daemon: %w", refusal(unix.EBUSY)), codes.FailedPrecondition, "EBUSY"},
		{fmt.Errorf("open: %w", unix.ENOMEM), codes.ResourceExhausted, "ENOMEM"},
		{errors.New("no errno at all"), codes.Internal, ""},
		{fmt.Errorf("the lcore: %w", context.DeadlineExceeded), codes.DeadlineExceeded, ""},
		{fmt.Errorf("the lcore: %w", context.Canceled), codes.Canceled, ""},
		{status.Error(codes.DataLoss, "as it is"), codes.DataLoss, ""},
	}
	plane, _, conn := start(t, controltest.State{})
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			plane.Set(func(s *controltest.State) { s.Err = tt.err })
			_, err := pb.NewPortServiceClient(conn).DeletePort(testContext(t), &pb.DeletePortRequest{Name: "eth0"})
			st := status.Convert(err)
			if st.Code() != tt.code || reason(err) != tt.reason {
				t.Errorf("got %v with reason %q, want %v with %q", st.Code(), reason(err), tt.code, tt.reason)
			}
			if want := status.Convert(tt.err).Message(); !strings.HasSuffix(want, st.Message()) {
				t.Errorf("got text %q, want %q", st.Message(), want)
			}
			var refused *port.Error
			if errors.As(tt.err, &refused) {
				info := detail[errdetails.ErrorInfo](err)
				if info.GetDomain() != "netmapd" || info.GetMetadata()["name"] != "eth0" || info.GetMetadata()["operation"] != "delete port" {
					t.Errorf("details: %v", info)
				}
			}
		})
	}
}

func TestErrorAboutAHostileName(t *testing.T) {
	_, _, conn := start(t, controltest.State{Err: &port.Error{Op: "open", Name: "vale0:\xff", Errno: unix.EBUSY, Why: "taken by \xfe"}})
	_, err := pb.NewPortServiceClient(conn).DeletePort(testContext(t), &pb.DeletePortRequest{Name: "x"})
	if status.Code(err) != codes.FailedPrecondition || detail[errdetails.ErrorInfo](err).GetMetadata()["name"] != "vale0:\uFFFD" {
		t.Errorf("got %v with %v", err, detail[errdetails.ErrorInfo](err))
	}
}

func TestRequestsAreChecked(t *testing.T) {
	_, _, conn := start(t, controltest.State{Err: errors.New("the request reached the plane")})
	ctx := testContext(t)
	ports, switches, stats := pb.NewPortServiceClient(conn), pb.NewSwitchServiceClient(conn), pb.NewStatsServiceClient(conn)
	create := func(spec *pb.PortSpec) error {
		_, err := ports.CreatePort(ctx, &pb.CreatePortRequest{Spec: spec})
		return err
	}
	attach := func(spec string, extra uint32) error {
		_, err := ports.AttachPort(ctx, &pb.AttachPortRequest{Spec: spec, ExtraBuffers: extra})
		return err
	}
	newSwitch := func(name string) error {
		_, err := switches.CreateSwitch(ctx, &pb.CreateSwitchRequest{Name: name})
		return err
	}
	watch := func(interval *durationpb.Duration) error {
		stream, err := stats.WatchStats(ctx, &pb.WatchStatsRequest{Interval: interval})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	const (
		iface  = pb.PortKind_PORT_KIND_INTERFACE
		device = pb.PortKind_PORT_KIND_DEVICE
	)
	long := strings.Repeat("x", 64)
	tests := []struct {
		what   string
		err    error
		fields string // those complained about
		text   string // part of the text
	}{
		{"no spec", create(nil), "spec", "must be set"},
		{"no name", create(&pb.PortSpec{Kind: iface}), "spec.name", "must not be empty"},
		{"a long name", create(&pb.PortSpec{Name: "sixteen-letters.", Kind: iface}), "spec.name", "16 bytes, at most 15"},
		{"an unprintable name", create(&pb.PortSpec{Name: "a\x1b[2J", Kind: iface}), "spec.name", `"a\x1b[2J"`},
		{"a switch port", create(&pb.PortSpec{Name: "vale0:1", Kind: iface}), "spec.name", "appear when they are opened"},
		{"a pipe", create(&pb.PortSpec{Name: "eth0{1", Kind: iface}), "spec.name", "appear when they are opened"},
		{"a name with a ring", create(&pb.PortSpec{Name: "eth0-1", Kind: iface}), "spec.name", `would mean "eth0"`},
		{"a name with a slash", create(&pb.PortSpec{Name: "a/b", Kind: iface}), "spec.name", `"/"`},
		{"no kind", create(&pb.PortSpec{Name: "a"}), "spec.kind", "must be set"},
		{"VALE", create(&pb.PortSpec{Name: "a", Kind: pb.PortKind_PORT_KIND_VALE}), "spec.kind", "are not created"},
		{"a monitor", create(&pb.PortSpec{Name: "a", Kind: pb.PortKind_PORT_KIND_MONITOR}), "spec.kind", "kind monitor are not created"},
		{
			"a persistent port with what others have",
			create(&pb.PortSpec{Name: "a", Kind: pb.PortKind_PORT_KIND_PERSISTENT, Ifname: "e", Driver: 1, Devargs: "x", Mtu: 1, DropUnbound: true, Rings: 17, Slots: 4097, HostIfname: "a b"}),
			"spec.rings spec.slots spec.ifname spec.driver spec.devargs spec.mtu spec.drop_unbound spec.host_ifname", "at most 4096",
		},
		{"a kind of tomorrow", create(&pb.PortSpec{Name: "a", Kind: 99}), "spec.kind", "99 is no kind"},
		{"a driver of tomorrow", create(&pb.PortSpec{Name: "a", Kind: iface, Driver: 99}), "spec.driver", "99 is no driver"},
		{"an interface with devargs", create(&pb.PortSpec{Name: "a", Kind: iface, Devargs: "x"}), "spec.devargs", "only for PORT_KIND_DEVICE"},
		{"a device without devargs", create(&pb.PortSpec{Name: "a", Kind: device}), "spec.devargs", "must not be empty"},
		{"a device with ifname and driver", create(&pb.PortSpec{Name: "a", Kind: device, Devargs: "x", Ifname: "e", Driver: 1}), "spec.ifname spec.driver", "only for"},
		{"a bad ifname", create(&pb.PortSpec{Name: "a", Kind: iface, Ifname: "a b"}), "spec.ifname", `" "`},
		{"everything at once", create(&pb.PortSpec{Rings: 1025, Slots: 8177}), "spec.name spec.rings spec.slots spec.kind", "at most 8176"},

		{"attach nothing", attach("", 0), "spec", "must not be empty"},
		{"attach without prefix", attach("eth0", 0), "spec", "netmap:"},
		{"attach a bad switch", attach("vale"+long[:20]+":1", 0), "spec", "at most 15"},
		{"attach with sharing", attach("netmap:a@share=netmap:b", 0), "spec", "share is not for tickets"},
		{"attach with a file", attach("netmap:a@extmem=/f", 0), "spec", "not for tickets"},
		{"attach with too many buffers", attach("netmap:a", 1<<30), "extra_buffers", "at most 1000000"},

		{"a switch without name", newSwitch(""), "name", "must not be empty"},
		{"a switch by another name", newSwitch("br0"), "name", `begins with "vale"`},
		{"a switch with a colon", newSwitch("vale0:"), "name", `":"`},
		{"a switch too long", newSwitch("vale" + long), "name", "at most 63"},

		{"too fast", watch(durationpb.New(99e6)), "interval", "99ms, expected 100ms to 1h"},
		{"backwards", watch(durationpb.New(-1)), "interval", "expected 100ms"},
		{"too slow", watch(durationpb.New(2 * 3600e9)), "interval", "2h0m0s"},
		{"no duration", watch(&durationpb.Duration{Seconds: 1, Nanos: -5}), "interval", "expected"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) { checkRefused(t, tt.err, tt.fields, tt.text) })
	}
}

func TestNamesAreChecked(t *testing.T) {
	_, _, conn := start(t, controltest.State{Err: errors.New("the request reached the plane")})
	ctx := testContext(t)
	ports, switches, stats := pb.NewPortServiceClient(conn), pb.NewSwitchServiceClient(conn), pb.NewStatsServiceClient(conn)
	for _, bad := range []struct{ name, text string }{
		{"", "must not be empty"},
		{strings.Repeat("x", 64), "has 64 bytes, at most 63"},
		{"a\n", `cannot be printed`},
	} {
		calls := map[string]func() error{
			"name": func() error { _, err := ports.GetPort(ctx, &pb.GetPortRequest{Name: bad.name}); return err },
			"name ": func() error {
				_, err := ports.DeletePort(ctx, &pb.DeletePortRequest{Name: bad.name})
				return err
			},
			"name  ": func() error { _, err := switches.GetSwitch(ctx, &pb.GetSwitchRequest{Name: bad.name}); return err },
			"name   ": func() error {
				_, err := switches.DeleteSwitch(ctx, &pb.DeleteSwitchRequest{Name: bad.name})
				return err
			},
			"switch port": func() error {
				_, err := switches.AttachToSwitch(ctx, &pb.AttachToSwitchRequest{Switch: bad.name, Port: bad.name})
				return err
			},
			"switch port ": func() error {
				_, err := switches.DetachFromSwitch(ctx, &pb.DetachFromSwitchRequest{Switch: bad.name, Port: bad.name})
				return err
			},
			"ports[1]": func() error {
				_, err := stats.GetStats(ctx, &pb.GetStatsRequest{Ports: []string{"fine", bad.name}})
				return err
			},
		}
		for fields, call := range calls {
			checkRefused(t, call(), strings.TrimSpace(fields), bad.text)
		}
	}
	_, err := stats.GetStats(ctx, &pb.GetStatsRequest{Ports: make([]string, 1025)})
	checkRefused(t, err, "ports", "1025 names")
}

func checkRefused(t *testing.T, err error, fields, text string) {
	t.Helper()
	if status.Code(err) != codes.InvalidArgument || reason(err) != "EINVAL" {
		t.Fatalf("got %v (%s), want InvalidArgument", err, reason(err))
	}
	var got []string
	for _, v := range detail[errdetails.BadRequest](err).GetFieldViolations() {
		got = append(got, v.GetField())
	}
	if strings.Join(got, " ") != fields {
		t.Errorf("complained about %v, want %s", got, fields)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("got %q, want it to say %q", err, text)
	}
}
