package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/netmapd/netmapd/netmap/rundir"
)

// target is where the control API is served.
type target struct {
	network, address string
	dir              string // the runtime directory, "" when --address was given
}

func (t target) String() string { return t.network + ":" + t.address }

// target resolves the flags.
func (c *cli) target() (target, error) {
	switch path, isUnix := strings.CutPrefix(c.address, "unix:"); {
	case c.address == "":
		dir, err := c.dir()
		return target{"unix", rundir.ControlSocket(dir), dir}, err
	case isUnix:
		return target{network: "unix", address: path}, nil
	case strings.HasPrefix(c.address, "/") || strings.HasPrefix(c.address, "."):
		return target{network: "unix", address: c.address}, nil
	}
	if _, _, err := net.SplitHostPort(c.address); err != nil {
		return target{}, &usageError{fmt.Sprintf("--address %q: expected a path, unix:PATH or HOST:PORT: %v", c.address, err)}
	}
	return target{network: "tcp", address: c.address}, nil
}

// host is the name that the daemon's certificate must have.
func (t target) host() string {
	if t.network != "tcp" {
		return "localhost"
	}
	host, _, err := net.SplitHostPort(t.address)
	if err != nil {
		return t.address
	}
	return host
}

// credentials are those of TLS with a client certificate over TCP, which is all
// that a daemon takes there; a Unix socket tells by itself who connects.
func (c *cli) credentials(to target) (credentials.TransportCredentials, error) {
	given := c.tlsCert != "" || c.tlsKey != "" || c.tlsCA != ""
	switch {
	case to.network != "tcp" && given:
		return nil, &usageError{"--tls-cert, --tls-key and --tls-ca go with --address HOST:PORT only"}
	case !given:
		return insecure.NewCredentials(), nil
	}
	cert, err := tls.LoadX509KeyPair(c.tlsCert, c.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("read --tls-cert and --tls-key: %w", err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	if c.tlsCA != "" {
		pem, err := os.ReadFile(c.tlsCA)
		if err != nil {
			return nil, fmt.Errorf("read --tls-ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read --tls-ca: %s holds no certificate in PEM", c.tlsCA)
		}
	}
	return credentials.NewTLS(conf), nil
}

// client is a connection to the control API. It connects with the first call.
type client struct {
	*grpc.ClientConn
	target target

	mu     sync.Mutex
	failed error // why the last attempt to connect failed
}

func (c *cli) dial() (*client, error) {
	to, err := c.target()
	if err != nil {
		return nil, err
	}
	creds, err := c.credentials(to)
	if err != nil {
		return nil, err
	}
	cl := &client{target: to}
	cl.ClientConn, err = grpc.NewClient("passthrough:///netmapd",
		grpc.WithAuthority(to.host()),
		grpc.WithNoProxy(),
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(cl.connect))
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", to, err)
	}
	return cl, nil
}

// connect remembers its error: in gRPC's own text the errno would be lost.
func (cl *client) connect(ctx context.Context, _ string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, cl.target.network, cl.target.address)
	cl.mu.Lock()
	cl.failed = err
	cl.mu.Unlock()
	return conn, err
}

// call runs f with a connection, the time-out and a printer; again and again if
// the command is watchable and that was asked for.
func (c *cli) call(cmd *cobra.Command, f func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error) error {
	return c.stream(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
		return c.watch.repeat(ctx, out, func() error {
			ctx, cancel := context.WithTimeout(ctx, c.timeout)
			defer cancel()
			return f(ctx, conn, out)
		})
	})
}

// stream runs f like call, without a time-out.
func (c *cli) stream(cmd *cobra.Command, f func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close() // nothing is buffered
	err = f(cmd.Context(), conn, &printer{w: cmd.OutOrStdout(), format: c.output})
	return c.explain(cmd.Context(), err, conn)
}

// pages collects a list that comes in pages, from the first, whose token is "".
func pages[T any](list func(token string) (entries []T, next string, err error)) (all []T, err error) {
	for token := ""; ; {
		var entries []T
		if entries, token, err = list(token); err != nil {
			return nil, err
		}
		if all = append(all, entries...); token == "" {
			return all, nil
		}
	}
}

// explain turns a status into text for a person: what the daemon said, or why it
// said nothing.
func (c *cli) explain(ctx context.Context, err error, conn *client) error {
	var carrier interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &carrier) {
		return err
	}
	conn.mu.Lock()
	failed := conn.failed
	conn.mu.Unlock()
	st := carrier.GRPCStatus()
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case st.Code() == codes.Unavailable && failed != nil:
		return notReached(conn.target, failed)
	case st.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("netmapd at %v did not answer within %v; wait longer with --timeout, or look into its log", conn.target, c.timeout)
	case st.Code() == codes.Unimplemented && len(st.Details()) == 0:
		return fmt.Errorf("netmapd at %v does not know this request (%s); it may be older than this nmctl: compare nmctl version and nmctl system info", conn.target, st.Message())
	}
	return errors.New(violations(st))
}

// violations lists what is wrong with a request, a line each, by the last part
// of the field, which is what the flag is called. Without a list it is the
// daemon's text.
func violations(st *status.Status) string {
	for _, detail := range st.Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok || len(bad.GetFieldViolations()) == 0 {
			continue
		}
		lines := []string{"netmapd refused the request:"}
		for _, v := range bad.GetFieldViolations() {
			field := v.GetField()[strings.LastIndexByte(v.GetField(), '.')+1:]
			lines = append(lines, "  "+field+": "+v.GetDescription())
		}
		return strings.Join(lines, "\n")
	}
	return st.Message()
}

// notReached says which socket was tried and what to do.
func notReached(to target, cause error) error {
	var remedy string
	switch {
	case to.network != "unix":
		remedy = "is netmapd listening there?"
	case errors.Is(cause, fs.ErrPermission):
		remedy = "the socket belongs to another user: run nmctl as that user or as root"
	case errors.Is(cause, syscall.ECONNREFUSED):
		remedy = "the socket is there, but the netmapd that made it is gone; " + howToStart(to)
	default:
		remedy = "netmapd does not seem to run; " + howToStart(to)
	}
	return fmt.Errorf("cannot reach netmapd at %v: %w\n%s", to, rootCause(cause), remedy)
}

func howToStart(to target) string {
	if to.dir == "" {
		return "start it, or correct --address"
	}
	return "start it with\n  netmapd --runtime-dir " + to.dir +
		"\nor, when it runs with another directory, name that one with --runtime-dir or " + rundir.Env
}

// rootCause leaves out the layers of package net, which repeat the address.
func rootCause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
