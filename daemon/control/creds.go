package control

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Peer is the process at the other end of a Unix socket, as the kernel knew it
// when it connected (SO_PEERCRED). A process that passes its connection on
// passes its identity with it.
type Peer struct {
	credentials.CommonAuthInfo
	PID int32
	UID uint32
	GID uint32
}

// AuthType names the kind of authentication.
func (Peer) AuthType() string { return "unix-peercred" }

// PeerOf returns who is calling. ok is false when the call came through
// something else than a Unix socket, where nobody vouches for the caller.
func PeerOf(ctx context.Context) (p Peer, ok bool) {
	if from, found := peer.FromContext(ctx); found {
		p, ok = from.AuthInfo.(Peer)
	}
	return p, ok
}

// anonymous stands for a caller whose identity is not known.
type anonymous struct{ credentials.CommonAuthInfo }

func (anonymous) AuthType() string { return "none" }

// peerCredentials is the server's side of a connection: no bytes are exchanged,
// the kernel is asked who connected.
type peerCredentials struct{}

func (peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	sock, ok := conn.(*net.UnixConn)
	if !ok {
		level := credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}
		return conn, anonymous{level}, nil
	}
	cred, err := peerCred(sock)
	if err != nil {
		return nil, nil, fmt.Errorf("ask who connected to %s: %w", conn.LocalAddr(), err)
	}
	level := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return conn, Peer{CommonAuthInfo: level, PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

func peerCred(sock *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(ctlErr, err)
}

func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("peer credentials are for servers; a client needs none")
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: Peer{}.AuthType()}
}

func (peerCredentials) Clone() credentials.TransportCredentials { return peerCredentials{} }

func (peerCredentials) OverrideServerName(string) error { return nil }
