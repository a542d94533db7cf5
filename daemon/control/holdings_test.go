package control_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
)

func TestAttachmentsInPages(t *testing.T) {
	state := controltest.State{}
	for i := range 7 {
		state.Ports = append(state.Ports, port.Info{ID: uint64(7 - i), Name: fmt.Sprint("vale0:", 7-i), Users: make([]port.User, 2)})
	}
	plane, _, conn := start(t, state)
	client := pb.NewAttachmentServiceClient(conn)
	got, pages, token, second := "", 0, "", ""
	for more := true; more; more = token != "" {
		resp, err := client.ListAttachments(testContext(t), &pb.ListAttachmentsRequest{PageSize: 4, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range resp.GetAttachments() {
			got += a.GetPort()[6:]
		}
		token = resp.GetNextPageToken()
		if pages++; pages == 1 {
			second = token
		}
	}
	if got != "11223344556677" || pages != 4 {
		t.Errorf("%d pages with %s", pages, got)
	}
	for _, req := range []*pb.ListAttachmentsRequest{{PageSize: 10001}, {PageToken: "x"}, {PageToken: "!"}, {Port: "\x00"}} {
		if _, err := client.ListAttachments(testContext(t), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", req, err)
		}
	}
	if _, err := client.ListAttachments(testContext(t), &pb.ListAttachmentsRequest{Port: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("of no port: %v", err)
	}
	plane.Set(func(s *controltest.State) { // half of what was listed goes, and the rest stays where it is
		s.Ports = slices.DeleteFunc(s.Ports, func(p port.Info) bool { return p.ID == 1 })
	})
	resp, err := client.ListAttachments(testContext(t), &pb.ListAttachmentsRequest{PageToken: second})
	if err != nil || len(resp.GetAttachments()) != 10 || resp.GetAttachments()[0].GetPort() != "vale0:3" {
		t.Errorf("after a change the second page is %v, %v", resp, err)
	}
}

func TestMovePort(t *testing.T) {
	plane, _, conn := start(t, controltest.Sample())
	client := pb.NewLcoreServiceClient(conn)
	for _, tt := range []struct {
		req  *pb.MovePortRequest
		want codes.Code
	}{
		{&pb.MovePortRequest{Port: "eth0", Lcore: 1}, codes.OK},
		{&pb.MovePortRequest{Port: "vale0:gen", Lcore: 1}, codes.FailedPrecondition},
		{&pb.MovePortRequest{Port: "nobody"}, codes.NotFound},
		{&pb.MovePortRequest{}, codes.InvalidArgument},
		{&pb.MovePortRequest{Port: "eth0", Lcore: 1<<32 - 1}, codes.InvalidArgument},
	} {
		if _, err := client.MovePort(testContext(t), tt.req); status.Code(err) != tt.want {
			t.Errorf("%v: %v, want %v", tt.req, err, tt.want)
		}
	}
	if got := plane.Get().Ports[2].Lcore; got != 1 {
		t.Errorf("eth0 is on lcore %d", got)
	}
}

// A port whose queues are dealt to several lcores is in the list of each, with those it serves.
func TestQueuesByLcore(t *testing.T) {
	state := controltest.Sample()
	state.Snapshot.Lcores = []port.LcoreStats{{ID: 0}, {ID: 1}, {ID: 2}}
	state.Ports = []port.Info{
		{Name: "vale0:a", Lcore: 1, RxRings: 2, TxRings: 4},
		{Name: "nic", Lcore: 1, RxRings: 3, TxRings: 3, QueueLcores: []int{1, 0, 1}},
	}
	_, _, conn := start(t, state)
	resp, err := pb.NewLcoreServiceClient(conn).ListLcores(testContext(t), &pb.ListLcoresRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range resp.GetLcores() {
		for _, p := range l.GetPorts() {
			got = append(got, fmt.Sprintf("%d %s %d+%d", l.GetStats().GetId(), p.GetName(), p.GetRxQueues(), p.GetTxQueues()))
		}
	}
	if want := []string{"0 nic 1+1", "1 vale0:a 2+4", "1 nic 2+2"}; !slices.Equal(got, want) {
		t.Errorf("lcores and ports are %q, want %q", got, want)
	}
}
