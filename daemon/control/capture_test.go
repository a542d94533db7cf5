package control_test

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/daemon/control/controltest"
)

// drain reads a capture to its end.
func drain(t *testing.T, conn *grpc.ClientConn, req *pb.CaptureRequest) (frames []*pb.CapturedFrame, missed []uint64, end error) {
	t.Helper()
	stream, err := pb.NewCaptureServiceClient(conn).Capture(testContext(t), req)
	if err != nil {
		return nil, nil, err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return frames, missed, err
		}
		frames, missed = append(frames, m.GetFrames()...), m.GetMissed()
	}
}

func TestCapture(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	onlyTCP := []*pb.BpfInstruction{{Code: 0x30, K: 23}, {Code: 0x15, Jf: 1, K: 6}, {Code: 6, K: 20}, {Code: 6}}
	frames, missed, err := drain(t, conn, &pb.CaptureRequest{Ports: []string{"vale0:gen", "vale0:sink"}, Filter: onlyTCP})
	if status.Code(err) != codes.OutOfRange {
		t.Errorf("ended with %v, want OutOfRange", err)
	}
	if len(frames) != 1 || len(frames[0].GetData()) != 20 || frames[0].GetLength() != 60 || frames[0].GetDirection() != pb.Direction_DIRECTION_IN {
		t.Errorf("frames %v", frames)
	}
	if len(missed) != 2 || missed[0] != 7 {
		t.Errorf("missed %v", missed)
	}
}

func TestCaptureRefuses(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	port := []string{"vale0:gen"}
	loop := []*pb.BpfInstruction{{Code: 5, K: 1<<32 - 1}, {Code: 6}}
	for name, tt := range map[string]struct {
		req   *pb.CaptureRequest
		field string
	}{
		"no port":                {&pb.CaptureRequest{}, "ports"},
		"empty name":             {&pb.CaptureRequest{Ports: []string{""}}, "ports[0]"},
		"many ports":             {&pb.CaptureRequest{Ports: make([]string, 65)}, "ports"},
		"direction":              {&pb.CaptureRequest{Ports: port, Direction: 9}, "direction"},
		"snap length":            {&pb.CaptureRequest{Ports: port, SnapLength: 1 << 20}, "snap_length"},
		"unknown operation":      {&pb.CaptureRequest{Ports: port, Filter: []*pb.BpfInstruction{{Code: 0xffff}, {Code: 6}}}, "filter[0]"},
		"code out of range":      {&pb.CaptureRequest{Ports: port, Filter: []*pb.BpfInstruction{{Code: 1 << 20}}}, "filter[0]"},
		"jump out of range":      {&pb.CaptureRequest{Ports: port, Filter: []*pb.BpfInstruction{{Code: 0x15, Jt: 300}, {Code: 6}}}, "filter[0]"},
		"without end":            {&pb.CaptureRequest{Ports: port, Filter: []*pb.BpfInstruction{{Code: 0x30, K: 23}}}, "filter"},
		"jump past the end":      {&pb.CaptureRequest{Ports: port, Filter: loop}, "filter"},
		"division by zero":       {&pb.CaptureRequest{Ports: port, Filter: []*pb.BpfInstruction{{Code: 0x34}, {Code: 6}}}, "filter"},
		"too large":              {&pb.CaptureRequest{Ports: port, Filter: make([]*pb.BpfInstruction, 5000)}, "filter"},
		"scratch memory outside": {&pb.CaptureRequest{Ports: port, Filter: []*pb.BpfInstruction{{Code: 0x60, K: 99}, {Code: 6}}}, "filter"},
	} {
		_, _, err := drain(t, conn, tt.req)
		bad := detail[errdetails.BadRequest](err)
		if status.Code(err) != codes.InvalidArgument || len(bad.GetFieldViolations()) == 0 || !strings.HasPrefix(bad.GetFieldViolations()[0].GetField(), tt.field) {
			t.Errorf("%s: %v, want a violation of %s", name, err, tt.field)
		}
	}
	if _, _, err := drain(t, conn, &pb.CaptureRequest{Ports: []string{"nobody"}}); status.Code(err) != codes.NotFound {
		t.Errorf("capture of nobody: %v", err)
	}
}

// The right to monitor is asked for each port.
func TestCaptureOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to connect as another user")
	}
	const uid = 65534
	address := "@netmapd-control-capture-" + strconv.Itoa(os.Getpid())
	serveWith(t, controltest.New(controltest.Sample()), listen(t, "unix", address), control.Options{
		Guard: guard(t, access.Rule{UIDs: []int{uid}, Verbs: []access.Verb{access.View, access.Attach}},
			access.Rule{UIDs: []int{uid}, Verbs: []access.Verb{access.Monitor}, Ports: []string{"vale0:gen"}}),
	})
	conn := dial(t, "passthrough:///x", grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		return dialAs(uid, address)
	}))
	if _, _, err := drain(t, conn, &pb.CaptureRequest{Ports: []string{"vale0:gen"}}); status.Code(err) != codes.OutOfRange {
		t.Errorf("capture of what a rule names: %v", err)
	}
	_, _, err := drain(t, conn, &pb.CaptureRequest{Ports: []string{"vale0:gen", "vale0:sink"}})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "monitor vale0:sink") {
		t.Errorf("capture of another port: %v, want a refusal that names it", err)
	}
}
