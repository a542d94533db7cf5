package control

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/port"
)

// The enums of the API and the words of the domain.
var (
	kindFromProto = map[pb.PortKind]port.Kind{
		pb.PortKind_PORT_KIND_VALE:       port.KindVALE,
		pb.PortKind_PORT_KIND_INTERFACE:  port.KindInterface,
		pb.PortKind_PORT_KIND_DEVICE:     port.KindDevice,
		pb.PortKind_PORT_KIND_PERSISTENT: port.KindPersistent,
		pb.PortKind_PORT_KIND_PIPE:       port.KindPipe,
		pb.PortKind_PORT_KIND_MONITOR:    port.KindMonitor,
		pb.PortKind_PORT_KIND_NULL:       port.KindNull,
		pb.PortKind_PORT_KIND_HOST:       port.KindHost,
		pb.PortKind_PORT_KIND_PATCH:      port.KindPatch,
		pb.PortKind_PORT_KIND_IMPLICIT:   port.KindImplicit,
	}
	kindToProto = invert(kindFromProto)

	driverFromProto = map[pb.InterfaceDriver]port.Driver{
		pb.InterfaceDriver_INTERFACE_DRIVER_UNSPECIFIED: port.DriverAuto,
		pb.InterfaceDriver_INTERFACE_DRIVER_AUTO:        port.DriverAuto,
		pb.InterfaceDriver_INTERFACE_DRIVER_AF_XDP:      port.DriverAFXDP,
		pb.InterfaceDriver_INTERFACE_DRIVER_AF_PACKET:   port.DriverAFPacket,
	}

	lcoreModes = map[string]pb.LcoreMode{
		"adaptive": pb.LcoreMode_LCORE_MODE_ADAPTIVE,
		"poll":     pb.LcoreMode_LCORE_MODE_POLL,
	}
)

func portToProto(p port.Info) *pb.Port {
	return &pb.Port{
		Id:        p.ID,
		Name:      text(p.Name),
		Kind:      kindToProto[p.Kind],
		Driver:    p.Driver,
		Ephemeral: p.Ephemeral,
		Switch:    text(p.Switch),
		Index:     int32(p.Index),
		Mac:       p.MAC,
		LinkUp:    p.LinkUp,
		Mtu:       count(p.MTU),
		TxRings:   count(p.TxRings),
		RxRings:   count(p.RxRings),
		TxSlots:   count(p.TxSlots),
		RxSlots:   count(p.RxSlots),
		RegionId:  uint32(p.RegionID),
		Lcore:     int32(p.Lcore),
		Users:     convert(p.Users, userToProto),
		Created:   timestamp(p.Created),
		Nic:       nicToProto(p.NIC, p.QueueLcores),
	}
}

func nicToProto(n *port.NIC, queueLcores []int) *pb.PortNIC {
	if n == nil {
		return nil
	}
	out := &pb.PortNIC{
		Bus: n.Bus, Address: text(n.Address), PciId: n.PCIID, Numa: int32(n.NUMA), Present: n.Present,
		LinkMbps: n.LinkMbps, FullDuplex: n.FullDuplex, Promiscuous: n.Promiscuous,
		RxZeroCopy: n.RxZeroCopy, TxZeroCopy: n.TxZeroCopy, Copies: text(n.Copies),
	}
	for _, l := range queueLcores {
		out.QueueLcores = append(out.QueueLcores, int32(l))
	}
	return out
}

func userToProto(u port.User) *pb.PortUser {
	return &pb.PortUser{
		Pid:     int32(u.PID),
		Uid:     uint32(u.UID),
		Command: text(u.Command),
		Since:   timestamp(u.Since),
		Mode:    u.Mode,
		Rings:   u.Rings,
	}
}

