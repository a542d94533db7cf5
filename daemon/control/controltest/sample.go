package controltest

import (
	"time"

	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

// Sample is a small daemon in use: two VALE ports on vale0, an interface on
// none, a departed port, and counters whose quotients are easy to check.
func Sample() State {
	return State{
		Ports: []port.Info{
			samplePort(3, "vale0:sink", 1), samplePort(2, "vale0:gen", 0),
			{
				ID: 1, Name: "eth0", Kind: port.KindInterface, Driver: "net_af_packet", Index: -1,
				MAC: "02:00:00:00:00:01", LinkUp: true, MTU: 1500,
				TxRings: 1, RxRings: 1, TxSlots: 1024, RxSlots: 1024, RegionID: 1, Created: Epoch,
			},
		},
		Switches: []port.SwitchInfo{{
			Name: "vale0", Table: vale.TableStats{Size: 1024, Limit: 65536, Used: 2, Age: 300 * time.Second}, Ephemeral: true, Created: Epoch,
			Ports: []port.SwitchPort{{Index: 1, Name: "vale0:sink"}, {Index: 0, Name: "vale0:gen"}},
		}},
		Addresses: []port.Address{
			{MAC: vale.MAC{2, 0, 0, 0, 0, 1}, Port: "vale0:gen", Age: 60 * time.Second},
			{MAC: vale.MAC{2, 0, 0, 0, 0, 2}, Port: "vale0:sink", Static: true},
		},
		Trace: port.Trace{
			Verdict: vale.Verdict{
				Source: vale.MAC{2, 0, 0, 0, 0, 1}, Destination: vale.MAC{2, 0, 0, 0, 0, 2}, Rule: vale.RuleOwn,
				Entry:   &vale.Address{MAC: vale.MAC{2, 0, 0, 0, 0, 2}, Static: true},
				Dropped: true, Reason: vale.OwnAddress,
			},
			Switch: "vale0", Port: "vale0:gen",
		},
		Frames: []port.CapturedFrame{
			{Time: Epoch.Add(123456789), Port: 0, Out: true, Length: 60, Data: sampleFrame(17)},
			{Time: Epoch.Add(123456790), Port: 1, Length: 1514, Data: sampleFrame(17)},
			{Time: Epoch.Add(time.Second), Port: 0, Length: 60, Data: sampleFrame(6)},
		},
		Missed: []uint64{7, 0},
		Config: control.Config{
			YAML: "version: 1\nlog:\n  level: debug\n", File: "/etc/netmapd/netmapd.yaml", Applied: Epoch, Err: "the change failed",
		},
		Changes: control.Changes{
			Steps:   []control.Change{{Action: "create port", Object: "lan"}, {Action: "attach port", Object: "lan", Detail: "to vale1"}},
			Restart: []string{"lcores"},
		},
		Snapshot: sampleSnapshot(),
		Info: control.Info{
			Version: "v0.1.0", DPDKVersion: "DPDK 22.11.11", LogLevel: "info", PID: 4711, Started: Epoch,
			EALArgs:    []string{"netmapd", "--no-huge", "--no-pci"},
			Notes:      []string{"no hugepages: packets of devices are copied", "no PCI: physical NICs are not used"},
			RuntimeDir: "/run/netmapd", AttachSocket: "/run/netmapd/netmap.sock",
			Limits: control.Limits{
				DescriptorsPerUID: 4096, ExtraBufsPerUID: 131072, MemoryMBPerUID: 262144, SessionsPerUID: 1024, Sessions: 4096, ControlTimeout: 5 * time.Second,
			},
		},
	}
}

func samplePort(id uint64, name string, index int) port.Info {
	return port.Info{
		ID: id, Name: name, Kind: port.KindVALE, Ephemeral: true, Switch: "vale0", Index: index,
		LinkUp: true, MTU: 1500, TxRings: 1, RxRings: 1, TxSlots: 1024, RxSlots: 1024,
		RegionID: uint16(id), Created: Epoch,
		Users: []port.User{{
			PID: 100 + int(id), UID: 1000, Command: "pkt-gen", Since: Epoch,
			Mode: "all-nic", Rings: []string{"tx0", "rx0"},
		}},
	}
}

func sampleSnapshot() port.Snapshot {
	return port.Snapshot{
		Time: Epoch.Add(time.Minute), TSCHz: 2_100_000_000,
		Ports: []port.Stats{
			{
				ID: 2, Name: "vale0:gen", Switch: "vale0", Tx: port.Count{Frames: 1000, Bytes: 60000},
				Drops: map[string]uint64{"ring-full": 90, "unread": 10}, BadRings: 1,
			},
			{ID: 3, Name: "vale0:sink", Switch: "vale0", Rx: port.Count{Frames: 900, Bytes: 54000}},
			{ID: 1, Name: "eth0", Device: map[string]uint64{"imissed": 4}},
			{ID: 9, Name: "vale0:old", Switch: "vale0", Gone: true, Tx: port.Count{Frames: 18446744073709551615, Bytes: 5}},
		},
		Lcores: []port.LcoreStats{{
			ID: 0, CPU: 1, Mode: "adaptive", Units: 2, Packets: 1000,
			BusyCycles: 75_000, IdleCycles: 225_000, Sleeps: 7, Wakeups: 6,
			SilentUnits: 1, SleepCycles: 300_000, TimerWakeups: 1,
			Stages: port.StageCycles{Poll: 20_000, Classify: 10_000, Forward: 5_000, Copy: 30_000, Notify: 10_000},
		}},
		Regions: []port.RegionStats{{
			ID: 2, Name: "vale0:gen", Owner: 41001, Size: 42369024, Users: 1, Orphans: 3, Lent: 5,
			If:   port.PoolStats{Size: 1024, Total: 12, Free: 11},
			Ring: port.PoolStats{Size: 20480, Total: 20, Free: 16},
			Buf:  port.PoolStats{Size: 2048, Total: 20482, Free: 16384},
		}},
		Sessions: 2, Descriptors: 2,
	}
}

// sampleFrame is one of IPv4 with this protocol.
func sampleFrame(protocol byte) []byte {
	f := make([]byte, 60)
	copy(f, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45})
	f[23] = protocol
	return f
}
