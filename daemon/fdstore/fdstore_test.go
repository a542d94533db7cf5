package fdstore_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/fdstore"
	"github.com/netmapd/netmapd/test/servicemanager"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, socket string) *fdstore.Store {
	t.Helper()
	t.Setenv("NOTIFY_SOCKET", socket)
	s, err := fdstore.Open(slog.New(slog.DiscardHandler))
	must(t, err)
	return s
}

// Without a service manager there is no store, and that is no error.
func TestNobody(t *testing.T) {
	if s := openStore(t, ""); s != nil {
		t.Errorf("got %v, want nil", s)
	}
}

func TestPutAndRemove(t *testing.T) {
	m := servicemanager.New(t)
	s := openStore(t, m.Socket())
	defer s.Close(0)
	s.Put("a", 0)
	s.Put("b", 1)
	s.Remove("a")
	s.Remove("nothing")
	if got := m.Kept(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("kept are %q, want b", got)
	}
}

// A service manager that does not listen for a while makes nobody wait, and hears everything in order; what came and
// went meanwhile it never sees.
func TestBusyManager(t *testing.T) {
	dir, err := os.MkdirTemp("", "nmfs")
	must(t, err)
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "n"), Net: "unixgram"})
	must(t, err)
	defer conn.Close() //nolint:errcheck // the test ends
	s := openStore(t, conn.LocalAddr().String())
	const many = 2000 // more than any queue of datagrams holds
	for i := range many {
		s.Put(fmt.Sprint(i), 0)
	}
	for i := range many - 1 {
		s.Remove(fmt.Sprint(i))
	}
	go func() {
		s.Close(time.Minute)
		if end, err := net.DialUnix("unixgram", nil, conn.LocalAddr().(*net.UnixAddr)); err == nil {
			_, _ = end.Write([]byte("END"))
			_ = end.Close()
		}
	}()
	must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	puts, kept := 0, map[string]bool{}
	for buf := make([]byte, 256); ; {
		n, err := conn.Read(buf)
		must(t, err)
		word, name, _ := strings.Cut(string(buf[:n]), "\nFDNAME=")
		if word == "END" {
			break
		}
		switch word {
		case "FDSTORE=1":
			puts++
			kept[name] = true
		case "FDSTOREREMOVE=1":
			delete(kept, name)
		}
	}
	if last := strconv.Itoa(many - 1); len(kept) != 1 || !kept[last] {
		t.Errorf("kept are %v, want %s", kept, last)
	}
	if puts > many/2 {
		t.Errorf("%d messages put something, want those that were in the socket's queue, and the last", puts)
	}
	var all []int
	for fd := range 4096 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			all = append(all, fd)
		}
	}
	if len(all) > 100 {
		t.Errorf("%d descriptors are open", len(all))
	}
}

// Close does not wait for ever for one that never listens.
func TestDeafManager(t *testing.T) {
	dir, err := os.MkdirTemp("", "nmfs")
	must(t, err)
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "n"), Net: "unixgram"})
	must(t, err)
	s := openStore(t, conn.LocalAddr().String())
	for i := range 2000 {
		s.Put(fmt.Sprint(i), 0)
	}
	s.Close(10 * time.Millisecond)
	must(t, conn.Close())
	s.Put("late", 0) // and this is no fault either
	s.Remove("late")
}
