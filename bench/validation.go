package main

import (
	"regexp"
	"strconv"
	"time"
)

// What the checks of client-writable memory cost, by a build that leaves them out (build tag netmapd_trusting).

func validationRows() []row {
	const without = "without checks"
	atMost := func(key string) []bar { return []bar{{key: key, peer: without, times: 1.15}} }
	f := flood{size: 60, ports: 2, dst: "unicast"}
	trusting := f
	trusting.daemon.trusting = true
	return []row{
		{
			name:    "validation/instructions",
			about:   "instructions by callgrind of batches of 512 frames to one port, sender's and receiver's ring included, in a build with and in one without checks of what clients write: heads, indices, lengths",
			quick:   true,
			metrics: []metric{{key: "all/unicast", unit: "instructions/packet", lower: true}, {key: "all/broadcast/7", unit: "instr./frame to 7", lower: true}},
			bars:    atMost("all/unicast"),
			ours:    subject{"netmapd", instructions("")},
			peers:   []subject{{without, instructions("netmapd_trusting")}},
		},
		{
			name:    "validation/onethread/60B",
			about:   "onethread/unicast/60B by daemons with and without these checks",
			quick:   true,
			metrics: []metric{ns("sum", "per packet")},
			bars:    atMost("sum"),
			ours:    subject{"netmapd", oneThreadOn(daemonSpec{poll: true}, 60, "unicast")},
			peers:   []subject{{without, oneThreadOn(daemonSpec{poll: true, trusting: true}, 60, "unicast")}},
		},
		{
			name:    "validation/twoprocesses/60B",
			about:   "switch/unicast/60B/2ports by daemons with and without these checks",
			metrics: []metric{cycles, rate, dropped},
			bars:    atMost("cycles"),
			ours:    subject{"netmapd", f.measure},
			peers:   []subject{{without, trusting.measure}},
		},
	}
}

var stageInstructions = regexp.MustCompile(`: (\S+) +([0-9.]+) instructions`)

// instructions counts those of the switch's stages. Go keeps the result of a test that passed, so all rounds after the first
// cost nothing, and tell the same.
func instructions(tags string) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		out, err := command(h.ctx, 2*time.Minute, "go", "test", "-tags", tags, "-v", "-run", "^TestInstructions$", "./switch")
		s := sample{}
		for _, m := range stageInstructions.FindAllStringSubmatch(out, -1) {
			s[m[1]], _ = strconv.ParseFloat(m[2], 64)
		}
		if err == nil && len(s) == 0 {
			return nil, missing("instructions cannot be counted here:\n%s", out)
		}
		return s, err
	}
}
