package shm

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxRecord bounds what ReadRecord reads.
const maxRecord = 1 << 16

// allSeals make a file one that never changes.
const allSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL

// NewRecord makes a memfd that says v, as JSON, for good: a word to the next
// daemon, which no client ever gets.
func NewRecord(name string, v any) (*os.File, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write record %s: %w", name, err)
	}
	fd, err := unix.MemfdCreate("netmapd:"+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create record %s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err = f.Write(text); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, allSeals)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write record %s: %w", name, err)
	}
	return f, nil
}

// ReadRecord reads what NewRecord wrote into v.
func ReadRecord(f *os.File, v any) error {
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err == nil && seals&allSeals != allSeals {
		err = fmt.Errorf("it is not sealed against changes (seals %#x)", seals)
	}
	if err != nil {
		return fmt.Errorf("read record %s: %w", f.Name(), err)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxRecord))
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("read record %s: %w", f.Name(), err)
	}
	return nil
}
