package control

import (
	"cmp"
	"context"
	"crypto/tls"
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
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/access"
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
	guard  *access.Guard
	log    *slog.Logger

	stopping chan struct{} // closed by the first Stop; ends the streams
	stop     sync.Once
}

// Options of a server; the zero value serves Unix sockets to the own user.
type Options struct {
	Guard *access.Guard // who may do what; nil: root and our own user everything, others nothing
	TLS   *tls.Config   // for listeners that are no Unix sockets; must demand client certificates
	Log   *slog.Logger  // nil logs nothing

	Trace stats.Handler // is told of each call; nil: nobody is

	SlowReader time.Duration // a stream of which nothing is read for so long is dropped; 0: half a minute
}

// NewServer makes a server in front of the plane.
func NewServer(plane Plane, o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Guard == nil {
		o.Guard = access.NewGuard(o.Log)
	}
	s := &Server{
		health: health.NewServer(), guard: o.Guard, log: o.Log, stopping: make(chan struct{}),
	}
	opts := []grpc.ServerOption{
		grpc.Creds(newServerCredentials(o.TLS)),
		grpc.ChainUnaryInterceptor(s.interceptUnary, s.checkUnary),
		grpc.ChainStreamInterceptor(s.interceptStream, s.checkStream),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
	}
	if o.Trace != nil {
		opts = append(opts, grpc.StatsHandler(o.Trace))
	}
	s.grpc = grpc.NewServer(opts...)
	out := streams{stopping: s.stopping, patience: cmp.Or(o.SlowReader, slowReader)}
	pb.RegisterPortServiceServer(s.grpc, &portService{plane: plane})
	pb.RegisterSwitchServiceServer(s.grpc, &switchService{plane: plane})
	pb.RegisterForwardingServiceServer(s.grpc, &forwardingService{plane: plane})
	pb.RegisterCaptureServiceServer(s.grpc, &captureService{plane: plane, may: s.check, streams: out})
	pb.RegisterAttachmentServiceServer(s.grpc, &attachmentService{plane: plane})
	pb.RegisterRegionServiceServer(s.grpc, &regionService{plane: plane})
	pb.RegisterLcoreServiceServer(s.grpc, &lcoreService{plane: plane})
	pb.RegisterEventServiceServer(s.grpc, &eventService{plane: plane, streams: out})
	pb.RegisterStatsServiceServer(s.grpc, &statsService{plane: plane, streams: out})
	pb.RegisterConfigServiceServer(s.grpc, &configService{plane: plane})
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
// callers are known by their uid, through anything else by their certificate;
// without TLS they are nobody, who may do nothing.
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
	attrs = append(attrs, slog.String("who", caller(ctx).String()))
	if *err != nil {
		attrs = append(attrs, slog.Any("error", *err))
	}
	s.log.LogAttrs(ctx, level, "control call", attrs...)
}
