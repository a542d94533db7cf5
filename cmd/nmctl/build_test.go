package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// nmctl goes to machines and containers that have no DPDK.
func TestBuildsWithoutCgo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	build := exec.Command("go", "build", "-o", filepath.Join(t.TempDir(), "nmctl"), ".")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	list := exec.Command("go", "list", "-deps", ".")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/netmapd/netmapd/"
	for pkg := range strings.FieldsSeq(string(out)) {
		rest, ours := strings.CutPrefix(pkg, module)
		if top, _, _ := strings.Cut(rest, "/"); ours && !slices.Contains([]string{"api", "netmap", "cmd"}, top) {
			t.Errorf("nmctl imports %s; it is a client and knows only api and netmap", pkg)
		}
	}
}

// What the API tells is printed under the API's names.
func TestViewsHaveTheFieldsOfTheAPI(t *testing.T) {
	tests := []struct {
		message proto.Message
		view    any
	}{
		{&pb.Port{}, portView{}},
		{&pb.PortUser{}, userView{}},
		{&pb.PortNIC{}, portNICView{}},
		{&pb.Switch{}, switchView{}},
		{&pb.SwitchPort{}, switchPortView{}},
		{&pb.PortForwarding{}, forwardingView{}},
		{&pb.ForwardingTable{}, forwardingTableView{}},
		{&pb.Address{}, addressView{}},
		{&pb.ListAddressesResponse{NextPageToken: ""}, struct {
			addressList
			Token string `json:"next_page_token"`
		}{}},
		{&pb.TraceFrameResponse{}, traceView{}},
		{&pb.TraceHop{}, hopView{}},
		{&pb.GetConfigResponse{}, configView{}},
		{&pb.ConfigChanges{}, configChanges{}},
		{&pb.ConfigStep{}, configStep{}},
		{&pb.SaveConfigResponse{}, configSaved{}},
		{&pb.Snapshot{}, statsView{}},
		{&pb.PortStats{}, portStatsView{}},
		{&pb.Count{}, countView{}},
		{&pb.LcoreStats{}, lcoreStatsView{}},
		{&pb.RegionStats{}, regionStatsView{}},
		{&pb.PoolStats{}, poolView{}},
		{&pb.SystemInfo{}, systemView{}},
		{&pb.Limits{}, limitsView{}},
		{&pb.Event{}, eventView{}},
	}
	for _, tt := range tests {
		text, err := json.Marshal(tt.view)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]any
		if err := json.Unmarshal(text, &keys); err != nil {
			t.Fatal(err)
		}
		d := tt.message.ProtoReflect().Descriptor()
		for i := range d.Fields().Len() {
			if name := string(d.Fields().Get(i).Name()); !has(keys, name) {
				t.Errorf("%T lacks %s.%s", tt.view, d.Name(), name)
			}
		}
	}
}

func has(keys map[string]any, name string) bool {
	_, ok := keys[name]
	return ok
}
