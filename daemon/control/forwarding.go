package control

import (
	"bytes"
	"context"
	"net"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

// Forwarding is what the services need of the registry to show and change how
// switches forward. ENXIO when a switch or a port of it does not exist.
type Forwarding interface {
	// Addresses returns the table, that of one port if portName is not "".
	Addresses(ctx context.Context, sw, portName string) ([]port.Address, vale.TableStats, error)
	// AddAddress pins an address to a port.
	AddAddress(ctx context.Context, sw, portName string, mac vale.MAC) error
	// DeleteAddress forgets an address, or ENOENT.
	DeleteAddress(ctx context.Context, sw string, mac vale.MAC) error
	// FlushAddresses forgets what was learned, on one port if portName is not "".
	FlushAddresses(ctx context.Context, sw, portName string) (int, error)
	// SetAgeing changes how long silent addresses are remembered.
	SetAgeing(ctx context.Context, sw string, age time.Duration) error
	// ConfigureSwitchPort changes options of a port and returns what holds then.
	ConfigureSwitchPort(ctx context.Context, sw, portName string, change func(*vale.PortOptions)) (vale.PortOptions, error)
	// TraceFrame says what would become of a frame that a port sends.
	TraceFrame(ctx context.Context, portName string, frame []byte) (port.Trace, error)
}

// Limits of requests about forwarding.
const (
	minAgeing     = 10 * time.Second
	maxAgeing     = 1000000 * time.Second
	maxFrame      = 65536
	maxFloodLimit = 1000000000
)

type forwardingService struct {
	pb.UnimplementedForwardingServiceServer
	plane Plane
}

func (s *forwardingService) ListAddresses(ctx context.Context, req *pb.ListAddressesRequest) (*pb.ListAddressesResponse, error) {
	var p problems
	p.name("switch", req.GetSwitch())
	if req.GetPort() != "" {
		p.name("port", req.GetPort())
	}
	p.atMost("page_size", req.GetPageSize(), maxPage)
	var after vale.MAC
	if token := req.GetPageToken(); token != "" {
		after = p.mac("page_token", token)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	list, table, err := s.plane.Addresses(ctx, req.GetSwitch(), req.GetPort())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListAddressesResponse{Table: tableToProto(table)}
	page := int(req.GetPageSize())
	if page == 0 {
		page = defaultPage
	}
	for _, a := range list {
		if req.GetPageToken() != "" && bytes.Compare(a.MAC[:], after[:]) <= 0 {
			continue
		}
		if len(resp.Addresses) == page {
			resp.NextPageToken = resp.Addresses[page-1].GetMac()
			break
		}
		resp.Addresses = append(resp.Addresses, addressToProto(a))
	}
	return resp, nil
}

func (s *forwardingService) AddAddress(ctx context.Context, req *pb.AddAddressRequest) (*pb.AddAddressResponse, error) {
	var p problems
	p.name("switch", req.GetSwitch())
	p.name("port", req.GetPort())
	mac := p.mac("mac", req.GetMac())
	if mac[0]&1 != 0 {
		p.add("mac", "%v is a group address; those are flooded, not forwarded", mac)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return &pb.AddAddressResponse{}, s.plane.AddAddress(ctx, req.GetSwitch(), req.GetPort(), mac)
}

func (s *forwardingService) DeleteAddress(ctx context.Context, req *pb.DeleteAddressRequest) (*pb.DeleteAddressResponse, error) {
	var p problems
	p.name("switch", req.GetSwitch())
	mac := p.mac("mac", req.GetMac())
	if err := p.err(); err != nil {
		return nil, err
	}
	return &pb.DeleteAddressResponse{}, s.plane.DeleteAddress(ctx, req.GetSwitch(), mac)
}

func (s *forwardingService) FlushAddresses(ctx context.Context, req *pb.FlushAddressesRequest) (*pb.FlushAddressesResponse, error) {
	var p problems
	p.name("switch", req.GetSwitch())
	if req.GetPort() != "" {
		p.name("port", req.GetPort())
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	n, err := s.plane.FlushAddresses(ctx, req.GetSwitch(), req.GetPort())
	if err != nil {
		return nil, err
	}
	return &pb.FlushAddressesResponse{Flushed: count(n)}, nil
}

func (s *forwardingService) SetAgeing(ctx context.Context, req *pb.SetAgeingRequest) (*pb.SetAgeingResponse, error) {
	var p problems
	p.name("switch", req.GetSwitch())
	if req.GetAgeing() == nil {
		p.add("ageing", "must be set; 0 means that addresses are remembered for ever")
	}
	age := p.ageing(req.GetAgeing())
	if err := p.err(); err != nil {
		return nil, err
	}
	return &pb.SetAgeingResponse{}, s.plane.SetAgeing(ctx, req.GetSwitch(), age)
}

func (s *forwardingService) SetPortForwarding(ctx context.Context, req *pb.SetPortForwardingRequest) (*pb.SetPortForwardingResponse, error) {
	var p problems
	p.name("switch", req.GetSwitch())
	p.name("port", req.GetPort())
	want := req.GetForwarding()
	if want == nil {
		p.add("forwarding", "must be set")
	}
	p.atMost("forwarding.flood_limit", want.GetFloodLimit(), maxFloodLimit)
	if err := p.err(); err != nil {
		return nil, err
	}
	now, err := s.plane.ConfigureSwitchPort(ctx, req.GetSwitch(), req.GetPort(), func(o *vale.PortOptions) {
		if want.Learning != nil {
			o.NoLearning = !want.GetLearning()
		}
		if want.FloodLimit != nil {
			o.FloodLimit = int(want.GetFloodLimit())
		}
	})
	if err != nil {
		return nil, err
	}
	return &pb.SetPortForwardingResponse{Forwarding: forwardingToProto(now)}, nil
}

func (s *forwardingService) TraceFrame(ctx context.Context, req *pb.TraceFrameRequest) (*pb.TraceFrameResponse, error) {
	var p problems
	p.name("port", req.GetPort())
	if n := len(req.GetFrame()); n == 0 || n > maxFrame {
		p.add("frame", "has %d bytes, expected 1 to %d", n, maxFrame)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	t, err := s.plane.TraceFrame(ctx, req.GetPort(), req.GetFrame())
	if err != nil {
		return nil, err
	}
	return traceToProto(t), nil
}

// ageing reads a time that addresses are remembered for.
func (p *problems) ageing(d *durationpb.Duration) time.Duration {
	age := d.AsDuration()
	if d != nil && d.CheckValid() != nil || age != 0 && (age < minAgeing || age > maxAgeing) {
		p.add("ageing", "is %v, expected 0 or %v to %v", age, minAgeing, maxAgeing)
	}
	return age
}

// mac reads an address as people write it.
func (p *problems) mac(field, value string) (m vale.MAC) {
	hw, err := net.ParseMAC(value)
	if err != nil || len(hw) != len(m) {
		p.add(field, "%.64q is no MAC address; write six hexadecimal pairs with colons, 02:00:00:00:00:01", value)
		return m
	}
	return vale.MAC(hw)
}

func addressToProto(a port.Address) *pb.Address {
	out := &pb.Address{Mac: a.MAC.String(), Port: text(a.Port), Static: a.Static}
	if a.Age > 0 {
		out.Age = durationpb.New(a.Age)
	}
	return out
}

func tableToProto(t vale.TableStats) *pb.ForwardingTable {
	return &pb.ForwardingTable{
		Size: count(t.Size), Limit: count(t.Limit), Used: count(t.Used), Static: count(t.Static),
		Displaced: count(t.Displaced), Evicted: t.Evicted, Ageing: durationpb.New(t.Age),
	}
}

func forwardingToProto(o vale.PortOptions) *pb.PortForwarding {
	return &pb.PortForwarding{Learning: proto.Bool(!o.NoLearning), FloodLimit: proto.Uint32(count(o.FloodLimit))}
}

// whys are the rules in words.
var whys = map[vale.Rule]string{
	vale.RuleKnown:    "the table has the destination address",
	vale.RuleUnknown:  "the table does not have the destination address: the frame goes to all other ports",
	vale.RuleGroup:    "the destination is a group address: the frame goes to all other ports",
	vale.RuleOwn:      "the destination is behind the port that sends the frame",
	vale.RuleVacant:   "the destination was behind a port that left, and this switch does not forget",
	vale.RuleTooShort: "the frame is shorter than an Ethernet header",
}

func traceToProto(t port.Trace) *pb.TraceFrameResponse {
	out := &pb.TraceFrameResponse{
		Switch: text(t.Switch), Source: t.Source.String(), Destination: t.Destination.String(),
		Rule: string(t.Rule), Why: whys[t.Rule], Learns: t.Learns,
	}
	if t.Entry != nil {
		out.Entry = addressToProto(port.Address{MAC: t.Entry.MAC, Port: t.Port, Static: t.Entry.Static, Age: t.Entry.Age})
	}
	if t.Dropped {
		out.Drop = t.Reason.String()
	}
	for i, to := range t.To {
		out.Hops = append(out.Hops, &pb.TraceHop{Port: text(to.Name()), Drop: t.Drops[i]})
	}
	return out
}