func switchToProto(s port.SwitchInfo) *pb.Switch {
	ports := slices.SortedFunc(slices.Values(s.Ports), func(a, b port.SwitchPort) int { return cmp.Compare(a.Index, b.Index) })
	return &pb.Switch{
		Name:       text(s.Name),
		Ports:      convert(ports, switchPortToProto),
		FdbEntries: count(s.Table.Used),
		Table:      tableToProto(s.Table),
		Ephemeral:  s.Ephemeral,
		Compat:     s.Compat,
		Created:    timestamp(s.Created),
	}
}

func switchPortToProto(p port.SwitchPort) *pb.SwitchPort {
	return &pb.SwitchPort{Index: count(p.Index), Name: text(p.Name), Forwarding: forwardingToProto(p.Options)}
}

func snapshotToProto(s port.Snapshot) *pb.Snapshot {
	lcores := slices.SortedFunc(slices.Values(s.Lcores), func(a, b port.LcoreStats) int { return cmp.Compare(a.ID, b.ID) })
	return &pb.Snapshot{
		Time:        timestamp(s.Time),
		TscHz:       s.TSCHz,
		Ports:       convert(s.Ports, portStatsToProto),
		Lcores:      convert(lcores, lcoreToProto),
		Regions:     convert(s.Regions, regionToProto),
		Sessions:    count(s.Sessions),
		Descriptors: count(s.Descriptors),
	}
}

func portStatsToProto(s port.Stats) *pb.PortStats {
	return &pb.PortStats{
		Id:       s.ID,
		Name:     text(s.Name),
		Switch:   text(s.Switch),
		Gone:     s.Gone,
		Tx:       &pb.Count{Frames: s.Tx.Frames, Bytes: s.Tx.Bytes},
		Rx:       &pb.Count{Frames: s.Rx.Frames, Bytes: s.Rx.Bytes},
		Drops:    s.Drops,
		BadRings: s.BadRings,
		Device:   s.Device,
	}
}

func lcoreToProto(l port.LcoreStats) *pb.LcoreStats {
	return &pb.LcoreStats{
		Id:         int32(l.ID),
		Cpu:        int32(l.CPU),
		Mode:       lcoreModes[l.Mode],
		Units:      count(l.Units),
		Packets:    l.Packets,
		BusyCycles: l.BusyCycles,
		IdleCycles: l.IdleCycles,
		Sleeps:     l.Sleeps,
		Wakeups:    l.Wakeups,
		Stuck:      l.Stuck,

		SilentUnits:  count(l.SilentUnits),
		SleepCycles:  l.SleepCycles,
		TimerWakeups: l.TimerWakeups,
		StageCycles: &pb.StageCycles{
			Poll:     l.Stages.Poll,
			Classify: l.Stages.Classify,
			Forward:  l.Stages.Forward,
			Copy:     l.Stages.Copy,
			Notify:   l.Stages.Notify,
		},
	}
}

func regionToProto(r port.RegionStats) *pb.RegionStats {
	out := &pb.RegionStats{
		Id:       uint32(r.ID),
		Name:     text(r.Name),
		Size:     r.Size,
		IfPool:   poolToProto(r.If),
		RingPool: poolToProto(r.Ring),
		BufPool:  poolToProto(r.Buf),
		Orphans:  r.Orphans,
		Lent:     r.Lent,
		Users:    count(r.Users),
	}
	if r.Owner >= 0 {
		uid := uint32(r.Owner)
		out.Owner = &uid
	}
	return out
}

func poolToProto(p port.PoolStats) *pb.PoolStats {
	return &pb.PoolStats{Size: p.Size, Total: p.Total, Free: p.Free}
}

// convert maps a slice.
func convert[From, To any](in []From, f func(From) To) []To {
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

func invert[K, V comparable](m map[K]V) map[V]K {
	out := make(map[V]K, len(m))
	for k, v := range m {
		out[v] = k
	}
	return out
}

// count brings a count of the domain, which is never negative, into the API.
func count(n int) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }

// text makes a string that a client had a hand in (the name of a VALE port, of a
// command) fit to be sent: one byte that is no UTF-8 would make the whole
// message impossible to encode.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// timestamp leaves the zero time unset.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
