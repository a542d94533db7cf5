package filter_test

import (
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/bpf"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/filter"
)

// frame makes a frame of layers.
func frame(t *testing.T, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return append(buf.Bytes(), make([]byte, 20)...)
}

func frames(t *testing.T) map[string][]byte {
	eth := func(of layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: of}
	}
	ip := func(of layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, IHL: 5, TTL: 1, Protocol: of, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 1, 2}}
	}
	ip6 := func(of layers.IPProtocol) *layers.IPv6 {
		return &layers.IPv6{Version: 6, NextHeader: of, SrcIP: []byte{0xfd, 15: 1}, DstIP: []byte{0xfd, 15: 2}}
	}
	return map[string][]byte{
		"tcp":  frame(t, eth(layers.EthernetTypeIPv4), ip(layers.IPProtocolTCP), &layers.TCP{SrcPort: 1000, DstPort: 80}),
		"udp":  frame(t, eth(layers.EthernetTypeIPv4), ip(layers.IPProtocolUDP), &layers.UDP{SrcPort: 53, DstPort: 2000}),
		"icmp": frame(t, eth(layers.EthernetTypeIPv4), ip(layers.IPProtocolICMPv4), &layers.ICMPv4{}),
		"tcp6": frame(t, eth(layers.EthernetTypeIPv6), ip6(layers.IPProtocolTCP), &layers.TCP{SrcPort: 1000, DstPort: 80}),
		"udp6": frame(t, eth(layers.EthernetTypeIPv6), ip6(layers.IPProtocolUDP), &layers.UDP{SrcPort: 53, DstPort: 2000}),
		"arp": frame(t, eth(layers.EthernetTypeARP), &layers.ARP{
			AddrType: 1, Protocol: 0x800, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
			SourceHwAddress: []byte{2, 0, 0, 0, 0, 1}, SourceProtAddress: []byte{10, 0, 0, 1},
			DstHwAddress: make([]byte, 6), DstProtAddress: []byte{10, 0, 9, 9},
		}),
		"short": make([]byte, 14),
	}
}

// What each expression lets through of the frames.
func TestCompile(t *testing.T) {
	all := frames(t)
	order := []string{"tcp", "udp", "icmp", "tcp6", "udp6", "arp", "short"}
	for expr, want := range map[string]string{
		"tcp": "tcp tcp6", "udp": "udp udp6", "icmp": "icmp", "ip": "tcp udp icmp", "ip6": "tcp6 udp6", "arp": "arp",
		"port 80": "tcp tcp6", "tcp port 53": "", "udp port 53": "udp udp6", "src port 53": "udp udp6", "dst port 53": "", "dst port 80": "tcp tcp6",
		"net fd00::/8": "tcp6 udp6", "src net fd00::/127": "tcp6 udp6", "dst net fd00::/127": "", "sctp": "", "icmp6": "", "rarp": "",
		"src and dst net 10.0.0.0/16": "tcp udp icmp arp", "src and dst net 10.0.0.0/24": "", "src or dst port 80": "tcp tcp6",
		"arp host 10.0.9.9": "arp", "ip6 host fd00::1": "tcp6 udp6", "ip net 10.0.0.0/8": "tcp udp icmp", "udp src port 53": "udp udp6",
		"host 10.0.0.1":                   "tcp udp icmp arp",
		"src host 10.0.0.1":               "tcp udp icmp arp",
		"dst host 10.0.0.1":               "",
		"src or dst host 10.0.1.2":        "tcp udp icmp",
		"10.0.9.9":                        "arp",
		"ip host 10.0.0.1":                "tcp udp icmp",
		"host fd00::1":                    "tcp6 udp6",
		"dst host fd00::2":                "tcp6 udp6",
		"net 10.0.1.0/24":                 "tcp udp icmp",
		"src net 10.0.0.0/24":             "tcp udp icmp arp",
		"ether host 02:00:00:00:00:01":    "tcp udp icmp tcp6 udp6 arp",
		"ether dst 02:00:00:00:00:01":     "",
		"not ip":                          "tcp6 udp6 arp short",
		"! ( tcp or udp )":                "icmp arp short",
		"not tcp and not udp":             "icmp arp short",
		"udp or tcp and port 80":          "tcp tcp6", // from the left
		"udp or (tcp and port 80)":        "tcp udp tcp6 udp6",
		"tcp && port 80 && host fd00::1":  "tcp6",
		"arp || (ip6 && !(udp || icmp6))": "tcp6 arp",
		"not not arp":                     "arp",
	} {
		raw, err := filter.Compile(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		program, _ := bpf.Disassemble(raw)
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range order {
			n, err := vm.Run(all[name])
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: lets %v through, want %s\n%v", expr, got, want, program)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for expr, want := range map[string]string{
		"": "empty", "( tcp": "closing", "tcp )": "not expected", "tcp and": "missing at the end", "upd": "no test that is known",
		"port": "needs a value", "port http80x": "port", "net 10": "length", "vlan 5": "no test", "portrange 1-2": "no test", "icmp host 10.0.0.1": "not known", "tcp net 10.0.0.0/8": "not known", "tcp udp": "no test",
		"net 10.0.0.0/99": "prefix", "ether": "expected a test", "tcp[13] & 2 != 0": "",
		strings.Repeat("tcp or ", 64) + "tcp": "more than 64",
	} {
		if _, err := filter.Compile(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", expr, err, want)
		}
	}
}
