package control

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/net/bpf"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/port"
)

// Capture is a capture that was begun; see [port.Capture].
type Capture interface {
	// Next takes a frame, false when there is none now.
	Next() (port.CapturedFrame, bool)
	// Missed counts frames lost since the capture began, by port.
	Missed() []uint64
	// Gone is closed when none of the ports exists any more.
	Gone() <-chan struct{}
	// Close ends it.
	Close(ctx context.Context)
}

// Capturing is what the services need of the registry to capture.
type Capturing interface {
	// Capture begins a capture, or ENXIO, EINVAL, EMFILE.
	Capture(ctx context.Context, spec port.CaptureSpec) (Capture, error)
}

// Limits of captures.
const (
	maxCapturePorts = 64
	maxSnap         = 65536
	maxFilter       = 4096 // instructions, as in Linux

	// A message holds at most so much, to be sent at once.
	captureFrames = 256
	captureBytes  = 256 << 10

	captureWait = 2 * time.Millisecond // looks for frames again
	captureTell = time.Second          // says how many were missed although no frame came
)

type captureService struct {
	pb.UnimplementedCaptureServiceServer
	plane Plane
	may   func(ctx context.Context, method string, verb access.Verb, object string) error
	streams
}

func (s *captureService) Capture(req *pb.CaptureRequest, stream pb.CaptureService_CaptureServer) error {
	ctx := stream.Context()
	var p problems
	spec := p.capture(req)
	filter := p.filter(req.GetFilter())
	p.atMost("snap_length", req.GetSnapLength(), maxSnap)
	if err := p.err(); err != nil {
		return err
	}
	for _, name := range spec.Ports {
		if err := s.may(ctx, pb.CaptureService_Capture_FullMethodName, access.Monitor, name); err != nil {
			return err
		}
	}
	c, err := s.plane.Capture(ctx, spec)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	snap := int(req.GetSnapLength())
	if snap == 0 {
		snap = maxSnap
	}
	return s.run(stream, &sieve{c: c, filter: filter, snap: snap})
}

// run sends what the sieve lets through until the caller goes or the ports do.
func (s *captureService) run(stream pb.CaptureService_CaptureServer, from *sieve) error {
	ctx := stream.Context()
	pause := time.NewTicker(captureWait)
	defer pause.Stop()
	told := time.Time{} // the first message comes at once
	for {
		gone := false
		select { // before the last look
		case <-from.c.Gone():
			gone = true
		default:
		}
		m, looked := from.batch()
		if now := time.Now(); len(m.GetFrames()) > 0 || now.Sub(told) >= captureTell {
			if err := sendInTime(s.streams, stream, m); err != nil {
				return err
			}
			told = now
		}
		switch {
		case looked:
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		case gone:
			return status.Error(codes.OutOfRange, "none of the ports exists any more")
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopping:
			return status.Error(codes.Unavailable, "netmapd is stopping")
		}
	}
}

// sieve takes the frames that a caller wants out of a capture.
type sieve struct {
	c      Capture
	filter *bpf.VM // nil lets all through
	snap   int
}

// batch takes what fits a message; looked says that there was something, wanted or
// not.
func (s *sieve) batch() (m *pb.CaptureResponse, looked bool) {
	m = &pb.CaptureResponse{}
	for n, size := 0, 0; n < 16*captureFrames && len(m.Frames) < captureFrames && size < captureBytes; n++ {
		f, ok := s.c.Next()
		if !ok {
			break
		}
		looked = true
		keep := s.snap
		if s.filter != nil {
			n, err := s.filter.Run(f.Data)
			if err != nil || n == 0 {
				continue
			}
			keep = min(keep, n)
		}
		data := append([]byte(nil), f.Data[:min(keep, len(f.Data))]...)
		size += len(data)
		way := pb.Direction_DIRECTION_IN
		if f.Out {
			way = pb.Direction_DIRECTION_OUT
		}
		m.Frames = append(m.Frames, &pb.CapturedFrame{
			Time: timestamppb.New(f.Time), Port: uint32(f.Port), Direction: way, Length: uint32(f.Length), Data: data,
		})
	}
	m.Missed = s.c.Missed()
	return m, looked
}

func (p *problems) capture(req *pb.CaptureRequest) port.CaptureSpec {
	names := req.GetPorts()
	if len(names) == 0 || len(names) > maxCapturePorts {
		p.add("ports", "%d names, expected 1 to %d", len(names), maxCapturePorts)
	} else {
		for i, n := range names {
			p.name(fmt.Sprintf("ports[%d]", i), n)
		}
	}
	spec := port.CaptureSpec{Ports: names}
	switch req.GetDirection() {
	case pb.Direction_DIRECTION_UNSPECIFIED:
	case pb.Direction_DIRECTION_IN:
		spec.In = true
	case pb.Direction_DIRECTION_OUT:
		spec.Out = true
	default:
		p.add("direction", "%d is no direction", req.GetDirection())
	}
	return spec
}

// filter checks a program: it must end, and read nothing that is not there.
func (p *problems) filter(program []*pb.BpfInstruction) *bpf.VM {
	if len(program) == 0 {
		return nil
	}
	if len(program) > maxFilter {
		p.add("filter", "has %d instructions, at most %d are allowed", len(program), maxFilter)
		return nil
	}
	ins := make([]bpf.Instruction, len(program))
	for i, in := range program {
		field := fmt.Sprintf("filter[%d]", i)
		if in.GetCode() > 1<<16-1 || in.GetJt() > 255 || in.GetJf() > 255 {
			p.add(field, "code %d, jt %d or jf %d is out of range", in.GetCode(), in.GetJt(), in.GetJf())
			return nil
		}
		ins[i] = bpf.RawInstruction{Op: uint16(in.GetCode()), Jt: uint8(in.GetJt()), Jf: uint8(in.GetJf()), K: in.GetK()}.Disassemble()
		if _, raw := ins[i].(bpf.RawInstruction); raw {
			p.add(field, "operation %#x is not one of the classic packet filter", in.GetCode())
			return nil
		}
	}
	vm, err := bpf.NewVM(ins)
	if err != nil {
		p.add("filter", "%v", err)
	}
	return vm
}
