package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
)

// Every verb in every format. Before each the daemon is that of the sample, with
// an empty switch vale1 and eth0 free.
func TestVerbs(t *testing.T) {
	verbs := []struct{ name, line string }{
		{"port-list", "port list"},
		{"port-show", "port show vale0:gen"},
		{"port-create", "port create lan --ifname eth1 --driver af_packet --rings 2 --slots 512"},
		{"port-create-device", "port create null --devargs net_null0,size=60"},
		{"port-delete", "port delete eth0"},
		{"switch-list", "switch list"},
		{"switch-show", "switch show vale0"},
		{"switch-show-empty", "switch show vale1"},
		{"switch-create", "switch create vale2"},
		{"switch-delete", "switch delete vale1"},
		{"switch-attach", "switch attach vale1 eth0"},
		{"switch-detach", "switch detach vale0 vale0:gen"},
		{"switch-set", "switch set vale0 vale0:gen --learning=false --flood-limit 1000"},
		{"fdb-list", "fdb list vale0"},
		{"fdb-list-port", "fdb list vale0 --port vale0:sink"},
		{"fdb-add", "fdb add vale0 02:00:00:00:00:09 vale0:gen"},
		{"fdb-delete", "fdb delete vale0 02:00:00:00:00:01"},
		{"fdb-flush", "fdb flush vale0"},
		{"fdb-ageing", "fdb ageing vale0 1m"},
		{"trace", "trace vale0:gen 02:00:00:00:00:01>02:00:00:00:00:02"},
		{"config-show", "config show"},
		{"config-check", "config check"},
		{"config-plan", "config plan"},
		{"config-apply", "config apply -"},
		{"config-save", "config save"},
		{"system-log-level", "system log-level debug"},
		{"stats", "stats"},
		{"stats-ports", "stats vale0:gen eth0"},
		{"system-info", "system info"},
		{"attachment-list", "attachment list"},
		{"attachment-list-port", "attachment list vale0:gen"},
		{"region-list", "region list"},
		{"lcore-list", "lcore list"},
		{"lcore-move", "lcore move eth0 0"},
	}
	for _, verb := range verbs {
		for _, format := range formats {
			t.Run(verb.name+"/"+format, func(t *testing.T) {
				state := controltest.Sample()
				state.Switches = append(state.Switches, port.SwitchInfo{Name: "vale1", Created: controltest.Epoch})
				_, dir := start(t, state)
				golden(t, verb.name+"."+format, mustRun(t, dir, verb.line+" -o "+format))
			})
		}
	}
}

func TestEmptyListsArePresent(t *testing.T) {
	_, dir := start(t, controltest.State{})
	for line, want := range map[string]string{
		"port list":   `{"ports":[]}`,
		"switch list": `{"switches":[]}`,
		"stats":       `{"time":null,"tsc_hz":0,"ports":[],"lcores":[],"regions":[],"sessions":0,"descriptors":0}`,
		"system info": `{"version":"","pid":0,"started":null,"uptime_seconds":0,"dpdk_version":"","eal_args":[],"notes":[],"runtime_dir":"","attach_socket":"","log_level":"","limits":{"descriptors_per_uid":0,"extra_bufs_per_uid":0,"memory_mb_per_uid":0,"sessions_per_uid":0,"sessions":0,"control_timeout":0}}`,
	} {
		got := strings.Join(strings.Fields(mustRun(t, dir, line+" -o json")), "")
		if got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

// Numbers are numbers also where they are large, so that jq can calculate.
func TestJSONNumbers(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	var got struct {
		Ports []struct {
			Tx    struct{ Frames uint64 }
			Drops map[string]uint64
		}
		Lcores []struct {
			CyclesPerPacket float64 `json:"cycles_per_packet"`
			IdleShare       float64 `json:"idle_share"`
		}
	}
	if err := json.Unmarshal([]byte(mustRun(t, dir, "stats -o json")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Ports[3].Tx.Frames != 1<<64-1 || got.Ports[0].Drops["ring-full"] != 90 {
		t.Errorf("ports: %+v", got.Ports)
	}
	if got.Lcores[0].CyclesPerPacket != 75 || got.Lcores[0].IdleShare != .75 {
		t.Errorf("lcores: %+v", got.Lcores)
	}
}

// Programs that have the generated code can read the counters with it.
func TestJSONOfStatsIsASnapshot(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	var s pb.Snapshot
	opts := protojson.UnmarshalOptions{DiscardUnknown: true} // quotients, and words for enums
	if err := opts.Unmarshal([]byte(mustRun(t, dir, "stats -o json")), &s); err != nil {
		t.Fatal(err)
	}
	if s.GetPorts()[3].GetTx().GetFrames() != 1<<64-1 || s.GetLcores()[0].GetBusyCycles() != 75_000 || s.GetRegions()[0].GetBufPool().GetFree() != 16384 {
		t.Errorf("got %v", &s)
	}
}

func TestYAMLSaysWhatJSONSays(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	for _, line := range []string{"port list", "port show vale0:gen", "switch list", "stats"} {
		var fromJSON, fromYAML any
		if err := yaml.Unmarshal([]byte(mustRun(t, dir, line+" -o json")), &fromJSON); err != nil {
			t.Fatal(err)
		}
		text := mustRun(t, dir, line+" -o yaml")
		if err := yaml.Unmarshal([]byte(text), &fromYAML); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(fromJSON, fromYAML) {
			t.Errorf("%s: JSON has %v, YAML %v", line, fromJSON, fromYAML)
		}
		if strings.ContainsAny(text, "{") && !strings.Contains(text, "{}") {
			t.Errorf("%s: this is JSON style:\n%s", line, text)
		}
	}
}

// Readers of YAML 1.1 must not take a string for something else.
func TestYAMLQuotes(t *testing.T) {
	state := controltest.Sample()
	state.Ports[2].Name, state.Ports[2].MAC = "no", "12:34:56:07:08:09"
	_, dir := start(t, state)
	got := mustRun(t, dir, "port show no -o yaml")
	for _, want := range []string{`name: "no"`, `mac: "12:34:56:07:08:09"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

// A name that a client chose must not reach the terminal as a control sequence.
func TestTablesAreSafeToLookAt(t *testing.T) {
	state := controltest.Sample()
	state.Ports[1].Name = "vale0:\x1b[2J\n\t"
	_, dir := start(t, state)
	got := mustRun(t, dir, "port list")
	if strings.ContainsAny(got, "\x1b\t") || !strings.Contains(got, `vale0:\x1b[2J\n\t`) {
		t.Errorf("got %q", got)
	}
	if lines := strings.Count(got, "\n"); lines != 4 {
		t.Errorf("%d lines, want 4:\n%s", lines, got)
	}
}

func TestVersion(t *testing.T) {
	version = "v9"
	defer func() { version = "" }()
	for format, want := range map[string]string{"table": "nmctl v9 (go", "json": `"version": "v9"`, "yaml": "version: v9"} {
		if got := mustRun(t, t.TempDir(), "version -o "+format); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
	version = ""
	if ownVersion() == "" {
		t.Error("no version without the linker")
	}
}
