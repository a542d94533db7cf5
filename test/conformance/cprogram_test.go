package conformance

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/rundir"
)

// The driver program and the interposer, made by buildDriver; or why the tests that need them cannot run.
var (
	driverPath, linkedPath, preloadPath string
	proberMissing                       string // for driver.c alone
	driverMissing                       string // for driver.c as a netmap program
)

func buildDriver() {
	cc := "cc"
	if v := os.Getenv("CC"); v != "" {
		cc = v
	}
	driverPath = filepath.Join(buildDir, "driver")
	out, err := exec.Command(cc, "-O1", "-Wall", "-I../../clib/include", "-o", driverPath, "driver.c", "traffic.c", "memory.c", "oldlib.c", "-lpthread").CombinedOutput()
	if err != nil {
		proberMissing = fmt.Sprintf("driver.c cannot be compiled: %v\n%s", err, out)
		driverMissing = proberMissing
		return
	}
	preloadPath = filepath.Join(buildDir, "libnetmapd-preload.so")
	if out, err = exec.Command("make", "-s", "-C", "../..", "clib", "BIN="+buildDir).CombinedOutput(); err != nil {
		driverMissing = fmt.Sprintf("the C libraries cannot be built: make clib: %v\n%s", err, out)
		return
	}
	linkedPath = filepath.Join(buildDir, "driver-linked")
	out, err = exec.Command(cc, "-O1", "-Wall", "-DLINKED", "-I../../clib/include", "-o", linkedPath, "driver.c", "traffic.c", "memory.c", "oldlib.c", "library.c",
		"-L"+buildDir, "-lnetmap", "-lpthread", "-Wl,-rpath,"+buildDir).CombinedOutput()
	if err != nil {
		driverMissing = fmt.Sprintf("driver.c cannot be linked with libnetmap: %v\n%s", err, out)
	}
}

// driver is driver.c in a process of its own.
type driver struct {
	e    *env
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	log  logBuffer
	over chan []string
}

// startDriver runs the driver, as a netmap program (under the interposer or linked) or by itself. It ends by itself when its input does; a parent-death
// signal would come with the end of a thread, which package netns brings about.
func startDriver(e *env, netmap bool) *driver {
	e.Helper()
	d := &driver{e: e, cmd: exec.Command(driverPath)}
	d.cmd.Env = append(os.Environ(), rundir.Env+"="+e.daemon.dir)
	switch {
	case netmap && e.linked:
		d.cmd.Path, d.cmd.Args[0] = linkedPath, linkedPath
	case netmap:
		d.cmd.Env = append(d.cmd.Env, "LD_PRELOAD="+preloadPath)
	}
	d.cmd.Stderr = &d.log
	var err error
	d.in, err = d.cmd.StdinPipe()
	e.must(err)
	out, err := d.cmd.StdoutPipe()
	e.must(err)
	d.out = bufio.NewReaderSize(out, 1<<20)
	e.must(d.cmd.Start())
	e.Cleanup(d.end)
	return d
}

func (d *driver) end() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
	d.cmd = nil
	if s := d.log.String(); s != "" {
		d.e.Logf("the driver says:\n%s", s)
	}
}

// tell sends a command; its answer must be read by hear.
func (d *driver) tell(format string, args ...any) {
	d.e.Helper()
	if _, err := fmt.Fprintf(d.in, format+"\n", args...); err != nil {
		d.e.Fatalf("command the driver: %v\n%s", err, d.log.String())
	}
}

func (d *driver) hear() (errno unix.Errno, words []string) {
	d.e.Helper()
	line, err := d.out.ReadString('\n')
	if err != nil {
		d.e.Fatalf("the driver died: %v\n%s", err, d.log.String())
	}
	words = strings.Fields(line)
	n, err := strconv.Atoi(words[0])
	if err != nil || unix.Errno(n) == unix.EPROTO {
		d.e.Fatalf("the driver says %q", line)
	}
	return unix.Errno(n), words[1:]
}

func (d *driver) do(format string, args ...any) (unix.Errno, []string) {
	d.e.Helper()
	d.tell(format, args...)
	return d.hear()
}

// number is a command that returns a number, and must succeed.
func (d *driver) number(format string, args ...any) int {
	d.e.Helper()
	errno, words := d.do(format, args...)
	if errno != 0 {
		d.e.Fatalf("%s: %s", fmt.Sprintf(format, args...), errnoName(errno))
	}
	return d.atoi(words[0])
}

func (d *driver) atoi(s string) int {
	d.e.Helper()
	n, err := strconv.Atoi(s)
	d.e.must(err)
	return n
}

func (d *driver) unhex(s string) []byte {
	d.e.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "-"))
	d.e.must(err)
	return b
}

func (d *driver) open() int      { return d.number("open") }
func (d *driver) dup(fd int) int { return d.number("dup %d", fd) }

func (d *driver) close(fd int) {
	d.e.Helper()
	if errno, _ := d.do("close %d", fd); errno != 0 {
		d.e.Errorf("close: %s", errnoName(errno))
	}
}

