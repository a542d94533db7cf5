package control_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
)

func TestWatchEvents(t *testing.T) {
	state := controltest.Sample()
	state.Events = append(state.Events, port.Event{Kind: port.EventLinkUp, Port: "other"})
	for range 1100 {
		state.Events = append(state.Events, port.Event{Kind: port.EventLinkDown, Port: "eth0"})
	}
	_, _, conn := start(t, state)
	stream, err := pb.NewEventServiceClient(conn).WatchEvents(testContext(t), &pb.WatchEventsRequest{Ports: []string{"eth0"}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		m, err := stream.Recv()
		if err != nil { // it was behind from the start
			if status.Code(err) != codes.ResourceExhausted || reason(err) != "ENOBUFS" {
				t.Errorf("ended with %v", err)
			}
			break
		}
		for _, e := range m.GetEvents() {
			if e.GetKind() != pb.EventKind_EVENT_KIND_LINK_DOWN || e.GetPort() != "eth0" {
				t.Fatalf("got %v", e)
			}
			n++
		}
	}
	if n == 0 {
		t.Error("no event came")
	}
}
