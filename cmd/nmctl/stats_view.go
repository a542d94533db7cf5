package main

import (
	"time"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// statsView is pb.Snapshot to be printed.
type statsView struct {
	Time        *time.Time        `json:"time"`
	TSCHz       uint64            `json:"tsc_hz"`
	Ports       []portStatsView   `json:"ports"`
	Lcores      []lcoreStatsView  `json:"lcores"`
	Regions     []regionStatsView `json:"regions"`
	Sessions    uint32            `json:"sessions"`
	Descriptors uint32            `json:"descriptors"`
}

// portStatsView is pb.PortStats to be printed.
type portStatsView struct {
	ID       uint64            `json:"id"`
	Name     string            `json:"name"`
	Switch   string            `json:"switch"`
	Gone     bool              `json:"gone"`
	Tx       countView         `json:"tx"`
	Rx       countView         `json:"rx"`
	Drops    map[string]uint64 `json:"drops"`
	BadRings uint64            `json:"bad_rings"`
	Device   map[string]uint64 `json:"device"`
	Rates    *portRates        `json:"rates,omitempty"` // with --watch
}

type countView struct {
	Frames uint64 `json:"frames"`
	Bytes  uint64 `json:"bytes"`
}

// lcoreStatsView is pb.LcoreStats to be printed, with the quotients that one
// wants to see; they are null when there is nothing to divide by.
type lcoreStatsView struct {
	ID              int32    `json:"id"`
	CPU             int32    `json:"cpu"`
	Mode            string   `json:"mode"`
	Units           uint32   `json:"units"`
	Packets         uint64   `json:"packets"`
	BusyCycles      uint64   `json:"busy_cycles"`
	IdleCycles      uint64   `json:"idle_cycles"`
	CyclesPerPacket *float64 `json:"cycles_per_packet"`
	IdleShare       *float64 `json:"idle_share"` // 0 to 1
	Sleeps          uint64   `json:"sleeps"`
	Wakeups         uint64   `json:"wakeups"`
	Stuck           bool     `json:"stuck"`
	SilentUnits     uint32   `json:"silent_units"`
	SleepCycles     uint64   `json:"sleep_cycles"`
	TimerWakeups    uint64   `json:"timer_wakeups"`

	StageCycles    stagesView[uint64]   `json:"stage_cycles"`
	StagePerPacket *stagesView[float64] `json:"stage_cycles_per_packet"`
}

// stagesView is pb.StageCycles to be printed, in all or by packet.
type stagesView[T uint64 | float64] struct {
	Poll     T `json:"poll"`
	Classify T `json:"classify"`
	Forward  T `json:"forward"`
	Copy     T `json:"copy"`
	Notify   T `json:"notify"`
}

// regionStatsView is pb.RegionStats to be printed.
type regionStatsView struct {
	ID       uint32   `json:"id"`
	Name     string   `json:"name"`
	Size     uint64   `json:"size"`
	IfPool   poolView `json:"if_pool"`
	RingPool poolView `json:"ring_pool"`
	BufPool  poolView `json:"buf_pool"`
	Lent     uint64   `json:"lent"`
	Orphans  uint64   `json:"orphans"`
	Users    uint32   `json:"users"`
	Owner    *uint32  `json:"owner"` // uid
}

type poolView struct {
	Size  uint64 `json:"size"`
	Total uint64 `json:"total"`
	Free  uint64 `json:"free"`
}

func viewStats(s *pb.Snapshot) statsView {
	return statsView{
		Time:        when(s.GetTime()),
		TSCHz:       s.GetTscHz(),
		Ports:       views(s.GetPorts(), viewPortStats),
		Lcores:      views(s.GetLcores(), viewLcore),
		Regions:     views(s.GetRegions(), viewRegion),
		Sessions:    s.GetSessions(),
		Descriptors: s.GetDescriptors(),
	}
}

func viewPortStats(p *pb.PortStats) portStatsView {
	return portStatsView{
		ID: p.GetId(), Name: p.GetName(), Switch: p.GetSwitch(), Gone: p.GetGone(),
		Tx: viewCount(p.GetTx()), Rx: viewCount(p.GetRx()),
		Drops: counters(p.GetDrops()), BadRings: p.GetBadRings(), Device: counters(p.GetDevice()),
	}
}

func viewCount(c *pb.Count) countView { return countView{Frames: c.GetFrames(), Bytes: c.GetBytes()} }

func viewLcore(l *pb.LcoreStats) lcoreStatsView {
	return lcoreStatsView{
		ID: l.GetId(), CPU: l.GetCpu(), Mode: word(l.GetMode(), "LCORE_MODE_"), Units: l.GetUnits(),
		Packets: l.GetPackets(), BusyCycles: l.GetBusyCycles(), IdleCycles: l.GetIdleCycles(),
		CyclesPerPacket: quotient(l.GetBusyCycles(), l.GetPackets()),
		IdleShare:       quotient(l.GetIdleCycles(), l.GetBusyCycles()+l.GetIdleCycles()),
		Sleeps:          l.GetSleeps(), Wakeups: l.GetWakeups(), Stuck: l.GetStuck(),
		SilentUnits: l.GetSilentUnits(), SleepCycles: l.GetSleepCycles(), TimerWakeups: l.GetTimerWakeups(),
		StageCycles: viewStages(l.GetStageCycles()), StagePerPacket: stagesPerPacket(nil, l),
	}
}

func viewStages(s *pb.StageCycles) stagesView[uint64] {
	return stagesView[uint64]{s.GetPoll(), s.GetClassify(), s.GetForward(), s.GetCopy(), s.GetNotify()}
}

// stagesPerPacket are the cycles of each stage since an earlier snapshot, nil for since the start, by the packets moved since.
func stagesPerPacket(last, now *pb.LcoreStats) *stagesView[float64] {
	packets := growth(last.GetPackets(), now.GetPackets())
	if packets == 0 {
		return nil
	}
	a, b := last.GetStageCycles(), now.GetStageCycles()
	per := func(last, now uint64) float64 { return *quotient(growth(last, now), packets) }
	return &stagesView[float64]{
		per(a.GetPoll(), b.GetPoll()), per(a.GetClassify(), b.GetClassify()), per(a.GetForward(), b.GetForward()),
		per(a.GetCopy(), b.GetCopy()), per(a.GetNotify(), b.GetNotify()),
	}
}

func viewRegion(r *pb.RegionStats) regionStatsView {
	return regionStatsView{
		ID: r.GetId(), Name: r.GetName(), Size: r.GetSize(),
		IfPool: viewPool(r.GetIfPool()), RingPool: viewPool(r.GetRingPool()), BufPool: viewPool(r.GetBufPool()),
		Lent: r.GetLent(), Orphans: r.GetOrphans(), Users: r.GetUsers(), Owner: r.Owner,
	}
}

func viewPool(p *pb.PoolStats) poolView {
	return poolView{Size: p.GetSize(), Total: p.GetTotal(), Free: p.GetFree()}
}

// counters makes JSON's {} of no counters.
func counters(m map[string]uint64) map[string]uint64 {
	if m == nil {
		return map[string]uint64{}
	}
	return m
}

func quotient(a, b uint64) *float64 {
	if b == 0 {
		return nil
	}
	q := float64(a) / float64(b)
	return &q
}
