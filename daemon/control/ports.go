package control

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
	"github.com/netmapd/netmapd/port"
)

type portService struct {
	pb.UnimplementedPortServiceServer
	plane Plane
}

func (s *portService) ListPorts(ctx context.Context, req *pb.ListPortsRequest) (*pb.ListPortsResponse, error) {
	var p problems
	at := p.page(req)
	if err := p.err(); err != nil {
		return nil, err
	}
	infos, err := s.plane.Ports(ctx)
	if err != nil {
		return nil, err
	}
	infos, next := cut(infos, func(i port.Info) string { return fmt.Sprintf("%s\x00%020d", i.Name, i.ID) }, at)
	return &pb.ListPortsResponse{Ports: convert(infos, portToProto), NextPageToken: next}, nil
}

func (s *portService) GetPort(ctx context.Context, req *pb.GetPortRequest) (*pb.GetPortResponse, error) {
	var p problems
	p.name("name", req.GetName())
	if err := p.err(); err != nil {
		return nil, err
	}
	info, err := s.plane.Port(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &pb.GetPortResponse{Port: portToProto(info)}, nil
}

func (s *portService) CreatePort(ctx context.Context, req *pb.CreatePortRequest) (*pb.CreatePortResponse, error) {
	spec, err := portSpec(req.GetSpec())
	if err != nil {
		return nil, err
	}
	info, err := s.plane.CreatePort(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &pb.CreatePortResponse{Port: portToProto(info)}, nil
}

func (s *portService) DeletePort(ctx context.Context, req *pb.DeletePortRequest) (*pb.DeletePortResponse, error) {
	var p problems
	p.name("name", req.GetName())
	if err := p.err(); err != nil {
		return nil, err
	}
	if err := s.plane.DeletePort(ctx, req.GetName()); err != nil {
		return nil, err
	}
	return &pb.DeletePortResponse{}, nil
}

func (s *portService) AttachPort(ctx context.Context, req *pb.AttachPortRequest) (*pb.AttachPortResponse, error) {
	who := caller(ctx)
	if !who.Local {
		return nil, &port.Error{
			Op: "attach", Name: req.GetSpec(), Errno: unix.EPERM,
			Why: "the call must come through the control socket, a Unix socket that tells who is calling; a ticket is bound to that uid",
		}
	}
	ticket, err := ticketRequest(req)
	if err != nil {
		return nil, err
	}
	token, expires, err := s.plane.Ticket(ctx, uint32(who.UID), ticket)
	if err != nil {
		return nil, err
	}
	return &pb.AttachPortResponse{
		Ticket:       token[:],
		Expires:      timestamppb.New(expires),
		AttachSocket: s.plane.Info().AttachSocket,
	}, nil
}

// portSpec checks what CreatePort asks for.
func portSpec(spec *pb.PortSpec) (port.Spec, error) {
	var p problems
	if spec == nil {
		p.add("spec", "must be set")
		return port.Spec{}, p.err()
	}
	p.newPort("spec.name", spec.GetName())
	p.atMost("spec.rings", spec.GetRings(), maxRings)
	p.atMost("spec.slots", spec.GetSlots(), maxSlots)
	p.atMost("spec.mtu", spec.GetMtu(), maxMTU)
	switch spec.GetKind() {
	case pb.PortKind_PORT_KIND_INTERFACE:
		p.interfaceFields(spec)
	case pb.PortKind_PORT_KIND_DEVICE:
		p.deviceFields(spec)
	case pb.PortKind_PORT_KIND_PERSISTENT:
		p.persistentFields(spec)
	case pb.PortKind_PORT_KIND_UNSPECIFIED:
		p.add("spec.kind", "must be set: PORT_KIND_INTERFACE, PORT_KIND_DEVICE or PORT_KIND_PERSISTENT")
	default:
		if kind, ok := kindFromProto[spec.GetKind()]; ok {
			p.add("spec.kind", "ports of kind %s are not created: they appear when a program opens or attaches them", kind)
		} else {
			p.add("spec.kind", "%d is no kind of port that this daemon knows", spec.GetKind())
		}
	}
	if err := p.err(); err != nil {
		return port.Spec{}, err
	}
	return port.Spec{
		Name:    spec.GetName(),
		Kind:    kindFromProto[spec.GetKind()],
		Ifname:  spec.GetIfname(),
		Driver:  driverFromProto[spec.GetDriver()],
		Devargs: spec.GetDevargs(),
		Rings:   int(spec.GetRings()),
		Slots:   int(spec.GetSlots()),
		MTU:     int(spec.GetMtu()),

		Host: spec.GetHostIfname(), DropUnbound: spec.GetDropUnbound(),
	}, nil
}

func (p *problems) interfaceFields(spec *pb.PortSpec) {
	if ifname := spec.GetIfname(); ifname != "" {
		if err := name.CheckInterface(ifname); err != nil {
			p.add("spec.ifname", "%s", why(err))
		}
	}
	if _, ok := driverFromProto[spec.GetDriver()]; !ok {
		p.add("spec.driver", "%d is no driver that this daemon knows", spec.GetDriver())
	}
	if spec.GetDevargs() != "" {
		p.add("spec.devargs", "only for PORT_KIND_DEVICE")
	}
	if spec.GetHostIfname() != "" {
		p.add("spec.host_ifname", "only for PORT_KIND_DEVICE; a kernel interface is its own")
	}
	if spec.GetMtu() != 0 {
		p.add("spec.mtu", "only for PORT_KIND_DEVICE; an interface of the kernel has its own: ip link set mtu")
	}
}

// persistentFields lets rings, slots and the host's interface be.
func (p *problems) persistentFields(spec *pb.PortSpec) {
	p.atMost("spec.rings", spec.GetRings(), abi.ValeMaxRings)
	p.atMost("spec.slots", spec.GetSlots(), abi.ValeMaxSlots)
	if spec.GetIfname() != "" {
		p.add("spec.ifname", "only for PORT_KIND_INTERFACE")
	}
	if spec.GetDriver() != pb.InterfaceDriver_INTERFACE_DRIVER_UNSPECIFIED {
		p.add("spec.driver", "only for PORT_KIND_INTERFACE")
	}
	if spec.GetDevargs() != "" {
		p.add("spec.devargs", "only for PORT_KIND_DEVICE")
	}
	if spec.GetMtu() != 0 {
		p.add("spec.mtu", "only for PORT_KIND_DEVICE")
	}
	if spec.GetDropUnbound() {
		p.add("spec.drop_unbound", "not for PORT_KIND_PERSISTENT: its frames have no other way")
	}
	p.hostIfname(spec)
}

func (p *problems) hostIfname(spec *pb.PortSpec) {
	if ifname := spec.GetHostIfname(); ifname != "" {
		if err := name.CheckInterface(ifname); err != nil {
			p.add("spec.host_ifname", "%s", why(err))
		}
	}
}

func (p *problems) deviceFields(spec *pb.PortSpec) {
	p.text("spec.devargs", spec.GetDevargs(), maxDevargs)
	if spec.GetIfname() != "" {
		p.add("spec.ifname", "only for PORT_KIND_INTERFACE")
	}
	if spec.GetDriver() != pb.InterfaceDriver_INTERFACE_DRIVER_UNSPECIFIED {
		p.add("spec.driver", "only for PORT_KIND_INTERFACE; a device names its driver in devargs")
	}
	p.hostIfname(spec)
}

// ticketRequest checks what AttachPort asks for, by the grammar that programs
// use, so that a ticket is refused here and not when it is redeemed.
func ticketRequest(req *pb.AttachPortRequest) (TicketRequest, error) {
	var p problems
	p.text("spec", req.GetSpec(), maxSpec)
	p.atMost("extra_buffers", req.GetExtraBuffers(), maxExtraBufs)
	if err := p.err(); err != nil {
		return TicketRequest{}, err
	}
	spec, err := name.Parse(req.GetSpec())
	if err == nil {
		_, err = name.ParseCore(spec.Name)
	}
	switch {
	case err != nil:
		p.add("spec", "%s", why(err))
	case spec.Share != "":
		p.add("spec", "the option share is not for tickets; write the region's id: netmap:eth0@2")
	case spec.Extmem != nil || spec.Offset != nil:
		p.add("spec", "the options extmem and offset are not for tickets; open the port through the attach socket")
	}
	if err := p.err(); err != nil {
		return TicketRequest{}, err
	}
	return TicketRequest{Name: spec.Name, Register: abi.Register{
		TxSlots: spec.Conf.TxSlots, RxSlots: spec.Conf.RxSlots,
		TxRings: spec.Conf.TxRings, RxRings: spec.Conf.RxRings,
		HostTxRings: spec.Conf.HostTxRings, HostRxRings: spec.Conf.HostRxRings,
		MemID: spec.MemID, RingID: spec.RingID, Mode: spec.Mode, Flags: spec.Flags,
		ExtraBufs: req.GetExtraBuffers(),
	}}, nil
}
