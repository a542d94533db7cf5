package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// authority writes certificates and keys to files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue writes NAME.pem and NAME.key; the first one is the authority's own.
func (a *authority) issue(name string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: a.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	must(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(a.t, err)
	if a.cert == nil {
		a.cert, a.key = leaf, key
	}
	secret, err := x509.MarshalECPrivateKey(key)
	must(a.t, err)
	must(a.t, os.WriteFile(a.file(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(a.t, os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// Over TCP, nmctl shows a certificate, and may do what the rules let its holder do.
func TestTLS(t *testing.T) {
	ca := &authority{t: t, dir: t.TempDir()}
	for _, name := range []string{"ca", "netmapd", "ops", "dev"} {
		ca.issue(name)
	}
	yaml := ca.file("netmapd.yaml")
	must(t, os.WriteFile(yaml, fmt.Appendf(nil, `
version: 1
control: {listen: "127.0.0.1:0", certificate: %q, key: %q, client-ca: %q}
access: {rules: [{who: ["cert:ops"], may: [view, administer]}]}
`, ca.file("netmapd.pem"), ca.file("netmapd.key"), ca.file("ca.pem")), 0o600))
	d := startDaemon(t, "--config", yaml)
	address := regexp.MustCompile(`tcp=(127\.0\.0\.1:\d+)`)
	waitFor(t, "the TCP listener", func() error {
		if !address.MatchString(d.log.String()) {
			return fmt.Errorf("netmapd has not named it")
		}
		return nil
	})
	to := address.FindStringSubmatch(d.log.String())[1]
	for _, tt := range []struct{ who, line, want string }{
		{"ops", "switch create vale1", ""},
		{"ops", "port list", ""},
		{"dev", "port list", `the holder of certificate "dev" may not view`},
		{"", "port list", "connection"},
	} {
		args := append([]string{"--address", to}, strings.Fields(tt.line)...)
		if tt.who != "" {
			args = append(args, "--tls-cert", ca.file(tt.who+".pem"), "--tls-key", ca.file(tt.who+".key"), "--tls-ca", ca.file("ca.pem"))
		}
		out, err := exec.CommandContext(limited(t), nmctl, args...).CombinedOutput()
		if (err == nil) != (tt.want == "") || !strings.Contains(string(out), tt.want) {
			t.Errorf("%q %s: %v, want %q in\n%s", tt.who, tt.line, err, tt.want, out)
		}
	}
}
