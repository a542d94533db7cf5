package control_test

import (
	"fmt"
	"slices"
	"testing"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
)

// However large the pages are, they are the list; what comes and goes between two
// pages moves nothing else.
func TestPages(t *testing.T) {
	var state controltest.State
	var want []string
	for i := range 25 {
		name := fmt.Sprintf("p%02d", i)
		want = append(want, name)
		state.Ports = append(state.Ports, port.Info{ID: uint64(100 - i), Name: name})
		state.Switches = append(state.Switches, port.SwitchInfo{Name: name})
		state.Snapshot.Regions = append(state.Snapshot.Regions, port.RegionStats{ID: uint16(i), Name: name})
	}
	slices.Reverse(state.Ports)
	plane, _, conn := start(t, state)
	ctx := testContext(t)
	type pages func(size uint32, token string) (names []string, next string, err error)
	lists := map[string]pages{
		"ports": func(size uint32, token string) (names []string, next string, err error) {
			resp, err := pb.NewPortServiceClient(conn).ListPorts(ctx, &pb.ListPortsRequest{PageSize: size, PageToken: token})
			for _, p := range resp.GetPorts() {
				names = append(names, p.GetName())
			}
			return names, resp.GetNextPageToken(), err
		},
		"switches": func(size uint32, token string) (names []string, next string, err error) {
			resp, err := pb.NewSwitchServiceClient(conn).ListSwitches(ctx, &pb.ListSwitchesRequest{PageSize: size, PageToken: token})
			for _, s := range resp.GetSwitches() {
				names = append(names, s.GetName())
			}
			return names, resp.GetNextPageToken(), err
		},
		"regions": func(size uint32, token string) (names []string, next string, err error) {
			resp, err := pb.NewRegionServiceClient(conn).ListRegions(ctx, &pb.ListRegionsRequest{PageSize: size, PageToken: token})
			for _, r := range resp.GetRegions() {
				names = append(names, r.GetStats().GetName())
			}
			return names, resp.GetNextPageToken(), err
		},
	}
	for what, list := range lists {
		for _, size := range []uint32{0, 1, 7, 24, 25, 26, 10000} {
			var got []string
			for token, first := "", true; first || token != ""; first = false {
				names, next, err := list(size, token)
				if err != nil || size != 0 && len(names) > int(size) {
					t.Fatalf("%s, size %d: a page of %d, %v", what, size, len(names), err)
				}
				got, token = append(got, names...), next
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, size %d: %v", what, size, got)
			}
		}
	}
	_, next, err := lists["ports"](10, "")
	if err != nil {
		t.Fatal(err)
	}
	plane.Set(func(s *controltest.State) { // those before and at the boundary go, one comes before it
		s.Ports = slices.DeleteFunc(s.Ports, func(p port.Info) bool { return p.Name == "p03" || p.Name == "p09" })
		s.Ports = append(s.Ports, port.Info{ID: 7, Name: "p00a"})
	})
	if names, _, err := lists["ports"](10, next); err != nil || !slices.Equal(names, want[10:20]) {
		t.Errorf("after a change the second page is %v, %v", names, err)
	}
}
