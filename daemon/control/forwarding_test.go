package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

func TestAddressesComeInPages(t *testing.T) {
	state := controltest.Sample()
	state.Addresses = nil
	for i := range 25 {
		state.Addresses = append(state.Addresses, port.Address{MAC: vale.MAC{2, 0, 0, 0, 0, byte(i)}, Port: "vale0:gen"})
	}
	_, _, conn := start(t, state)
	fdb := pb.NewForwardingServiceClient(conn)
	var got []string
	pages, token := 0, ""
	for {
		resp, err := fdb.ListAddresses(testContext(t), &pb.ListAddressesRequest{Switch: "vale0", PageSize: 10, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, a := range resp.GetAddresses() {
			got = append(got, a.GetMac())
		}
		if resp.GetTable().GetLimit() != 65536 {
			t.Errorf("page %d tells of the table %v", pages, resp.GetTable())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if pages != 3 || len(got) != 25 {
		t.Fatalf("%d addresses in %d pages, want 25 in 3", len(got), pages)
	}
	for i, mac := range got {
		if want := fmt.Sprintf("02:00:00:00:00:%02x", i); mac != want {
			t.Errorf("address %d is %s, want %s", i, mac, want)
		}
	}
}

func TestForwardingRefusesNonsense(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	const service = "/netmapd.v1.ForwardingService/"
	long := strings.Repeat("x", 200)
	tests := []struct {
		method string
		req    proto.Message
		fields string
	}{
		{"ListAddresses", &pb.ListAddressesRequest{PageSize: 10001, PageToken: "x", Port: long}, "switch port page_size page_token"},
		{"AddAddress", &pb.AddAddressRequest{Switch: "vale0", Port: "vale0:gen", Mac: "ff:ff:ff:ff:ff:ff"}, "mac"},
		{"AddAddress", &pb.AddAddressRequest{Switch: "vale0", Mac: "02-00"}, "port mac"},
		{"DeleteAddress", &pb.DeleteAddressRequest{Mac: "00:00:00:00:00:00:00:01"}, "switch mac"},
		{"FlushAddresses", &pb.FlushAddressesRequest{Port: "a\x01"}, "switch port"},
		{"SetAgeing", &pb.SetAgeingRequest{Switch: "vale0"}, "ageing"},
		{"SetAgeing", &pb.SetAgeingRequest{Switch: "vale0", Ageing: durationpb.New(time.Second)}, "ageing"},
		{"SetAgeing", &pb.SetAgeingRequest{Switch: "vale0", Ageing: &durationpb.Duration{Seconds: 1 << 60}}, "ageing"},
		{"SetPortForwarding", &pb.SetPortForwardingRequest{Switch: "vale0", Port: "vale0:gen"}, "forwarding"},
		{"SetPortForwarding", &pb.SetPortForwardingRequest{Switch: "vale0", Port: "vale0:gen", Forwarding: &pb.PortForwarding{FloodLimit: proto.Uint32(1 << 31)}}, "forwarding.flood_limit"},
		{"TraceFrame", &pb.TraceFrameRequest{Frame: make([]byte, 65537)}, "port frame"},
		{"TraceFrame", &pb.TraceFrameRequest{Port: "vale0:gen"}, "frame"},
	}
	for _, tt := range tests {
		err := conn.Invoke(testContext(t), service+tt.method, tt.req, &pb.AddAddressResponse{})
		var fields []string
		for _, v := range detail[errdetails.BadRequest](err).GetFieldViolations() {
			fields = append(fields, v.GetField())
		}
		if got := strings.Join(fields, " "); status.Code(err) != codes.InvalidArgument || got != tt.fields {
			t.Errorf("%s %v: %v, fields %q, want %q", tt.method, tt.req, err, got, tt.fields)
		}
	}
	for _, method := range []string{"ListAddresses", "FlushAddresses"} {
		err := conn.Invoke(testContext(t), service+method, &pb.ListAddressesRequest{Switch: "vale9"}, &pb.AddAddressResponse{})
		if status.Code(err) != codes.NotFound {
			t.Errorf("%s of a switch that is not there: %v", method, err)
		}
	}
}
