package clib

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/rundir"
)

// As in together.c.
const (
	members  = 4
	sent     = 200
	chained  = 20000
	frameLen = 60
	idAt     = 12
	seqAt    = 16
	signedAt = 24
)

// member is a running together.c.
type member struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	log bytes.Buffer
}

func startMember(t *testing.T, cmd *exec.Cmd) *member {
	t.Helper()
	m := &member{t: t, cmd: cmd}
	cmd.Stderr = &m.log
	var err error
	if m.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.out = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Logf("%s:\n%s", cmd.Args, m.log.String())
		}
	})
	return m
}

func (m *member) expect(word string) {
	m.t.Helper()
	if !m.out.Scan() || m.out.Text() != word {
		_ = m.cmd.Wait()
		m.t.Fatalf("%s says %q, want %q\n%s", m.cmd.Args, m.out.Text(), word, m.log.String())
	}
}

// Four ways to be a netmap program, on one switch and then over one chain of pipes: nm_open from our header, the functions of
// libnetmap, a program that knows nothing of us under the interposer, and package netmap, at both ends of the chain.
func TestTogether(t *testing.T) {
	dir, _ := startDaemon(t)
	env := append(os.Environ(), rundir.Env+"="+dir)
	open := func(spec string) *netmap.Desc {
		d, err := netmap.Open(t.Context(), spec, netmap.WithRuntimeDir(dir))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	port, first, last := open("vale0:go"), open("netmap:chain{1"), open("netmap:chain}4")

	var all []*member
	for i, c := range []struct {
		name, env string
		flags     []string
	}{
		{"nm_open", "", append(shared(), "-DNM_OPEN")},
		{"libnetmap", "", append(shared(), "-DLIBNETMAP")},
		{"interposer", "LD_PRELOAD=" + library, nil},
	} {
		id := strconv.Itoa(i + 1)
		cmd := exec.CommandContext(t.Context(), compile(t, "together", c.flags...), id, "vale0:"+c.name, "netmap:chain}"+id, "netmap:chain{"+strconv.Itoa(i+2))
		cmd.Env = append(slices.Clone(env), c.env)
		all = append(all, startMember(t, cmd))
	}
	for _, m := range all {
		m.expect("ready")
	}
	for _, m := range all {
		if _, err := io.WriteString(m.in, "go\n"); err != nil {
			t.Fatal(err)
		}
	}
	onSwitch(t, port)
	for _, m := range all {
		m.expect("switch")
	}
	inChain(t, first, last)
	for _, m := range all {
		m.expect("chain")
		_ = m.in.Close()
		if err := m.cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", m.cmd.Args, err, m.log.String())
		}
	}
}

func waitFor(t *testing.T, d *netmap.Desc, events netmap.Events) {
	t.Helper()
	if got, err := d.PollTimeout(patience, events); err != nil || got&events == 0 {
		t.Fatalf("waiting for %v: %v, %v", events, got, err)
	}
}

func onSwitch(t *testing.T, d *netmap.Desc) {
	t.Helper()
	frame := make([]byte, frameLen)
	copy(frame, "\xff\xff\xff\xff\xff\xff\x02")
	for i := range sent {
		binary.NativeEndian.PutUint32(frame[seqAt:], uint32(i))
		if !d.TxRings()[0].Send(frame) {
			t.Fatal("no room")
		}
	}
	if err := d.TxSync(); err != nil {
		t.Fatal(err)
	}
	var seen [members]uint32
	buf := make([]byte, 2048)
	for missing := (members - 1) * sent; missing > 0; {
		n, ok := d.RxRings()[0].Recv(buf)
		if !ok {
			waitFor(t, d, netmap.PollIn)
			continue
		}
		from, seq := buf[idAt], binary.NativeEndian.Uint32(buf[seqAt:])
		if n != frameLen || from == 0 || from >= members || seq != seen[from] {
			t.Fatalf("%d bytes: frame %d of member %d", n, seq, from)
		}
		seen[from]++
		missing--
	}
}

// inChain sends at one end and receives at the other, what all three members have signed.
func inChain(t *testing.T, first, last *netmap.Desc) {
	t.Helper()
	frame, buf := make([]byte, frameLen), make([]byte, 2048)
	want := []byte{0, 1, 2, 3}
	for in, out := 0, 0; out < chained; {
		for in < chained && in-out < 1024 {
			binary.NativeEndian.PutUint32(frame[seqAt:], uint32(in))
			if !first.TxRings()[0].Send(frame) {
				break
			}
			in++
		}
		if err := first.TxSync(); err != nil {
			t.Fatal(err)
		}
		if in == out { // all came through, and only now has the first pipe its slots back
			waitFor(t, first, netmap.PollOut)
			continue
		}
		waitFor(t, last, netmap.PollIn)
		for {
			n, ok := last.RxRings()[0].Recv(buf)
			if !ok {
				break
			}
			if seq := binary.NativeEndian.Uint32(buf[seqAt:]); n != frameLen || seq != uint32(out) || !bytes.Equal(buf[signedAt:signedAt+members], want) {
				t.Fatalf("frame %d: %d bytes, number %d, signed by % x", out, n, seq, buf[signedAt:signedAt+members])
			}
			out++
		}
	}
}