// encode writes the header, with null pointers, and the options as the driver reads them.
func (q *request) encode() (header []byte, opts string) {
	header = make([]byte, 8, abi.HeaderSize)
	binary.LittleEndian.PutUint16(header, q.version)
	binary.LittleEndian.PutUint16(header[2:], q.typ)
	binary.LittleEndian.PutUint32(header[4:], q.reserved)
	header = append(header, q.name[:]...)
	var all []string
	for _, o := range q.options {
		all = append(all, fmt.Sprintf("%d/%d/%d/%x", o.typ, o.size, o.next, o.body))
	}
	if all == nil {
		return header, "-"
	}
	return header, strings.Join(all, ",")
}

func (d *driver) control(fd int, q *request) unix.Errno {
	d.e.Helper()
	body := "-"
	switch {
	case q.wild:
		body = "!"
	case q.body != nil:
		body = hex.EncodeToString(q.body)
	}
	header, opts := q.encode()
	errno, words := d.do("ctrl %d %x %s %s", fd, header, body, opts)
	back := d.unhex(words[0])
	if string(back[:8]) != string(header[:8]) || words[1] != "1" {
		d.e.Errorf("%s: header came back as % x, want % x; pointers kept: %s", abi.CString(q.name[:]), back[:8], header[:8], words[1])
	}
	copy(q.name[:], back[8:])
	if q.body != nil {
		copy(q.body, d.unhex(words[2]))
	}
	q.takeOptions(d, words[3])
	return errno
}

// takeOptions reads the options as the driver shows them.
func (q *request) takeOptions(d *driver, all string) {
	d.e.Helper()
	for i, text := range strings.Split(strings.Trim(all, "-,"), ",") {
		if parts := strings.Split(text, "/"); len(parts) == 3 {
			q.options[i].status, q.options[i].moved = uint32(d.atoi(parts[0])), parts[1] != "1"
			copy(q.options[i].body, d.unhex(parts[2]))
		}
	}
}

func (d *driver) legacy(fd int, ioctl uint64, arg []byte) unix.Errno {
	d.e.Helper()
	text := "-"
	if arg != nil {
		text = hex.EncodeToString(arg)
	}
	errno, words := d.do("ioctl %d %d %s", fd, ioctl, text)
	copy(arg, d.unhex(words[0]))
	return errno
}

// call is an ioctl without argument.
func (d *driver) call(fd int, ioctl uint64) unix.Errno {
	d.e.Helper()
	return d.legacy(fd, ioctl, nil)
}

func (d *driver) txsync(fd int) unix.Errno { return d.call(fd, abi.NIOCTXSYNC) }
func (d *driver) rxsync(fd int) unix.Errno { return d.call(fd, abi.NIOCRXSYNC) }

func (d *driver) mmap(fd int, length, offset uint64) (int, unix.Errno) {
	d.e.Helper()
	errno, words := d.do("mmap %d %d %d", fd, length, offset)
	return d.atoi(words[0]), errno
}

func (d *driver) munmap(base int) {
	d.e.Helper()
	if errno, _ := d.do("munmap %d", base); errno != 0 {
		d.e.Errorf("munmap: %s", errnoName(errno))
	}
}

func (d *driver) load(base int, off uint64, n int) []byte {
	d.e.Helper()
	_, words := d.do("load %d %d %d", base, off, n)
	return d.unhex(words[0])
}

func (d *driver) store(base int, off uint64, b []byte) {
	d.e.Helper()
	d.do("store %d %d %x", base, off, b)
}

func (d *driver) poll(fd int, events int16, limit time.Duration) int16 {
	d.e.Helper()
	ms := limit.Milliseconds()
	if limit < 0 {
		ms = -1
	}
	errno, words := d.do("poll %d %d %d", ms, fd, events)
	if errno != 0 {
		d.e.Errorf("poll: %s", errnoName(errno))
	}
	return int16(d.atoi(words[1]))
}

// drainTo starts to receive frames on a port until the last one; drained says that it is over, and judges it.
func (d *driver) drainTo(frames uint32, p *port, how string) {
	d.e.Helper()
	d.tell("drain %s %d %d %d %d", how, p.fd, p.base, p.rx[0].off, frames)
	d.over = make(chan []string, 1)
	go func() {
		_, words := d.hear()
		d.over <- words
	}()
}

func (d *driver) drained(frames uint32) bool {
	d.e.Helper()
	select {
	case words := <-d.over:
		if got := d.atoi(words[0]); words[1] != "0" || words[2] != "0" || got < int(frames/10) {
			d.e.Errorf("%s frames of %d came, %s out of order, with %s stalls", words[0], frames, words[1], words[2])
		}
		return true
	case <-time.After(moment):
		return false
	}
}

// feedTo sends frames from a number on, and the last one again and again until it has come: a full ring may have dropped it.
func (d *driver) feedTo(from, frames uint32, p *port, done func() bool) {
	d.e.Helper()
	for d.feed(from, frames, p); !done(); {
		d.feed(frames-1, frames, p)
	}
}

// feed sends the frames numbered so.
func (d *driver) feed(from, end uint32, p *port) {
	d.e.Helper()
	if errno, words := d.do("feed %d %d %d %d %d 64", p.fd, p.base, p.tx[0].off, from, end); errno != 0 {
		d.e.Fatalf("the sender got no room after %s frames", words[0])
	}
}
