package control_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
)

func TestPanicIsOneFailedCall(t *testing.T) {
	state := controltest.Sample()
	state.Panic = "a bug"
	plane, _, conn := start(t, state)
	ctx, ports := testContext(t), pb.NewPortServiceClient(conn)
	if _, err := ports.ListPorts(ctx, &pb.ListPortsRequest{}); status.Code(err) != codes.Internal {
		t.Errorf("got %v, want Internal", err)
	}
	stream, err := pb.NewStatsServiceClient(conn).WatchStats(ctx, &pb.WatchStatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Internal {
		t.Errorf("stream: got %v, want Internal", err)
	}
	plane.Set(func(s *controltest.State) { s.Panic = nil })
	if _, err := ports.ListPorts(ctx, &pb.ListPortsRequest{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestHealthAndReflection(t *testing.T) {
	_, _, conn := start(t, controltest.State{})
	ctx := testContext(t)
	for _, service := range []string{"", "netmapd.v1.PortService", "netmapd.v1.SwitchService", "netmapd.v1.StatsService", "netmapd.v1.SystemService"} {
		resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
		if err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, resp, err)
		}
	}
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(resp.GetListServicesResponse().GetService(), func(s *reflectionpb.ServiceResponse) bool {
		return s.GetName() == "netmapd.v1.PortService"
	}) {
		t.Errorf("reflection lists %v", resp)
	}
}

func TestStopWaitsForCalls(t *testing.T) {
	block, entered := make(chan struct{}), make(chan struct{}, 1)
	_, s, conn := start(t, controltest.State{Block: block, Entered: entered})
	called := make(chan error, 1)
	go func() {
		_, err := pb.NewPortServiceClient(conn).DeletePort(testContext(t), &pb.DeletePortRequest{Name: "x"})
		called <- err
	}()
	<-entered
	stopped := make(chan struct{})
	go func() {
		s.Stop(testContext(t))
		close(stopped)
	}()
	close(block)
	<-stopped
	if err := <-called; reason(err) != "ENXIO" {
		t.Errorf("the running call got %v, want its own answer", err)
	}
}

func TestStopBreaksOffWhatDoesNotEnd(t *testing.T) {
	entered := make(chan struct{}, 1)
	_, s, conn := start(t, controltest.State{Block: make(chan struct{}), Entered: entered}) // Block is never closed
	called := make(chan error, 1)
	go func() {
		_, err := pb.NewPortServiceClient(conn).ListPorts(testContext(t), &pb.ListPortsRequest{})
		called <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Stop(ctx)
	if err := <-called; status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled {
		t.Errorf("the call that hangs got %v", err)
	}
}

func TestStopEndsStreams(t *testing.T) {
	_, s, conn := start(t, controltest.Sample())
	stream, err := pb.NewStatsServiceClient(conn).WatchStats(testContext(t), &pb.WatchStatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	s.Stop(testContext(t))
	for err = nil; err == nil; {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable || status.Convert(err).Message() != "netmapd is stopping" {
		t.Errorf("got %v, want the reason", err)
	}
	s.Stop(testContext(t)) // a second time is harmless
}

func TestServeManyListeners(t *testing.T) {
	dir := t.TempDir()
	first, second := listen(t, "unix", filepath.Join(dir, "a")), listen(t, "unix", filepath.Join(dir, "b"))
	s := serve(t, controltest.New(controltest.Sample()), first)
	served := make(chan error, 1)
	go func() { served <- s.Serve(second) }()
	for _, name := range []string{"a", "b"} {
		system := pb.NewSystemServiceClient(dial(t, "unix:"+filepath.Join(dir, name)))
		if _, err := system.GetInfo(testContext(t), &pb.GetInfoRequest{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Stop(testContext(t))
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// Somebody who connects and sends nonsense, or nothing, disturbs nobody.
func TestNonsenseConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	serve(t, controltest.New(controltest.Sample()), listen(t, "unix", path))
	for _, bytes := range [][]byte{nil, []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), make([]byte, 1<<16)} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(bytes)
		if bytes != nil {
			_, _ = io.Copy(io.Discard, conn) // until the server hangs up
		}
		system := pb.NewSystemServiceClient(dial(t, "unix:"+path))
		if _, err := system.GetInfo(testContext(t), &pb.GetInfoRequest{}); err != nil {
			t.Errorf("another client after %d bytes: %v", len(bytes), err)
		}
		conn.Close()
	}
}
