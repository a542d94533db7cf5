package eal

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// A failed start is tested in a process of its own, because DPDK does not promise another try.
func TestFailedStartSaysWhy(t *testing.T) {
	out, err := startElsewhere(t, "--no-such-option")
	if err == nil {
		t.Fatalf("an unknown option was taken: %s", out)
	}
	for _, s := range []string{"rte_eal_init", "--no-such-option"} {
		if !strings.Contains(out, s) {
			t.Errorf("the error does not say %q: %s", s, out)
		}
	}
}

func TestStopWithoutStart(t *testing.T) {
	out, err := startElsewhere(t)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(out, "stopped twice: true") {
		t.Errorf("got %s", out)
	}
}

// stopTwice is the second half of TestStopWithoutStart.
func stopTwice() (bool, error) {
	err := Stop()
	return IsNotStarted(Stop()) && !errors.Is(err, syscall.EINVAL), err
}
