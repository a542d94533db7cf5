package e2e

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The distribution's, which has the distribution's grpcio.
const python = "/usr/bin/python3"

// runPython makes a command of the Python client for a daemon.
func (d *daemon) runPython(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
		t.Skipf("the client for Python wants python3-grpcio and python3-protobuf: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Env = append(os.Environ(), "PYTHONPATH=../../python", "PYTHONDONTWRITEBYTECODE=1", "NETMAPD_RUNTIME_DIR="+d.dir)
	return cmd
}

// The example that comes with the client for Python shows the traffic that there is.
func TestPythonExample(t *testing.T) {
	d := startDaemon(t)
	cmd := d.runPython(t, "../../python/examples/rates.py", "vale7")
	out, err := cmd.StdoutPipe()
	must(t, err)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	must(t, cmd.Start())
	a, b := d.open(t, "vale7:a"), d.open(t, "vale7:b")
	want := regexp.MustCompile(`^vale7:a: [1-9]\d* out, 0 in, \d+ lost$`)
	var buf [frameLen]byte
	lines, seq := bufio.NewScanner(out), uint64(0)
	found := false
	for !found && lines.Scan() {
		found = want.MatchString(lines.Text())
		for range 100 { // the next second has some again
			a.TxRings()[0].Send(frame(buf[:], 0xff, 1, seq))
			seq++
		}
		must(t, a.TxSync())
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed
	if !found {
		t.Errorf("the example never shows what vale7:a sends; it said on standard error:\n%s", complaints.String())
	}
	must(t, a.Close())
	must(t, b.Close())
}

// An error is grpc's, with the daemon's words; and every module can be imported, with types that Python can read.
func TestPythonErrorsAndTypes(t *testing.T) {
	d := startDaemon(t)
	out, err := d.runPython(t, "-c", `
import ast, glob, grpc, netmapd
from netmapd.v1 import port_pb2
stubs = glob.glob("../../python/netmapd/v1/*.pyi")
for name in stubs:
    ast.parse(open(name).read(), name)
with netmapd.connect() as daemon:
    assert daemon.system.GetInfo(__import__("netmapd.v1.system_pb2", fromlist=["x"]).GetInfoRequest()).info.pid > 0
    try:
        daemon.ports.GetPort(port_pb2.GetPortRequest(name="nowhere"))
    except grpc.RpcError as err:
        print(len(stubs) > 10, err.code().name, "nowhere" in err.details())
`).CombinedOutput()
	if err != nil || string(out) != "True NOT_FOUND True\n" {
		t.Errorf("%v\n%s", err, out)
	}
}
