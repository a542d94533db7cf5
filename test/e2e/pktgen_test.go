package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// nmctl runs the command against the daemon and returns what it printed.
func (d *daemon) nmctl(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(limited(t), nmctl, append([]string{"--runtime-dir", d.dir}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var words []byte
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			words = e.Stderr
		}
		t.Fatalf("nmctl %v: %v %s%s", args, err, out, words)
	}
	return out
}

// What nmctl stats -o json says of a port, as far as the books go.
type portBooks struct {
	Name   string
	Gone   bool
	Tx, Rx struct{ Frames uint64 }
	Drops  map[string]uint64
}

// Ten million frames between two programs of ours, and books that balance to
// the last of them, as anybody can check with nmctl.
func TestPktGenAccounts(t *testing.T) {
	d := startDaemon(t)
	type outcome struct {
		out []byte
		err error
	}
	received := make(chan outcome, 1)
	rx := exec.CommandContext(limited(t), nmctl, "--runtime-dir", d.dir, "pkt-gen", "-i", "vale0:2", "-f", "rx", "-W")
	go func() {
		out, err := rx.CombinedOutput()
		received <- outcome{out, err}
	}()
	waitFor(t, "the receiver", func() error {
		if n := d.snapshot(t).GetDescriptors(); n != 1 {
			return fmt.Errorf("%d descriptors are open", n)
		}
		return nil
	})
	const n = 10_000_000
	if sent := summary(t, `Sent (\d+) packets`, d.nmctl(t, "pkt-gen", "-i", "vale0:1", "-f", "tx", "-n", "10000000")); sent != n {
		t.Errorf("the sender sent %d frames, want %d", sent, n)
	}
	r := <-received
	must(t, r.err)
	got := summary(t, `Received (\d+) packets`, r.out)

	var stats struct{ Ports []portBooks }
	must(t, json.Unmarshal(d.nmctl(t, "stats", "-o", "json"), &stats))
	if len(stats.Ports) != 2 {
		t.Fatalf("%d ports, want the two that went: %+v", len(stats.Ports), stats.Ports)
	}
	books := map[string]portBooks{}
	var lost uint64
	for _, p := range stats.Ports {
		books[p.Name] = p
		if !p.Gone {
			t.Errorf("%s is not marked as gone", p.Name)
		}
		for _, c := range p.Drops {
			lost += c
		}
	}
	t.Logf("%d sent, %d received, %d dropped: %v", n, got, lost, books)
	if books["vale0:1"].Tx.Frames != n || books["vale0:2"].Rx.Frames != got || got+lost != n {
		t.Errorf("%d sent, %d received, %d dropped: the books say %+v", n, got, lost, books)
	}
}

// summary finds a number in what a program printed.
func summary(t *testing.T, pattern string, out []byte) uint64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no %q in: %s", pattern, out)
	}
	n, err := strconv.ParseUint(string(m[1]), 10, 64)
	must(t, err)
	return n
}
