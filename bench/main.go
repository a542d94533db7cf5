// Command bench measures netmapd and its peers beside each other, in one run on
// one machine, and says how they compare. make bench runs it; docs/performance.md
// tells what the rows mean.
//
// Machines are shared and change their speed, so nothing here is believed for
// one reading: every round measures each row once for ours and once for each
// peer, one right after the other; what is reported are medians over the rounds,
// their spread, and the median of each round's ratio.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if spec := os.Getenv(roleEnv); spec != "" {
		os.Exit(runRole(spec))
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	quick  bool
	rounds int
	dur    time.Duration
	only   *regexp.Regexp
	out    string
	list   bool
	server string
	alone  bool

	patience time.Duration
}

func parse() (o options, err error) {
	only := ""
	flag.BoolVar(&o.quick, "quick", os.Getenv("QUICK") != "", "the most important rows, few and short rounds: under 3 minutes")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds (default 7, quick 3)")
	flag.DurationVar(&o.dur, "time", 0, "length of one measurement (default 1s, quick 400ms)")
	flag.StringVar(&only, "rows", os.Getenv("ROWS"), "only rows whose name this regular expression finds")
	flag.StringVar(&o.out, "out", "bench/results", "folder for the JSON and SVG files")
	flag.StringVar(&o.server, "netmapd", "", "a netmapd to measure; default: one is built")
	flag.DurationVar(&o.patience, "patience", 0, "time to wait in all for other programs to leave the CPUs alone (default 5m, quick 20s)")
	flag.BoolVar(&o.alone, "alone", false, "without the peers: for comparing netmapd with itself")
	flag.BoolVar(&o.list, "list", false, "print the names of the rows and exit")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; there are flags only, see -help", flag.Arg(0))
	}
	rounds, dur, patience := 7, time.Second, 5*time.Minute
	if o.quick {
		rounds, dur, patience = 3, 400*time.Millisecond, 20*time.Second
	}
	if o.patience <= 0 {
		o.patience = patience
	}
	if o.rounds <= 0 {
		o.rounds = rounds
	}
	if o.dur <= 0 {
		o.dur = dur
	}
	if o.only, err = regexp.Compile(only); err != nil {
		return o, fmt.Errorf("-rows: %w", err)
	}
	return o, nil
}

func run() error {
	o, err := parse()
	if err != nil {
		return err
	}
	rows := selectRows(allRows(), o)
	if o.list {
		for _, r := range rows {
			fmt.Println(r.name)
		}
		return nil
	}
	if len(rows) == 0 {
		return errors.New("no row is selected; -list names them all")
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	h, err := newHarness(ctx, o)
	if err != nil {
		return err
	}
	defer h.close()
	rep, err := h.runRows(rows)
	if rep != nil {
		rep.print(os.Stdout)
		err = errors.Join(err, rep.save(o.out))
	}
	return err
}

// selectRows leaves out what the flags do not want.
func selectRows(all []row, o options) (rows []row) {
	for _, r := range all {
		if o.only.MatchString(r.name) && (!o.quick || r.quick || o.only.String() != "") {
			if o.alone {
				r.peers = nil
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// harness is one run: the private folder and whatever runs in it.
type harness struct {
	ctx     context.Context
	o       options
	dir     string
	netmapd string // the program
	cpu     cpus
	undo    []func()

	patience time.Duration // left, to wait for others
}

func newHarness(ctx context.Context, o options) (h *harness, err error) {
	h = &harness{ctx: ctx, o: o, netmapd: o.server, patience: o.patience}
	if h.cpu, err = layout(); err != nil {
		return nil, err
	}
	if h.dir, err = os.MkdirTemp("", "nmbench"); err != nil {
		return nil, err
	}
	if h.netmapd != "" {
		return h, nil
	}
	if h.netmapd, err = h.build(""); err != nil {
		h.close()
	}
	return h, err
}

// build makes a netmapd with these build tags.
func (h *harness) build(tags string) (string, error) {
	// Not by its own name, so that whoever ends his netmapd by name spares ours.
	program := filepath.Join(h.dir, "daemon-of-bench"+tags)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	fmt.Fprintln(os.Stderr, "bench: building netmapd", tags)
	out, err := command(h.ctx, 5*time.Minute, "go", "build", "-tags", tags, "-o", program, "./cmd/netmapd")
	if err != nil {
		return "", fmt.Errorf("building netmapd (run from the root of the checkout): %w\n%s", err, strings.TrimSpace(out))
	}
	return program, nil
}

// later has f called when the current measurement is over, however it ends.
func (h *harness) later(f func()) { h.undo = append(h.undo, f) }

// cleanup ends what a measurement started, the last first.
func (h *harness) cleanup() {
	for len(h.undo) > 0 {
		f := h.undo[len(h.undo)-1]
		h.undo = h.undo[:len(h.undo)-1]
		f()
	}
}

func (h *harness) close() {
	h.cleanup()
	_ = os.RemoveAll(h.dir)
}

// wait lets time pass, unless the run is interrupted.
func (h *harness) wait(d time.Duration) error {
	select {
	case <-h.ctx.Done():
		return h.ctx.Err()
	case <-time.After(d):
		return nil
	}
}
