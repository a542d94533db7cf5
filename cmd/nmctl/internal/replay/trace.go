package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A trace is a file in memory, so that reading it delays nothing.
type trace struct {
	data   []byte
	frames []frame
	cut    int // frames of which the file holds only the beginning
}

type frame struct {
	end int           // of its bytes in data; they begin where those before end
	at  time.Duration // since the first frame, never before the one in front
}

func (t *trace) bytes(i int) []byte {
	start := 0
	if i > 0 {
		start = t.frames[i-1].end
	}
	return t.data[start:t.frames[i].end]
}

// length is the time of the file: what lies between two rounds is the mean gap,
// so that a loop keeps the rate.
func (t *trace) length() time.Duration {
	last := t.frames[len(t.frames)-1].at
	if n := len(t.frames); n > 1 {
		return last + last/time.Duration(n-1)
	}
	return last
}

const (
	magicNG   = "\x0a\x0d\x0d\x0a"
	magicGzip = "\x1f\x8b"
	// maxTrace is how much of a file is taken into memory.
	maxTrace = 8 << 30
)

// A source gives one frame after the other and says what kind of link it is of.
type source interface {
	next() ([]byte, gopacket.CaptureInfo, layers.LinkType, error)
}

type pcapSource struct{ *pcapgo.Reader }

func (s pcapSource) next() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
	b, ci, err := s.ReadPacketData()
	return b, ci, s.LinkType(), err
}

type ngSource struct{ *pcapgo.NgReader }

func (s ngSource) next() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
	b, ci, err := s.ReadPacketData()
	link := s.LinkType()
	if err == nil {
		if i, ierr := s.Interface(ci.InterfaceIndex); ierr == nil {
			link = i.LinkType
		}
	}
	return b, ci, link, err
}

func load(path string) (*trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// read reads a whole file. One that breaks off in a frame, as a capture that was
// killed does, ends before it.
func read(f io.Reader) (*trace, error) {
	s, err := open(f)
	if err != nil {
		return nil, err
	}
	t := &trace{}
	var first time.Time
	for {
		b, ci, link, err := s.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", len(t.frames)+1, err)
		}
		if link != layers.LinkTypeEthernet {
			return nil, fmt.Errorf("frame %d is of a link of type %v; ports carry Ethernet", len(t.frames)+1, link)
		}
		if len(t.data)+len(b) > maxTrace {
			return nil, fmt.Errorf("more than %d GiB of frames; split the file", maxTrace>>30)
		}
		if len(t.frames) == 0 {
			first = ci.Timestamp
		}
		at := ci.Timestamp.Sub(first)
		if n := len(t.frames); n > 0 {
			at = max(at, t.frames[n-1].at) // order counts more than what clocks said
		}
		if len(b) < ci.Length {
			t.cut++
		}
		t.data = append(t.data, b...)
		t.frames = append(t.frames, frame{len(t.data), at})
	}
	if len(t.frames) == 0 {
		return nil, errors.New("no frame in the file")
	}
	return t, nil
}

func open(f io.Reader) (source, error) {
	b := bufio.NewReaderSize(f, 1<<20)
	if magic, _ := b.Peek(2); string(magic) == magicGzip {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		b = bufio.NewReaderSize(z, 1<<20)
	}
	magic, err := b.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("expected a pcap or pcapng file, found %d bytes", len(magic))
	}
	if bytes.Equal(magic, []byte(magicNG)) {
		r, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil, fmt.Errorf("expected a pcapng file: %w", err)
		}
		return ngSource{r}, nil
	}
	r, err := pcapgo.NewReader(b)
	if err != nil {
		return nil, fmt.Errorf("expected a pcap or pcapng file: %w", err)
	}
	return pcapSource{r}, nil
}
