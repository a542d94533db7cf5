package ethdev

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/netmapd/netmapd/dpdk/eal"
)

// TestMain starts the one EAL of the test binary, in the embedded default.
func TestMain(m *testing.M) {
	if os.Getenv("DPDK_LOG") == "" {
		eal.SetLog(func(eal.Level, string) {})
	} else {
		slog.SetLogLoggerLevel(slog.LevelDebug)
	}
	args, _ := eal.PlanArgs(eal.Probe(), eal.Options{CPU: -1, Huge: eal.HugeNever})
	if err := eal.Start(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := eal.Stop(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// attach plugs in a device, configures and starts it, and closes it when the test ends.
func attach(t testing.TB, devargs string, cfg Config) *Device {
	t.Helper()
	d, err := Attach(devargs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := d.Configure(cfg); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	return d
}
