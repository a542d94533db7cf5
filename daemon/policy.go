package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/daemon/config"
)

// noGroup stands for "nobody beside our own user".
const noGroup = -1

// socketGroup is the group whose members may connect to the sockets.
func socketGroup(cfg *config.Config) (int, error) {
	if cfg.Access.Group == "" {
		return noGroup, nil
	}
	gid, err := gid(cfg.Access.Group)
	if err != nil {
		return 0, fmt.Errorf("%s: access.group: %w", cfg.Where("access.group"), err)
	}
	return gid, nil
}

// policy turns the rules of a configuration into those of this machine's users. Members of the group, whom nothing but
// the rules says anything about, may without any rule look, and open ports of switches.
func policy(cfg *config.Config) (*access.Policy, error) {
	p := &access.Policy{Owner: os.Geteuid()}
	group, err := socketGroup(cfg)
	if err != nil {
		return nil, err
	}
	if len(cfg.Access.Rules) == 0 && group != noGroup {
		p.Rules = []access.Rule{{GIDs: []int{group}, Verbs: []access.Verb{access.View, access.Attach}, Ports: []string{"vale*:*"}}}
	}
	for i, r := range cfg.Access.Rules {
		rule, err := ruleOf(r)
		if err != nil {
			key := fmt.Sprintf("access.rules[%d].who", i)
			return nil, fmt.Errorf("%s: %s: %w", cfg.Where(key), key, err)
		}
		p.Rules = append(p.Rules, rule)
	}
	return p, nil
}

func ruleOf(r config.Rule) (access.Rule, error) {
	out := access.Rule{Ports: r.Ports}
	for _, verb := range r.May {
		out.Verbs = append(out.Verbs, access.Verb(verb))
	}
	for _, who := range r.Who {
		group, isGroup := strings.CutPrefix(who, "@")
		cert, isCert := strings.CutPrefix(who, "cert:")
		var id int
		var err error
		switch {
		case isCert:
			out.Certificates = append(out.Certificates, cert)
		case isGroup:
			id, err = gid(group)
			out.GIDs = append(out.GIDs, id)
		default:
			id, err = uid(who)
			out.UIDs = append(out.UIDs, id)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// uid looks a user up by name or number.
func uid(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(u.Uid)
}

// gid looks a group up by name or number.
func gid(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// tlsConfig is that of the TCP listener: clients show a certificate of the configured authority, or are not talked to.
// The certificate is read again for each connection, so that a renewed one needs no restart.
func tlsConfig(c config.Control) (*tls.Config, error) {
	pem, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read control.client-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read control.client-ca: %s holds no certificate in PEM", c.ClientCA)
	}
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		return &cert, err
	}
	if _, err := load(nil); err != nil {
		return nil, errors.Join(errors.New("read control.certificate and control.key"), err)
	}
	return &tls.Config{GetCertificate: load, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}, nil
}
