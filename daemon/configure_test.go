package daemon_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap"
)

const before = `version: 1
ports:
  - {name: a, kind: device, devargs: net_null_a}
  - {name: b, kind: device, devargs: net_null_b}
switches:
  - name: vale1
    ports: [a, b]
    static: [{mac: "02:00:00:00:00:01", port: a}]
`

// startFile starts netmapd with a file that can be written to.
func startFile(t *testing.T, yaml string) (p *process, file string) {
	t.Helper()
	file = writeConfig(t, yaml)
	dir := tempDir(t)
	p = launchCommand(t, dir, exec.Command(netmapd, "--runtime-dir", dir, "--dpdk-hugepages=never", "--config", file))
	if got := p.told(); got != "READY=1" {
		t.Fatalf("netmapd tells systemd %q, want READY=1; log:\n%s", got, &p.out)
	}
	return p, file
}

// hangup sends SIGHUP and waits for the end of the reload.
func (p *process) hangup() {
	p.t.Helper()
	p.signal(syscall.SIGHUP)
	if got := p.told(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		p.t.Errorf("netmapd tells systemd %q, want RELOADING=1 and a time", got)
	}
	if got := p.told(); got != "READY=1" {
		p.t.Errorf("netmapd tells systemd %q after a reload, want READY=1", got)
	}
}

// shown is the configuration as it is now.
func (p *process) shown() *pb.GetConfigResponse {
	p.t.Helper()
	resp, err := pb.NewConfigServiceClient(p.api()).GetConfig(limited(p.t), &pb.GetConfigRequest{})
	must(p.t, err)
	return resp
}

// state is what the API tells of ports and switches, but for ids and times, which a port that was made again has anew.
func (p *process) state() string {
	p.t.Helper()
	ports, err := pb.NewPortServiceClient(p.api()).ListPorts(limited(p.t), &pb.ListPortsRequest{})
	must(p.t, err)
	switches, err := pb.NewSwitchServiceClient(p.api()).ListSwitches(limited(p.t), &pb.ListSwitchesRequest{})
	must(p.t, err)
	var lines []string
	for _, i := range ports.GetPorts() {
		lines = append(lines, fmt.Sprint(i.GetName(), i.GetKind(), i.GetDriver(), i.GetSwitch(), i.GetRxRings(), i.GetRxSlots(), len(i.GetUsers())))
	}
	for _, s := range switches.GetSwitches() {
		var on []string
		for _, at := range s.GetPorts() {
			on = append(on, fmt.Sprint(at.GetName(), at.GetForwarding()))
		}
		slices.Sort(on)
		lines = append(lines, fmt.Sprint(s.GetName(), on, s.GetTable().GetAgeing(), s.GetTable().GetStatic(), s.GetCompat()))
	}
	return strings.Join(lines, "\n")
}

// The form of the log changes with the configuration, and shows in it.
func TestReloadLogFormat(t *testing.T) {
	p, file := startFile(t, "version: 1\n")
	must(t, os.WriteFile(file, []byte("version: 1\nlog: {format: json}\n"), 0o600))
	p.hangup()
	if got := p.shown().GetYaml(); !strings.Contains(got, "format: json") {
		t.Errorf("the configuration is shown as\n%s", got)
	}
	p.signal(syscall.SIGTERM)
	p.exits(0) // all that it said has come
	if out := p.out.String(); !strings.Contains(out, `"msg":"reload: done","changes":1}`) || strings.Contains(out, "restart") {
		t.Errorf("the log is\n%s", out)
	}
}

