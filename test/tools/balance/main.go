// Command balance reads what `nmctl stats -o json` prints, on its standard input, and accounts for every frame that one
// port of a switch sent to another:
//
//	nmctl stats -o json | balance vale0:gen vale0:sink
//
// It prints sent, received, dropped with reasons, and the cycles per packet of each lcore that moved any; it ends with
// status 1 when sent is not received + dropped, or nothing was received. The two ports must be the only ones.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// statistics is what we read of the output of nmctl.
type statistics struct {
	Ports []struct {
		Name   string            `json:"name"`
		Tx, Rx count             // frames that the port sent, and that its reader took
		Drops  map[string]uint64 `json:"drops"`
	} `json:"ports"`
	Lcores []struct {
		ID              int      `json:"id"`
		CPU             int      `json:"cpu"`
		Packets         uint64   `json:"packets"`
		CyclesPerPacket *float64 `json:"cycles_per_packet"`
	} `json:"lcores"`
}

type count struct {
	Frames uint64 `json:"frames"`
}

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
	var s statistics
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return fmt.Errorf("statistics are not what nmctl prints as JSON: %w", err)
	}
	unbalanced := account(&s, out, sender, receiver)
	for _, l := range s.Lcores {
		if l.CyclesPerPacket != nil {
			fmt.Fprintf(out, "lcore %d on CPU %d: %d packets, %.1f cycles per packet\n", l.ID, l.CPU, l.Packets, *l.CyclesPerPacket)
		}
	}
	return unbalanced
}

// account prints where the frames of sender went; the error says what is wrong with the sum.
func account(s *statistics, out io.Writer, sender, receiver string) error {
	var sent, received, dropped uint64
	reasons := map[string]uint64{}
	for _, p := range s.Ports {
		switch p.Name {
		case sender:
			sent += p.Tx.Frames
		case receiver:
			received += p.Rx.Frames
		default:
			continue
		}
		for reason, n := range p.Drops {
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
