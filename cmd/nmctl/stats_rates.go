package main

import (
	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// ratesView is a snapshot with the growth since an earlier one.
type ratesView struct {
	statsView
	IntervalSeconds float64 `json:"interval_seconds"`
}

// portRates are growths per second.
type portRates struct {
	Tx    rateView           `json:"tx"`
	Rx    rateView           `json:"rx"`
	Drops map[string]float64 `json:"drops"`
}

type rateView struct {
	Frames float64 `json:"frames"`
	Bytes  float64 `json:"bytes"`
}

// viewRates compares two snapshots. The quotients of the lcores are those of
// the time between.
func viewRates(last, now *pb.Snapshot) ratesView {
	v := ratesView{statsView: viewStats(now)}
	v.IntervalSeconds = now.GetTime().AsTime().Sub(last.GetTime().AsTime()).Seconds()
	per := perSecond(v.IntervalSeconds)
	ports := make(map[uint64]*pb.PortStats, len(last.GetPorts()))
	for _, p := range last.GetPorts() {
		ports[p.GetId()] = p
	}
	for i := range v.Ports {
		// One that was not there began at zero, and a nil one reads as zeros.
		v.Ports[i].Rates = per.port(ports[v.Ports[i].ID], now.GetPorts()[i])
	}
	lcores := make(map[int32]*pb.LcoreStats, len(last.GetLcores()))
	for _, l := range last.GetLcores() {
		lcores[l.GetId()] = l
	}
	for i := range v.Lcores {
		l := &v.Lcores[i]
		before := lcores[l.ID]
		busy, idle := growth(before.GetBusyCycles(), l.BusyCycles), growth(before.GetIdleCycles(), l.IdleCycles)
		l.CyclesPerPacket = quotient(busy, growth(before.GetPackets(), l.Packets))
		l.IdleShare = quotient(idle, busy+idle)
		l.StagePerPacket = stagesPerPacket(before, now.GetLcores()[i])
	}
	return v
}

// perSecond is the time in seconds that growths are divided by.
type perSecond float64

func (per perSecond) rate(last, now uint64) float64 {
	if per <= 0 {
		return 0
	}
	return float64(growth(last, now)) / float64(per)
}

func (per perSecond) count(last, now *pb.Count) rateView {
	return rateView{
		Frames: per.rate(last.GetFrames(), now.GetFrames()),
		Bytes:  per.rate(last.GetBytes(), now.GetBytes()),
	}
}

func (per perSecond) port(last, now *pb.PortStats) *portRates {
	r := &portRates{
		Tx:    per.count(last.GetTx(), now.GetTx()),
		Rx:    per.count(last.GetRx(), now.GetRx()),
		Drops: make(map[string]float64, len(now.GetDrops())),
	}
	for reason, n := range now.GetDrops() {
		r.Drops[reason] = per.rate(last.GetDrops()[reason], n)
	}
	return r
}

// growth is 0 for a counter that began anew.
func growth(last, now uint64) uint64 {
	if now < last {
		return 0
	}
	return now - last
}

// still says that nothing happens on the port.
func (r *portRates) still() bool {
	sum := r.Tx.Frames + r.Rx.Frames
	for _, n := range r.Drops {
		sum += n
	}
	return sum == 0
}
