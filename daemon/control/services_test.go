package control_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
)

func TestPortsComeByName(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	resp, err := pb.NewPortServiceClient(conn).ListPorts(testContext(t), &pb.ListPortsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range resp.GetPorts() {
		names = append(names, p.GetName())
	}
	if want := []string{"eth0", "vale0:gen", "vale0:sink"}; len(names) != 3 || names[0] != want[0] || names[1] != want[1] || names[2] != want[2] {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestGetPortTellsEverything(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	resp, err := pb.NewPortServiceClient(conn).GetPort(testContext(t), &pb.GetPortRequest{Name: "vale0:gen"})
	if err != nil {
		t.Fatal(err)
	}
	created := timestamppb.New(controltest.Epoch)
	want := &pb.Port{
		Id: 2, Name: "vale0:gen", Kind: pb.PortKind_PORT_KIND_VALE, Ephemeral: true, Switch: "vale0", LinkUp: true,
		Mtu: 1500, TxRings: 1, RxRings: 1, TxSlots: 1024, RxSlots: 1024, RegionId: 2, Created: created,
		Users: []*pb.PortUser{{Pid: 102, Uid: 1000, Command: "pkt-gen", Since: created, Mode: "all-nic", Rings: []string{"tx0", "rx0"}}},
	}
	if !proto.Equal(resp.GetPort(), want) {
		t.Errorf("got  %v\nwant %v", resp.GetPort(), want)
	}
}

func TestCreatePortAsksForWhatWasAsked(t *testing.T) {
	tests := []struct {
		what string
		spec *pb.PortSpec
		want port.Info
	}{
		{
			"an interface, driver left open",
			&pb.PortSpec{Name: "lan", Kind: pb.PortKind_PORT_KIND_INTERFACE, Ifname: "eth1", Rings: 2, Slots: 512},
			port.Info{Name: "lan", Kind: port.KindInterface, Driver: "net_auto", TxRings: 2, TxSlots: 512},
		},
		{
			"an interface by packet sockets",
			&pb.PortSpec{Name: "lan", Kind: pb.PortKind_PORT_KIND_INTERFACE, Driver: pb.InterfaceDriver_INTERFACE_DRIVER_AF_PACKET},
			port.Info{Name: "lan", Kind: port.KindInterface, Driver: "net_af_packet", TxRings: 1, TxSlots: 1024},
		},
		{
			"a device",
			&pb.PortSpec{Name: "null", Kind: pb.PortKind_PORT_KIND_DEVICE, Devargs: "net_null0,size=60"},
			port.Info{Name: "null", Kind: port.KindDevice, Driver: "net_null0,size=60", TxRings: 1, TxSlots: 1024},
		},
		{
			"a persistent port",
			&pb.PortSpec{Name: "lane", Kind: pb.PortKind_PORT_KIND_PERSISTENT, Rings: 4, Slots: 256, HostIfname: "lane0"},
			port.Info{Name: "lane", Kind: port.KindPersistent, TxRings: 4, TxSlots: 256},
		},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			plane, _, conn := start(t, controltest.State{})
			resp, err := pb.NewPortServiceClient(conn).CreatePort(testContext(t), &pb.CreatePortRequest{Spec: tt.spec})
			if err != nil {
				t.Fatal(err)
			}
			got := plane.Get().Ports[0]
			if got.Name != tt.want.Name || got.Kind != tt.want.Kind || got.Driver != tt.want.Driver ||
				got.TxRings != tt.want.TxRings || got.TxSlots != tt.want.TxSlots {
				t.Errorf("made %+v, want %+v", got, tt.want)
			}
			if p := resp.GetPort(); p.GetName() != tt.want.Name || p.GetKind() != tt.spec.GetKind() || p.GetIndex() != -1 {
				t.Errorf("answered %v", p)
			}
		})
	}
}

func TestSwitchLife(t *testing.T) {
	plane, _, conn := start(t, controltest.Sample())
	ctx, switches := testContext(t), pb.NewSwitchServiceClient(conn)
	if _, err := switches.CreateSwitch(ctx, &pb.CreateSwitchRequest{Name: "vale1"}); err != nil {
		t.Fatal(err)
	}
	at, err := switches.AttachToSwitch(ctx, &pb.AttachToSwitchRequest{Switch: "vale1", Port: "eth0"})
	if err != nil || at.GetPort().GetName() != "eth0" || at.GetPort().GetIndex() != 0 {
		t.Errorf("attach: %v, %v", at, err)
	}
	if _, err := switches.DeleteSwitch(ctx, &pb.DeleteSwitchRequest{Name: "vale1"}); reason(err) != "EBUSY" {
		t.Errorf("deleting a switch with ports: %v", err)
	}
	list, err := switches.ListSwitches(ctx, &pb.ListSwitchesRequest{})
	if err != nil || len(list.GetSwitches()) != 2 || list.GetSwitches()[1].GetPorts()[0].GetName() != "eth0" {
		t.Errorf("list: %v, %v", list, err)
	}
	if _, err := switches.DetachFromSwitch(ctx, &pb.DetachFromSwitchRequest{Switch: "vale1", Port: "eth0"}); err != nil {
		t.Error(err)
	}
	if _, err := switches.DeleteSwitch(ctx, &pb.DeleteSwitchRequest{Name: "vale1"}); err != nil {
		t.Error(err)
	}
	if n := len(plane.Get().Switches); n != 1 {
		t.Errorf("%d switches are left, want 1", n)
	}
}

func TestGetSwitchOrdersPorts(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	switches := pb.NewSwitchServiceClient(conn)
	resp, err := switches.GetSwitch(testContext(t), &pb.GetSwitchRequest{Name: "vale0"})
	if err != nil {
		t.Fatal(err)
	}
	usual := &pb.PortForwarding{Learning: proto.Bool(true), FloodLimit: proto.Uint32(0)}
	want := &pb.Switch{
		Name: "vale0", FdbEntries: 2, Ephemeral: true, Created: timestamppb.New(controltest.Epoch),
		Ports: []*pb.SwitchPort{{Index: 0, Name: "vale0:gen", Forwarding: usual}, {Index: 1, Name: "vale0:sink", Forwarding: usual}},
		Table: &pb.ForwardingTable{Size: 1024, Limit: 65536, Used: 2, Ageing: durationpb.New(300 * time.Second)},
	}
	if !proto.Equal(resp.GetSwitch(), want) {
		t.Errorf("got  %v\nwant %v", resp.GetSwitch(), want)
	}
	if _, err := switches.GetSwitch(testContext(t), &pb.GetSwitchRequest{Name: "vale9"}); reason(err) != "ENXIO" {
		t.Errorf("a switch that is not there: %v", err)
	}
}

func TestSystemInfo(t *testing.T) {
	_, _, conn := start(t, controltest.Sample())
	resp, err := pb.NewSystemServiceClient(conn).GetInfo(testContext(t), &pb.GetInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	i := resp.GetInfo()
	if i.GetVersion() != "v0.1.0" || i.GetPid() != 4711 || len(i.GetEalArgs()) != 3 || len(i.GetNotes()) != 2 ||
		i.GetStarted().AsTime().Sub(controltest.Epoch) != 0 || i.GetAttachSocket() != "/run/netmapd/netmap.sock" {
		t.Errorf("got %v", i)
	}
}

// A name is what a client made it; one byte that is no UTF-8 would make the list
// of all ports impossible to send.
func TestHostileNamesDoNotHideThePorts(t *testing.T) {
	state := controltest.Sample()
	state.Ports[0].Name = "vale0:\xff\xfe"
	state.Ports[0].Users[0].Command = "\x80evil"
	state.Snapshot.Ports[0].Name = "vale0:\xff"
	state.Snapshot.Regions[0].Name = "vale0:\xff"
	state.Switches[0].Ports[0].Name = "vale0:\xff"
	_, _, conn := start(t, state)
	ctx := testContext(t)
	ports, err := pb.NewPortServiceClient(conn).ListPorts(ctx, &pb.ListPortsRequest{})
	if err != nil || len(ports.GetPorts()) != 3 {
		t.Errorf("ports: %v, %v", ports, err)
	}
	if _, err := pb.NewSwitchServiceClient(conn).ListSwitches(ctx, &pb.ListSwitchesRequest{}); err != nil {
		t.Errorf("switches: %v", err)
	}
	stats, err := pb.NewStatsServiceClient(conn).GetStats(ctx, &pb.GetStatsRequest{})
	if err != nil || stats.GetSnapshot().GetPorts()[0].GetName() != "vale0:\uFFFD" {
		t.Errorf("stats: %v, %v", stats, err)
	}
}

func TestTimesThatAreNotSet(t *testing.T) {
	state := controltest.Sample()
	state.Info.Started = time.Time{}
	_, _, conn := start(t, state)
	resp, err := pb.NewSystemServiceClient(conn).GetInfo(testContext(t), &pb.GetInfoRequest{})
	if err != nil || resp.GetInfo().Started != nil {
		t.Errorf("got %v, %v; want no start", resp.GetInfo().GetStarted(), err)
	}
}
