package daemon_test

import (
	"context"
	"encoding/hex"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// spans is a collector.
type spans struct {
	collector.UnimplementedTraceServiceServer
	came chan *collector.ExportTraceServiceRequest
}

func (s *spans) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.came <- req
	return &collector.ExportTraceServiceResponse{}, nil
}

// Spans of calls, good and bad, reach the collector, the last ones when netmapd stops.
func TestTelemetry(t *testing.T) {
	dir := tempDir(t)
	socket := filepath.Join(dir, "otel.sock")
	ln, err := net.Listen("unix", socket)
	must(t, err)
	s := &spans{came: make(chan *collector.ExportTraceServiceRequest, 100)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(server.Stop)

	p := start(t, dir, "version: 1\ntelemetry: {endpoint: 'unix:"+socket+"'}\n")
	const trace = "0af7651916cd43dd8448eb211c80319c" // the caller's
	ctx := metadata.AppendToOutgoingContext(limited(t), "traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	_, err = pb.NewSystemServiceClient(p.api()).GetInfo(ctx, &pb.GetInfoRequest{})
	must(t, err)
	_, err = healthpb.NewHealthClient(p.api()).Check(ctx, &healthpb.HealthCheckRequest{})
	must(t, err)
	if _, err = pb.NewPortServiceClient(p.api()).GetPort(ctx, &pb.GetPortRequest{Name: "nosuch"}); err == nil {
		t.Fatal("there is a port of no such name")
	}
	p.signal(syscall.SIGTERM)
	p.exits(0)

	var got []string
	for len(s.came) > 0 { // it has ended: all came
		for _, rs := range (<-s.came).GetResourceSpans() {
			if who := rs.GetResource().String(); !strings.Contains(who, `"netmapd"`) {
				t.Errorf("spans of %s, want netmapd's", who)
			}
			for _, ss := range rs.GetScopeSpans() {
				for _, span := range ss.GetSpans() {
					got = append(got, span.GetName())
					if id := span.GetTraceId(); hex.EncodeToString(id) != trace {
						t.Errorf("%s has the trace %x, want the caller's %s", span.GetName(), id, trace)
					}
				}
			}
		}
	}
	want := "netmapd.v1.SystemService/GetInfo netmapd.v1.PortService/GetPort"
	if names := strings.Join(got, " "); names != want {
		t.Errorf("the collector has spans of %q, want %q", names, want)
	}
}

// A collector that is away holds up neither calls nor, for long, the stop.
func TestTelemetryWithoutCollector(t *testing.T) {
	dir := tempDir(t)
	p := start(t, dir, "version: 1\ntelemetry: {endpoint: 'unix:"+filepath.Join(dir, "nobody.sock")+"'}\n")
	_, err := pb.NewSystemServiceClient(p.api()).GetInfo(limited(t), &pb.GetInfoRequest{})
	must(t, err)
	p.signal(syscall.SIGTERM)
	p.exits(0)
	if !strings.Contains(p.out.String(), "send the last spans") && !strings.Contains(p.out.String(), "does not take spans") {
		t.Errorf("no word about the collector; log:\n%s", &p.out)
	}
	p.noErrors()
}
