package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/netmapd/netmapd/daemon/access"
)

// authInfo carries who is calling from the handshake to the calls.
type authInfo struct {
	credentials.CommonAuthInfo
	access.Identity
}

// AuthType names the kind of authentication.
func (a authInfo) AuthType() string {
	switch {
	case a.Local:
		return "unix-peercred"
	case a.Certificate != "":
		return "tls"
	}
	return "none"
}

// caller returns who is calling; nobody when nothing vouches for the caller.
func caller(ctx context.Context) access.Identity {
	if from, found := peer.FromContext(ctx); found {
		if a, ok := from.AuthInfo.(authInfo); ok {
			return a.Identity
		}
	}
	return access.Identity{}
}

// serverCredentials are the server's side of a connection. On a Unix socket no
// bytes are exchanged, the kernel is asked who connected; elsewhere it takes TLS
// with a client certificate, or the peer is nobody.
type serverCredentials struct {
	tls credentials.TransportCredentials // nil: no TLS
}

func newServerCredentials(config *tls.Config) serverCredentials {
	if config == nil {
		return serverCredentials{}
	}
	return serverCredentials{credentials.NewTLS(config)}
}

func (c serverCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	if sock, ok := conn.(*net.UnixConn); ok {
		id, err := access.PeerOf(sock)
		if err != nil {
			return nil, nil, fmt.Errorf("ask who connected to %s: %w", conn.LocalAddr(), err)
		}
		return conn, authInfo{secure, id}, nil
	}
	if c.tls == nil {
		return conn, authInfo{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
	}
	conn, info, err := c.tls.ServerHandshake(conn)
	if err != nil {
		return nil, nil, err
	}
	name, err := commonName(info)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, authInfo{secure, access.Identity{Certificate: name}}, nil
}

// commonName is what rules know a certificate by.
func commonName(info credentials.AuthInfo) (string, error) {
	t, ok := info.(credentials.TLSInfo)
	if !ok || len(t.State.VerifiedChains) == 0 {
		return "", errors.New("the peer showed no certificate that the configured authority signed")
	}
	name := t.State.PeerCertificates[0].Subject.CommonName
	if name == "" {
		return "", errors.New("the peer's certificate has no common name, by which access.rules could name it")
	}
	return name, nil
}

func (serverCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these credentials are for servers")
}

func (serverCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix-peercred or tls"}
}

func (c serverCredentials) Clone() credentials.TransportCredentials { return c }

func (serverCredentials) OverrideServerName(string) error { return nil }
