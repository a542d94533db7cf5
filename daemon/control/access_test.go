package control_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/daemon/control/controltest"
)

// guard makes one with rules beside its owner's rights.
func guard(t *testing.T, rules ...access.Rule) *access.Guard {
	t.Helper()
	g := access.NewGuard(slog.New(slog.NewTextHandler(t.Output(), nil)))
	g.Set(&access.Policy{Owner: os.Geteuid(), Rules: rules})
	return g
}

// Somebody else is refused every call that no rule grants.
func TestMethodsOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to connect as another user")
	}
	const uid = 65534
	address := "@netmapd-control-access-" + strconv.Itoa(os.Getpid())
	serveWith(t, controltest.New(controltest.Sample()), listen(t, "unix", address), control.Options{
		Guard: guard(t, access.Rule{UIDs: []int{uid}, Verbs: []access.Verb{access.Administer}, Ports: []string{"vale1"}}),
	})
	conn := dial(t, "passthrough:///x", grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		return dialAs(uid, address)
	}))
	denied := func(method string) bool {
		err := conn.Invoke(testContext(t), method, &pb.GetInfoRequest{}, &pb.GetInfoResponse{})
		return status.Code(err) == codes.PermissionDenied && reason(err) == "EACCES"
	}
	for _, service := range []grpc.ServiceDesc{pb.PortService_ServiceDesc, pb.SwitchService_ServiceDesc, pb.StatsService_ServiceDesc, pb.SystemService_ServiceDesc} {
		for _, m := range service.Methods {
			if method := "/" + service.ServiceName + "/" + m.MethodName; !strings.Contains(m.MethodName, "Switch") && !denied(method) {
				t.Errorf("%s is not denied", method)
			}
		}
	}
	switches := pb.NewSwitchServiceClient(conn)
	if _, err := switches.CreateSwitch(testContext(t), &pb.CreateSwitchRequest{Name: "vale1"}); status.Code(err) == codes.PermissionDenied {
		t.Errorf("create the switch that the rule names: %v", err)
	}
	_, err := switches.CreateSwitch(testContext(t), &pb.CreateSwitchRequest{Name: "vale2"})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "administer vale2") {
		t.Errorf("create another one: %v, want a refusal that names the verb and the switch", err)
	}
	if _, err := healthpb.NewHealthClient(conn).Check(testContext(t), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health is for all: %v", err)
	}
}

// pki makes an authority and certificates of it.
type pki struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{t: t, pool: x509.NewCertPool()}
	c := p.issue("authority")
	p.cert, p.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	p.pool.AddCert(p.cert)
	return p
}

func (p *pki) issue(name string) tls.Certificate {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: p.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	parent, signer := p.cert, p.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		p.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// client are the credentials of the holder of certificates; none for "".
func (p *pki) client(certs ...tls.Certificate) grpc.DialOption {
	return grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: p.pool, Certificates: certs, MinVersion: tls.VersionTLS13}))
}

func TestCertificates(t *testing.T) {
	ours, theirs := newPKI(t), newPKI(t)
	plane := controltest.New(controltest.Sample())
	l := listen(t, "tcp", "127.0.0.1:0")
	serveWith(t, plane, l, control.Options{
		Guard: guard(t, access.Rule{Certificates: []string{"ops"}, Verbs: []access.Verb{access.View, access.Attach}}),
		TLS: &tls.Config{
			Certificates: []tls.Certificate{ours.issue("netmapd")}, ClientCAs: ours.pool,
			ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
		},
	})
	list := func(o grpc.DialOption) error {
		_, err := pb.NewPortServiceClient(dial(t, l.Addr().String(), o)).ListPorts(testContext(t), &pb.ListPortsRequest{})
		return err
	}
	tests := []struct {
		who  string
		as   grpc.DialOption
		want codes.Code
	}{
		{"named by a rule", ours.client(ours.issue("ops")), codes.OK},
		{"named by no rule", ours.client(ours.issue("dev")), codes.PermissionDenied},
		{"without a name", ours.client(ours.issue("")), codes.Unavailable},
		{"signed by somebody else", ours.client(theirs.issue("ops")), codes.Unavailable},
		{"without a certificate", ours.client(), codes.Unavailable},
		{"without TLS", grpc.WithTransportCredentials(insecureCredentials), codes.Unavailable},
	}
	for _, tt := range tests {
		if err := list(tt.as); status.Code(err) != tt.want {
			t.Errorf("%s: %v, want %v", tt.who, err, tt.want)
		}
	}
	// A ticket is for a uid, and nobody vouches for one here.
	_, err := pb.NewPortServiceClient(dial(t, l.Addr().String(), ours.client(ours.issue("ops")))).AttachPort(
		testContext(t), &pb.AttachPortRequest{Spec: "netmap:eth0"})
	if status.Code(err) != codes.PermissionDenied || reason(err) != "EPERM" {
		t.Errorf("a ticket over TCP: %v, want PermissionDenied", err)
	}
	if n := len(plane.Get().Tickets); n != 0 {
		t.Errorf("%d tickets were given", n)
	}
}
