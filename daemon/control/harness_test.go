package control_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/daemon/control/controltest"
)

// limit bounds what a test waits for; nothing that works comes near it.
const limit = 30 * time.Second

// serve starts a server on the listener and stops it with the test.
func serve(t *testing.T, plane control.Plane, l net.Listener) *control.Server {
	t.Helper()
	return serveWith(t, plane, l, control.Options{})
}

func serveWith(t *testing.T, plane control.Plane, l net.Listener, o control.Options) *control.Server {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := control.NewServer(plane, o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		s.Stop(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var insecureCredentials = insecure.NewCredentials()

// dial connects, without TLS unless an option says otherwise.
func dial(t *testing.T, target string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(insecureCredentials), grpc.WithNoProxy()}, options...)
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// start serves a plane on a Unix socket and connects to it.
func start(t *testing.T, state controltest.State) (*controltest.Plane, *control.Server, *grpc.ClientConn) {
	t.Helper()
	plane := controltest.New(state)
	path := filepath.Join(t.TempDir(), "control.sock")
	s := serve(t, plane, listen(t, "unix", path))
	return plane, s, dial(t, "unix:"+path)
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// detail returns the first detail of its type, or nil.
func detail[T any](err error) *T {
	for _, d := range status.Convert(err).Details() {
		if found, ok := d.(*T); ok {
			return found
		}
	}
	return nil
}

// reason is the errno that an error names to programs.
func reason(err error) string { return detail[errdetails.ErrorInfo](err).GetReason() }
