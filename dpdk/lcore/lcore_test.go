package lcore

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/netmapd/netmapd/dpdk/eal"
)

// TestMain starts the one EAL of the test binary, in the embedded default, after seeing that Register wants it.
func TestMain(m *testing.M) {
	eal.SetLog(func(eal.Level, string) {})
	if _, err := Register(); !eal.IsNotStarted(err) {
		fmt.Fprintln(os.Stderr, "before the start, Register says", err)
		os.Exit(1)
	}
	args, _ := eal.PlanArgs(eal.Probe(), eal.Options{CPU: -1, Huge: eal.HugeNever})
	if err := eal.Start(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// onThread runs fn on a thread that ends with it.
func onThread(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		fn()
	}()
	<-done
}

func TestRegisterGivesEachThreadAnID(t *testing.T) {
	onThread(func() {
		if id := ID(); id != -1 {
			t.Errorf("a thread of Go's has lcore id %d before it is registered", id)
		}
		first, err := Register()
		if err != nil {
			t.Error(err)
			return
		}
		defer Unregister()
		if first != ID() || first < 1 {
			t.Errorf("registered as %d, and the thread has id %d", first, ID())
		}
		onThread(func() {
			second, err := Register()
			if err != nil || second == first {
				t.Errorf("a second thread is %d (%v), the first %d", second, err, first)
			}
			Unregister()
			if ID() != -1 {
				t.Errorf("after Unregister it is still %d", ID())
			}
			Unregister()
		})
	})
}

func TestIDsComeBack(t *testing.T) {
	for range 3 * Max {
		onThread(func() {
			if _, err := Register(); err != nil {
				t.Fatal(err)
			}
			Unregister()
		})
	}
}
