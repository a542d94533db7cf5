// Package pcapng writes what was captured as a pcapng file: an interface for each
// port, nanoseconds, directions, and how much was missed. Whatever happens, the
// file holds whole blocks only.
package pcapng

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Writer writes a section.
type Writer struct {
	out     io.Writer
	buf     bytes.Buffer
	ng      *pcapgo.NgWriter
	written int64 // bytes, whole blocks
}

// Frame is what was captured of a frame.
type Frame struct {
	Time      time.Time
	Interface int // place in the names given to New
	Out       bool
	Length    int // that it had
	Data      []byte
}

// New begins a section with these interfaces (at least one). application and filter
// are told to readers.
func New(out io.Writer, application, filter string, snap uint32, names []string) (*Writer, error) {
	w := &Writer{out: out}
	for i, name := range names {
		intf := pcapgo.NgInterface{Name: name, Filter: filter, LinkType: layers.LinkTypeEthernet, SnapLength: snap}
		var err error
		if i == 0 {
			w.ng, err = pcapgo.NewNgWriterInterface(&w.buf, intf, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: application}})
		} else {
			_, err = w.ng.AddInterface(intf)
		}
		if err != nil {
			return nil, err
		}
	}
	return w, w.Flush()
}

// Write adds a frame; Flush makes it arrive.
func (w *Writer) Write(f Frame) error {
	flags := &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}
	if f.Out {
		flags.Direction = pcapgo.NgEpbFlagDirectionOutbound
	}
	return w.ng.WritePacketWithOptions(gopacket.CaptureInfo{
		Timestamp: f.Time, CaptureLength: len(f.Data), Length: f.Length, InterfaceIndex: f.Interface,
	}, f.Data, pcapgo.NgPacketOptions{Flags: flags})
}

// Missed ends the section of an interface: how many of its frames were lost.
func (w *Writer) Missed(intf int, missed uint64, start, end time.Time) error {
	return w.ng.WriteInterfaceStats(intf, pcapgo.NgInterfaceStatistics{
		LastUpdate: end, StartTime: start, EndTime: end, PacketsDropped: missed, PacketsReceived: pcapgo.NgNoValue64,
	})
}

// Flush writes what was added. After an error, as of a full disk, a file ends with
// the last block that it had room for.
func (w *Writer) Flush() error {
	if err := w.ng.Flush(); err != nil {
		return err
	}
	n, err := w.out.Write(w.buf.Bytes())
	if err == nil {
		w.written += int64(n)
		w.buf.Reset()
		return nil
	}
	whole := wholeBlocks(w.buf.Bytes()[:n])
	if f, ok := w.out.(*os.File); ok {
		if info, serr := f.Stat(); serr == nil && info.Mode().IsRegular() {
			if terr := f.Truncate(w.written + int64(whole)); terr != nil {
				err = fmt.Errorf("%w; and the last block is not whole: %w", err, terr)
			}
		}
	}
	return err
}

// wholeBlocks is how many bytes at the beginning of b are whole blocks.
func wholeBlocks(b []byte) (n int) {
	for n+8 <= len(b) {
		length := int(b[n+4]) | int(b[n+5])<<8 | int(b[n+6])<<16 | int(b[n+7])<<24 // as the library writes
		if length < 12 || n+length > len(b) {
			break
		}
		n += length
	}
	return n
}
