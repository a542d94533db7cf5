package main

import (
	"fmt"
	"strings"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// portNICView is pb.PortNIC to be printed.
type portNICView struct {
	Bus         string  `json:"bus"`
	Address     string  `json:"address"`
	PCIID       string  `json:"pci_id"`
	NUMA        int32   `json:"numa"`
	Present     bool    `json:"present"`
	LinkMbps    uint32  `json:"link_mbps"`
	FullDuplex  bool    `json:"full_duplex"`
	Promiscuous bool    `json:"promiscuous"`
	RxZeroCopy  bool    `json:"rx_zero_copy"`
	TxZeroCopy  bool    `json:"tx_zero_copy"`
	Copies      string  `json:"copies"`
	QueueLcores []int32 `json:"queue_lcores"`
}

func viewPortNIC(n *pb.PortNIC) *portNICView {
	if n == nil {
		return nil
	}
	return &portNICView{
		Bus: n.GetBus(), Address: n.GetAddress(), PCIID: n.GetPciId(), NUMA: n.GetNuma(), Present: n.GetPresent(),
		LinkMbps: n.GetLinkMbps(), FullDuplex: n.GetFullDuplex(), Promiscuous: n.GetPromiscuous(),
		RxZeroCopy: n.GetRxZeroCopy(), TxZeroCopy: n.GetTxZeroCopy(), Copies: n.GetCopies(),
		QueueLcores: orEmpty(n.GetQueueLcores()),
	}
}

// device names it: "pci 0000:01:00.0 [8086:100e], NUMA node 0".
func (n *portNICView) device() string {
	s := strings.TrimSpace(n.Bus + " " + n.Address)
	if n.PCIID != "" {
		s += " [" + n.PCIID + "]"
	}
	if n.NUMA >= 0 {
		s += fmt.Sprintf(", NUMA node %d", n.NUMA)
	}
	if !n.Present {
		s += ", not there"
	}
	return s
}

// copying says which way frames are copied: "rx zero-copy, tx copy (why)".
func (n *portNICView) copying() string {
	word := func(zero bool) string {
		if zero {
			return "zero-copy"
		}
		return "copy"
	}
	s := "rx " + word(n.RxZeroCopy) + ", tx " + word(n.TxZeroCopy)
	if n.Copies != "" {
		s += " (" + n.Copies + ")"
	}
	return s
}
