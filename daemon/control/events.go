package control

import (
	"slices"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/port"
)

type eventService struct {
	pb.UnimplementedEventServiceServer
	plane Plane
	streams
}

var eventKinds = map[port.EventKind]pb.EventKind{
	port.EventPortCreated:   pb.EventKind_EVENT_KIND_PORT_CREATED,
	port.EventPortGone:      pb.EventKind_EVENT_KIND_PORT_GONE,
	port.EventOpened:        pb.EventKind_EVENT_KIND_OPENED,
	port.EventClosed:        pb.EventKind_EVENT_KIND_CLOSED,
	port.EventAttached:      pb.EventKind_EVENT_KIND_ATTACHED,
	port.EventDetached:      pb.EventKind_EVENT_KIND_DETACHED,
	port.EventLinkUp:        pb.EventKind_EVENT_KIND_LINK_UP,
	port.EventLinkDown:      pb.EventKind_EVENT_KIND_LINK_DOWN,
	port.EventDeviceLost:    pb.EventKind_EVENT_KIND_DEVICE_LOST,
	port.EventConfigApplied: pb.EventKind_EVENT_KIND_CONFIG_APPLIED,
	port.EventConfigRefused: pb.EventKind_EVENT_KIND_CONFIG_REFUSED,
	port.EventDeviceFailed:  pb.EventKind_EVENT_KIND_DEVICE_FAILED,
	port.EventLcoreStuck:    pb.EventKind_EVENT_KIND_LCORE_STUCK,
	port.EventLcoreFailed:   pb.EventKind_EVENT_KIND_LCORE_FAILED,
}

func (s *eventService) WatchEvents(req *pb.WatchEventsRequest, stream pb.EventService_WatchEventsServer) error {
	var p problems
	p.portNames(req.GetPorts())
	if err := p.err(); err != nil {
		return err
	}
	events := s.plane.Watch()
	defer events.End()
	if err := sendInTime(s.streams, stream, &pb.WatchEventsResponse{}); err != nil {
		return err
	}
	for {
		select {
		case e, ok := <-events.C:
			if !ok {
				return newStatus(codes.ResourceExhausted, "events come faster than you take them; list what there is and watch again", errorInfo(unix.ENOBUFS, nil))
			}
			if len(req.GetPorts()) > 0 && !slices.Contains(req.GetPorts(), e.Port) {
				continue
			}
			if err := sendInTime(s.streams, stream, &pb.WatchEventsResponse{Events: []*pb.Event{eventToProto(e)}}); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.stopping:
			return status.Error(codes.Unavailable, "netmapd is stopping")
		}
	}
}

func eventToProto(e port.Event) *pb.Event {
	return &pb.Event{
		Time: timestamp(e.Time), Kind: eventKinds[e.Kind], Port: text(e.Port), Switch: text(e.Switch),
		Pid: int32(e.By.PID), Uid: uint32(e.By.UID), Command: text(e.By.Command),
		Detail: text(e.Detail),
	}
}
