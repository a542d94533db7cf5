package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/net/bpf"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/filter"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/pcapng"
)

// captureOptions are the flags of capture.
type captureOptions struct {
	filter    string
	program   string
	direction string
	snap      uint32
	write     string
	count     int
	duration  time.Duration
}

const anyDirection = "both"

var directions = map[string]pb.Direction{
	"in": pb.Direction_DIRECTION_IN, "out": pb.Direction_DIRECTION_OUT, anyDirection: pb.Direction_DIRECTION_UNSPECIFIED,
}

// AddFlags declares the flags.
func (o *captureOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.filter, "filter", "", "frames to keep, as tcpdump says it: \"tcp port 80 and host 10.0.0.1\"")
	flags.StringVar(&o.program, "bpf", "", "frames to keep, as a program: what tcpdump -ddd -y EN10MB EXPR prints")
	flags.StringVar(&o.direction, "direction", anyDirection, "as the port's user sees it: in, out or both")
	flags.Uint32Var(&o.snap, "snaplen", 0, "bytes to keep of each frame (default 0: all)")
	flags.StringVarP(&o.write, "write", "w", "", "pcapng file to write, - for the standard output")
	flags.IntVar(&o.count, "count", 0, "end after so many frames (default 0: never)")
	flags.DurationVar(&o.duration, "duration", 0, "end after such a time (default 0: never)")
}

func newCaptureCommand(c *cli) *cobra.Command {
	var o captureOptions
	cmd := &cobra.Command{
		Use:   "capture PORT... -w FILE",
		Short: "Write the frames that pass ports to a pcapng file",
		Long: "Write the frames that pass ports to a pcapng file, until it is interrupted or the ports are gone.\n\n" +
			"What clients send, or is handed to the device of a port that a switch has, goes out; the other way is in.\n" +
			"PORT^ means the host rings of PORT. The packet path never waits: frames that come faster than they are\n" +
			"fetched are missed; how many stands in the file and at the end.\n\n" +
			"The filter language is tcpdump's as far as host, net and port with ether, ip, ip6, arp, rarp, tcp, udp, icmp, icmp6,\n" +
			"sctp, src and dst, joined by and, or, not and parentheses; --bpf takes what tcpdump compiled for the rest.\n\n" +
			"As a Wireshark extcap: link this program into Wireshark's extcap folder (About Wireshark, Folders).",
		Example: "  nmctl capture vale0:a -w a.pcapng\n  nmctl capture vale0:a eth0 --filter 'udp port 53' -w - | tshark -r -\n" +
			"  nmctl capture eth0 --bpf \"$(tcpdump -ddd -y EN10MB 'vlan 5')\" -w vlan5.pcapng",
		RunE: func(cmd *cobra.Command, ports []string) error {
			req, err := o.request(cmd, ports)
			if err != nil {
				return err
			}
			if len(ports) == 0 {
				return wrongUsage(cmd, "name one or more ports")
			}
			if o.write == "" {
				return wrongUsage(cmd, "-w FILE says where to write; -w - is the standard output")
			}
			return c.stream(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				if o.write == "-" {
					return o.Run(ctx, conn, cmd.OutOrStdout(), &printer{w: cmd.ErrOrStderr(), format: c.output}, req)
				}
				return o.toFile(ctx, conn, out, req)
			})
		},
		ValidArgsFunction: c.completeMany(portNames),
	}
	o.AddFlags(cmd.Flags())
	complete(cmd, "direction", "in", "out", anyDirection)
	return cmd
}

// request checks the flags and compiles the filter.
func (o *captureOptions) request(cmd *cobra.Command, ports []string) (*pb.CaptureRequest, error) {
	way, ok := directions[o.direction]
	switch {
	case !ok:
		return nil, wrongUsage(cmd, "--direction %q: expected in, out or both", o.direction)
	case o.filter != "" && o.program != "":
		return nil, wrongUsage(cmd, "--filter and --bpf are two ways to say one thing")
	case o.count < 0 || o.duration < 0:
		return nil, wrongUsage(cmd, "--count and --duration: expected 0 or more")
	}
	req := &pb.CaptureRequest{Ports: ports, Direction: way, SnapLength: o.snap}
	var program []bpf.RawInstruction
	var err error
	switch {
	case o.filter != "":
		program, err = filter.Compile(o.filter)
	case o.program != "":
		program, err = parseProgram(o.program)
	}
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	for _, in := range program {
		req.Filter = append(req.Filter, &pb.BpfInstruction{Code: uint32(in.Op), Jt: uint32(in.Jt), Jf: uint32(in.Jf), K: in.K})
	}
	return req, nil
}