// A file that changed is applied as a whole, while a client of another switch
// goes on; one that is broken, or fails half-way, changes nothing.
func TestReload(t *testing.T) {
	p, file := startFile(t, before)
	api := p.api()
	switches, config := pb.NewSwitchServiceClient(api), pb.NewConfigServiceClient(api)
	sender, receiver := p.open("vale9:tx"), p.open("vale9:rx")
	passes := func() {
		t.Helper()
		sender.TxRings()[0].Send(append([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x05"), make([]byte, 48)...))
		must(t, sender.TxSync())
		_, err := receiver.PollTimeout(patience, netmap.PollIn)
		must(t, err)
		must(t, receiver.RxSync())
		for _, r := range receiver.RxRings() {
			r.SetHead(r.Tail())
		}
	}
	passes()

	// b leaves, c comes, the switch gets another ageing time.
	after := strings.NewReplacer("name: b, kind: device, devargs: net_null_b", "name: c, kind: device, devargs: net_null_c",
		"[a, b]", "[a, c]\n    ageing: 60s").Replace(before) + "log: {level: debug}\n"
	must(t, os.WriteFile(file, []byte(after), 0o600))
	plan, err := config.PlanConfig(limited(t), &pb.PlanConfigRequest{})
	must(t, err)
	var steps []string
	for _, s := range plan.GetChanges().GetSteps() {
		steps = append(steps, s.GetAction()+" "+s.GetObject())
	}
	if got, want := strings.Join(steps, ", "), "detach port b, delete port b, create port c, attach port c, set forwarding vale1, set log.level"; got != want {
		t.Errorf("the plan is %s, want %s", got, want)
	}
	p.hangup()
	passes()
	sw, err := switches.GetSwitch(limited(t), &pb.GetSwitchRequest{Name: "vale1"})
	must(t, err)
	var ports []string
	for _, sp := range sw.GetSwitch().GetPorts() {
		ports = append(ports, sp.GetName())
	}
	if got := strings.Join(ports, " "); got != "a c" || sw.GetSwitch().GetTable().GetAgeing().GetSeconds() != 60 || sw.GetSwitch().GetTable().GetStatic() != 1 {
		t.Errorf("the switch is %v", sw.GetSwitch())
	}
	good := p.shown()
	if good.GetError() != "" || good.GetApplied() == nil || good.GetFile() != file || !strings.Contains(good.GetYaml(), "level: debug") {
		t.Errorf("the configuration is shown as %v", good)
	}

	// Broken files, and one whose last step fails. All that an API tells stays.
	events, err := pb.NewEventServiceClient(api).WatchEvents(limited(t), &pb.WatchEventsRequest{})
	must(t, err)
	_, err = events.Recv() // it has begun
	must(t, err)
	whole := p.state()
	for what, broken := range map[string]string{
		"no YAML":      "ports: [",
		"unknown key":  after + "prots: []\n",
		"unknown user": after + "access: {rules: [{who: [nobody-of-this-name], may: [view]}]}\n",
		"half-way":     strings.Replace(after, "name: a, kind: device, devargs: net_null_a", "name: d, kind: device, devargs: net_nothing", 1),
	} {
		if what == "half-way" {
			broken = strings.NewReplacer("[a, c]", "[d, c]", "port: a", "port: d").Replace(broken)
		}
		must(t, os.WriteFile(file, []byte(broken), 0o600))
		p.hangup()
		passes()
		now := p.shown()
		if now.GetYaml() != good.GetYaml() {
			t.Errorf("%s: the configuration is now\n%s\nwant\n%s", what, now.GetYaml(), good.GetYaml())
		}
		if now.GetError() == "" || !p.logs("the configuration stays as it was") {
			t.Errorf("%s: nobody is told", what)
		}
		if got := p.state(); got != whole {
			t.Errorf("%s: what there is changed to\n%s\nwant\n%s", what, got, whole)
		}
		for refused := false; !refused; {
			m, err := events.Recv()
			must(t, err)
			for _, e := range m.GetEvents() {
				refused = refused || e.GetKind() == pb.EventKind_EVENT_KIND_CONFIG_REFUSED && e.GetDetail() == now.GetError()
			}
		}
	}
	if _, err := config.ApplyConfig(limited(t), &pb.ApplyConfigRequest{Yaml: "version: 2\n"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a configuration of another version is answered with %v", err)
	}
	must(t, sender.Close())
	must(t, receiver.Close())
}

// What was changed by hand is saved, and is there after a restart.
func TestSave(t *testing.T) {
	p, file := startFile(t, "# mine\n"+before)
	api := p.api()
	ports, switches := pb.NewPortServiceClient(api), pb.NewSwitchServiceClient(api)
	fdb, config := pb.NewForwardingServiceClient(api), pb.NewConfigServiceClient(api)
	_, err := ports.CreatePort(limited(t), &pb.CreatePortRequest{Spec: &pb.PortSpec{Name: "hand", Kind: pb.PortKind_PORT_KIND_DEVICE, Devargs: "net_null_h"}})
	must(t, err)
	_, err = switches.CreateSwitch(limited(t), &pb.CreateSwitchRequest{Name: "vale2", Compat: true})
	must(t, err)
	_, err = switches.AttachToSwitch(limited(t), &pb.AttachToSwitchRequest{Switch: "vale2", Port: "hand"})
	must(t, err)
	lane := &pb.CreatePortRequest{Spec: &pb.PortSpec{Name: "lane", Kind: pb.PortKind_PORT_KIND_PERSISTENT, Rings: 2, HostIfname: "nmlane0"}}
	for range 2 { // the second time is no error
		made, err := ports.CreatePort(limited(t), lane)
		must(t, err)
		if got := made.GetPort(); got.GetKind() != pb.PortKind_PORT_KIND_PERSISTENT || got.GetRxRings() != 2 || got.GetTxSlots() != 1024 {
			t.Errorf("made %v", got)
		}
	}
	for _, sw := range []string{"vale1", "vale2"} {
		_, err = switches.AttachToSwitch(limited(t), &pb.AttachToSwitchRequest{Switch: sw, Port: "lane"})
		must(t, err)
	}
	_, err = fdb.AddAddress(limited(t), &pb.AddAddressRequest{Switch: "vale2", Port: "lane", Mac: "02:00:00:00:00:03"})
	must(t, err)
	_, err = fdb.AddAddress(limited(t), &pb.AddAddressRequest{Switch: "vale1", Port: "b", Mac: "02:00:00:00:00:02"})
	must(t, err)
	no := false
	_, err = fdb.SetPortForwarding(limited(t), &pb.SetPortForwardingRequest{Switch: "vale1", Port: "b", Forwarding: &pb.PortForwarding{Learning: &no}})
	must(t, err)
	_, err = pb.NewSystemServiceClient(api).SetLogLevel(limited(t), &pb.SetLogLevelRequest{Level: "warn"})
	must(t, err)
	want := p.shown().GetYaml()
	saved, err := config.SaveConfig(limited(t), &pb.SaveConfigRequest{})
	must(t, err)
	if old, err := os.ReadFile(saved.GetBackup()); err != nil || string(old) != "# mine\n"+before {
		t.Errorf("the file before is not kept: %v", err)
	}
	text, err := os.ReadFile(file)
	must(t, err)
	if !strings.HasPrefix(string(text), "# mine\n") {
		t.Errorf("the file lost its comment:\n%s", text)
	}
	p.hangup() // what was saved holds already
	if got := p.shown().GetYaml(); got != want {
		t.Errorf("after a reload of what was saved\n%s\nwant\n%s", got, want)
	}
	for _, part := range []string{"kind: persistent", "host: nmlane0", "- hand\n      - lane\n"} {
		if !strings.Contains(want, part) {
			t.Errorf("the configuration does not say %q:\n%s", part, want)
		}
	}
	p.signal(syscall.SIGTERM)
	p.exits(0)

	again, file := startFile(t, string(text))
	if ifi, err := net.InterfaceByName("nmlane0"); err != nil || len(ifi.HardwareAddr) != 6 {
		t.Errorf("the host's interface: %v %v", ifi, err)
	}
	if got := strings.ReplaceAll(again.shown().GetYaml(), again.dir, p.dir); got != want {
		t.Errorf("after a restart\n%s\nwant\n%s", got, want)
	} // Without it, what was tied together is untied first.
	less := regexp.MustCompile(`(?m)^  - name: lane\n(    .*\n)*|^      - lane\n|^      - mac: "02:00:00:00:00:03"\n.*\n`).ReplaceAllString(string(text), "")
	must(t, os.WriteFile(file, []byte(less), 0o600))
	again.hangup()
	if now := again.shown(); now.GetError() != "" || strings.Contains(now.GetYaml(), "lane") {
		t.Errorf("without lane: %s\n%s", now.GetError(), now.GetYaml())
	}
}
