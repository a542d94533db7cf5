package control

import (
	"context"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

// Limits of what a caller can make the daemon hold.
const (
	maxMessage       = 1 << 20 // bytes of a request
	maxHeaders       = 16 << 10
	maxStreams       = 128 // calls at a time on one connection
	handshakeTimeout = 5 * time.Second
)

// Server serves netmapd.v1, gRPC health and reflection.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
	log    *slog.Logger

	stopping chan struct{} // closed by the first Stop; ends the streams
	stop     sync.Once
}

// NewServer makes a server in front of the plane. A nil logger logs nothing.
func NewServer(plane Plane, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{health: health.NewServer(), log: log, stopping: make(chan struct{})}
	s.grpc = grpc.NewServer(
		grpc.Creds(peerCredentials{}),
		grpc.UnaryInterceptor(s.interceptUnary),
		grpc.StreamInterceptor(s.interceptStream),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
	)
	pb.RegisterPortServiceServer(s.grpc, &portService{plane: plane})
	pb.RegisterSwitchServiceServer(s.grpc, &switchService{plane: plane})
	pb.RegisterStatsServiceServer(s.grpc, &statsService{plane: plane, stopping: s.stopping})
	pb.RegisterSystemServiceServer(s.grpc, &systemService{plane: plane})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	for service := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
	}
	return s
}

// Serve answers calls that come through the listener until Stop, and returns
// nil then. It may run for several listeners at a time. Through a Unix socket
// callers are known by their uid; through anything else they are nobody, and
// the listener has to keep strangers out.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Stop takes no more calls, ends the streams, and waits for running calls until
// the context ends; then it breaks them off. It closes the listeners.
func (s *Server) Stop(ctx context.Context) {
	s.stop.Do(func() { close(s.stopping) })
	s.health.Shutdown()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
}

func (s *Server) interceptUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer s.finish(ctx, info.FullMethod, time.Now(), &err)
	return handler(ctx, req)
}

func (s *Server) interceptStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer s.finish(stream.Context(), info.FullMethod, time.Now(), &err)
	return handler(srv, stream)
}

// finish is deferred around each call: it catches a panic, since one bad call
// must not take the packets of everybody with it, makes the error a status, and
// logs the call.
func (s *Server) finish(ctx context.Context, method string, start time.Time, err *error) {
	if cause := recover(); cause != nil {
		s.log.Error("panic in a call of the control API", "method", method, "panic", cause, "stack", string(debug.Stack()))
		*err = status.Errorf(codes.Internal, "%s failed by a bug in netmapd; its log holds the details, please report them", method)
	}
	*err = statusError(*err)
	code := status.Code(*err)
	level := slog.LevelDebug
	if code == codes.Internal || code == codes.Unknown {
		level = slog.LevelError
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("method", method), slog.String("code", code.String()), slog.Duration("took", time.Since(start))}
	if p, ok := PeerOf(ctx); ok {
		attrs = append(attrs, slog.Int("pid", int(p.PID)), slog.Uint64("uid", uint64(p.UID)))
	}
	if *err != nil {
		attrs = append(attrs, slog.Any("error", *err))
	}
	s.log.LogAttrs(ctx, level, "control call", attrs...)
}
