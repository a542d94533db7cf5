package eal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/netmapd/netmapd/dpdk/common"
)

// In the environment of a copy of the test binary: it is to start and stop EAL and say what it found, with extra arguments.
const (
	onlyStart = "NETMAPD_TEST_EAL_START"
	extraArgs = "NETMAPD_TEST_EAL_ARGS"
	onHuge    = "NETMAPD_TEST_EAL_HUGE" // on hugepages instead of the embedded default
)

// recorded is what EAL logged while it started.
var recorded struct {
	sync.Mutex
	lines []string
}

// TestMain starts the one EAL of the test binary, in the embedded default.
func TestMain(m *testing.M) {
	SetLog(func(_ Level, line string) {
		recorded.Lock()
		defer recorded.Unlock()
		recorded.lines = append(recorded.lines, line)
	})
	if err := Started("x", ""); !IsNotStarted(err) {
		fmt.Fprintln(os.Stderr, "before the start, Started says", err)
		os.Exit(1)
	}
	opts := Options{CPU: -1, Huge: HugeNever, Extra: strings.Fields(os.Getenv(extraArgs))}
	if os.Getenv(onHuge) != "" {
		opts.Huge = HugeAuto
	}
	args, notes := PlanArgs(Probe(), opts)
	if err := Start(args); err != nil {
		fmt.Fprintln(os.Stderr, err, notes)
		os.Exit(1)
	}
	if os.Getenv(onlyStart) != "" {
		fmt.Printf("uid %d, hugepages %v, TSC %v\n", os.Geteuid(), HasHugePages(), TSCHz() > 0)
		twice, err := stopTwice()
		fmt.Printf("stopped twice: %v\n", twice)
		os.Exit(exitCode(0, err))
	}
	code := m.Run()
	err := Stop()
	if Start(args) == nil {
		err = errors.Join(err, errors.New("EAL was started again after Stop"))
	}
	os.Exit(exitCode(code, err))
}

func exitCode(code int, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestStartIsOncePerProcess(t *testing.T) {
	err := Start([]string{"--no-huge"})
	if !errors.Is(err, syscall.EALREADY) {
		t.Errorf("a second start gave %v, want EALREADY", err)
	}
	if _, err := InitCmd("--no-huge"); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("InitCmd gave %v, want EALREADY", err)
	}
}

func TestWhatRuns(t *testing.T) {
	if HasHugePages() {
		t.Error("hugepages are used, though the plan said no")
	}
	if hz := TSCHz(); hz < 1e8 || hz > 1e11 {
		t.Errorf("the TSC runs at %d Hz", hz)
	}
	if IOVAAsPhys() {
		t.Error("IOVAs are physical without hugepages")
	}
	if err := Started("x", ""); err != nil {
		t.Error(err)
	}
}

func TestLogOfTheStartWasTaken(t *testing.T) {
	recorded.Lock()
	defer recorded.Unlock()
	if all := strings.Join(recorded.lines, "\n"); !strings.Contains(all, "EAL: ") {
		t.Errorf("nothing of EAL in the log: %q", all)
	}
	if LogDropped() != 0 {
		t.Errorf("%d messages were lost", LogDropped())
	}
}

func TestCallMakesAnError(t *testing.T) {
	err := Call("rte_something", "net_x", func() int { return -int(syscall.ENOSPC) })
	var e *common.Error
	if !errors.As(err, &e) || e.Call != "rte_something" || e.Device != "net_x" || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %#v", err)
	}
	if err := Call("rte_something", "", func() int { return 0 }); err != nil {
		t.Errorf("success gave %v", err)
	}
}

func record(level Level, text string) []byte {
	b := []byte{byte(level), 0, 0, 0}
	binary.NativeEndian.PutUint16(b[2:], uint16(len(text)))
	return append(b, text...)
}

func TestReadLog(t *testing.T) {
	in := bytes.Join([][]byte{
		record(LevelError, "EAL: one\n"),
		record(LevelInfo, "EAL: "), record(LevelInfo, "two\nEAL: three\n"),
		record(LevelWarning, "\n"),
		record(LevelWarning, "no newline at the end"),
		{4, 0}, // cut off
	}, nil)
	var got []string
	readLog(io.LimitReader(bytes.NewReader(in), int64(len(in))), func(l Level, s string) {
		got = append(got, fmt.Sprint(l.Slog(), " ", s))
	})
	want := []string{"ERROR EAL: one", "INFO EAL: two", "INFO EAL: three", "WARN no newline at the end"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLevels(t *testing.T) {
	for l, want := range map[Level]slog.Level{1: slog.LevelError, 4: slog.LevelError, 5: slog.LevelWarn, 6: slog.LevelInfo, 7: slog.LevelInfo, 8: slog.LevelDebug} {
		if got := l.Slog(); got != want {
			t.Errorf("level %d is %v, want %v", l, got, want)
		}
	}
}

// TestOrdinaryUser starts EAL as a user without any privilege, in a copy of this binary.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this test runs as an ordinary user itself; becoming another needs root")
	}
	dir, err := os.MkdirTemp("", "eal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // another user must read it
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "eal.test")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, self, 0o755); err != nil { //nolint:gosec // another user must run it
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Env = []string{onlyStart + "=1"}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "uid 65534, hugepages false, TSC true") {
		t.Errorf("as uid 65534: %v\n%s", err, out)
	}
}

// TestHugepages starts EAL on hugepages, which it reserves for the while, in a copy of this binary.
func TestHugepages(t *testing.T) {
	const knob = "/proc/sys/vm/nr_hugepages"
	had := readInt(knob)
	if free, _ := freeHugepages("/sys/kernel/mm/hugepages"); free < minHugeMB {
		if err := os.WriteFile(knob, []byte(strconv.Itoa(had+minHugeMB)), 0o600); err != nil {
			t.Skipf("no hugepages: %v", err)
		}
		t.Cleanup(func() { _ = os.WriteFile(knob, []byte(strconv.Itoa(had)), 0o600) })
		if free, _ = freeHugepages("/sys/kernel/mm/hugepages"); free < minHugeMB {
			t.Skipf("the kernel has only %d MiB of hugepages for us", free)
		}
	}
	t.Setenv(onHuge, "1")
	out, err := startElsewhere(t)
	if err != nil || !strings.Contains(out, "hugepages true, TSC true") {
		t.Errorf("on hugepages: %v\n%s", err, out)
	}
}

// startElsewhere starts and stops EAL in another process, and returns what that said.
func startElsewhere(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), onlyStart+"=1", extraArgs+"="+strings.Join(args, " "))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
