// Package rundir says where netmapd's sockets lie. The daemon and its clients
// share it, so that they meet without being told.
package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Env names the environment variable that Resolve reads.
const Env = "NETMAPD_RUNTIME_DIR"

// The sockets in a runtime directory.
const (
	controlSocket = "control.sock" // gRPC
	attachSocket  = "netmap.sock"  // SOCK_SEQPACKET, for netmap clients
)

// system is the runtime directory of the system's daemon.
const system = "/run/netmapd"

// maxSocketPath is what sun_path holds, its terminator left out (unix(7)).
const maxSocketPath = 107

// ControlSocket is the path of the gRPC socket in a runtime directory.
func ControlSocket(dir string) string { return filepath.Join(dir, controlSocket) }

// AttachSocket is the path of the attach socket in a runtime directory.
func AttachSocket(dir string) string { return filepath.Join(dir, attachSocket) }

// Resolve returns the absolute path of the runtime directory: the first of
//
//   - flag, what the user gave as --runtime-dir (or, for the daemon, in its configuration),
//   - $NETMAPD_RUNTIME_DIR,
//   - /run/netmapd, for root,
//   - $XDG_RUNTIME_DIR/netmapd,
//   - /tmp/netmapd-UID; since anybody can create that one it is an error when it
//     exists and is a symbolic link, another user's, or not of mode 0700.
//
// The directory need not exist.
func Resolve(flag string) (string, error) {
	return resolve(flag, os.Getenv, os.Geteuid(), "/tmp")
}

func resolve(flag string, getenv func(string) string, uid int, tmp string) (string, error) {
	dir, shared := choose(flag, getenv, uid, tmp)
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("runtime directory: %w", err)
	}
	if n := len(ControlSocket(dir)); n > maxSocketPath {
		return "", fmt.Errorf("runtime directory %s: the path of a socket in it has %d bytes, Linux allows %d; choose a shorter one with --runtime-dir", dir, n, maxSocketPath)
	}
	if !shared {
		return dir, nil
	}
	if err := check(dir, uid, 0o077); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return dir, nil
}

// choose applies the order of Resolve; shared means that the directory lies in
// one that everybody can write to.
func choose(flag string, getenv func(string) string, uid int, tmp string) (dir string, shared bool) {
	env, xdg := getenv(Env), getenv("XDG_RUNTIME_DIR")
	switch {
	case flag != "":
		return flag, false
	case env != "":
		return env, false
	case uid == 0:
		return system, false
	case filepath.IsAbs(xdg): // its specification says to ignore relative ones
		return filepath.Join(xdg, "netmapd"), false
	default:
		return filepath.Join(tmp, "netmapd-"+strconv.Itoa(uid)), true
	}
}

// Find is Resolve for clients: without flag and environment, one who is not root
// and has no daemon of his own gets /run/netmapd, if a daemon serves there.
func Find(flag string) (string, error) {
	return find(flag, os.Getenv, os.Geteuid(), "/tmp", system)
}

func find(flag string, getenv func(string) string, uid int, tmp, system string) (string, error) {
	dir, err := resolve(flag, getenv, uid, tmp)
	if flag != "" || getenv(Env) != "" || uid == 0 {
		return dir, err
	}
	if err == nil && exists(AttachSocket(dir)) || !exists(AttachSocket(system)) {
		return dir, err
	}
	return system, nil // only root and who it lets can write there
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Create makes the runtime directory, or checks one that exists: a directory
// and no symbolic link, owned by the caller, writable by nobody else, and what
// Resolve says for the one in /tmp. A new one has mode 0700, or 0755 for root
// and where a group (-1: none) is to reach the sockets, which have modes of
// their own. Its parent must exist.
func Create(dir string, group int) error {
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 || group >= 0 && forbidden(dir) == 0o022 {
		mode = 0o755
	}
	err := os.Mkdir(dir, mode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return check(dir, os.Geteuid(), forbidden(dir))
	case err != nil:
		return fmt.Errorf("creating the runtime directory: %w; its parent must exist and be writable, or choose another one with --runtime-dir", err)
	}
	if err := os.Chmod(dir, mode); err != nil { // whatever the umask is
		return fmt.Errorf("creating the runtime directory: %w", err)
	}
	return nil
}

// forbidden are the mode bits that a directory that was there before us may not have.
func forbidden(dir string) fs.FileMode {
	if filepath.Dir(dir) == "/tmp" && filepath.Base(dir) == "netmapd-"+strconv.Itoa(os.Geteuid()) {
		return 0o077
	}
	return 0o022
}

// check says what is wrong with an existing runtime directory, on which whoever
// connects to a socket in it relies.
func check(dir string, uid int, forbidden fs.FileMode) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("runtime directory: %w", err)
	}
	mode := info.Mode()
	const remedy = "remove it or choose another one with --runtime-dir"
	switch {
	case mode&fs.ModeSymlink != 0:
		return fmt.Errorf("runtime directory %s: expected a directory, found a symbolic link; %s", dir, remedy)
	case !mode.IsDir():
		return fmt.Errorf("runtime directory %s: expected a directory, found a file (%v); %s", dir, mode, remedy)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != uint32(uid) { //nolint:gosec // a uid is never negative on Linux
		return fmt.Errorf("runtime directory %s: expected owner uid %d, found %d; %s", dir, uid, st.Uid, remedy)
	}
	if perm := mode.Perm(); perm&forbidden != 0 {
		return fmt.Errorf("runtime directory %s: found mode %04o, expected at most %04o; run chmod %o %s", dir, perm, 0o777&^forbidden, 0o777&^forbidden, dir)
	}
	return nil
}
