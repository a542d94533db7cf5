// Command balance reads what `nmctl stats -o json` prints, on its standard input, and accounts for every frame that one
// port of a switch sent to another:
//
//	nmctl stats -o json | balance vale0:gen vale0:sink
//
// It prints sent, received, dropped with reasons, and the cycles per packet of each lcore that moved any; it ends with
// status 1 when sent is not received + dropped, or nothing was received. The two ports must be the only ones.
package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"

	netmapdv1 "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: nmctl stats -o json | balance SENDER RECEIVER")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "balance: %v\n", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, sender, receiver string) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading statistics: %w", err)
	}
	var s netmapdv1.Snapshot
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &s); err != nil {
		return fmt.Errorf("statistics are not a netmapd.v1 Snapshot in JSON: %w", err)
	}
	lost := account(&s, out, sender, receiver)
	for _, l := range s.GetLcores() {
		if l.GetPackets() > 0 {
			fmt.Fprintf(out, "lcore %d on CPU %d: %d packets, %.1f cycles per packet\n",
				l.GetId(), l.GetCpu(), l.GetPackets(), float64(l.GetBusyCycles())/float64(l.GetPackets()))
		}
	}
	return lost
}

// account prints where the frames of sender went; the error says what is wrong with the sum.
func account(s *netmapdv1.Snapshot, out io.Writer, sender, receiver string) error {
	var sent, received, dropped uint64
	reasons := map[string]uint64{}
	for _, p := range s.GetPorts() {
		switch p.GetName() {
		case sender:
			sent += p.GetTx().GetFrames()
		case receiver:
			received += p.GetRx().GetFrames()
		default:
			continue
		}
		for reason, n := range p.GetDrops() {
			reasons[reason] += n
			dropped += n
		}
	}
	fmt.Fprintf(out, "sent %d, received %d, dropped %d\n", sent, received, dropped)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		if reasons[reason] > 0 {
			fmt.Fprintf(out, "  dropped, %s: %d\n", reason, reasons[reason])
		}
	}
	switch {
	case received == 0:
		return fmt.Errorf("%s received nothing", receiver)
	case sent != received+dropped:
		return fmt.Errorf("%d frames sent are not %d received and %d dropped: %d are not accounted for",
			sent, received, dropped, int64(sent-received-dropped))
	}
	return nil
}
