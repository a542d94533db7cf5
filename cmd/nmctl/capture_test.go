package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/control/controltest"
)

// packet is what a reader finds of one in a file.
type packet struct {
	intf, length, kept int
	out                bool
	at                 time.Time
}

// readCapture reads a file with the library's reader.
func readCapture(t *testing.T, file []byte) (packets []packet, names []string, missed []uint64) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, packet{
			ci.InterfaceIndex, ci.Length, len(data), opts.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound, ci.Timestamp.UTC(),
		})
	}
	for i := range r.NInterfaces() {
		intf, err := r.Interface(i)
		if err != nil {
			t.Fatal(err)
		}
		names, missed = append(names, intf.Name), append(missed, intf.Statistics.PacketsDropped)
	}
	return packets, names, missed
}

func TestCapture(t *testing.T) {
	first := packet{0, 60, 60, true, controltest.Epoch.Add(123456789)}
	second := packet{1, 1514, 60, false, controltest.Epoch.Add(123456790)}
	third := packet{0, 60, 60, false, controltest.Epoch.Add(time.Second)}
	cut := first
	cut.kept = 20
	for _, tt := range []struct {
		args []string
		want []packet
	}{
		{nil, []packet{first, second, third}},
		{[]string{"--direction", "out"}, []packet{first}},
		{[]string{"--filter", "udp"}, []packet{first, second}},
		{[]string{"--filter", "not udp"}, []packet{third}},
		{[]string{"--bpf", "4\n48 0 0 23\n21 0 1 6\n6 0 0 65535\n6 0 0 0\n"}, []packet{third}},
		{[]string{"--count", "1"}, []packet{first}},
		{[]string{"--snaplen", "20", "--count", "1"}, []packet{cut}},
	} {
		_, dir := start(t, controltest.Sample())
		file := filepath.Join(dir, "x.pcapng")
		var stdout, stderr bytes.Buffer
		args := append([]string{"--runtime-dir", dir, "capture", "vale0:gen", "vale0:sink", "-w", file}, tt.args...)
		if status := run(t.Context(), args, &stdout, &stderr); status != exitOK {
			t.Errorf("%v: status %d, %s", tt.args, status, stderr.String())
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		packets, names, missed := readCapture(t, got)
		if len(packets) != len(tt.want) {
			t.Errorf("%v: %v, want %v", tt.args, packets, tt.want)
			continue
		}
		for i := range packets {
			if packets[i] != tt.want[i] {
				t.Errorf("%v: packet %d is %v, want %v", tt.args, i, packets[i], tt.want[i])
			}
		}
		if strings.Join(names, " ") != "vale0:gen vale0:sink" || missed[0] != 7 || missed[1] != 0 {
			t.Errorf("%v: interfaces %v missed %v", tt.args, names, missed)
		}
		if !strings.Contains(stdout.String(), "7 missed") {
			t.Errorf("%v: printed %q", tt.args, stdout.String())
		}
	}
}

// On the standard output is nothing but the file, also for who ends it.
func TestCaptureUntilInterrupted(t *testing.T) {
	state := controltest.Sample()
	state.KeepCapturing = true
	_, dir := start(t, state)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	all := make(chan []byte)
	go func() {
		head := make([]byte, 250) // beyond the header: frames came
		n, _ := io.ReadFull(reader, head)
		cancel()
		rest, _ := io.ReadAll(reader)
		all <- append(head[:n], rest...)
	}()
	var stderr bytes.Buffer
	status := run(ctx, []string{"--runtime-dir", dir, "capture", "vale0:gen", "-w", "-"}, writer, &stderr)
	writer.Close()
	if status != exitOK || !strings.Contains(stderr.String(), "2 frames captured") {
		t.Errorf("status %d, %s", status, stderr.String())
	}
	if packets, _, missed := readCapture(t, <-all); len(packets) != 2 || missed[0] != 7 {
		t.Errorf("%v, missed %v", packets, missed)
	}
}

func TestCaptureToAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	state := controltest.Sample()
	big := state.Frames[0]
	big.Data = make([]byte, 9000)
	big.Length = len(big.Data)
	for range 100 {
		state.Frames = append(state.Frames, big)
	}
	_, dir := start(t, state)
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=128k"); err != nil {
		t.Skip("cannot mount a small file system:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(small, unix.MNT_DETACH) })
	file := filepath.Join(small, "x.pcapng")
	got := nmctl(t, dir, "capture vale0:gen -w "+file)
	if got.status != exitError || !strings.Contains(got.stderr, "no space left on device") || !strings.Contains(got.stderr, file) {
		t.Errorf("status %d, %s", got.status, got.stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if packets, _, _ := readCapture(t, text); len(packets) < 3 {
		t.Errorf("%d packets, want as many as there was room for", len(packets))
	}
}

func TestCaptureRefuses(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	file := filepath.Join(dir, "none.pcapng")
	for line, want := range map[string]struct {
		status int
		text   string
	}{
		"capture vale0:gen":                                 {exitUsage, "-w"},
		"capture -w " + file:                                {exitUsage, "one or more ports"},
		"capture vale0:gen --filter upd -w " + file:         {exitUsage, "upd"},
		"capture vale0:gen --bpf x -w " + file:              {exitUsage, "tcpdump -ddd"},
		"capture vale0:gen --direction up -w " + file:       {exitUsage, "in, out or both"},
		"capture nobody -w " + file:                         {exitError, "no port has this name"},
		"capture vale0:gen --snaplen 100000 -w " + file:     {exitError, "snap_length"},
		"capture vale0:gen -w " + dir + "/no/such/dir/file": {exitError, "no such file"},
	} {
		got := nmctl(t, dir, line)
		if got.status != want.status || !strings.Contains(got.stderr, want.text) {
			t.Errorf("%s: status %d, %s; want %d, %q", line, got.status, got.stderr, want.status, want.text)
		}
	}
}

// What Wireshark asks, and in which form it wants the answer.
func TestExtcap(t *testing.T) {
	_, dir := start(t, controltest.Sample())
	for line, want := range map[string]string{
		"--extcap-interfaces --extcap-version=4.0":                        "interface {value=vale0:gen}{display=netmapd: vale0:gen}\n",
		"--extcap-interface vale0:gen --extcap-dlts":                      "dlt {number=1}{name=EN10MB}",
		"--extcap-interface vale0:gen --extcap-config":                    "arg {number=0}{call=--direction}",
		"--extcap-interface vale0:gen --extcap-capture-filter upd":        "no test that is known",
		"--extcap-interface vale0:gen --extcap-capture-filter arp":        "",
		"--extcap-interface vale0:gen --extcap-capture-filter=ip6 -ojson": "",
	} {
		if got := mustRun(t, dir, line); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	if got := mustRun(t, t.TempDir(), "--extcap-interfaces"); strings.Contains(got, "interface {") {
		t.Errorf("without a daemon: %s", got)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	all := make(chan []byte)
	go func() {
		text, _ := os.ReadFile(fifo)
		all <- text
	}()
	mustRun(t, dir, "--capture --extcap-interface vale0:gen --fifo "+fifo+" --extcap-capture-filter udp")
	if packets, names, _ := readCapture(t, <-all); len(packets) != 1 || names[0] != "vale0:gen" {
		t.Errorf("%v of %v", packets, names)
	}
}