// parseProgram reads what tcpdump -ddd prints: a count, then four numbers a line.
func parseProgram(text string) (program []bpf.RawInstruction, err error) {
	r := strings.NewReader(text)
	var n int
	if _, err := fmt.Fscan(r, &n); err != nil || n < 1 || n > 4096 {
		return nil, errors.New("--bpf: expected what tcpdump -ddd prints: the number of instructions, then lines of four numbers")
	}
	for i := range n {
		var in bpf.RawInstruction
		if _, err := fmt.Fscan(r, &in.Op, &in.Jt, &in.Jf, &in.K); err != nil {
			return nil, fmt.Errorf("--bpf: instruction %d of %d: %w", i+1, n, err)
		}
		program = append(program, in)
	}
	return program, nil
}

func (o *captureOptions) toFile(ctx context.Context, conn grpc.ClientConnInterface, out *printer, req *pb.CaptureRequest) (err error) {
	f, err := os.Create(o.write)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("write %s: %w", o.write, cerr)
		}
	}()
	return o.Run(ctx, conn, f, out, req)
}

// Run captures to a writer, and prints a summary.
func (o *captureOptions) Run(ctx context.Context, conn grpc.ClientConnInterface, to io.Writer, out *printer, req *pb.CaptureRequest) error {
	capturing, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewCaptureServiceClient(conn).Capture(capturing, req)
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err // no file for what never began
	}
	rec := &recorder{req: req, count: o.count, start: time.Now(), sum: captured{Missed: make([]uint64, len(req.GetPorts()))}}
	if rec.w, err = pcapng.New(to, "nmctl "+ownVersion(), o.filter, req.GetSnapLength(), req.GetPorts()); err != nil {
		return o.failed(err, rec)
	}
	if o.duration > 0 {
		defer time.AfterFunc(o.duration, cancel).Stop()
	}
	for m := first; err == nil; m, err = stream.Recv() {
		full, werr := rec.add(m)
		if werr != nil {
			return o.failed(werr, rec)
		}
		if full {
			break
		}
	}
	if werr := rec.finish(); werr != nil {
		return o.failed(werr, rec)
	}
	switch code := status.Code(err); {
	case err == nil, code == codes.Canceled && capturing.Err() != nil: // count, duration, or the user
	case code == codes.OutOfRange:
		rec.sum.Ended = status.Convert(err).Message()
	default:
		return fmt.Errorf("after %d frames: %w", rec.sum.Frames, err)
	}
	return out.print(rec.sum)
}

// failed says how far a capture came that could not be written.
func (o *captureOptions) failed(err error, rec *recorder) error {
	what := o.write
	if what == "-" || what == "" {
		what = "the capture"
	}
	return fmt.Errorf("write %s: %w; it ends after at most %d frames and can be read so far", what, rootPath(err), rec.sum.Frames)
}

// rootPath leaves out the name of the file, which was said.
func rootPath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// recorder writes messages to a file.
type recorder struct {
	w     *pcapng.Writer
	req   *pb.CaptureRequest
	count int
	start time.Time
	sum   captured
}

// add writes a message; full says that there are enough.
func (r *recorder) add(m *pb.CaptureResponse) (full bool, err error) {
	copy(r.sum.Missed, m.GetMissed())
	for _, f := range m.GetFrames() {
		if r.count > 0 && r.sum.Frames == r.count || int(f.GetPort()) >= len(r.req.GetPorts()) {
			break
		}
		err := r.w.Write(pcapng.Frame{
			Time: f.GetTime().AsTime(), Interface: int(f.GetPort()), Out: f.GetDirection() == pb.Direction_DIRECTION_OUT,
			Length: int(f.GetLength()), Data: f.GetData(),
		})
		if err != nil {
			return false, err
		}
		r.sum.Frames++
	}
	if len(m.GetFrames()) > 0 {
		err = r.w.Flush()
	}
	return r.count > 0 && r.sum.Frames == r.count, err
}

// finish writes what was missed.
func (r *recorder) finish() error {
	for i, n := range r.sum.Missed {
		if err := r.w.Missed(i, n, r.start, time.Now()); err != nil {
			return err
		}
	}
	return r.w.Flush()
}

// captured is the result of capture.
type captured struct {
	Frames int      `json:"frames"`
	Missed []uint64 `json:"missed"` // by port
	Ended  string   `json:"ended"`  // why, unless the user ended it
}

func (c captured) table(t *table) {
	var missed uint64
	for _, n := range c.Missed {
		missed += n
	}
	line := fmt.Sprintf("%d frames captured, %d missed", c.Frames, missed)
	if c.Ended != "" {
		line += "; " + c.Ended
	}
	t.row(line)
}
