// Package servicemanager plays systemd for a netmapd under test: the notify socket, and the descriptor store, which it
// hands to the next process as systemd does (sd_notify(3), sd_listen_fds(3)).
package servicemanager

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Manager is a service manager with one service.
type Manager struct {
	t    testing.TB
	conn *net.UnixConn
	said chan string
	done chan struct{}
	met  chan struct{} // everything sent before has been heard

	mu   sync.Mutex
	kept map[string]int // descriptors by name
}

// New makes one that ends with the test.
func New(t testing.TB) *Manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "nmsm") // t.TempDir has the name of the test in it, too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &Manager{t: t, conn: conn, said: make(chan string, 1<<12), done: make(chan struct{}), met: make(chan struct{}), kept: map[string]int{}}
	go m.listen()
	t.Cleanup(func() {
		_ = conn.Close()
		<-m.done
		m.discard()
		_ = os.RemoveAll(dir)
	})
	return m
}

// Env is what the service finds in its environment.
func (m *Manager) Env() string { return "NOTIFY_SOCKET=" + m.Socket() }

// Socket is where the service says things.
func (m *Manager) Socket() string { return m.conn.LocalAddr().String() }

// Said receives what the service says, but for descriptors to keep.
func (m *Manager) Said() <-chan string { return m.said }

func (m *Manager) listen() {
	defer close(m.done)
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*4))
	for {
		n, oobn, _, _, err := m.conn.ReadMsgUnix(buf, oob)
		if err != nil {
			return
		}
		var fds []int
		if msgs, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(msgs) == 1 {
			fds, _ = unix.ParseUnixRights(&msgs[0])
		}
		if string(buf[:n]) == meet {
			m.met <- struct{}{}
			continue
		}
		m.hear(string(buf[:n]), fds)
	}
}

const meet = "X_MEET=1"

// catchUp waits until all that was said is heard, as systemd does before it looks at a process that ended.
func (m *Manager) catchUp() {
	m.t.Helper()
	conn, err := net.DialUnix("unixgram", nil, m.conn.LocalAddr().(*net.UnixAddr))
	if err == nil {
		_, err = conn.Write([]byte(meet))
		_ = conn.Close()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	<-m.met
}

func (m *Manager) hear(text string, fds []int) {
	lines := strings.Split(text, "\n")
	name := ""
	for _, line := range lines {
		if after, ok := strings.CutPrefix(line, "FDNAME="); ok {
			name = after
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case slices.Contains(lines, "FDSTORE=1") && len(fds) == 1 && m.kept[name] == 0:
		m.kept[name] = fds[0]
		return
	case slices.Contains(lines, "FDSTOREREMOVE=1"):
		if fd, ok := m.kept[name]; ok {
			_ = unix.Close(fd)
			delete(m.kept, name)
		}
	case strings.Contains(text, "FDSTORE"):
		m.t.Errorf("the service has %d descriptors kept by %q", len(fds), text)
	default:
		m.said <- text
	}
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// Kept lists the names of what is kept. What hung up is not, as with systemd.
func (m *Manager) Kept() []string {
	m.t.Helper()
	m.catchUp()
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, fd := range m.kept {
		p := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(p, 0); err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
			_ = unix.Close(fd)
			delete(m.kept, name)
		}
	}
	return slices.Sorted(maps.Keys(m.kept))
}

// File is another descriptor of what is kept by a name.
func (m *Manager) File(name string) *os.File {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	fd, err := unix.FcntlInt(uintptr(m.kept[name]), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil || m.kept[name] == 0 {
		m.t.Fatalf("%s is not kept (%v)", name, err)
	}
	return os.NewFile(uintptr(fd), name)
}

// Replace keeps something else by a name.
func (m *Manager) Replace(name string, f *os.File) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if fd, ok := m.kept[name]; ok {
		_ = unix.Close(fd)
		delete(m.kept, name)
	}
	if f == nil {
		return
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		m.t.Error(err)
		return
	}
	m.kept[name] = fd
}

// Discard ends the keeping of everything, as stopping the service does.
func (m *Manager) Discard() {
	m.t.Helper()
	m.catchUp()
	m.discard()
}

func (m *Manager) discard() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, fd := range m.kept {
		_ = unix.Close(fd)
		delete(m.kept, name)
	}
}

// Command is the service's next process: what is kept is handed to it.
func (m *Manager) Command(program string, args ...string) *exec.Cmd {
	m.t.Helper()
	names := m.Kept()
	// The process id is known only in the process.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh", program}, args...)...)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		fd, err := unix.FcntlInt(uintptr(m.kept[name]), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			m.t.Error(err)
			continue
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(fd), name))
	}
	cmd.Env = append(os.Environ(), m.Env())
	if len(names) > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	return cmd
}

// Started closes our copies of what was handed to a process.
func Started(cmd *exec.Cmd) {
	for _, f := range cmd.ExtraFiles {
		_ = f.Close()
	}
}
